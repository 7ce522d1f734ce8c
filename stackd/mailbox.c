/* SPDX-License-Identifier: BSD-2-Clause */
#include "mailbox.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

int mailbox_init(struct mailbox *m, _Atomic uint32_t *sleeping)
{
	pthread_mutex_init(&m->lock, NULL);
	m->first = NULL;
	m->last = &m->first;
	m->sleeping = sleeping;
	atomic_init(&m->waiting, false);
	m->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return m->fd < 0 ? -errno : 0;
}

void mailbox_destroy(struct mailbox *m)
{
	close(m->fd);
	pthread_mutex_destroy(&m->lock);
}

void mailbox_post(struct mailbox *m, struct mail *mail)
{
	const uint64_t one = 1;

	mail->next = NULL;
	pthread_mutex_lock(&m->lock);
	*m->last = mail;
	m->last = &mail->next;
	atomic_store(&m->waiting, true);
	pthread_mutex_unlock(&m->lock);
	atomic_thread_fence(memory_order_seq_cst);
	if (!m->sleeping || atomic_load_explicit(m->sleeping, memory_order_relaxed))
		(void)!write(m->fd, &one, sizeof(one));
}

bool mailbox_drain(struct mailbox *m, void *to)
{
	struct mail *mail, *next;

	if (!mailbox_waiting(m))
		return false;
	pthread_mutex_lock(&m->lock);
	mail = m->first;
	m->first = NULL;
	m->last = &m->first;
	atomic_store(&m->waiting, false);
	pthread_mutex_unlock(&m->lock);
	for (; mail; mail = next) {
		next = mail->next;
		mail->deliver(to, mail);
	}
	return true;
}
