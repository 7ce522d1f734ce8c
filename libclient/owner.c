/* SPDX-License-Identifier: BSD-2-Clause */
/* owner.c - whom a socket signals: SIGURG to its owner (F_SETOWN), and SIGIO or what F_SETSIG says
 * with O_ASYNC.  The kernel sends them, so that its rules of who may signal whom hold: the daemon
 * gives us one end of a pair of unix sockets, we give that end the owner and the signal, and each
 * time the daemon shuts the other end down the kernel takes it for news.  Owns these ends, one for
 * each owner and signal, for as long as the process lives. */
#include "client.h"

#include <errno.h>
#include <stdlib.h>

struct notifier {
	struct notifier *next;
	struct attach *attach;
	struct f_owner_ex who;
	int sig;
	struct evq *evq;
};

static _Atomic uint32_t owner_lock; /* before evq_lock and request_lock */
static struct notifier *notifiers;

static bool give_owner(int fd, const struct f_owner_ex *who, int sig)
{
	return LIBC->fcntl(fd, F_SETOWN_EX, who) == 0 && LIBC->fcntl(fd, F_SETSIG, sig) == 0 &&
	       LIBC->fcntl(fd, F_SETFL, O_ASYNC | O_NONBLOCK) == 0;
}

static struct notifier *notifier_new(struct attach *a, const struct f_owner_ex *who, int sig)
{
	struct notifier *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	*n = (struct notifier){.next = notifiers, .attach = a, .who = *who, .sig = sig};
	n->evq = evq_for_signals(a);
	if (!n->evq || !give_owner(n->evq->fd, who, sig)) {
		free(n); /* a queue that signals nobody is left over */
		return NULL;
	}
	notifiers = n;
	return n;
}

static struct evq *notifier(struct attach *a, const struct f_owner_ex *who, int sig)
{
	struct notifier *n;

	lock_take(&owner_lock);
	for (n = notifiers; n; n = n->next)
		if (n->attach == a && n->who.type == who->type && n->who.pid == who->pid &&
		    n->sig == sig)
			break;
	if (!n)
		n = notifier_new(a, who, sig);
	lock_drop(&owner_lock);
	return n ? n->evq : NULL;
}

static void drop_others(struct ofd *o, const struct evq *urgent, const struct evq *any)
{
	struct watch *next;

	for (struct watch *w = o->watches; w; w = next) {
		const struct evq *e = atomic_load(&w->evq);

		next = w->next_of_sock;
		if ((w->mask & STACKD_SIGNAL) && e != urgent && e != any)
			watch_remove(w);
	}
}

/* table_lock is held. */
static bool listen_for(struct ofd *o, struct evq *e, uint32_t mask)
{
	struct watch *w = e ? watch_find(o, e) : NULL;

	if (!e)
		return true;
	if (!w)
		return watch_add(o, e, NULL, mask | STACKD_SIGNAL);
	watch_mask(w, mask | STACKD_SIGNAL);
	return true;
}

/* From here on: what the daemon answers comes after what was posted. */
static void settle(const struct ofd *o)
{
	struct stackd_request q;
	struct stackd_reply r;

	sock_request(o, &q, STACKD_REQ_INFO);
	attach_request(o->attach, &q, &r, -1);
}

int owner_apply(struct ofd *o)
{
	struct evq *urgent = NULL, *any = NULL;
	bool done;

	if (o->mode != MODE_STACK || (!o->owner.pid && !o->owned))
		return 0;
	if (o->owner.pid && !(urgent = notifier(o->attach, &o->owner, SIGURG)))
		return ENOBUFS;
	if (o->owner.pid && o->async &&
	    !(any = notifier(o->attach, &o->owner, o->owner_sig)))
		return ENOBUFS;
	lock_take(&table_lock);
	drop_others(o, urgent, any);
	done = listen_for(o, urgent, STACKD_URGENT_IN);
	if (any)
		done &= listen_for(o, any, STACKD_IN | STACKD_OUT | STACKD_URGENT_IN);
	lock_drop(&table_lock);
	o->owned = o->owner.pid != 0;
	settle(o);
	return done ? 0 : ENOBUFS;
}

/* The kernel socket behind has taken it, and knows what it means. */
int owner_changed(struct ofd *o, int fd)
{
	int saved = errno, error;

	if (LIBC->fcntl(fd, F_GETOWN_EX, &o->owner) < 0)
		o->owner.pid = 0;
	o->owner_sig = LIBC->fcntl(fd, F_GETSIG);
	o->async = LIBC->fcntl(fd, F_GETFL) & O_ASYNC;
	error = owner_apply(o);
	errno = saved;
	return error;
}

/* The parent's are closed in the child, and it goes on telling. */
void owner_forked(void)
{
	atomic_store(&owner_lock, 0);
	notifiers = NULL;
}
