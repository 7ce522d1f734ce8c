/* SPDX-License-Identifier: BSD-2-Clause */
/* attach.c - the connection to the daemon: opening it, mapping what it hands over, asking it.
 * Owns struct attach and the regions; leaves queues to queue.c and when to attach to socket.c. */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#define REPLY_TIMEOUT_S	 10
#define RETRY_NS	 1000000000 /* after a refusal: how long until the next try */
#define GLANCE_EVERY    64
#define CLONE_PATIENCE_NS 100000000
#define REPLY_FDS_MAX	 (3 + STACKD_SHARDS_MAX)

struct reply_fds {
	int fd[REPLY_FDS_MAX];
	uint32_t count;
};

static _Atomic(struct attach *) current;
static _Atomic uint32_t attach_lock, request_lock;
static int64_t refused_at;
static int refused_errno;
static char rundir_set[sizeof(((struct sockaddr_un *)0)->sun_path) - 16];
static char options_set[STACKD_TEXT_MAX];
static struct reply_fds cloned; /* between the two halves of fork */
static bool clone_failed;

struct attach *attach_current(void)
{
	return atomic_load_explicit(&current, memory_order_acquire);
}

bool attach_required(void)
{
	const char *e = getenv("STACKD_REQUIRE");

	return e && *e == '1';
}

int attach_configure(const char *rundir, const char *options)
{
	if (rundir && strlen(rundir) >= sizeof(rundir_set))
		return ENAMETOOLONG;
	if (options && strlen(options) >= sizeof(options_set))
		return EINVAL;
	lock_take(&attach_lock);
	snprintf(rundir_set, sizeof(rundir_set), "%s", rundir ? rundir : "");
	snprintf(options_set, sizeof(options_set), "%s", options ? options : "");
	refused_at = 0; /* another daemon may be there */
	lock_drop(&attach_lock);
	return 0;
}

bool attach_is_dead(struct attach *a)
{
	return atomic_load_explicit(&a->dead, memory_order_relaxed);
}

bool attach_check(struct attach *a)
{
	struct pollfd p = {.fd = a->conn};
	int saved = errno;

	if (!attach_is_dead(a) && LIBC->poll(&p, 1, 0) > 0)
		atomic_store_explicit(&a->dead, true, memory_order_relaxed);
	errno = saved;
	return attach_is_dead(a);
}

bool attach_glance(struct attach *a)
{
	static _Thread_local uint32_t turn __attribute__((tls_model("initial-exec")));

	return ++turn % GLANCE_EVERY ? attach_is_dead(a) : attach_check(a);
}

/* ---- asking ---- */

static int send_request(int conn, const struct stackd_request *q, int fd)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)q, .iov_len = sizeof(*q)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd >= 0) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control.space);
		control.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
						.cmsg_level = SOL_SOCKET,
						.cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	}
	while (LIBC->sendmsg(conn, &m, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return errno;
	return 0;
}

static void take_fds(struct msghdr *m, struct reply_fds *got)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		got->count = (uint32_t)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(got->fd, CMSG_DATA(c), got->count * sizeof(int));
	}
}

static void close_fds(struct reply_fds *got)
{
	for (uint32_t i = 0; i < got->count; i++)
		LIBC->close(got->fd[i]);
	got->count = 0;
}

static int receive_reply(int conn, struct stackd_reply *r, struct reply_fds *got)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(REPLY_FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = r, .iov_len = sizeof(*r)};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control)};
	ssize_t n;

	got->count = 0;
	do
		n = LIBC->recvmsg(conn, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? ETIMEDOUT : errno;
	take_fds(&m, got);
	if (n != (ssize_t)sizeof(*r)) {
		close_fds(got);
		return n == 0 ? ECONNRESET : EPROTO;
	}
	r->text[STACKD_TEXT_MAX - 1] = 0;
	if (r->error)
		close_fds(got);
	return r->error;
}

static int ask(int conn, struct stackd_request *q, struct stackd_reply *r, int send_fd,
	       struct reply_fds *got)
{
	int error;

	q->version = STACKD_MSG_VERSION;
	error = send_request(conn, q, send_fd);
	if (error)
		return error;
	return receive_reply(conn, r, got);
}

static bool is_transport_error(int error, const struct stackd_reply *r)
{
	return error && error != r->error;
}

static int ask_attach(struct attach *a, struct stackd_request *q, struct stackd_reply *r,
		      int send_fd, struct reply_fds *got)
{
	int error, saved = errno;

	if (attach_is_dead(a))
		return ECONNRESET;
	r->error = 0;
	lock_take(&request_lock);
	error = ask(a->conn, q, r, send_fd, got);
	lock_drop(&request_lock);
	if (is_transport_error(error, r)) {
		atomic_store_explicit(&a->dead, true, memory_order_relaxed);
		error = ECONNRESET;
	}
	errno = saved;
	return error;
}

int attach_request(struct attach *a, struct stackd_request *q, struct stackd_reply *r, int send_fd)
{
	struct reply_fds got = {0};
	int error = ask_attach(a, q, r, send_fd, &got);

	close_fds(&got);
	return error;
}

/* ---- mapping ---- */

static bool head_is_sane(const struct stackd_shm_head *h, uint64_t size)
{
	return h->magic == STACKD_SHM_MAGIC && h->version == STACKD_SHM_VERSION &&
	       h->total_bytes <= size && h->shards >= 1 && h->shards <= STACKD_SHARDS_MAX &&
	       h->sock_own <= h->sock_count && h->rx_bytes && h->tx_bytes &&
	       !(h->rx_bytes & (h->rx_bytes - 1)) && !(h->tx_bytes & (h->tx_bytes - 1)) &&
	       h->ring_off + h->sock_count * (h->rx_bytes + h->tx_bytes) <= size;
}

static struct region *map_region(int fd)
{
	struct region *g = calloc(1, sizeof(*g));
	struct stat st;
	void *base;

	if (!g || fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof(g->head))
		goto fail;
	base = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
		    fd, 0);
	if (base == MAP_FAILED)
		goto fail;
	g->base = base;
	memcpy(&g->head, base, sizeof(g->head));
	if (head_is_sane(&g->head, (uint64_t)st.st_size))
		return g;
	munmap(base, (size_t)st.st_size);
	errno = EPROTO;
fail:
	free(g);
	return NULL;
}

static const struct stackd_board *map_board(int fd)
{
	struct stackd_board *b =
		mmap(NULL, sizeof(struct stackd_board), PROT_READ, MAP_SHARED, fd, 0);

	if (b == MAP_FAILED)
		return NULL;
	if (b->magic == STACKD_SHM_MAGIC && b->version == STACKD_SHM_VERSION)
		return b;
	munmap(b, sizeof(*b));
	errno = EPROTO;
	return NULL;
}

static bool allocate_tables(struct attach *a)
{
	const struct stackd_shm_head *h = &a->own->head;

	a->slot_used = calloc(h->sock_own ? h->sock_own : 1, sizeof(*a->slot_used));
	a->watch = calloc(h->sub_count ? h->sub_count : 1, sizeof(*a->watch));
	if (!a->slot_used || !a->watch)
		return false;
	a->watch_free_end = &a->watch_free;
	return true;
}

/* Out of a connection, a region and kick eventfds.  The descriptors become ours and move high. */
static struct attach *attach_build(int conn, int region_fd, const struct stackd_board *board,
				   const int *kick, uint32_t kicks)
{
	struct attach *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->own = map_region(region_fd);
	if (!a->own || a->own->head.shards > kicks || !allocate_tables(a)) {
		free(a);
		return NULL;
	}
	a->board = board;
	a->shards = a->own->head.shards;
	a->conn = fd_internal(conn);
	for (uint32_t i = 0; i < kicks; i++)
		a->kick[i] = fd_internal(kick[i]);
	LIBC->close(region_fd);
	return a;
}

/* ---- attaching ---- */

static const char *rundir(void)
{
	const char *e = getenv("STACKD_RUNDIR");

	if (rundir_set[0])
		return rundir_set;
	return e && *e ? e : STACKD_RUNDIR;
}

static int dial(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = REPLY_TIMEOUT_S};
	int fd = LIBC->socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/%s", rundir(), STACKD_CLIENT_SOCK) >=
	    (int)sizeof(sun.sun_path)) {
		LIBC->close(fd);
		errno = ENAMETOOLONG;
		return -1;
	}
	LIBC->setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (LIBC->connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	int e = errno;
	LIBC->close(fd);
	errno = e;
	return -1;
}

/* The first request on a connection: HELLO or RESUME. */
static struct attach *greet(int conn, struct stackd_request *q, struct stackd_reply *r)
{
	struct reply_fds got = {0};
	const struct stackd_board *board;
	struct attach *a = NULL;

	errno = ask(conn, q, r, -1, &got);
	if (errno)
		return NULL;
	if (got.count < 3) {
		errno = EPROTO;
	} else if ((board = map_board(got.fd[1]))) {
		LIBC->close(got.fd[1]);
		a = attach_build(conn, got.fd[0], board, got.fd + 2, got.count - 2);
	}
	if (!a)
		close_fds(&got);
	return a;
}

static struct attach *hello(int conn, struct stackd_reply *r)
{
	struct stackd_request q = {.type = STACKD_REQ_HELLO, .arg = (uint32_t)getpid()};
	const char *options = options_set[0] ? options_set : getenv("STACKD_OPTIONS");

	if (options)
		snprintf(q.text, sizeof(q.text), "%s", options);
	return greet(conn, &q, r);
}

static void say_refused(int error, const struct stackd_reply *r)
{
	static bool said;

	if (said || options_set[0] || rundir_set[0])
		return;
	said = true;
	dprintf(STDERR_FILENO, "stackd: no attachment to %s/%s: %s%s%s; TCP goes through the kernel\n",
		rundir(), STACKD_CLIENT_SOCK, strerror(error), r->text[0] ? ": " : "", r->text);
}

static struct attach *attach_open(void)
{
	struct stackd_reply r = {0};
	struct attach *a = NULL;
	int conn = dial();

	if (conn >= 0) {
		a = hello(conn, &r);
		if (!a) {
			int e = errno;
			LIBC->close(conn);
			errno = e;
		}
	}
	if (!a) {
		refused_errno = errno;
		refused_at = clock_now();
		say_refused(refused_errno, &r);
	}
	return a;
}

struct attach *attach_get(void)
{
	struct attach *a = attach_current();

	if (a && !attach_is_dead(a))
		return a;
	lock_take(&attach_lock);
	a = attach_current();
	if (!a || attach_is_dead(a)) {
		if (refused_at && clock_now() - refused_at < RETRY_NS) {
			a = NULL;
			errno = refused_errno;
		} else {
			a = attach_open();
		}
		if (a)
			atomic_store_explicit(&current, a, memory_order_release);
	}
	lock_drop(&attach_lock);
	return a;
}

/* ---- fork ---- */

int attach_clone(struct attach *a)
{
	struct stackd_request q = {.type = STACKD_REQ_CLONE};
	struct stackd_reply r;
	int error;

	queue_flush(a, CLONE_PATIENCE_NS); /* what was just accepted is the child's too */
	error = ask_attach(a, &q, &r, -1, &cloned);

	if (!error && cloned.count < 2 + a->shards) {
		close_fds(&cloned);
		error = EPROTO;
	}
	clone_failed = error != 0;
	return error;
}

void attach_clone_parent(void)
{
	close_fds(&cloned);
	clone_failed = false;
}

static void forget_parent(struct attach *a)
{
	/* what still points here is told that its daemon has gone; the rest has moved on */
	atomic_store_explicit(&a->dead, true, memory_order_relaxed);
}

static struct attach *moving_to;

static void move_sock(struct ofd *o)
{
	o->watches = NULL;
	if (o->kind == KIND_SOCKET && o->mode == MODE_STACK && !attach_is_dead(o->attach))
		o->attach = moving_to;
}

/* In the child: the clone's connection and region take the place of the parent's. */
void attach_clone_child(void)
{
	struct attach *parent = attach_current(), *a = NULL;

	atomic_store(&attach_lock, 0);
	atomic_store(&request_lock, 0);
	if (!parent || attach_is_dead(parent))
		return;
	fd_internal_close_all();
	if (!clone_failed && cloned.count)
		a = attach_build(cloned.fd[0], cloned.fd[1], parent->board, cloned.fd + 2,
				 cloned.count - 2);
	if (!a)
		close_fds(&cloned);
	cloned.count = 0;
	clone_failed = false;
	moving_to = a ? a : parent;
	fd_each(move_sock);
	forget_parent(parent);
	if (a)
		atomic_store_explicit(&current, a, memory_order_release);
}

/* ---- exec ---- */

int attach_clone_connection(struct attach *a, int *conn)
{
	struct stackd_request q = {.type = STACKD_REQ_CLONE};
	struct reply_fds got = {0};
	struct stackd_reply r;
	int error;

	queue_flush(a, CLONE_PATIENCE_NS);
	error = ask_attach(a, &q, &r, -1, &got);
	if (!error && got.count < 1)
		error = EPROTO;
	if (!error) {
		*conn = got.fd[0];
		got.fd[0] = got.fd[--got.count];
	}
	close_fds(&got);
	return error;
}

struct attach *attach_resume(int conn)
{
	struct stackd_request q = {.type = STACKD_REQ_RESUME};
	struct timeval patience = {.tv_sec = REPLY_TIMEOUT_S};
	struct stackd_reply r = {0};
	struct attach *a;

	LIBC->setsockopt(conn, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	a = greet(conn, &q, &r);
	if (a)
		atomic_store_explicit(&current, a, memory_order_release);
	return a;
}

struct region *attach_region(struct attach *a, uint32_t number)
{
	struct stackd_request q = {.type = STACKD_REQ_REGION, .region = number};
	struct reply_fds got = {0};
	struct stackd_reply r;
	struct region *g;

	if (a->own->head.region == number)
		return a->own;
	for (g = a->others; g; g = g->next)
		if (g->head.region == number)
			return g;
	errno = ask_attach(a, &q, &r, -1, &got);
	g = !errno && got.count ? map_region(got.fd[0]) : NULL;
	close_fds(&got);
	if (g) {
		g->next = a->others;
		a->others = g;
	}
	return g;
}

int attach_pass(struct attach *a, struct stackd_request *q)
{
	struct reply_fds got = {0};
	struct stackd_reply r;
	int fd = -1;

	errno = ask_attach(a, q, &r, -1, &got);
	if (!errno && got.count) {
		fd = got.fd[0];
		got.count = 0;
	}
	return fd;
}
