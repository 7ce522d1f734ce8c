/* SPDX-License-Identifier: BSD-2-Clause */
/* The io_urings of the AF_PACKET driver.  They are made on the control thread and used on a
 * shard's, so they start disabled: the thread that enables one becomes its single issuer. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "driver/af_packet.h"

static void explain(int e, char error[static DRIVER_ERROR_MAX])
{
	if (e == -EPERM)
		snprintf(error, DRIVER_ERROR_MAX,
			 "io_uring is not permitted: sysctl kernel.io_uring_disabled must be 0, or "
			 "1 with its "
			 "group, and no seccomp filter in the way");
	else if (e == -ENOSYS)
		snprintf(error, DRIVER_ERROR_MAX,
			 "this kernel has no io_uring; Linux 6.1 or later is needed");
	else if (e == -EINVAL)
		snprintf(error, DRIVER_ERROR_MAX,
			 "this kernel's io_uring is too old (no DEFER_TASKRUN); Linux 6.1 or later "
			 "is needed");
	else
		snprintf(error, DRIVER_ERROR_MAX, "io_uring can't be set up: %s", strerror(-e));
}

int afp_ring_open(struct io_uring *ring, uint32_t entries, uint32_t cq_entries, int sock,
		  char error[static DRIVER_ERROR_MAX])
{
	struct io_uring_params params = {
	    .flags = IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER |
		     IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_CQSIZE,
	    .cq_entries = cq_entries,
	};
	int e = io_uring_queue_init_params(entries, ring, &params);

	if (e < 0) {
		explain(e, error);
		return e;
	}
	e = io_uring_register_files(ring, &sock, 1);
	if (e < 0) {
		snprintf(error, DRIVER_ERROR_MAX, "io_uring takes no fixed file: %s", strerror(-e));
		io_uring_queue_exit(ring);
	}
	return e;
}

/* By hand: liburing 2.3 declares io_uring_enable_rings and does not export it. */
void afp_ring_enable(struct io_uring *ring)
{
	long e =
	    syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);

	assert(e == 0);
	(void)e;
}
