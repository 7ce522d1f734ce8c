/* SPDX-License-Identifier: BSD-2-Clause */
/* stackd-echo - stackd.h in use: servers that echo or take what comes, and clients that send and
 * check, and measure rate, CPU time and latency; by copying calls, or in the rings themselves, or
 * with the kernel's sockets for comparison.
 *
 * Owns the command line, the servers' loop and what clients measure; the bytes are echo_stream.c's.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "echo.h"

#define EVENTS_MAX    64
#define OPTIONS_BYTES 1024
#define BACKLOG       512
#define SAMPLES_MAX   (1u << 20)
#define DEFAULT_BYTES 1000000
#define DEFAULT_CHUNK (128u << 10)

/* ---- servers ---- */

struct guest {
	struct stream s;
	struct watch watch; /* from the first byte */
	size_t held;        /* echo by copy: in `buf` from `at` on */
	size_t at;
	char buf[16384];
};

enum progress { WAIT_IN, WAIT_OUT, DONE };

/* Without a buffer of our own: from ring to ring. */
static enum progress echo_lent(struct guest *c)
{
	struct iovec in[2], out[2];

	for (;;) {
		ssize_t have = stackd_peek(c->s.fd, in), room;
		size_t n;

		if (have < 0)
			return errno == EAGAIN ? WAIT_IN : DONE;
		if (have == 0)
			return DONE;
		room = stackd_reserve(c->s.fd, in[0].iov_len, out);
		if (room < 0)
			return errno == EAGAIN ? WAIT_OUT : DONE;
		n = out[0].iov_len < in[0].iov_len ? out[0].iov_len : in[0].iov_len;
		memcpy(out[0].iov_base, in[0].iov_base, n);
		if (stackd_commit(c->s.fd, n) < 0 || stackd_consume(c->s.fd, n) < 0)
			return DONE;
	}
}

static enum progress echo_copy(struct guest *c)
{
	ssize_t n;

	for (;;) {
		if (c->held == 0) {
			n = g.call->recv(c->s.fd, c->buf, sizeof(c->buf), MSG_DONTWAIT);
			if (n < 0)
				return errno == EAGAIN ? WAIT_IN : DONE;
			if (n == 0)
				return DONE;
			c->held = (size_t)n;
			c->at = 0;
		}
		n = g.call->send(c->s.fd, c->buf + c->at, c->held, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN ? WAIT_OUT : DONE;
		c->held -= (size_t)n;
		c->at += (size_t)n;
	}
}

static enum progress serve_echo(struct guest *c)
{
	return g.zero_copy ? echo_lent(c) : echo_copy(c);
}

/* Once each time, so that none starves the others. */
static enum progress serve_sink(struct guest *c)
{
	int r;

	if (c->s.received == 0)
		c->watch = watch_start();
	r = take_some(&c->s);
	if (r > 0)
		return WAIT_IN;
	if (r == 0)
		say(&c->s, &c->watch, c->s.received, "received");
	return DONE;
}

static void welcome(int ep, int listener)
{
	struct guest *c = calloc(1, sizeof(*c));
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
	int fd = g.call->accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0 && c) {
		c->s.fd = fd;
		if (g.call->epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == 0)
			return;
	}
	if (fd >= 0)
		g.call->close(fd);
	free(c);
}

static void serve_one(int ep, struct guest *c, enum progress (*serve)(struct guest *))
{
	enum progress p = serve(c);
	struct epoll_event ev = {.events = p == WAIT_OUT ? EPOLLOUT : EPOLLIN, .data.ptr = c};

	if (p != DONE && g.call->epoll_ctl(ep, EPOLL_CTL_MOD, c->s.fd, &ev) == 0)
		return;
	g.call->close(c->s.fd);
	free(c);
}

static int server(enum progress (*serve)(struct guest *))
{
	struct epoll_event ev[EVENTS_MAX];
	int ep = g.call->epoll_create1(EPOLL_CLOEXEC), on = 1, n;
	int fd = make_socket(SOCK_NONBLOCK);

	if (fd >= 0)
		g.call->setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || g.call->bind(fd, g.to->ai_addr, g.to->ai_addrlen) < 0 ||
	    g.call->listen(fd, BACKLOG) < 0)
		return fail("listen");
	if (is_refused(fd))
		return 1;
	ev[0] = (struct epoll_event){.events = EPOLLIN, .data.ptr = NULL};
	if (g.call->epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev[0]) < 0)
		return fail("epoll");
	printf("serving through %s\n", strcmp(side(fd), "stackd") ? "the kernel" : "stackd");
	fflush(stdout);
	while ((n = g.call->epoll_wait(ep, ev, EVENTS_MAX, -1)) >= 0 || errno == EINTR)
		for (int i = 0; i < n; i++) {
			if (ev[i].data.ptr)
				serve_one(ep, ev[i].data.ptr, serve);
			else
				welcome(ep, fd);
		}
	return fail("epoll");
}

static int serve_forever_echo(void)
{
	return server(serve_echo);
}

static int serve_forever_sink(void)
{
	return server(serve_sink);
}

/* ---- clients ---- */

static int connected(struct stream *s)
{
	s->fd = make_socket(0);
	if (s->fd < 0 || g.call->connect(s->fd, g.to->ai_addr, g.to->ai_addrlen) < 0)
		return fail("connect");
	return is_refused(s->fd);
}

/* All there and back, both at once. */
static int there_and_back(struct stream *s)
{
	int end = 1;

	while (end > 0) {
		uint64_t left = g.count - s->sent;
		int ready = await(s->fd, (short)(POLLIN | (left ? POLLOUT : 0)));

		if (ready < 0)
			return -1;
		if ((ready & POLLOUT) && left) {
			if (put_some(s, left < CHUNK_MAX ? (size_t)left : CHUNK_MAX) < 0)
				return -1;
			if (s->sent == g.count)
				g.call->shutdown(s->fd, SHUT_WR);
		}
		if (ready & (POLLIN | POLLHUP | POLLERR))
			end = take_some(s);
	}
	return end;
}

static int run_client(void)
{
	struct stream s = {0};
	struct watch w = watch_start();

	if (connected(&s))
		return 1;
	if (there_and_back(&s) < 0)
		return fail("transfer");
	s.wrong |= s.received != g.count;
	say(&s, &w, s.received, "there and back");
	g.call->close(s.fd);
	return s.wrong;
}

/* Until the peer has taken all and closes. */
static int run_bulk(void)
{
	struct stream s = {0};
	struct watch w;
	int end = 1;

	if (connected(&s))
		return 1;
	w = watch_start();
	while (g.seconds > 0 ? !time_is_up(&w) : s.sent < g.count) {
		uint64_t left = g.seconds > 0 ? CHUNK_MAX : g.count - s.sent;
		ssize_t n = put_some(&s, left < CHUNK_MAX ? (size_t)left : CHUNK_MAX);

		if (n < 0 || (n == 0 && await(s.fd, POLLOUT) < 0))
			return fail("send");
	}
	g.call->shutdown(s.fd, SHUT_WR);
	while (end > 0)
		end = await(s.fd, POLLIN) < 0 ? -1 : take_some(&s);
	if (end < 0)
		return fail("the other end");
	say(&s, &w, s.sent, "sent");
	g.call->close(s.fd);
	return 0;
}

static int by_size(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

/* One message there and back.  0, or -1 with errno. */
static int one_round(struct stream *s)
{
	uint64_t all = s->sent + g.chunk;
	int r = 1;

	while (s->sent < all) {
		ssize_t n = put_some(s, (size_t)(all - s->sent));

		if (n < 0 || (n == 0 && await(s->fd, POLLOUT) < 0))
			return -1;
	}
	while (s->received < all && r > 0) {
		if (await(s->fd, POLLIN) < 0)
			return -1;
		r = take_some(s);
	}
	if (r == 0)
		errno = ECONNRESET;
	return r > 0 ? 0 : -1;
}

static int run_rounds(void)
{
	static float us[SAMPLES_MAX]; /* the last ones */
	struct stream s = {0};
	struct watch w;
	uint64_t rounds = 0;
	size_t kept;
	double took;

	if (connected(&s))
		return 1;
	w = watch_start();
	while (g.seconds > 0 ? !time_is_up(&w) : rounds < g.count) {
		double start = seconds();

		if (one_round(&s) < 0)
			return fail("round");
		us[rounds++ % SAMPLES_MAX] = (float)((seconds() - start) * 1e6);
	}
	took = seconds() - w.started;
	kept = rounds < SAMPLES_MAX ? (size_t)rounds : SAMPLES_MAX;
	qsort(us, kept, sizeof(us[0]), by_size);
	printf("%s%s: %" PRIu64
	       " rounds of %zu bytes in %.3f s, %.0f/s, median %.1f us, p99 %.1f us, "
	       "%.3f CPU seconds, %s\n",
	       side(s.fd), g.zero_copy ? " without a copy" : "", rounds, g.chunk, took,
	       (double)rounds / took, (double)us[kept / 2], (double)us[kept * 99 / 100],
	       cpu_seconds() - w.cpu, s.wrong ? "WRONG" : "all as sent");
	g.call->close(s.fd);
	return s.wrong;
}

/* ---- the command line ---- */

static const char usage[] =
    "usage: stackd-echo [OPTION]... MODE ADDRESS PORT\n"
    "\n"
    "  server   echoes what comes\n"
    "  sink     takes what comes, and says how fast it came\n"
    "  client   sends bytes to an echo server and checks what comes back\n"
    "  bulk     sends to a sink, or whatever reads and closes at the end\n"
    "  rounds   request and response with an echo server: how long each takes\n"
    "\n"
    "  -z             without a copy: reserve and commit, peek and consume\n"
    "  -k             the kernel's own sockets, to compare with\n"
    "  -n COUNT       client, bulk: bytes; rounds: rounds; K, M and G are 1000s\n"
    "  -t SECONDS     bulk, rounds: how long, instead of -n (default 5)\n"
    "  -l BYTES       at most so many in one call (default 131072); rounds: of a message (default "
    "64)\n"
    "  -p KIND=NAME   plugin of the socket: recovery, cc, rto or ack; may be given again\n"
    "  -o tcp.KEY=VALUE   for all sockets, as in stackd.conf(5); may be given again\n"
    "  -s RUNDIR      the daemon's run directory\n"
    "  -h, --help     this text\n"
    "\n"
    "CPU seconds are this process's; the daemon's are in stackdctl show shards.\n";

static const struct mode {
	const char *name;
	int (*run)(void);
	size_t chunk;
	uint64_t count;
	bool counts, times;
} modes[] = {
    {"server", serve_forever_echo, DEFAULT_CHUNK, 0, false, false},
    {"sink", serve_forever_sink, DEFAULT_CHUNK, 0, false, false},
    {"client", run_client, DEFAULT_CHUNK, DEFAULT_BYTES, true, false},
    {"bulk", run_bulk, DEFAULT_CHUNK, 0, true, true},
    {"rounds", run_rounds, 64, 0, true, true},
};

static void bad_usage(const char *what)
{
	fprintf(stderr, "stackd-echo: %s\n%s", what, usage);
	exit(2);
}

/* A count above 0, with K, M or G. */
static uint64_t count_of(const char *text, const char *what)
{
	static const char suffix[] = "KMG";
	char *end;
	unsigned long long n, times = 1;

	errno = 0;
	n = strtoull(text, &end, 10);
	for (size_t i = 0; *end && suffix[i]; i++) {
		times *= 1000;
		if (*end == suffix[i] && !end[1])
			end++;
	}
	if (end > text && end[-1] >= '0' && end[-1] <= '9')
		times = 1;
	if (errno || *text < '0' || *text > '9' || *end || n == 0 || n > UINT64_MAX / times)
		bad_usage(what);
	return n * times;
}

static void add_choice(char *text)
{
	static const char *const kinds[] = {"recovery", "cc", "rto", "ack"};
	char *name = strchr(text, '=');

	if (!name || !name[1])
		bad_usage("-p wants KIND=NAME");
	*name++ = 0;
	if (g.choices == CHOICES_MAX)
		bad_usage("-p: more than one of each kind");
	for (unsigned int i = 0; i < 4; i++)
		if (!strcmp(text, kinds[i])) {
			g.choice[g.choices++] = (struct choice){(enum stackd_choice)i, name};
			return;
		}
	bad_usage("-p: a kind is recovery, cc, rto or ack");
}

static void add_option(const char *text)
{
	static char all[OPTIONS_BYTES];
	size_t used = strlen(all);

	if (strncmp(text, "tcp.", 4) != 0 || !strchr(text, '='))
		bad_usage("-o wants tcp.KEY=VALUE");
	if (used + strlen(text) + 2 > sizeof(all))
		bad_usage("-o: too many");
	sprintf(all + used, "%s%s", used ? "\n" : "", text);
	g.options = all;
}

static void take_option(int opt, char *value)
{
	char *end;

	switch (opt) {
	case 's':
		g.rundir = value;
		return;
	case 'o':
		add_option(value);
		return;
	case 'p':
		add_choice(value);
		return;
	case 'z':
		g.zero_copy = true;
		return;
	case 'k':
		g.call = &of_kernel;
		return;
	case 'n':
		g.count = count_of(value, "-n wants a count above 0");
		return;
	case 'l':
		g.chunk = (size_t)count_of(value, "-l wants bytes above 0");
		return;
	case 't':
		g.seconds = strtod(value, &end);
		if (*end || end == value || !(g.seconds > 0 && g.seconds < 1e6))
			bad_usage("-t wants seconds above 0");
		return;
	case 'h':
		fputs(usage, stdout);
		exit(0);
	default:
		fputs(usage, stderr);
		exit(2);
	}
}

static const struct mode *take_arguments(int argc, char **argv)
{
	static const struct option longs[] = {{"help", no_argument, NULL, 'h'}, {0}};
	int opt;

	while ((opt = getopt_long(argc, argv, "s:o:p:n:t:l:zkh", longs, NULL)) != -1)
		take_option(opt, optarg);
	if (argc - optind != 3)
		bad_usage("MODE, ADDRESS and PORT are wanted");
	if (g.call == &of_kernel && (g.zero_copy || g.choices || g.rundir || g.options))
		bad_usage("-k takes none of -z, -p, -o and -s");
	if (g.chunk > CHUNK_MAX)
		bad_usage("-l: at most 1048576");
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (!strcmp(argv[optind], modes[i].name))
			return &modes[i];
	bad_usage("no such mode");
	return NULL;
}

static void complete(const struct mode *m)
{
	if ((g.count && !m->counts) || (g.seconds > 0 && !m->times))
		bad_usage("this mode takes no -n or -t");
	if (g.count && g.seconds > 0)
		bad_usage("-n or -t, not both");
	if (!g.count && !(g.seconds > 0) && m->times)
		g.seconds = 5;
	g.count = g.count ? g.count : m->count;
	g.chunk = g.chunk ? g.chunk : m->chunk;
}

int main(int argc, char **argv)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	const struct mode *m = take_arguments(argc, argv);
	int error;

	complete(m);
	if ((g.rundir || g.options) && stackd_open(g.rundir, g.options) < 0)
		return fail("stackd");
	error = getaddrinfo(argv[optind + 1], argv[optind + 2], &hints, &g.to);
	if (error) {
		fprintf(stderr, "stackd-echo: %s: %s\n", argv[optind + 1], gai_strerror(error));
		return 1;
	}
	make_pattern();
	return m->run();
}
