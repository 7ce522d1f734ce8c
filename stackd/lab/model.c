/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/model.h"

#include <string.h>

#define PACKETS_MAX 32u
#define LIMIT_MS    60000u

struct flight {
	uint32_t due_ms, number, packet; /* packet: which it really is; the receiver can't see that */
	bool ack;
};

struct model {
	const struct model_config *c;
	struct model_result *r;
	uint32_t now, numbers;
	struct flight flight[MODEL_EVENTS_MAX];
	uint32_t flying, sent, acks;
	/* sender */
	uint32_t base, next;
	bool acked[PACKETS_MAX];
	uint32_t timer[PACKETS_MAX];
	/* receiver: packets as it counts them */
	uint32_t rcv_base;
	uint32_t holds[2 * PACKETS_MAX]; /* 1 + the packet it really was; 0: nothing */
};

static void transmit(struct model *m, bool ack, uint32_t number, uint32_t packet, bool again)
{
	uint32_t nth = ack ? m->acks++ : m->sent++;
	bool dropped = ack && nth < 32 && (m->c->drop_acks >> nth & 1);

	if (m->r->count < MODEL_EVENTS_MAX)
		m->r->event[m->r->count++] = (struct model_event){m->now, number, ack, dropped, again};
	if (!dropped && m->flying < MODEL_EVENTS_MAX)
		m->flight[m->flying++] = (struct flight){m->now + m->c->delay_ms, number, packet, ack};
}

static void send_packet(struct model *m, uint32_t packet, bool again)
{
	m->timer[packet] = m->now + m->c->timeout_ms;
	m->r->again += again;
	transmit(m, false, packet % m->numbers, packet, again);
}

/* The distance of a number above a base, as far as numbers can tell. */
static uint32_t above(const struct model *m, uint32_t number, uint32_t base)
{
	return (number + m->numbers - base % m->numbers) % m->numbers;
}

static void deliver_run(struct model *m)
{
	while (m->holds[m->rcv_base]) {
		m->r->wrong |= m->holds[m->rcv_base] - 1 != m->rcv_base;
		m->rcv_base++;
	}
}

static void data_arrives(struct model *m, const struct flight *f)
{
	uint32_t in = above(m, f->number, m->rcv_base);

	if (in < m->c->window) {
		m->holds[m->rcv_base + in] = f->packet + 1;
		deliver_run(m);
	} else if (m->numbers - in > m->c->window) {
		return;
	}
	transmit(m, true, f->number, 0, false);
}

static void ack_arrives(struct model *m, const struct flight *f)
{
	uint32_t in = above(m, f->number, m->base);

	if (in < m->c->window && m->base + in < m->next)
		m->acked[m->base + in] = true;
	while (m->base < m->next && m->acked[m->base])
		m->base++;
}

static void arrivals(struct model *m)
{
	for (uint32_t i = 0; i < m->flying;) {
		struct flight f = m->flight[i];

		if (f.due_ms > m->now) {
			i++;
			continue;
		}
		memmove(&m->flight[i], &m->flight[i + 1], (--m->flying - i) * sizeof(f));
		if (f.ack)
			ack_arrives(m, &f);
		else
			data_arrives(m, &f);
	}
}

static void timers(struct model *m)
{
	for (uint32_t i = m->base; i < m->next; i++)
		if (!m->acked[i] && m->timer[i] <= m->now)
			send_packet(m, i, true);
}

void model_run(const struct model_config *c, struct model_result *r)
{
	struct model m = {.c = c, .r = r, .numbers = c->numbers};

	memset(r, 0, sizeof(*r));
	for (; m.now < LIMIT_MS && m.base < c->packets && !r->wrong; m.now++) {
		arrivals(&m);
		timers(&m);
		while (m.next < c->packets && m.next < m.base + c->window)
			send_packet(&m, m.next++, false);
	}
	r->sent = m.sent;
	r->acks = m.acks;
	r->complete = m.base == c->packets && !r->wrong;
}
