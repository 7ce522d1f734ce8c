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
static int first_signal = SIGUSR1, then_signal = SIGUSR1; /* three of the first, then the other */
static int port_helped;                                    /* to which the peer connects then */
static int came_by;                                        /* its number of the connection */

static void on_signal(int sig)
{
	(void)sig;
	atomic_fetch_add(&handled, 1);
}

static void handle_with(int sig, int flags)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = flags};

	need(sigaction(sig, &sa, NULL) == 0);
}

static void handle(int flags)
{
	handle_with(SIGUSR1, flags);
}

/* Sends a signal every 20 ms, until the call is over. */
static void *disturb(void *arg)
{
	(void)arg;
	for (int i = 0; i < 500 && !atomic_load(&done); i++) {
		pause_ms(20);
		if (atomic_load(&done))
			break;
		pthread_kill(waiter, i < 3 ? first_signal : then_signal);
		if (helps && i == 2 && !port_helped)
			other_send(&ends, 1);
		if (helps && i == 2 && port_helped)
			came_by = peer_connect(port_helped);
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

static void disturb_with(int first, int then)
{
	first_signal = first;
	then_signal = then;
}

/* SIGUSR1's handler was installed with SA_RESTART, SIGUSR2's without. */
static void mixed(void)
{
	struct pollfd p;

	section("one handler with SA_RESTART, one without");
	handle_with(SIGUSR1, SA_RESTART);
	handle_with(SIGUSR2, 0);
	ends = ends_open();
	p = (struct pollfd){.fd = ends.fd, .events = POLLIN};
	helps = true;
	DISTURBED("recv, the one with", recv(ends.fd, buf, 1, 0));
	helps = false;
	disturb_with(SIGUSR2, SIGUSR2);
	DISTURBED("recv, the one without", recv(ends.fd, buf, 1, 0));
	disturb_with(SIGUSR1, SIGUSR2);
	DISTURBED("recv, one after the other", recv(ends.fd, buf, 1, 0));
	say("handled before that", "%d", atomic_load(&handled) >= 4);
	DISTURBED("poll", poll(&p, 1, 20000));
	disturb_with(SIGUSR1, SIGUSR1);
	ends_close(&ends);
}

static void mixed_accept(void)
{
	int port = next_port(), listener = listen_at(port, 1), fd;

	section("accept");
	disturb_with(SIGUSR1, SIGUSR2);
	DISTURBED("one after the other", accept(listener, NULL, NULL));
	disturb_with(SIGUSR1, SIGUSR1);
	helps = true;
	port_helped = port;
	DISTURBED("the one with", (fd = accept(listener, NULL, NULL)) >= 0);
	port_helped = 0;
	helps = false;
	close(fd);
	peer_close(came_by);
	close(listener);
}

/* Nobody is there, and it takes seconds to find out: if nobody has asked before. */
static int connect_nowhere(bool timeout)
{
	struct timeval t = {.tv_sec = 20};
	struct sockaddr_storage ss;
	socklen_t len;
	char text[32];
	static int asked;
	int host = 20 + (next_port() / 100 * 3 + asked++ % 3) % 230, fd = new_socket(0), r;

	snprintf(text, sizeof(text), ends_domain() == AF_INET ? "10.9.0.%d" : "fd00:9::%d", host);
	len = make_addr(&ss, text, 9);

	if (timeout)
		need(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)) == 0);
	r = connect(fd, (struct sockaddr *)&ss, len);
	t.tv_sec = errno;
	close(fd);
	errno = (int)t.tv_sec;
	return r;
}

static void mixed_connect(void)
{
	section("connect");
	disturb_with(SIGUSR2, SIGUSR2);
	DISTURBED("the one without", connect_nowhere(false));
	disturb_with(SIGUSR1, SIGUSR2);
	DISTURBED("one after the other", connect_nowhere(false));
	say("handled before that", "%d", atomic_load(&handled) >= 4);
	disturb_with(SIGUSR1, SIGUSR1);
	DISTURBED("the one with, but a timeout", connect_nowhere(true));
}

static int info_value;

static void on_info(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	info_value = info->si_value.sival_int;
}

/* However handlers are installed, the program gets back what it gave. */
static void installing(void)
{
	struct sigaction sa = {.sa_sigaction = on_info, .sa_flags = SA_SIGINFO | (int)SA_RESETHAND},
			 was;

	section("handlers");
	handle(0);
	need(sigaction(SIGUSR1, NULL, &was) == 0);
	say("sigaction's", "%d %#x", was.sa_handler == on_signal, (unsigned)was.sa_flags & ~0x04000000u);
	say("signal gives it back", "%d", signal(SIGUSR1, on_signal) == on_signal);
	need(sigaction(SIGUSR1, NULL, &was) == 0);
	say("signal's", "%d %#x", was.sa_handler == on_signal, (unsigned)was.sa_flags & ~0x04000000u);
	need(sigaction(SIGUSR1, &sa, &was) == 0);
	say("the one before", "%d", was.sa_handler == on_signal);
	need(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 42}) == 0);
	say("its value", "%d", info_value);
	need(sigaction(SIGUSR1, NULL, &was) == 0);
	say("after SA_RESETHAND", "%d", was.sa_handler == SIG_DFL);
	say("ignored", "%d", signal(SIGUSR1, SIG_IGN) == SIG_DFL);
	say("ignored before", "%d", signal(SIGUSR1, on_signal) == SIG_IGN);
	result("sigaction of SIGKILL", sigaction(SIGKILL, &sa, NULL));
	result("sigaction of 0", sigaction(0, &sa, NULL));
	ends = ends_open();
	helps = true;
	DISTURBED("recv after signal()", recv(ends.fd, buf, 1, 0));
	helps = false;
	sa = (struct sigaction){.sa_sigaction = on_info, .sa_flags = SA_SIGINFO};
	need(sigaction(SIGUSR1, &sa, NULL) == 0);
	DISTURBED("recv with SA_SIGINFO", recv(ends.fd, buf, 1, 0));
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
	handle(SA_RESTART);
	other_send(&ends, 5);
	await_bytes(ends.fd, 5);
	DISTURBED("recv MSG_WAITALL with SA_RESTART", recv(ends.fd, buf, 10, MSG_WAITALL));
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
	mixed();
	mixed_accept();
	mixed_connect();
	installing();
	partly();
	masked();
	timeouts();
	return observe_end();
}
