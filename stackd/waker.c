/* SPDX-License-Identifier: BSD-2-Clause */
#include "waker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sock/sock.h"

#define EVENTS 64

/* What the kernel maps at the context's address: see fs/aio.c. */
struct aio_ring {
	uint32_t id, count, head, tail;
};

int waker_init(struct waker *w)
{
	w->context = 0;
	w->null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (w->null < 0)
		return -errno;
	if (syscall(SYS_io_setup, EVENTS, &w->context))
		w->context = 0;
	return 0;
}

void waker_destroy(struct waker *w)
{
	if (w->context)
		syscall(SYS_io_destroy, w->context);
	close(w->null);
}

/* Reading nothing from /dev/null completes at once, and each completion signals the eventfd. */
static void signal_eventfd(struct waker *w, int eventfd)
{
	volatile struct aio_ring *ring = (struct aio_ring *)(uintptr_t)w->context;
	struct iocb read = {.aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = (uint32_t)w->null,
			    .aio_flags = IOCB_FLAG_RESFD, .aio_resfd = (uint32_t)eventfd};
	struct iocb *list = &read;

	(void)!syscall(SYS_io_submit, w->context, 1, &list);
	ring->head = ring->tail; /* nobody wants to know the result */
}

void waker_wake(struct waker *w, int eventfd, bool trusted)
{
	const uint64_t one = 1;

	if (eventfd & SOCK_FD_SIGNAL)
		shutdown(eventfd & ~SOCK_FD_SIGNAL, SHUT_WR);
	else if (trusted || !w->context)
		(void)!write(eventfd, &one, sizeof(one));
	else
		signal_eventfd(w, eventfd);
}
