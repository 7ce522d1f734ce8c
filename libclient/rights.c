/* SPDX-License-Identifier: BSD-2-Clause */
/* rights.c - stack sockets in SCM_RIGHTS.  On the way out each is replaced by a descriptor of the
 * daemon's that stands for it; on the way in such a descriptor is replaced by the socket.  A
 * process without this library gets a descriptor that reads as ended. */
#include "exec.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include "stackd.h"

#define CONTROL_MAX 4096 /* the kernel takes 253 descriptors at most */

_Static_assert(sizeof(struct luggage) < STACKD_TEXT_MAX,
	       "a socket's description fits into a request");

/* Calls visit for each descriptor in a message's SCM_RIGHTS; it may change them in place. */
static void each_right(struct msghdr *m, void (*visit)(int *fd, void *), void *arg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		uint8_t *at = CMSG_DATA(c), *end = (uint8_t *)c + c->cmsg_len;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (; at + sizeof(int) <= end; at += sizeof(int)) {
			int fd;

			memcpy(&fd, at, sizeof(fd));
			visit(&fd, arg);
			memcpy(at, &fd, sizeof(fd));
		}
	}
}

/* ---- out ---- */

static void is_ours(int *fd, void *arg)
{
	struct ofd *o = fd_get_stack(*fd);

	*(bool *)arg |= o != NULL;
	fd_put(o);
}

bool rights_ours(const struct msghdr *m)
{
	struct msghdr copy = *m;
	bool found = false;

	if (attach_current() && m->msg_control && m->msg_controllen <= CONTROL_MAX)
		each_right(&copy, is_ours, &found);
	return found;
}

struct parcels {
	int fd[CONTROL_MAX / sizeof(int)];
	int count;
	int error;
};

static void wrap(int *fd, void *arg)
{
	struct parcels *p = arg;
	struct stackd_request q;
	struct luggage l;
	struct ofd *o = fd_get_stack(*fd);
	int parcel;

	if (!o)
		return;
	sock_request(o, &q, STACKD_REQ_PASS);
	luggage_pack(o, &l);
	memcpy(q.text, &l, sizeof(l));
	parcel = attach_pass(o->attach, &q);
	if (parcel >= 0)
		p->fd[p->count++] = *fd = parcel;
	else
		p->error = errno;
	fd_put(o);
}

ssize_t rights_send(int fd, const struct msghdr *m, int flags)
{
	_Alignas(struct cmsghdr) char control[CONTROL_MAX];
	struct parcels p = {.count = 0};
	struct msghdr copy = *m;
	ssize_t r = -1;
	int saved;

	memcpy(control, m->msg_control, m->msg_controllen);
	copy.msg_control = control;
	each_right(&copy, wrap, &p);
	errno = p.error;
	if (!p.error)
		r = LIBC->sendmsg(fd, &copy, flags);
	saved = errno;
	while (p.count)
		LIBC->close(p.fd[--p.count]);
	errno = saved;
	return r;
}

/* ---- in ---- */

static bool is_parcel(int fd)
{
	struct sockaddr_un sun = {0};
	socklen_t len = sizeof(sun);

	return LIBC->getpeername(fd, (struct sockaddr *)&sun, &len) == 0 &&
	       sun.sun_family == AF_UNIX && !sun.sun_path[0] &&
	       !memcmp(sun.sun_path + 1, STACKD_PASS_NAME, sizeof(STACKD_PASS_NAME) - 1);
}

struct twin {
	const struct luggage *luggage;
	struct ofd *found;
};

static void compare(struct ofd *o, void *arg)
{
	struct twin *t = arg;

	if (!t->found && o->kind == KIND_SOCKET && o->mode == MODE_STACK &&
	    o->slot == t->luggage->slot && o->gen == t->luggage->gen &&
	    o->region->head.region == t->luggage->region && !attach_is_dead(o->attach))
		t->found = o;
}

/* The socket as this process knows it already, with a reference, or anew. */
static struct ofd *open_luggage(const struct luggage *l, struct attach *a)
{
	struct twin t = {.luggage = l};

	lock_take(&table_lock);
	fd_each_with(compare, &t);
	if (t.found)
		atomic_fetch_add(&t.found->refs, 1);
	lock_drop(&table_lock);
	return t.found ? t.found : luggage_unpack(l, a);
}

/* A kernel socket behind it, at the number of the descriptor that came. */
static bool back_up(int fd, struct ofd *o)
{
	int flags = LIBC->fcntl(fd, F_GETFD);
	int type = SOCK_STREAM | SOCK_CLOEXEC | (o->nonblock ? SOCK_NONBLOCK : 0);
	int behind = LIBC->socket(o->domain, type, 0);

	if (behind < 0)
		return false;
	device_hand_on(o, behind);
	LIBC->dup3(behind, fd, flags & FD_CLOEXEC ? O_CLOEXEC : 0);
	LIBC->close(behind);
	return true;
}

static void unwrap(int *fd, void *arg)
{
	struct stackd_request q = {.type = STACKD_REQ_TAKE};
	struct stackd_reply r;
	struct attach *a;
	struct luggage l;
	struct ofd *o;

	(void)arg;
	if (!is_parcel(*fd) || !(a = attach_get()) || attach_request(a, &q, &r, *fd))
		return;
	memcpy(&l, r.text, sizeof(l));
	o = open_luggage(&l, a);
	if (!o)
		return;
	if (back_up(*fd, o)) {
		o->inode = fd_inode(*fd);
		fd_install(*fd, o);
	} else {
		fd_put(o);
	}
}

/* After the kernel has filled it. */
void rights_received(struct msghdr *m, int flags)
{
	int saved = errno;

	if (m->msg_controllen && !(flags & MSG_PEEK) && !fd_in_foreign_process())
		each_right(m, unwrap, NULL);
	errno = saved;
}
