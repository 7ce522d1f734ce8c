/* SPDX-License-Identifier: BSD-2-Clause */
/* client.c - the life of a client: it attaches over client.sock, may be cloned before a fork, and
 * when its connection closes everything that only it held goes with it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "client_inside.h"
#include "log.h"
#include "slab.h"

#define SAID_MAX 20 /* lines a second about clients */

/* --- memory ------------------------------------------------------------------------------------ */

static size_t evq_bytes(const struct sock_client *c)
{
	return c->own->head.evq_count * c->own->head.shards * sizeof(struct sock_evq);
}

static size_t sub_bytes(const struct sock_client *c)
{
	return (size_t)c->own->head.sub_count * c->own->head.shards * sizeof(struct sock_sub *);
}

/* The shards may look at the others meanwhile. */
static int add_holds(struct sock_client *c, struct sock_region *r)
{
	uint32_t n = c->hold_count;
	_Atomic uint64_t *bits = n < SOCK_REGIONS_MAX ? region_bits(r) : NULL;

	if (!bits)
		return -ENOMEM;
	c->holds[n] = (struct sock_holds){.region = r, .bits = bits};
	c->hold_count = n + 1;
	atomic_fetch_add(&r->refs, 1);
	return 0;
}

int client_add_region(struct client *c, struct sock_region *r)
{
	return sock_region_of(&c->sock, r->head.region) ? 0 : add_holds(&c->sock, r);
}

static int make_memory(struct client *c)
{
	struct sock_client *s = &c->sock;
	uint32_t evqs;
	int err = region_create(&c->all->config.region, &s->own);

	if (err)
		return err;
	evqs = s->own->head.evq_count;
	s->evq_fd = malloc(evqs * sizeof(*s->evq_fd));
	for (uint32_t q = 0; s->evq_fd && q < evqs; q++)
		atomic_init(&s->evq_fd[q], -1);
	s->evq = slab_map(evq_bytes(s));
	s->sub_at = slab_map(sub_bytes(s));
	if (!s->evq_fd || !s->evq || !s->sub_at || add_holds(s, s->own))
		return -ENOMEM;
	return 0;
}

static void region_unref(struct sock_region *r)
{
	if (atomic_fetch_sub(&r->refs, 1) == 1)
		region_free(r);
}

static void free_memory(struct client *c)
{
	struct sock_client *s = &c->sock;

	if (!s->own)
		return;
	for (uint32_t q = 0; s->evq_fd && q < s->own->head.evq_count; q++)
		if (s->evq_fd[q] >= 0)
			close(s->evq_fd[q] & ~SOCK_FD_SIGNAL);
	free((void *)(uintptr_t)s->evq_fd);
	slab_unmap(s->evq, evq_bytes(s));
	slab_unmap(s->sub_at, sub_bytes(s));
	for (uint32_t i = 0; i < s->hold_count; i++) {
		region_free_bits(s->holds[i].region, s->holds[i].bits);
		if (s->holds[i].region != s->own)
			region_unref(s->holds[i].region);
		else
			atomic_fetch_sub(&s->own->refs, 1);
	}
	region_unref(s->own);
}

static int make_kicks(struct client *c)
{
	for (uint32_t i = 0; i < c->all->config.shard_count; i++) {
		int err;

		c->kick[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (c->kick[i] < 0)
			return -errno;
		err = shard_watch_kick(c->all->config.shards[i], c->kick[i]);
		if (err)
			return err;
	}
	return 0;
}

/* --- coming and going ---------------------------------------------------------------------------- */

static void on_readable(struct loop *loop, int fd, uint32_t events, void *arg);

struct client *client_new(struct clients *all, int fd)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->all = all;
	c->fd = fd;
	for (uint32_t i = 0; i < SHARDS_MAX; i++)
		c->kick[i] = -1;
	if (loop_add(all->config.loop, fd, EPOLLIN, on_readable, c)) {
		free(c);
		return NULL;
	}
	list_push_back(&all->list, &c->node);
	all->count++;
	return c;
}

static void add_to_shard(struct shard *sh, void *arg)
{
	struct client *c = arg;

	sock_add_client(shard_socks(sh), &c->sock);
}

static void remove_from_shard(struct shard *sh, void *arg)
{
	struct client *c = arg;

	sock_remove_client(shard_socks(sh), &c->sock);
}

static void nothing(struct shard *sh, void *arg)
{
	(void)sh;
	(void)arg;
}

void clients_on_shards(struct clients *all, void (*fn)(struct shard *, void *), void *arg)
{
	for (uint32_t i = 0; i < all->config.shard_count; i++)
		shard_call(all->config.shards[i], fn, arg);
}

static uint32_t held_by(const struct sock_client *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->hold_count; i++)
		n += client_count_held(&s->holds[i]);
	return n;
}

/* After this no shard looks at the client's queues; again for sockets that moved meanwhile to a shard
 * that was asked before.  After the last round no shard has a message left that names the client. */
static void leave_shards(struct client *c)
{
	atomic_store(&c->sock.expelled, true);
	do
		clients_on_shards(c->all, remove_from_shard, c);
	while (held_by(&c->sock));
	clients_on_shards(c->all, nothing, NULL);
}

void client_gone(struct client *c)
{
	struct clients *all = c->all;

	if (c->parcel)
		client_pass_ends(c);
	if (c->attached)
		leave_shards(c);
	loop_remove(all->config.loop, c->fd);
	close(c->fd);
	for (uint32_t i = 0; i < SHARDS_MAX; i++) {
		if (c->kick[i] < 0)
			continue;
		shard_forget_kick(all->config.shards[i], c->kick[i]);
		close(c->kick[i]);
	}
	list_unlink(&c->node);
	client_user_leave(c);
	all->count--;
	free_memory(c);
	free(c);
}

/* The first round: each shard has read the queues.  The second: what that led to has been posted. */
static void settle_shards(struct clients *all)
{
	clients_on_shards(all, nothing, NULL);
	clients_on_shards(all, nothing, NULL);
}

void clients_settle(struct clients *all)
{
	settle_shards(all);
	mailbox_drain(&all->mailbox, all);
}

int client_attach(struct client *c)
{
	int err = make_memory(c);

	if (!err)
		err = make_kicks(c);
	if (err)
		return err;
	c->attached = true;
	clients_on_shards(c->all, add_to_shard, c);
	return 0;
}

/* --- messages -------------------------------------------------------------------------------------- */

#define PASSED_MAX 4 /* at least as many as the kernel fits into the room for one */

/* The first descriptor that came along; whatever else did is closed. */
static int take_passed(struct msghdr *msg)
{
	struct cmsghdr *h = CMSG_FIRSTHDR(msg);
	int fd[PASSED_MAX];
	size_t n;

	if (!h || h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
		return -1;
	n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(fd, CMSG_DATA(h), n * sizeof(int));
	for (size_t i = 1; i < n; i++)
		close(fd[i]);
	return n ? fd[0] : -1;
}

/* One request with at most one descriptor.  The message's length; -1 with errno. */
static ssize_t receive(int fd, struct stackd_request *q, int *passed)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {q, sizeof(*q)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_TRUNC);

	*passed = n < 0 ? -1 : take_passed(&msg);
	return n;
}

/* Never blocks: a client that does not take its answers is dropped by the caller. */
static int answer(int fd, struct client_answer *a)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(CLIENT_FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {&a->reply, sizeof(a->reply)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (a->reply.fd_count) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(a->reply.fd_count * sizeof(int));
		CMSG_FIRSTHDR(&msg)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&msg)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&msg)->cmsg_len = CMSG_LEN(a->reply.fd_count * sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), a->fd, a->reply.fd_count * sizeof(int));
	}
	return sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void on_readable(struct loop *loop, int fd, uint32_t events, void *arg)
{
	struct client *c = arg;
	struct client_answer a = {0};
	struct stackd_request q;
	int passed, err;
	ssize_t n = receive(fd, &q, &passed);

	(void)loop;
	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != (ssize_t)sizeof(q)) {
		if (n > 0 && clients_refused(c->all, COUNT_client_bad_message))
			log_warning("client %u: a request of %zd bytes, expected %zu: disconnected", c->sock.pid, n,
				    sizeof(q));
		if (passed >= 0)
			close(passed);
		client_gone(c);
		return;
	}
	q.text[sizeof(q.text) - 1] = '\0';
	c->all->serving = c;
	client_request(c, &q, passed, &a);
	c->all->serving = NULL;
	err = answer(fd, &a);
	for (uint32_t i = 0; i < a.reply.fd_count; i++)
		if (a.close_fd[i])
			close(a.fd[i]);
	if (err || c->leaving)
		client_gone(c);
}

/* Without a free descriptor nobody can be accepted, and who waits would wake us for ever. */
static void turn_away(struct clients *all)
{
	close(all->spare_fd);
	close(accept4(all->listen_fd, NULL, NULL, SOCK_CLOEXEC));
	all->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (clients_refused(all, COUNT_client_refused))
		log_warning("client: a process can't attach: no file descriptor left");
}

static void on_connect(struct loop *loop, int listen_fd, uint32_t events, void *arg)
{
	struct clients *all = arg;
	struct ucred peer = {0};
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *c;

	(void)loop;
	(void)events;
	if (fd < 0 && (errno == EMFILE || errno == ENFILE))
		turn_away(all);
	if (fd < 0)
		return;
	if (!access_allows(&all->config.access, fd, &peer)) {
		if (clients_refused(all, COUNT_client_refused))
			log_warning("client: process %d of user %u is not allowed to attach (stackd.allow)",
				    peer.pid, peer.uid);
		close(fd);
		return;
	}
	c = all->count < CLIENTS_MAX ? client_new(all, fd) : NULL;
	if (!c) {
		if (clients_refused(all, COUNT_client_refused))
			log_warning("client: process %d can't attach: %u clients are the limit", peer.pid,
				    CLIENTS_MAX);
		close(fd);
		return;
	}
	c->sock.pid = (uint32_t)peer.pid;
	if (client_user_enter(c, peer.uid, peer.uid == 0 || peer.uid == geteuid()))
		client_gone(c);
}

static bool may_say(struct clients *all)
{
	int64_t second = time(NULL);

	if (second != all->said_at)
		all->said = 0;
	all->said_at = second;
	return all->said++ < SAID_MAX;
}

static void count_on_shard(struct shard *sh, void *arg)
{
	sock_count_refusal(shard_socks(sh), *(enum count_id *)arg);
}

bool clients_refused(struct clients *all, enum count_id why)
{
	shard_call(all->config.shards[0], count_on_shard, &why);
	return may_say(all);
}

/* --- letters from the shards --------------------------------------------------------------------------- */

static void unlisten_on_shard(struct shard *sh, void *arg)
{
	sock_unlisten(shard_socks(sh), arg);
}

static void free_listener(struct shard *sh, void *arg)
{
	sock_free_listener(shard_socks(sh), arg);
}

/* What was accepted before the listener was closed is claimed first, on whatever shard it is.  The
 * region stays until the socket, which is the last to name it, has been freed. */
static void unlisten(struct clients *all, struct sock *s)
{
	settle_shards(all);
	clients_on_shards(all, unlisten_on_shard, s);
	region_free_listener(s->region, s->listener);
	shard_call(all->config.shards[sock_owner(s->region, s->slot)], free_listener, s);
}

static struct client *client_of(struct clients *all, const struct sock_client *s)
{
	list_for_each(n, &all->list) {
		struct client *c = container_of(n, struct client, node);

		if (&c->sock == s)
			return c;
	}
	return NULL;
}

static void expel(struct clients *all, struct sock_client *s)
{
	struct client *c = client_of(all, s);

	if (!c || !s->expelled) /* gone, and perhaps another one has its memory now */
		return;
	if (may_say(all))
		log_warning("client %u: disconnected: %s", s->pid, s->expelled_why);
	c->leaving = true;
	if (c != all->serving)
		client_gone(c);
}

void clients_on_letter(void *to, struct mail *m)
{
	struct clients *all = to;
	struct shard_letter *letter = container_of(m, struct shard_letter, mail);
	struct sock_letter l = letter->letter;

	free(letter);
	switch (l.kind) {
	case SOCK_UNLISTEN:
		unlisten(all, l.sock);
		break;
	case SOCK_REGION_EMPTY:
		region_free(l.region);
		break;
	case SOCK_EXPEL:
		expel(all, l.client);
		break;
	default:
		break;
	}
}

static void on_mail(struct loop *loop, int fd, uint32_t events, void *arg)
{
	uint64_t counter;

	(void)loop;
	(void)events;
	(void)!read(fd, &counter, sizeof(counter));
	mailbox_drain(&((struct clients *)arg)->mailbox, arg);
}

/* --- the server -------------------------------------------------------------------------------------------- */

/* A client costs a descriptor for each of: connection, memory, shard, thread that waits. */
static void raise_fd_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int clients_create(const struct clients_config *config, struct clients **out, char error[static CONFIG_ERROR_MAX])
{
	struct clients *all = calloc(1, sizeof(*all));
	int err = -ENOMEM;

	snprintf(error, CONFIG_ERROR_MAX, "out of memory");
	if (!all)
		return err;
	raise_fd_limit();
	all->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	all->config = *config;
	list_init(&all->list);
	all->ports = sock_ports_create(&slab_memory, 32768, 60999);
	if (!all->ports)
		goto free_all;
	err = mailbox_init(&all->mailbox, NULL);
	if (err)
		goto free_all;
	snprintf(all->path, sizeof(all->path), "%.80s/%s", config->rundir, STACKD_CLIENT_SOCK);
	all->listen_fd = access_listen(all->path, SOCK_SEQPACKET, &config->access, error);
	err = all->listen_fd < 0 ? all->listen_fd : 0;
	if (err)
		goto close_mailbox;
	err = loop_add(config->loop, all->mailbox.fd, EPOLLIN, on_mail, all);
	if (!err)
		err = loop_add(config->loop, all->listen_fd, EPOLLIN, on_connect, all);
	*out = all;
	return err;
close_mailbox:
	mailbox_destroy(&all->mailbox);
free_all:
	free(all);
	return err;
}

void clients_leave(struct clients *all)
{
	while (!list_empty(&all->list))
		client_gone(container_of(all->list.next, struct client, node));
	loop_remove(all->config.loop, all->listen_fd);
	close(all->listen_fd);
	unlink(all->path);
	mailbox_drain(&all->mailbox, all);
}

void clients_destroy(struct clients *all)
{
	loop_remove(all->config.loop, all->mailbox.fd);
	mailbox_drain(&all->mailbox, all);
	mailbox_destroy(&all->mailbox);
	close(all->spare_fd);
	sock_ports_destroy(all->ports);
	client_users_free(all);
	free(all);
}

struct mailbox *clients_mailbox(struct clients *all)
{
	return &all->mailbox;
}
