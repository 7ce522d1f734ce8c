/* SPDX-License-Identifier: BSD-2-Clause */
/* client_clone.c - clients that come from other clients and not over client.sock: before a fork or an
 * exec, and for a socket on its way. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client_inside.h"

struct clone_call {
	struct client *parent, *child;
};

static void clone_on_shard(struct shard *sh, void *arg)
{
	struct clone_call *call = arg;

	sock_clone_holds(shard_socks(sh), &call->parent->sock, &call->child->sock);
}

static int inherit(struct client *parent, struct client *child)
{
	struct clone_call call = {parent, child};
	int err = client_attach(child);

	for (uint32_t i = 0; !err && i < parent->sock.hold_count; i++)
		if (client_count_held(&parent->sock.holds[i]))
			err = client_add_region(child, parent->sock.holds[i].region);
	/* twice: a socket may move between two shards behind the first round's back */
	for (int round = 0; !err && round < 2; round++)
		clients_on_shards(child->all, clone_on_shard, &call);
	return err;
}

static int clone_start(struct client *parent, int *child_fd, struct client **out)
{
	int pair[2], err;
	struct client *c;

	if (parent->all->count >= CLIENTS_MAX)
		return -EAGAIN;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	c = client_new(parent->all, pair[0]);
	if (!c) {
		close(pair[0]);
		close(pair[1]);
		return -ENOMEM;
	}
	err = client_user_enter(c, parent->sock.uid, parent->sock.trusted);
	if (err) {
		client_gone(c);
		close(pair[1]);
		return err;
	}
	c->sock.rules = parent->sock.rules;
	c->sock.pid = parent->sock.pid;
	memcpy(c->overrides, parent->overrides, sizeof(c->overrides));
	*child_fd = pair[1];
	*out = c;
	return 0;
}

static int clone_end(struct client *c, int child_fd, int err)
{
	if (err) {
		client_gone(c);
		close(child_fd);
	}
	return err;
}

int client_clone(struct client *parent, int *child_fd, struct client **out)
{
	int err = clone_start(parent, child_fd, out);

	return err ? err : clone_end(*out, *child_fd, inherit(parent, *out));
}

int client_clone_empty(struct client *parent, struct sock_region *r, int *child_fd, struct client **out)
{
	int err = clone_start(parent, child_fd, out);

	if (err)
		return err;
	err = client_attach(*out);
	if (!err)
		err = client_add_region(*out, r);
	return clone_end(*out, *child_fd, err);
}
