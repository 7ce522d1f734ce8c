/* SPDX-License-Identifier: BSD-2-Clause */
/* lock.c - the contended half of lock.h: sleeping in futex, and owners that died. */
#include "lock.h"

#include "libc.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LOOK_AGAIN_NS 10000000 /* how often a waiter asks whether the owner lives */

_Thread_local uint32_t lock_thread_id __attribute__((tls_model("initial-exec")));
_Thread_local volatile uint32_t lock_depth __attribute__((tls_model("initial-exec")));
_Thread_local volatile bool lock_signal __attribute__((tls_model("initial-exec")));

uint32_t lock_thread_id_load(void)
{
	lock_thread_id = (uint32_t)syscall(SYS_gettid);
	return lock_thread_id;
}

void lock_wake(_Atomic uint32_t *word)
{
	int saved = errno;

	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
	errno = saved;
}

static int owner_is_dead(uint32_t owner)
{
	return kill((pid_t)owner, 0) < 0 && errno == ESRCH;
}

/* The handler runs on top of the owner, which can't go on before it returns. */
static void interrupted_myself(void)
{
	static const char text[] = "stackd: a signal handler changes sockets while its own thread "
				   "is doing so: this can't go on\n";

	(void)!LIBC->write(STDERR_FILENO, text, sizeof(text) - 1);
	abort();
}

void lock_slow(_Atomic uint32_t *word, uint32_t self)
{
	static const struct timespec look_again = {.tv_nsec = LOOK_AGAIN_NS};
	int saved = errno;

	for (;;) {
		uint32_t v = atomic_load_explicit(word, memory_order_relaxed);
		uint32_t owner = v & ~LOCK_WAITERS;

		if (owner == self)
			interrupted_myself();
		if (owner == 0 || owner_is_dead(owner)) {
			/* others may sleep: keep the mark, at worst one wake-up too many */
			if (atomic_compare_exchange_strong_explicit(word, &v, self | LOCK_WAITERS,
								    memory_order_acquire,
								    memory_order_relaxed))
				break;
			continue;
		}
		if (!(v & LOCK_WAITERS) &&
		    !atomic_compare_exchange_strong_explicit(word, &v, v | LOCK_WAITERS,
							     memory_order_relaxed,
							     memory_order_relaxed))
			continue;
		syscall(SYS_futex, word, FUTEX_WAIT, v | LOCK_WAITERS, &look_again, NULL, 0);
	}
	errno = saved;
}
