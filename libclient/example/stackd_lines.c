/* SPDX-License-Identifier: BSD-2-Clause */
/* stackd-lines - stackd's sockets in the event loop of a library: a server that sends each line
 * back reversed, on libevent.
 *
 * The sockets are in an epoll instance of stackd's; libevent watches its notification descriptor
 * beside its own signals and timers.  Lines wait in two buffers for each connection; who doesn't
 * read his answers isn't read from, so they stay small.  When the client has said all (half-closed)
 * he gets what is left, and his connection ends. */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <netdb.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stackd.h"

#define EVENTS_MAX    64
#define BACKLOG       1024
#define LINE_MAX      65536 /* a longer one ends the connection */
#define READ_BYTES    16384
#define ANSWERS_MAX   65536 /* waiting to be sent: then the client is not read from */
#define SPANS_MAX     8
#define ACCEPT_REST_S 1 /* when there is no descriptor or socket left */

struct guest {
	int fd;
	uint32_t events; /* as registered */
	bool ended;      /* he sends no more */
	struct evbuffer *in, *out;
	struct guest *next, **before;
};

struct server {
	int listener, ep;
	struct event_base *base;
	struct event *again; /* accepting, after a rest */
	struct guest *guests;
	unsigned long long connections, lines;
};

/* ---- guests ---- */

static void guest_free(struct guest *c)
{
	if (c->before) {
		*c->before = c->next;
		if (c->next)
			c->next->before = c->before;
	}
	if (c->in)
		evbuffer_free(c->in);
	if (c->out)
		evbuffer_free(c->out);
	stackd_close(c->fd); /* leaves the instance too */
	free(c);
}

static void guest_new(struct server *s, int fd)
{
	struct guest *c = calloc(1, sizeof(*c));
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};

	if (!c) {
		stackd_close(fd);
		return;
	}
	*c = (struct guest){.fd = fd, .events = EPOLLIN};
	c->in = evbuffer_new();
	c->out = evbuffer_new();
	if (!c->in || !c->out || stackd_epoll_ctl(s->ep, EPOLL_CTL_ADD, fd, &ev) < 0) {
		guest_free(c);
		return;
	}
	c->next = s->guests;
	if (c->next)
		c->next->before = &c->next;
	c->before = &s->guests;
	s->guests = c;
	s->connections++;
}

static void reverse(char *text, size_t n)
{
	for (size_t i = 0; i < n / 2; i++) {
		char c = text[i];

		text[i] = text[n - 1 - i];
		text[n - 1 - i] = c;
	}
}

/* The next line, or at the end what is left without one.  False: there is none. */
static bool next_line(struct guest *c, char **line, size_t *n, bool *whole)
{
	*line = evbuffer_readln(c->in, n, EVBUFFER_EOL_LF);
	*whole = *line;
	if (*line)
		return true;
	*n = evbuffer_get_length(c->in);
	if (!c->ended || *n == 0)
		return false;
	*line = malloc(*n);
	if (*line)
		evbuffer_remove(c->in, *line, *n);
	return *line;
}

static void answer(struct server *s, struct guest *c)
{
	char *line;
	bool whole;
	size_t n;

	while (evbuffer_get_length(c->out) < ANSWERS_MAX && next_line(c, &line, &n, &whole)) {
		reverse(line, n);
		evbuffer_add(c->out, line, n);
		if (whole)
			evbuffer_add(c->out, "\n", 1);
		free(line);
		s->lines++;
	}
}

/* False: the connection has broken, or sends too long a line. */
static bool take(struct guest *c)
{
	struct evbuffer_iovec space;
	ssize_t n;

	if (evbuffer_reserve_space(c->in, READ_BYTES, &space, 1) < 1)
		return false;
	n = stackd_recv(c->fd, space.iov_base, READ_BYTES, 0);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	c->ended |= n == 0;
	space.iov_len = (size_t)n;
	return evbuffer_commit_space(c->in, &space, 1) == 0;
}

/* As much as there is room for.  False: broken. */
static bool give(struct guest *c)
{
	while (evbuffer_get_length(c->out) > 0) {
		struct evbuffer_iovec span[SPANS_MAX];
		struct msghdr m = {.msg_iov = span};
		ssize_t n = evbuffer_peek(c->out, -1, NULL, span, SPANS_MAX);

		m.msg_iovlen = n < SPANS_MAX ? (size_t)n : SPANS_MAX;
		n = stackd_sendmsg(c->fd, &m, MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		evbuffer_drain(c->out, (size_t)n);
	}
	return true;
}

/* What we wait for now.  False: nothing is left to do, or it can't be. */
static bool go_on(struct server *s, struct guest *c)
{
	size_t out = evbuffer_get_length(c->out);
	struct epoll_event ev = {.data.ptr = c};

	if (c->ended && out == 0)
		return false;
	if (out < ANSWERS_MAX && evbuffer_get_length(c->in) > LINE_MAX)
		return false; /* and no line in it */
	ev.events = (!c->ended && out < ANSWERS_MAX ? EPOLLIN : 0) | (out ? EPOLLOUT : 0);
	if (ev.events == c->events)
		return true;
	c->events = ev.events;
	return stackd_epoll_ctl(s->ep, EPOLL_CTL_MOD, c->fd, &ev) == 0;
}

static void serve(struct server *s, struct guest *c, uint32_t events)
{
	bool fine = true;
	size_t before;

	if (events & ~(uint32_t)EPOLLOUT && !c->ended && evbuffer_get_length(c->out) < ANSWERS_MAX)
		fine = take(c);
	do { /* lines that waited for room */
		before = evbuffer_get_length(c->in);
		answer(s, c);
		fine = fine && give(c);
	} while (fine && evbuffer_get_length(c->in) < before);
	if (!fine || !go_on(s, c))
		guest_free(c);
}

/* ---- the loop ---- */

static bool listen_for(struct server *s, bool on)
{
	struct epoll_event ev = {.events = on ? EPOLLIN : 0, .data.ptr = NULL};

	return stackd_epoll_ctl(s->ep, EPOLL_CTL_MOD, s->listener, &ev) == 0;
}

static void accept_again(evutil_socket_t none, short what, void *arg)
{
	(void)none;
	(void)what;
	listen_for(arg, true);
}

static void accept_all(struct server *s)
{
	static const struct timeval rest = {.tv_sec = ACCEPT_REST_S};
	int fd;

	while ((fd = stackd_accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		guest_new(s, fd);
	if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
		return;
	fprintf(stderr, "stackd-lines: accept: %s\n", strerror(errno));
	listen_for(s, false); /* else the loop would turn at once, and again */
	evtimer_add(s->again, &rest);
}

static void has_news(evutil_socket_t ep, short what, void *arg)
{
	struct epoll_event ev[EVENTS_MAX];
	int n = stackd_epoll_wait((int)ep, ev, EVENTS_MAX, 0);

	(void)what;
	for (int i = 0; i < n; i++) {
		if (ev[i].data.ptr)
			serve(arg, ev[i].data.ptr, ev[i].events);
		else
			accept_all(arg);
	}
}

static void stop(evutil_socket_t number, short what, void *arg)
{
	(void)number;
	(void)what;
	event_base_loopbreak(arg);
}

static int fail(const char *what)
{
	fprintf(stderr, "stackd-lines: %s: %s\n", what, strerror(errno));
	return 1;
}

static void forget(struct event *e)
{
	if (e)
		event_free(e);
}

static int run(struct server *s)
{
	struct event *news, *term, *interrupt;
	int result = 1;

	s->base = event_base_new();
	if (!s->base)
		return fail("libevent");
	s->again = evtimer_new(s->base, accept_again, s);
	news = event_new(s->base, stackd_notify_fd(s->ep), EV_READ | EV_PERSIST, has_news, s);
	term = evsignal_new(s->base, SIGTERM, stop, s->base);
	interrupt = evsignal_new(s->base, SIGINT, stop, s->base);
	if (s->again && news && term && interrupt && event_add(news, NULL) == 0 &&
	    event_add(term, NULL) == 0 && event_add(interrupt, NULL) == 0)
		result = event_base_dispatch(s->base) < 0;
	while (s->guests)
		guest_free(s->guests);
	forget(interrupt);
	forget(term);
	forget(news);
	forget(s->again);
	event_base_free(s->base);
	printf("%llu connections, %llu lines\n", s->connections, s->lines);
	return result;
}

static int open_listener(struct server *s, const struct addrinfo *at)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
	int on = 1;

	s->listener = stackd_socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->listener < 0)
		return -1;
	stackd_setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (stackd_bind(s->listener, at->ai_addr, at->ai_addrlen) < 0 ||
	    stackd_listen(s->listener, BACKLOG) < 0)
		return -1;
	s->ep = stackd_epoll_create1(EPOLL_CLOEXEC);
	return s->ep < 0 ? -1 : stackd_epoll_ctl(s->ep, EPOLL_CTL_ADD, s->listener, &ev);
}

int main(int argc, char **argv)
{
	static const char usage[] = "usage: stackd-lines [-s RUNDIR] ADDRESS PORT\n";
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *at;
	struct server s = {0};
	int opt, error;

	while ((opt = getopt(argc, argv, "s:h")) != -1) {
		if (opt == 's' && stackd_open(optarg, NULL) < 0)
			return fail(optarg);
		if (opt != 's') {
			fputs(usage, opt == 'h' ? stdout : stderr);
			return opt == 'h' ? 0 : 2;
		}
	}
	if (argc - optind != 2) {
		fputs(usage, stderr);
		return 2;
	}
	error = getaddrinfo(argv[optind], argv[optind + 1], &hints, &at);
	if (error) {
		fprintf(stderr, "stackd-lines: %s: %s\n", argv[optind], gai_strerror(error));
		return 1;
	}
	error = open_listener(&s, at);
	freeaddrinfo(at);
	if (error < 0)
		return fail("listen");
	printf("serving through %s\n", stackd_is_stack(s.listener) ? "stackd" : "the kernel");
	fflush(stdout);
	error = run(&s);
	stackd_close(s.ep);
	stackd_close(s.listener);
	return error;
}
