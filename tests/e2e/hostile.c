/* SPDX-License-Identifier: BSD-2-Clause */
/* hostile.c DIR CASE - a process that is let in at client.sock and misbehaves.  Prints what it met and
 * exits with 0 when the daemon answered as it should; that nobody else was harmed, hostile.py checks. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "stackd_msg.h"

#define FDS_MAX 20

static const char *rundir;

static void die(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

static void expect(bool is, const char *what)
{
	if (is)
		return;
	printf("not so: %s\n", what);
	exit(1);
}

static int try_dial(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%.80s/%s", rundir, STACKD_CLIENT_SOCK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = 10}, sizeof(struct timeval));
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	close(fd);
	return -1;
}

static int dial(void)
{
	int fd = try_dial();

	if (fd < 0)
		die("connect");
	return fd;
}

static ssize_t send_fds(int conn, const void *msg, size_t len, const int *fd, uint32_t count)
{
	char control[CMSG_SPACE(FDS_MAX * sizeof(int))] = {0};
	struct iovec iov = {(void *)(uintptr_t)msg, len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (count) {
		struct cmsghdr *h;

		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE(count * sizeof(int));
		h = CMSG_FIRSTHDR(&m);
		*h = (struct cmsghdr){CMSG_LEN(count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
		memcpy(CMSG_DATA(h), fd, count * sizeof(int));
	}
	return sendmsg(conn, &m, MSG_NOSIGNAL);
}

/* The answer's error; -1: hung up. */
static int ask(int conn, const struct stackd_request *q, const int *fd, uint32_t count, struct stackd_reply *r,
	       int *got)
{
	char control[CMSG_SPACE(FDS_MAX * sizeof(int))];
	struct iovec iov = {r, sizeof(*r)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *h;
	int fds[FDS_MAX];
	size_t n = 0;

	if (send_fds(conn, q, sizeof(*q), fd, count) < 0)
		return -1;
	if (recvmsg(conn, &m, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(*r))
		return -1;
	h = CMSG_FIRSTHDR(&m);
	if (h) {
		n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(h), n * sizeof(int));
	}
	for (size_t i = 0; i < n; i++) {
		if (got)
			got[i] = fds[i];
		else
			close(fds[i]);
	}
	return r->error;
}

struct attached {
	int conn, fd[FDS_MAX];
	struct stackd_shm_head head;
	uint8_t *mem;
	uint32_t posted[STACKD_SHARDS_MAX];
};

static bool hello(struct attached *a)
{
	struct stackd_request q = {.type = STACKD_REQ_HELLO, .version = STACKD_MSG_VERSION};
	struct stackd_reply r;

	return ask(a->conn, &q, NULL, 0, &r, a->fd) == 0;
}

static struct attached attach(void)
{
	struct attached a = {.conn = dial()};

	expect(hello(&a), "HELLO is answered");
	expect(pread(a.fd[0], &a.head, sizeof(a.head), 0) == (ssize_t)sizeof(a.head), "there is a head");
	a.mem = mmap(NULL, a.head.total_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, a.fd[0], 0);
	if (a.mem == MAP_FAILED)
		die("mmap");
	return a;
}

static void detach(struct attached *a)
{
	munmap(a->mem, a->head.total_bytes);
	close(a->conn);
	for (uint32_t i = 0; i < 2 + a->head.shards; i++)
		close(a->fd[i]);
}

static void post(struct attached *a, uint32_t shard, struct stackd_sqe e)
{
	struct stackd_sq *s = stackd_shm_sq(a->mem, &a->head, shard);

	s->entry[a->posted[shard]++ & (a->head.sq_entries - 1)] = e;
	atomic_store(&s->tail, a->posted[shard]);
	(void)!write(a->fd[2 + shard], &(uint64_t){1}, 8);
}

static bool hung_up(int conn)
{
	struct pollfd p = {.fd = conn, .events = POLLIN};
	char byte;

	return poll(&p, 1, 5000) == 1 && recv(conn, &byte, 1, MSG_DONTWAIT) <= 0;
}

/* --- cases ------------------------------------------------------------------------------------------- */

static void wrong_messages(void)
{
	char junk[4096] = {0};
	struct stackd_reply r;
	struct stackd_request q = {.type = STACKD_REQ_BIND, .version = STACKD_MSG_VERSION};

	for (size_t len = 1; len < sizeof(junk); len = len * 2 + 1) {
		int conn = dial();

		if (len == sizeof(q))
			continue;
		memset(junk, (int)len, len);
		expect(send(conn, junk, len, MSG_NOSIGNAL) == (ssize_t)len, "junk can be sent");
		expect(hung_up(conn), "a message of a wrong length hangs up");
		close(conn);
	}
	int conn = dial();

	expect(ask(conn, &q, NULL, 0, &r, NULL) == EPROTO, "before HELLO: EPROTO");
	q.type = STACKD_REQ_HELLO;
	q.version = 99;
	expect(ask(conn, &q, NULL, 0, &r, NULL) == EPROTO, "another version: EPROTO");
	q.version = STACKD_MSG_VERSION;
	memset(q.text, 'x', sizeof(q.text));
	expect(ask(conn, &q, NULL, 0, &r, NULL) == EINVAL, "overrides without an end: EINVAL");
	memset(q.text, 0, sizeof(q.text));
	expect(ask(conn, &q, NULL, 0, &r, NULL) == 0, "then all the same HELLO");
	expect(ask(conn, &q, NULL, 0, &r, NULL) == EPROTO, "a second HELLO: EPROTO");
	for (uint32_t type = 0; type < 300; type++) {
		q.type = type == STACKD_REQ_CLONE || type == STACKD_REQ_HELLO ? 1000 : type;
		q.region = 1 + type * 7;
		q.slot = type * 1000003u;
		q.arg = type == STACKD_REQ_EVQ ? 4096 : UINT32_MAX - type;
		expect(ask(conn, &q, NULL, 0, &r, NULL) > 0, "nonsense is refused");
	}
	close(conn);
}

static void wrong_fds(void)
{
	struct attached a = attach();
	struct stackd_request q = {.type = STACKD_REQ_EVQ, .version = STACKD_MSG_VERSION};
	struct stackd_reply r;
	int fd[FDS_MAX], pipes[2], null = open("/dev/null", O_RDWR);

	if (pipe(pipes))
		die("pipe");
	expect(ask(a.conn, &q, &null, 1, &r, NULL) == EINVAL, "/dev/null is no eventfd");
	expect(ask(a.conn, &q, &pipes[1], 1, &r, NULL) == EINVAL, "a pipe is no eventfd");
	expect(ask(a.conn, &q, NULL, 0, &r, NULL) == EINVAL, "nothing is no eventfd");
	for (uint32_t i = 0; i < FDS_MAX; i++)
		fd[i] = eventfd(0, EFD_NONBLOCK);
	for (int i = 0; i < 2000; i++) { /* more than a daemon may keep */
		uint32_t n = 1 + (uint32_t)i % (FDS_MAX - 1);

		q.arg = (uint32_t)i % 2;
		expect(ask(a.conn, &q, fd, n, &r, NULL) == 0, "an eventfd with others is taken");
		q.type = STACKD_REQ_INFO;
		expect(ask(a.conn, &q, fd, n, &r, NULL) > 0, "descriptors where none belong");
		q.type = STACKD_REQ_EVQ;
	}
	for (int i = 0; i < 300; i++) { /* an empty message with descriptors */
		int conn = dial();

		expect(send_fds(conn, "", 0, fd, 2) == 0, "an empty message can be sent");
		expect(hung_up(conn), "and hangs up");
		close(conn);
	}
	detach(&a);
}

/* Its eventfd is full and blocks: whoever writes to it stands still. */
static void stuck_eventfd(void)
{
	struct attached a = attach();
	struct stackd_request q = {.type = STACKD_REQ_EVQ, .version = STACKD_MSG_VERSION};
	struct stackd_reply r;
	int fd = eventfd(0, 0);

	(void)!write(fd, &(uint64_t){UINT64_MAX - 1}, 8);
	expect(ask(a.conn, &q, &fd, 1, &r, NULL) == 0, "it is an eventfd");
	for (uint32_t i = 0; i < 50; i++) {
		stackd_shm_evq(a.mem, &a.head, 0)->sleeping = 1;
		stackd_shm_sub(a.mem, &a.head, i)->posted = 0;
		post(&a, 0, (struct stackd_sqe){.op = STACKD_OP_SUB, .region = a.head.region, .opt = STACKD_IN, .arg2 = i});
		usleep(1000);
	}
	q.type = STACKD_REQ_INFO;
	q.region = a.head.region;
	expect(ask(a.conn, &q, NULL, 0, &r, NULL) == 0, "the daemon still answers");
	detach(&a);
}

static void attaches(void)
{
	for (int i = 0; i < 3000; i++) {
		struct attached a = {.conn = dial()};

		if (i % 3 == 0)
			expect(hello(&a), "HELLO is answered");
		close(a.conn);
		for (int k = 0; i % 3 == 0 && k < FDS_MAX && a.fd[k] > 0; k++)
			close(a.fd[k]);
	}
}

/* As many as it lets in; the next one is turned away, and not left waiting. */
static void crowd(void)
{
	enum { MANY = 1500 };
	static struct attached a[MANY];
	struct rlimit limit = {20000, 20000};
	int in = 0, out = 0;

	setrlimit(RLIMIT_NOFILE, &limit);
	for (int i = 0; i < MANY; i++) {
		a[i].conn = try_dial();
		if (a[i].conn >= 0 && hello(&a[i]))
			in++;
		else
			out++;
	}
	printf("%d let in, %d turned away\n", in, out);
	expect(in > 50 && out > 0, "some are let in and some are not");
}

/* The limit of one user leaves places for the others. */
static void one_user(void)
{
	struct attached a[100];
	int in = 0;

	for (int i = 0; i < 100; i++) {
		a[i].conn = try_dial();
		in += a[i].conn >= 0 && hello(&a[i]);
	}
	printf("%d let in\n", in);
	expect(in > 0 && in <= 40, "one user has at most as many clients as it may");
}

static int hello_with(int number)
{
	struct attached a = {.conn = dial()};
	struct stackd_request q = {.type = STACKD_REQ_HELLO, .version = STACKD_MSG_VERSION};
	struct stackd_reply r;
	int error;

	if (number)
		snprintf(q.text, sizeof(q.text), "tcp.time_wait=%ds", number);
	error = ask(a.conn, &q, NULL, 0, &r, a.fd);
	close(a.conn);
	for (int k = 0; k < FDS_MAX && a.fd[k] > 0; k++)
		close(a.fd[k]);
	return error;
}

/* New settings are refused in the end; known ones never are. */
static void rule_sets(void)
{
	int made = 0;

	for (int i = 1; i <= 100; i++)
		made += hello_with(i) == 0;
	printf("%d made\n", made);
	expect(made > 0 && made <= 20, "one user makes at most as many rule sets as it may");
	expect(hello_with(1) == 0 && hello_with(0) == 0, "what is known is given");
}

/* Asks and never reads an answer. */
static void deaf(void)
{
	struct attached a = attach();
	struct stackd_request q = {.type = STACKD_REQ_INFO, .version = STACKD_MSG_VERSION};
	ssize_t n = 0;

	for (int i = 0; i < 100000 && n >= 0; i++)
		n = send_fds(a.conn, &q, sizeof(q), NULL, 0);
	expect(n < 0, "it is hung up on");
	detach(&a);
}

static void bad_indices(void)
{
	for (int lie = 0; lie < 8; lie++) {
		struct attached a = attach();
		struct stackd_sqe e = {.op = STACKD_OP_SUB, .region = a.head.region, .opt = STACKD_IN};
		struct stackd_sq *s = stackd_shm_sq(a.mem, &a.head, 0);

		switch (lie) {
		case 0: atomic_store(&s->tail, a.head.sq_entries + 1); break;
		case 1: e.slot = UINT32_MAX; break;
		case 2: e.region = a.head.region + 1; break;
		case 3: e.arg2 = UINT64_MAX; break;
		case 4: e.arg = -1; break;
		case 5: stackd_shm_evq_ring(a.mem, &a.head, 0, 0)->head = 77; break;
		case 6: e.op = 200; break;
		case 7: e = (struct stackd_sqe){.op = STACKD_OP_SETOPT, .region = a.head.region, .opt = 999}; break;
		}
		if (lie == 6) /* only what is known can be asked for nonsense */
			post(&a, 0, (struct stackd_sqe){.op = STACKD_OP_SETOPT, .region = a.head.region, .opt = 1});
		if (lie)
			post(&a, 0, e);
		(void)!write(a.fd[2], &(uint64_t){1}, 8);
		printf("lie %d\n", lie);
		expect(hung_up(a.conn), "a lie hangs up");
		detach(&a);
	}
}

/* LISTEN, CLONE and BIND over and over. */
static void repeats(void)
{
	struct attached a = attach();
	struct stackd_request q = {.type = STACKD_REQ_BIND, .version = STACKD_MSG_VERSION, .region = a.head.region,
				   .arg = STACKD_BIND_IPV4};
	struct stackd_reply r;
	int got[FDS_MAX];

	expect(ask(a.conn, &q, NULL, 0, &r, NULL) == 0, "any port can be had");
	q.type = STACKD_REQ_LISTEN;
	for (int i = 0; i < 20000; i++) {
		q.arg = (uint32_t)i;
		expect(ask(a.conn, &q, NULL, 0, &r, NULL) == 0, "LISTEN again");
	}
	q.type = STACKD_REQ_CLONE;
	for (int i = 0; i < 300; i++) {
		expect(ask(a.conn, &q, NULL, 0, &r, got) == 0, "CLONE again");
		for (uint32_t k = 0; k < r.fd_count; k++)
			close(got[k]);
	}
	detach(&a);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} cases[] = {
		{"wrong_messages", wrong_messages}, {"wrong_fds", wrong_fds}, {"stuck_eventfd", stuck_eventfd},
		{"attaches", attaches}, {"crowd", crowd}, {"deaf", deaf}, {"bad_indices", bad_indices},
		{"repeats", repeats}, {"one_user", one_user}, {"rule_sets", rule_sets},
	};

	if (argc != 3)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	rundir = argv[1];
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (strcmp(cases[i].name, argv[2]))
			continue;
		cases[i].run();
		printf("%s done\n", argv[2]);
		return 0;
	}
	return 2;
}
