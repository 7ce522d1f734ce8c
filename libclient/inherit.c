/* SPDX-License-Identifier: BSD-2-Clause */
/* inherit.c - a program begins with sockets that another one left (exec.c): finds them among its
 * descriptors and goes on with them.  What was left but isn't among them is let go. */
#include "exec.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

/* ---- a socket's description ---- */

void luggage_pack(const struct ofd *o, struct luggage *l)
{
	memset(l, 0, sizeof(*l));
	l->inode = o->inode;
	l->region = o->region->head.region;
	l->slot = o->slot;
	l->gen = o->gen;
	l->domain = o->domain;
	l->listening = o->listening;
	l->connect_posted = o->connect_posted;
	l->connect_pending = o->connect_pending;
	l->bound = o->bound;
	l->accepted = o->accepted;
	l->nonblock = o->nonblock;
	l->unconnected = o->unconnected;
	l->both = o->both;
	l->bind_flags = o->bind_flags;
	l->error = atomic_load(&o->error);
	l->local = o->local;
	l->rcvtimeo_ns = o->rcvtimeo_ns;
	l->sndtimeo_ns = o->sndtimeo_ns;
	l->linger = o->linger;
	l->rcvlowat = o->rcvlowat;
	l->ifindex = o->ifindex;
	l->option_count = o->option_count;
	memcpy(l->option, o->option, sizeof(l->option));
}

struct ofd *luggage_unpack(const struct luggage *l, struct attach *a)
{
	struct region *g = attach_region(a, l->region);
	struct ofd *o;

	if (!g || l->slot >= g->head.sock_count || l->option_count > OPTIONS_MAX) {
		errno = g ? EPROTO : errno;
		return NULL;
	}
	o = ofd_new(KIND_SOCKET);
	if (!o)
		return NULL;
	sock_place(o, a, g, l->slot);
	o->inode = l->inode;
	o->gen = l->gen;
	o->domain = l->domain;
	o->listening = l->listening;
	o->connect_posted = l->connect_posted;
	o->connect_pending = l->connect_pending;
	o->bound = l->bound;
	o->accepted = l->accepted;
	o->nonblock = l->nonblock;
	o->unconnected = l->unconnected;
	o->bind_flags = l->bind_flags;
	atomic_store(&o->error, l->error);
	o->local = l->local;
	o->rcvtimeo_ns = l->rcvtimeo_ns;
	o->sndtimeo_ns = l->sndtimeo_ns;
	o->linger = l->linger;
	o->rcvlowat = l->rcvlowat;
	o->ifindex = l->ifindex;
	o->option_count = l->option_count;
	memcpy(o->option, l->option, sizeof(o->option));
	atomic_store(&o->notsent_lowat, (uint32_t)option_value(o, IPPROTO_TCP, TCP_NOTSENT_LOWAT));
	atomic_store_explicit(&o->mode, MODE_STACK, memory_order_release);
	return o;
}

/* ---- what was left ---- */

/* No other descriptor has seals, and no other memfd this beginning. */
static bool is_table(int fd, void *arg)
{
	struct estate *e = arg;

	if (LIBC->fcntl(fd, F_GET_SEALS) <= 0 ||
	    pread(fd, &e->head, sizeof(e->head), 0) != (ssize_t)sizeof(e->head) ||
	    e->head.magic != EXEC_MAGIC || e->head.luggage_bytes != sizeof(struct luggage) ||
	    fd_inode(e->head.conn) != e->head.conn_inode)
		return true;
	e->table = fd;
	return false;
}

static bool read_luggage(struct estate *e)
{
	size_t bytes = e->head.count * sizeof(*e->luggage);

	e->luggage = calloc(e->head.count + 1, sizeof(*e->luggage));
	e->ofd = calloc(e->head.count + 1, sizeof(struct ofd *));
	return e->luggage && e->ofd &&
	       pread(e->table, e->luggage, bytes, sizeof(e->head)) == (ssize_t)bytes;
}

static bool claim(int fd, void *arg)
{
	struct estate *e = arg;
	uint64_t inode = fd_inode(fd);

	for (uint32_t i = 0; inode && i < e->head.count; i++)
		if (e->luggage[i].inode == inode && e->ofd[i]) {
			atomic_fetch_add(&e->ofd[i]->refs, 1);
			fd_install(fd, e->ofd[i]);
			both_inherit(e->ofd[i], fd);
		}
	return true;
}

static void take_up(struct estate *e, struct attach *a)
{
	for (uint32_t i = 0; i < e->head.count; i++)
		if ((e->ofd[i] = luggage_unpack(&e->luggage[i], a)))
			e->ofd[i]->both = e->luggage[i].both; /* what is passed otherwise has another kernel socket */
	fd_each_open(claim, e);
	exec_take_epolls(e);
	for (uint32_t i = 0; i < e->head.count; i++) {
		if (e->ofd[i] && atomic_load(&e->ofd[i]->refs) == 1)
			e->ofd[i]->linger = -1; /* nobody waits for one that was close-on-exec */
		fd_put(e->ofd[i]);
	}
}

void inherit_sockets(void)
{
	struct estate e = {.table = -1};
	struct attach *a = NULL;
	int saved = errno;

	fd_each_open(is_table, &e);
	if (e.table < 0)
		return;
	if (read_luggage(&e))
		a = attach_resume(e.head.conn);
	if (a)
		take_up(&e, a);
	else
		LIBC->close(e.head.conn);
	LIBC->close(e.table);
	free(e.luggage);
	free(e.ofd);
	errno = saved;
}
