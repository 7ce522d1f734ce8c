/* SPDX-License-Identifier: BSD-2-Clause */
/* wire.c - owns the packets between the stack and the script.  The Ethernet header that net wants
 * is put on and taken off here; frames that are about neighbours never reach the script. */
#include "packetdrill/wire.h"

#include <stdlib.h>
#include <string.h>

#define ETH_BYTES    14u
#define PACKET_MAX   65535u
#define TYPE_IP4     0x0800u
#define TYPE_IP6     0x86ddu
#define PROTO_ICMP6  58u
#define ICMP6_ND_MIN 133u
#define ICMP6_ND_MAX 137u

struct wire {
	struct driver driver;
	struct driver_stats stats;
	uint8_t in[ETH_BYTES + PACKET_MAX];
	uint32_t in_len; /* 0: nothing arrived */
	struct wire_packet *first, **last;
};

static struct wire *wire(struct driver *d)
{
	return container_of(d, struct wire, driver);
}

static uint32_t wire_rx(struct driver *d, ns_t now, struct frame *out, uint32_t max)
{
	struct wire *w = wire(d);

	(void)now;
	if (w->in_len == 0 || max == 0)
		return 0;
	*out = (struct frame){.len = w->in_len, .span_count = 1, .span[0] = {w->in, w->in_len}};
	w->stats.rx_frames++;
	w->stats.rx_bytes += w->in_len;
	w->in_len = 0;
	return 1;
}

static void wire_rx_release(struct driver *d)
{
	(void)d; /* the buffer stays */
}

/* Asking for neighbours and announcing ourselves: there is no link. */
static bool is_link_business(const uint8_t *frame, uint32_t len)
{
	uint16_t type = get_be16(frame + 12);

	if (type == TYPE_IP4)
		return false;
	return type != TYPE_IP6 ||
	       (len > ETH_BYTES + 40 && frame[ETH_BYTES + 6] == PROTO_ICMP6 &&
		frame[ETH_BYTES + 40] >= ICMP6_ND_MIN && frame[ETH_BYTES + 40] <= ICMP6_ND_MAX);
}

static void keep(struct wire *w, const uint8_t *frame, uint32_t len, ns_t now)
{
	struct wire_packet *p = malloc(sizeof(*p) + len - ETH_BYTES);

	if (!p)
		abort();
	p->next = NULL;
	p->at = now;
	p->len = len - ETH_BYTES;
	memcpy(p->bytes, frame + ETH_BYTES, p->len);
	*w->last = p;
	w->last = &p->next;
}

static int wire_tx(struct driver *d, ns_t now, const struct tx_frame *f)
{
	struct wire *w = wire(d);
	uint8_t frame[ETH_BYTES + PACKET_MAX];
	uint32_t len = f->head_len;

	memcpy(frame, f->head, f->head_len);
	for (unsigned i = 0; i < f->data_count; i++) {
		memcpy(frame + len, f->data[i].base, f->data[i].len);
		len += f->data[i].len;
	}
	w->stats.tx_frames++;
	w->stats.tx_bytes += len;
	if (!is_link_business(frame, len))
		keep(w, frame, len, now);
	return 0;
}

static void wire_flush(struct driver *d, ns_t now)
{
	(void)d;
	(void)now;
}

static bool wire_rx_ready(struct driver *d, ns_t now)
{
	(void)now;
	return wire(d)->in_len > 0;
}

static void wire_stats(struct driver *d, struct driver_stats *out)
{
	*out = wire(d)->stats;
}

static void wire_close(struct driver *d)
{
	struct wire_packet *p;

	while ((p = wire_take(d)))
		free(p);
	free(wire(d));
}

static const struct driver_ops wire_ops = {
    .rx = wire_rx,
    .rx_release = wire_rx_release,
    .tx = wire_tx,
    .flush = wire_flush,
    .rx_ready = wire_rx_ready,
    .stats = wire_stats,
    .close = wire_close,
};

struct driver *wire_open(uint32_t mtu)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	struct wire *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->last = &w->first;
	w->driver.ops = &wire_ops;
	w->driver.fd = -1;
	w->driver.caps = (struct driver_caps){
	    .mtu = mtu, .gso_max = mtu + ETH_BYTES, .queues = 1, .name = "script"};
	memcpy(w->driver.caps.mac, mac, sizeof(mac));
	return &w->driver;
}

bool wire_put(struct driver *d, const void *packet, size_t len)
{
	struct wire *w = wire(d);
	unsigned version = len ? *(const uint8_t *)packet >> 4 : 0;

	if (len > PACKET_MAX || (version != 4 && version != 6))
		return false;
	memcpy(w->in, d->caps.mac, 6);
	memcpy(w->in + 6, d->caps.mac, 6);
	w->in[11] ^= 3; /* another station */
	put_be16(w->in + 12, version == 4 ? TYPE_IP4 : TYPE_IP6);
	memcpy(w->in + ETH_BYTES, packet, len);
	w->in_len = (uint32_t)len + ETH_BYTES;
	return true;
}

struct wire_packet *wire_take(struct driver *d)
{
	struct wire *w = wire(d);
	struct wire_packet *p = w->first;

	if (p) {
		w->first = p->next;
		if (!w->first)
			w->last = &w->first;
	}
	return p;
}
