/* SPDX-License-Identifier: BSD-2-Clause */
/* lock.h - one word that holds its owner's thread id: for the process's own tables and, in shared
 * memory, for threads of several processes.  Never held while waiting for the network.  A lock
 * whose owner has died is taken over.
 *
 * A signal that comes to a thread with a lock is put off until it has none (signal.c), so that a
 * handler may use all sockets.  Only handlers that aren't called from there can meet their own
 * thread's lock: recv and send then fail with EDEADLK, and in a lock of a table or of a submission
 * the process ends with a message. */
#ifndef STACKD_CLIENT_LOCK_H
#define STACKD_CLIENT_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LOCK_WAITERS 0x80000000u /* somebody sleeps on the word; thread ids are below 2^22 */

extern _Thread_local uint32_t lock_thread_id __attribute__((tls_model("initial-exec")));

extern _Thread_local volatile uint32_t lock_depth __attribute__((tls_model("initial-exec")));
extern _Thread_local volatile bool lock_signal __attribute__((tls_model("initial-exec")));

uint32_t lock_thread_id_load(void);
void signal_deliver(void); /* the one that was put off: lock_signal */
void lock_slow(_Atomic uint32_t *word, uint32_t self);
void lock_wake(_Atomic uint32_t *word);

static inline uint32_t lock_self(void)
{
	return lock_thread_id ? lock_thread_id : lock_thread_id_load();
}

/* True only in a signal handler that has interrupted this very thread inside the lock. */
static inline int lock_is_mine(_Atomic uint32_t *word)
{
	uint32_t v = atomic_load_explicit(word, memory_order_relaxed);

	return v && (v & ~LOCK_WAITERS) == lock_thread_id;
}

static inline void lock_take(_Atomic uint32_t *word)
{
	uint32_t self = lock_self(), none = 0;

	lock_depth++;
	atomic_signal_fence(memory_order_seq_cst);
	if (!atomic_compare_exchange_strong_explicit(word, &none, self, memory_order_acquire,
						     memory_order_relaxed))
		lock_slow(word, self);
}

static inline void lock_drop(_Atomic uint32_t *word)
{
	if (atomic_exchange_explicit(word, 0, memory_order_release) & LOCK_WAITERS)
		lock_wake(word);
	atomic_signal_fence(memory_order_seq_cst);
	if (--lock_depth == 0 && lock_signal)
		signal_deliver();
}

#endif
