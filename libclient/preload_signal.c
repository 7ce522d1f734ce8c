/* SPDX-License-Identifier: BSD-2-Clause */
/* preload_signal.c - the C library's names for installing handlers.  Ours is put in their place, and
 * the program never sees it: what it asks for it gets back.  Handlers that come past these names
 * (sysv_signal, a system call of the program's own) work too, but aren't told apart. */
#include "client.h"
#include "preload.h"

#include <errno.h>
#include <signal.h>

static _Atomic uint64_t interrupting; /* siginterrupt: bit per signal, for signal() */

static bool is_ours(const struct sigaction *sa)
{
	return (sa->sa_flags & SA_SIGINFO) && sa->sa_sigaction == signal_handler;
}

static bool is_handler(const struct sigaction *sa)
{
	return sa->sa_handler != SIG_DFL && sa->sa_handler != SIG_IGN;
}

static int install(int sig, const struct sigaction *act, struct sigaction *old)
{
	struct sigaction ours = *act, before = {.sa_flags = SA_SIGINFO};
	int r;

	ours.sa_sigaction = signal_handler;
	ours.sa_flags |= SA_SIGINFO;
	if (LIBC->sigaction(sig, NULL, &before) < 0)
		return -1;
	if (is_ours(&before))
		signal_kept(sig, &before);
	signal_keep(sig, act);
	r = LIBC->sigaction(sig, &ours, NULL);
	if (r == 0 && old)
		*old = before;
	return r;
}

PRELOAD int sigaction(int sig, const struct sigaction *restrict act, struct sigaction *restrict old)
{
	int r;

	/* the handlers of a vfork child aren't its parent's, whose memory it is in */
	if (act && signal_is_noted(sig) && is_handler(act) && !fd_in_foreign_process())
		return install(sig, act, old);
	r = LIBC->sigaction(sig, act, old);
	if (r == 0 && old && is_ours(old))
		signal_kept(sig, old);
	return r;
}

PRELOAD sighandler_t signal(int sig, sighandler_t handler)
{
	struct sigaction sa = {.sa_handler = handler}, old;
	bool fails = handler == SIG_ERR || sig < 1 || sig >= NSIG;

	if (fails) {
		errno = EINVAL;
		return SIG_ERR;
	}
	if (!(atomic_load(&interrupting) >> (sig - 1) & 1))
		sa.sa_flags = SA_RESTART;
	sigemptyset(&sa.sa_mask);
	sigaddset(&sa.sa_mask, sig);
	return sigaction(sig, &sa, &old) < 0 ? SIG_ERR : old.sa_handler;
}

PRELOAD int siginterrupt(int sig, int on)
{
	struct sigaction sa;

	if (sigaction(sig, NULL, &sa) < 0)
		return -1;
	if (on)
		atomic_fetch_or(&interrupting, UINT64_C(1) << (sig - 1));
	else
		atomic_fetch_and(&interrupting, ~(UINT64_C(1) << (sig - 1)));
	sa.sa_flags = on ? sa.sa_flags & ~SA_RESTART : sa.sa_flags | SA_RESTART;
	return sigaction(sig, &sa, NULL);
}
