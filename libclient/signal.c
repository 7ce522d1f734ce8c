/* SPDX-License-Identifier: BSD-2-Clause */
/* signal.c - which handlers have run: a call that waits goes on after one with SA_RESTART and ends
 * with EINTR after one without.  The kernel tells neither, so that in a program with our names the
 * handlers are called from here (preload_signal.c installs signal_handler in their place).  And as
 * in the kernel none runs in the middle of a call: one that comes while its thread has a lock is
 * sent again when it has none.  Owns what the program installed. */
#include "client.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>

struct handler {
	_Atomic(uintptr_t) function;
	_Atomic int flags;
};

static struct handler handlers[NSIG];

/* What was put off.  Everything else is blocked meanwhile, so that there is one at most. */
struct deferred {
	siginfo_t info;
	uint64_t mask; /* the thread's, as the kernel has it: bit per signal, from 1 */
};

#define KERNEL_MASK_BYTES 8

static _Thread_local struct deferred deferred __attribute__((tls_model("initial-exec")));
static _Thread_local struct signal_mark ran __attribute__((tls_model("initial-exec")));

/* These end a program or come from its own instructions: no wait is interrupted by them. */
static bool is_fault(int sig)
{
	return sig == SIGSEGV || sig == SIGBUS || sig == SIGILL || sig == SIGFPE ||
	       sig == SIGTRAP || sig == SIGABRT || sig == SIGSYS;
}

bool signal_is_noted(int sig)
{
	return sig > 0 && sig < NSIG && !is_fault(sig);
}

/* ---- handlers ---- */

void signal_keep(int sig, const struct sigaction *sa)
{
	uintptr_t function = sa->sa_flags & SA_SIGINFO ? (uintptr_t)sa->sa_sigaction
						       : (uintptr_t)sa->sa_handler;

	atomic_store(&handlers[sig].flags, sa->sa_flags);
	atomic_store(&handlers[sig].function, function);
}

void signal_kept(int sig, struct sigaction *sa)
{
	uintptr_t function = atomic_load(&handlers[sig].function);

	if (atomic_load(&handlers[sig].flags) & SA_SIGINFO) {
		sa->sa_sigaction = (void (*)(int, siginfo_t *, void *))function;
	} else {
		sa->sa_flags &= ~SA_SIGINFO;
		sa->sa_handler = (void (*)(int))function;
	}
}

static bool defer(const siginfo_t *info, void *context)
{
	ucontext_t *c = context;
	uint64_t all = 0;

	if (lock_signal || wait_is_confined()) /* a sandbox may forbid to send one */
		return false;
	for (int sig = 1; sig < NSIG; sig++)
		if (signal_is_noted(sig) && (sig < 32 || sig >= SIGRTMIN))
			all |= UINT64_C(1) << (sig - 1);
	deferred.info = *info;
	memcpy(&deferred.mask, &c->uc_sigmask, KERNEL_MASK_BYTES);
	all |= deferred.mask;
	memcpy(&c->uc_sigmask, &all, KERNEL_MASK_BYTES); /* behind it isn't ours */
	lock_signal = true;
	return true;
}

static void unblock(void)
{
	lock_signal = false;
	atomic_signal_fence(memory_order_seq_cst);
	LIBC->syscall(SYS_rt_sigprocmask, SIG_SETMASK, &deferred.mask, NULL,
		      (size_t)KERNEL_MASK_BYTES);
}

/* SA_RESETHAND has had its effect already. */
static void install_again(int sig)
{
	struct sigaction sa;

	if (LIBC->sigaction(sig, NULL, &sa) == 0 && sa.sa_handler == SIG_DFL) {
		sa.sa_sigaction = signal_handler;
		LIBC->sigaction(sig, &sa, NULL);
	}
}

void signal_deliver(void)
{
	int sig = deferred.info.si_signo, saved = errno;

	if (atomic_load(&handlers[sig].flags) & (int)SA_RESETHAND)
		install_again(sig);
	LIBC->syscall(SYS_rt_tgsigqueueinfo, getpid(), LIBC->syscall(SYS_gettid), sig,
		      &deferred.info);
	unblock();
	errno = saved;
}

/* It is the parent's signal. */
void signal_forked(void)
{
	lock_depth = 0;
	if (lock_signal)
		unblock();
}

/* Who is on the way to sleep is woken, since the kernel no longer sees what it interrupts: behind
 * the handler, which may wait itself. */
void signal_handler(int sig, siginfo_t *info, void *context)
{
	uintptr_t function = atomic_load(&handlers[sig].function);
	int flags = atomic_load(&handlers[sig].flags);

	if (lock_depth && defer(info, context))
		return;
	if (flags & SA_RESTART)
		ran.restarting++;
	else
		ran.interrupting++;
	if (flags & SA_SIGINFO)
		((void (*)(int, siginfo_t *, void *))function)(sig, info, context);
	else
		((void (*)(int))function)(sig);
	if (ran.waits)
		evq_kick(ran.waits);
}

/* ---- waits ---- */

struct signal_mark signal_enter(struct evq *waits)
{
	struct signal_mark before = ran;

	ran.waits = waits && !waits->host ? waits : NULL;
	return before;
}

void signal_leave(const struct signal_mark *m)
{
	ran.waits = m->waits;
}

bool signal_came(const struct signal_mark *m)
{
	return ran.restarting != m->restarting || ran.interrupting != m->interrupting;
}

/* One ran that we know nothing of.  If all such are of one kind it needn't be known. */
static bool others_restart(void)
{
	struct sigaction sa;
	int saved = errno;
	bool all = true;

	for (int sig = 1; sig < NSIG && all; sig++)
		if (!is_fault(sig) && LIBC->sigaction(sig, NULL, &sa) == 0 &&
		    sa.sa_handler != SIG_DFL && sa.sa_handler != SIG_IGN &&
		    sa.sa_sigaction != signal_handler && !(sa.sa_flags & SA_RESTART))
			all = false;
	errno = saved;
	return all;
}

bool signal_ends(struct signal_mark *m, bool may_restart)
{
	bool known = signal_came(m), interrupting = ran.interrupting != m->interrupting;

	m->restarting = ran.restarting;
	m->interrupting = ran.interrupting;
	return !may_restart || interrupting || (!known && !others_restart());
}
