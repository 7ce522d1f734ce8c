/* SPDX-License-Identifier: BSD-2-Clause */
/* What a signal and a timeout do to each call that waits. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <unistd.h>

#include "ends.h"
#include "observe.h"

static char buf[300000];
static atomic_int handled;
static atomic_bool done;
static pthread_t waiter;
static struct ends ends;
static bool helps; /* after some signals the other end does what the call waits for */

static void on_signal(int sig)
{
	(void)sig;
	atomic_fetch_add(&handled, 1);
}

static void handle(int flags)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = flags};

	need(sigaction(SIGUSR1, &sa, NULL) == 0);
}

/* Sends a signal every 20 ms, until the call is over. */
static void *disturb(void *arg)
{
	(void)arg;
	for (int i = 0; i < 500 && !atomic_load(&done); i++) {
		pause_ms(20);
		if (atomic_load(&done))
			break;
		pthread_kill(waiter, SIGUSR1);
		if (helps && i == 2)
			other_send(&ends, 1);
	}
	return NULL;
}

static pthread_t begin(void)
{
	pthread_t t;

	waiter = pthread_self();
	atomic_store(&done, false);
	atomic_store(&handled, 0);
	need(pthread_create(&t, NULL, disturb, NULL) == 0);
	return t;
}

static void end(pthread_t t)
{
	atomic_store(&done, true);
	pthread_join(t, NULL);
}

#define DISTURBED(what, call)                                                                      \
	do {                                                                                       \
		pthread_t t_ = begin();                                                            \
		long r_ = (errno = 0, (long)(call));                                               \
		int error_ = errno;                                                                \
                                                                                                   \
		end(t_);                                                                           \
		errno = error_;                                                                    \
		show_result(what, r_);                                                             \
	} while (0)

static void all_calls(const char *name, int flags)
{
	struct pollfd p;
	struct epoll_event ev = {.events = EPOLLIN};
	int ep = epoll_create1(0), listener = listen_at(next_port(), 1);
	struct timespec t = {.tv_sec = 20};
	fd_set r;

	section(name);
	ends = ends_open();
	handle(flags);
	p = (struct pollfd){.fd = ends.fd, .events = POLLIN};
	need(epoll_ctl(ep, EPOLL_CTL_ADD, ends.fd, &ev) == 0);
	FD_ZERO(&r);
	FD_SET(ends.fd, &r);
	helps = flags & SA_RESTART;
	DISTURBED("recv", recv(ends.fd, buf, 1, 0));
	DISTURBED("read", read(ends.fd, buf, 1));
	DISTURBED("recv MSG_WAITALL", recv(ends.fd, buf, 1, MSG_WAITALL));
	helps = false;
	DISTURBED("poll", poll(&p, 1, 20000));
	DISTURBED("ppoll", ppoll(&p, 1, &t, NULL));
	DISTURBED("select", select(ends.fd + 1, &r, NULL, NULL, NULL));
	DISTURBED("epoll_wait", epoll_wait(ep, &ev, 1, 20000));
	if (!(flags & SA_RESTART))
		DISTURBED("accept", accept(listener, NULL, NULL));
	close(ep);
	close(listener);
	ends_close(&ends);
}

static void with_timeout(const char *name, int flags)
{
	struct timeval t = {.tv_sec = 20};

	section(name);
	handle(flags);
	ends = ends_open();
	helps = false;
	need(setsockopt(ends.fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)) == 0);
	need(setsockopt(ends.fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)) == 0);
	DISTURBED("recv with a timeout", recv(ends.fd, buf, 1, 0));
	ends_close(&ends);
}

static void partly(void)
{
	section("a part is there");
	handle(0);
	helps = false;
	ends = ends_open();
	other_send(&ends, 5);
	await_bytes(ends.fd, 5);
	DISTURBED("recv MSG_WAITALL", recv(ends.fd, buf, 10, MSG_WAITALL));
	set_blocking(ends.fd, false);
	while (send(ends.fd, buf, sizeof(buf), MSG_NOSIGNAL) > 0)
		;
	set_blocking(ends.fd, true);
	ends_close(&ends);
}

static void masked(void)
{
	struct pollfd p;
	struct timespec t = {.tv_sec = 10};
	struct epoll_event ev = {.events = EPOLLIN};
	int ep = epoll_create1(0);
	sigset_t block, none;

	section("masks");
	handle(0);
	ends = ends_open();
	p = (struct pollfd){.fd = ends.fd, .events = POLLIN};
	need(epoll_ctl(ep, EPOLL_CTL_ADD, ends.fd, &ev) == 0);
	sigemptyset(&none);
	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	need(pthread_sigmask(SIG_BLOCK, &block, NULL) == 0);
	atomic_store(&handled, 0);
	raise(SIGUSR1);
	say("blocked", "%d", atomic_load(&handled));
	result("ppoll that lets it through", ppoll(&p, 1, &t, &none));
	say("handled", "%d", atomic_load(&handled));
	raise(SIGUSR1);
	result("epoll_pwait that lets it through", epoll_pwait(ep, &ev, 1, 10000, &none));
	say("handled then", "%d", atomic_load(&handled));
	raise(SIGUSR1);
	t = (struct timespec){.tv_nsec = 10000000};
	result("ppoll that doesn't", ppoll(&p, 1, &t, NULL));
	say("handled still", "%d", atomic_load(&handled));
	pthread_sigmask(SIG_UNBLOCK, &block, NULL);
	say("handled at last", "%d", atomic_load(&handled));
	close(ep);
	ends_close(&ends);
}

static void timeouts(void)
{
	struct timeval t = {.tv_usec = 50000};
	int listener = listen_at(next_port(), 1);

	section("timeouts");
	ends = ends_open();
	need(setsockopt(ends.fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)) == 0);
	need(setsockopt(ends.fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)) == 0);
	need(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)) == 0);
	result("recv", recv(ends.fd, buf, 1, 0));
	result("read", read(ends.fd, buf, 1));
	result("accept", accept(listener, NULL, NULL));
	other_send(&ends, 3);
	await_bytes(ends.fd, 3);
	result("recv MSG_WAITALL with a part", recv(ends.fd, buf, 10, MSG_WAITALL));
	set_int(ends.fd, SOL_SOCKET, SO_SNDBUF, 20000);
	for (int quiet = 0; quiet < 3; quiet++)
		while (send(ends.fd, buf, 10000, MSG_NOSIGNAL) > 0)
			quiet = 0;
	say("send in the end", "%s", error_name(errno));
	close(listener);
	ends_close(&ends);
}

int main(int argc, char **argv)
{
	observe_start(argc, argv);
	all_calls("a handler without SA_RESTART", 0);
	all_calls("a handler with SA_RESTART", SA_RESTART);
	with_timeout("a timeout and SA_RESTART", SA_RESTART);
	with_timeout("a timeout without SA_RESTART", 0);
	partly();
	masked();
	timeouts();
	return observe_end();
}
