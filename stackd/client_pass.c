/* SPDX-License-Identifier: BSD-2-Clause */
/* client_pass.c - sockets on their way from one client to another (SCM_RIGHTS).  On its way a socket
 * is held by a client of its own, the parcel, whose connection is the descriptor that is passed: who
 * has it may take the socket, and when nobody has it any more the daemon sees the hang-up. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "client_inside.h"

struct client_parcel {
	struct stackd_request q; /* region, slot, gen, text */
	ino_t inode;		 /* of the end that is passed */
	dev_t device;
};

/* A name by which the receiving library knows it, and reads from it end at once: a program without
 * the library must not wait for bytes that never come. */
static int label(int fd)
{
	static uint64_t number;
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int n = snprintf(sun.sun_path + 1, sizeof(sun.sun_path) - 1, STACKD_PASS_NAME "%d-%llu", (int)getpid(),
			 (unsigned long long)++number);

	if (bind(fd, (struct sockaddr *)&sun, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) ||
	    shutdown(fd, SHUT_WR))
		return -errno;
	return 0;
}

static int make_parcel(struct client *c, int passed_fd, const struct stackd_request *q)
{
	struct client_parcel *p = malloc(sizeof(*p));
	struct stat st;
	int err = p ? 0 : -ENOMEM;

	if (!err && fstat(passed_fd, &st))
		err = -errno;
	if (!err)
		err = label(c->fd);
	if (err) {
		free(p);
		return err;
	}
	*p = (struct client_parcel){.q = *q, .inode = st.st_ino, .device = st.st_dev};
	c->parcel = p;
	return 0;
}

static void hold(struct shard *sh, struct sock *s, struct sock_call *call)
{
	(void)sh;
	if (!sock_held(&call->heir->sock, s))
		sock_hold(&call->heir->sock, s);
}

void client_pass(struct client *c, const struct stackd_request *q, struct client_answer *a)
{
	struct sock_region *r = sock_region_of(&c->sock, q->region);
	struct sock_call call = {.client = c, .q = q, .fn = hold, .open = true};
	int fd, err = r ? client_clone_empty(c, r, &fd, &call.heir) : -EBADF;

	clients_settle(c->all); /* it may have been accepted just now */
	if (err) {
		client_refuse(a, -err, "no room for a socket on its way");
		return;
	}
	err = make_parcel(call.heir, fd, q);
	if (err)
		client_refuse(a, -err, "no room for a socket on its way");
	if (!err && client_call_socket(&call, a)) {
		client_give_fd(a, fd, true);
		return;
	}
	client_gone(call.heir);
	close(fd);
}

static struct client *parcel_of(struct clients *all, int fd)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return NULL;
	list_for_each(n, &all->list) {
		struct client *c = container_of(n, struct client, node);

		if (c->parcel && c->parcel->inode == st.st_ino && c->parcel->device == st.st_dev)
			return c;
	}
	return NULL;
}

/* The rings of a socket lie in its maker's memory, which the taker maps: only for the same user. */
static int may_take(const struct client *taker, const struct client *parcel)
{
	return taker->sock.uid == parcel->sock.uid || taker->sock.uid == 0 ? 0 : -EPERM;
}

void client_take(struct client *c, int fd, struct client_answer *a)
{
	struct client *from = parcel_of(c->all, fd);
	struct sock_call call = {.client = from, .fn = hold, .heir = c};
	int err;

	if (!from || from == c) {
		client_refuse(a, EBADF, "no socket on its way");
		return;
	}
	/* if this client let go of the same socket just before, that comes first */
	clients_settle(c->all);
	err = may_take(c, from);
	if (!err)
		err = client_add_region(c, sock_region_of(&from->sock, from->parcel->q.region));
	call.q = &from->parcel->q;
	if (err)
		client_refuse(a, -err, err == -EPERM ? "it is another user's" : "no room for another client's socket");
	else if (client_call_socket(&call, a))
		memcpy(a->reply.text, from->parcel->q.text, sizeof(a->reply.text));
	if (!err)
		client_gone(from);
}

static void let_go(struct shard *sh, struct sock *s, struct sock_call *call)
{
	sock_let_go(shard_socks(sh), &call->client->sock, s, false);
}

void client_pass_ends(struct client *c)
{
	struct sock_call call = {.client = c, .q = &c->parcel->q, .fn = let_go};
	struct client_answer unused = {0};

	client_call_socket(&call, &unused);
	free(c->parcel);
	c->parcel = NULL;
}
