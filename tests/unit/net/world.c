/* SPDX-License-Identifier: BSD-2-Clause */
#include "world.h"

#include <stdlib.h>

const uint8_t mac_if[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
const uint8_t mac_peer[6] = {2, 0, 0, 0, 0, 0xaa};
const uint8_t mac_all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

/* --- memory and drivers ------------------------------------------------------------ */

static void *take(void *ctx, size_t bytes)
{
	struct world *w = ctx;
	void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);

	assert_non_null(p);
	w->taken++;
	return memset(p, 0, bytes);
}

static void give(void *ctx, void *slab, size_t bytes)
{
	struct world *w = ctx;

	(void)bytes;
	w->taken--;
	free(slab);
}

static int fake_tx(struct driver *d, ns_t now, const struct tx_frame *f)
{
	struct fake *fake = container_of(d, struct fake, driver);
	struct record *r;

	(void)now;
	if (fake->fail)
		return fake->fail;
	assert_true(fake->count < RECORD_MAX);
	r = &fake->record[fake->count++];
	memcpy(r->bytes, f->head, f->head_len);
	r->len = f->head_len;
	r->data_count = f->data_count;
	memcpy(r->data, f->data, sizeof(r->data));
	r->gso_size = f->gso_size;
	r->csum_start = f->csum_start;
	r->csum_partial = f->csum_partial;
	r->flushed = false;
	return 0;
}

/* Payload is read only now: what the net lent must live until here. */
static void fake_flush(struct driver *d, ns_t now)
{
	struct fake *fake = container_of(d, struct fake, driver);

	(void)now;
	for (uint32_t i = 0; i < fake->count; i++) {
		struct record *r = &fake->record[i];

		for (uint32_t k = 0; k < r->data_count && !r->flushed; k++) {
			memcpy(r->bytes + r->len, r->data[k].base, r->data[k].len);
			r->len += r->data[k].len;
		}
		r->flushed = true;
	}
}

static const struct driver_ops fake_ops = {.tx = fake_tx, .flush = fake_flush};

/* --- the world --------------------------------------------------------------------- */

struct addr A(const char *text) {
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static void
address(struct net_if_config *c, const char *text)
{
	assert_int_equal(prefix_parse(text, &c->address[c->address_count++]), 0);
}

struct world *world_make(const struct world_options *o)
{
	struct world *w = calloc(1, sizeof(*w));
	struct net_config c = {
	    .interface_count = 2, .memory = &w->memory, .counters = &w->counters};

	w->memory = (struct memory){take, give, w};
	for (uint32_t i = 0; i < 2; i++) {
		struct driver *d = &w->fake[i].driver;

		w->fake[i].record = calloc(RECORD_MAX, sizeof(struct record));
		d->ops = &fake_ops;
		d->caps.mtu = 1500;
		d->caps.gso_max = o->gso_max ? o->gso_max : 1514;
		d->caps.tx_csum = o->tx_csum;
		memcpy(d->caps.mac, mac_if[i], 6);
		c.interface[i].driver = d;
		c.interface[i].rx_csum = o->rx_csum;
	}
	address(&c.interface[0], "10.0.0.1/24");
	c.interface[0].gateway4 = A("10.0.0.254");
	address(&c.interface[1], "10.1.0.1/16");
	address(&c.interface[1], "10.1.7.1/24");
	if (!o->only4) {
		address(&c.interface[0], "fd00::1/64");
		address(&c.interface[1], "fd01::1/64");
		c.interface[0].gateway6 = A("fd00::fe");
	}
	w->now = T0;
	w->net = net_create(&c, w->now);
	assert_non_null(w->net);
	return w;
}

void world_free(struct world *w)
{
	net_destroy(w->net);
	assert_int_equal(w->taken, 0);
	free(w->fake[0].record);
	free(w->fake[1].record);
	free(w);
}

int world_setup(void **state)
{
	struct world *w = world_make(&(struct world_options){0});

	world_quiet(w);
	*state = w;
	return 0;
}

int world_teardown(void **state)
{
	world_free(*state);
	feed_release();
	return 0;
}

void world_quiet(struct world *w)
{
	w->fake[0].count = w->fake[1].count = 0;
	w->counters = (struct counters){0};
}

uint64_t counted(const struct world *w, enum count_id id)
{
	return w->counters.n[id];
}

void world_pass(struct world *w, ns_t by)
{
	w->now += by;
	net_flush(w->net, w->now);
}

/* --- feeding ----------------------------------------------------------------------- */

static uint8_t *piece[FRAME_SPANS_MAX];
static struct frame lent;

void feed_release(void)
{
	for (uint32_t i = 0; i < FRAME_SPANS_MAX; i++) {
		free(piece[i]);
		piece[i] = NULL;
	}
}

static void lend(const uint8_t *bytes, uint32_t len)
{
	uint32_t i = lent.span_count++;

	piece[i] = malloc(len ? len : 1);
	memcpy(piece[i], bytes, len);
	lent.span[i] = (struct span){piece[i], len};
	lent.len += len;
}

enum net_verdict feed_spans(struct world *w, const uint8_t *bytes, uint32_t len,
			    const uint32_t *cut, uint32_t cuts, uint8_t csum)
{
	feed_release();
	lent = (struct frame){.csum = csum};
	for (uint32_t i = 0; i < cuts; i++) {
		lend(bytes, cut[i]);
		bytes += cut[i];
		len -= cut[i];
	}
	lend(bytes, len);
	return net_input(w->net, 0, &lent, w->now, &w->out);
}

enum net_verdict feed(struct world *w, uint32_t interface, const uint8_t *bytes, uint32_t len)
{
	feed_release();
	lent = (struct frame){0};
	lend(bytes, len);
	return net_input(w->net, interface, &lent, w->now, &w->out);
}

/* --- crafting ---------------------------------------------------------------------- */

uint16_t plain_sum(const void *data, uint32_t len, uint32_t sum)
{
	const uint8_t *p = data;

	for (uint32_t i = 0; i < len; i++) {
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)sum;
}

uint32_t put_eth(uint8_t *f, const uint8_t dst[6], const uint8_t src[6], uint16_t type)
{
	memcpy(f, dst, 6);
	memcpy(f + 6, src, 6);
	put_be16(f + 12, type);
	return 14;
}

uint32_t put_arp(uint8_t *f, const uint8_t dst[6], uint16_t op, const char *sender,
		 const uint8_t smac[6], const char *target)
{
	static const uint8_t fixed[6] = {0, 1, 8, 0, 6, 4};
	struct addr s = A(sender), t = A(target);

	memset(f, 0, 60);
	put_eth(f, dst, smac, 0x0806);
	memcpy(f + 14, fixed, 6);
	put_be16(f + 20, op);
	memcpy(f + 22, smac, 6);
	memcpy(f + 28, s.b + 12, 4);
	memcpy(f + 38, t.b + 12, 4);
	return 60;
}

static uint32_t pseudo(const struct addr *src, const struct addr *dst, uint8_t protocol,
		       uint32_t len)
{
	uint32_t at = addr_is4(src) ? 12 : 0;

	return plain_sum(dst->b + at, 16 - at, plain_sum(src->b + at, 16 - at, protocol + len));
}

static void put_sum(uint8_t *field, uint8_t *message, uint32_t len, uint32_t sum)
{
	put_be16(field, 0);
	put_be16(field, (uint16_t)~plain_sum(message, len, sum));
}

static void fill_l4(uint8_t *l4, const struct addr *src, const struct addr *dst, uint8_t protocol,
		    uint32_t len)
{
	uint32_t sum = pseudo(src, dst, protocol, len);

	if (protocol == 6 && len >= 18)
		put_sum(l4 + 16, l4, len, sum);
	else if (protocol == 1 && len >= 4)
		put_sum(l4 + 2, l4, len, 0);
	else if (protocol == 58 && len >= 4)
		put_sum(l4 + 2, l4, len, sum);
}

void fix_ip4(uint8_t *f)
{
	put_sum(f + 24, f + 14, (f[14] & 15u) * 4u, 0);
}

uint32_t put_ip4(uint8_t *f, const char *src, const char *dst, uint8_t protocol, const void *l4,
		 uint32_t len)
{
	struct addr s = A(src), d = A(dst);

	put_eth(f, mac_if[0], mac_peer, 0x0800);
	memset(f + 14, 0, 20);
	f[14] = 0x45;
	put_be16(f + 16, (uint16_t)(20 + len));
	f[22] = 61;
	f[23] = protocol;
	memcpy(f + 26, s.b + 12, 4);
	memcpy(f + 30, d.b + 12, 4);
	fix_ip4(f);
	memcpy(f + 34, l4, len);
	fill_l4(f + 34, &s, &d, protocol, len);
	return 34 + len;
}

uint32_t put_ip6(uint8_t *f, const char *src, const char *dst, uint8_t protocol, const void *l4,
		 uint32_t len)
{
	struct addr s = A(src), d = A(dst);

	put_eth(f, mac_if[0], mac_peer, 0x86dd);
	memset(f + 14, 0, 8);
	f[14] = 0x60;
	put_be16(f + 18, (uint16_t)len);
	f[20] = protocol;
	f[21] = protocol == 58 ? 255 : 61;
	memcpy(f + 22, s.b, 16);
	memcpy(f + 38, d.b, 16);
	memcpy(f + 54, l4, len);
	fill_l4(f + 54, &s, &d, protocol, len);
	return 54 + len;
}

uint32_t put_tcp(uint8_t *l4, uint16_t sport, uint16_t dport, uint32_t seq, uint32_t payload)
{
	memset(l4, 0, 20);
	put_be16(l4, sport);
	put_be16(l4 + 2, dport);
	put_be32(l4 + 4, seq);
	l4[12] = 0x50;
	l4[13] = 0x10;
	for (uint32_t i = 0; i < payload; i++)
		l4[20 + i] = (uint8_t)(i * 7 + 3);
	return 20 + payload;
}

uint32_t put_nd(uint8_t *l4, uint8_t type, uint8_t flags, const char *target, uint8_t option,
		const uint8_t mac[6])
{
	struct addr t = A(target);

	memset(l4, 0, 32);
	l4[0] = type;
	l4[4] = flags;
	memcpy(l4 + 8, t.b, 16);
	if (!option)
		return 24;
	l4[24] = option;
	l4[25] = 1;
	memcpy(l4 + 26, mac, 6);
	return 32;
}

/* --- using ------------------------------------------------------------------------- */

int send_tcp(struct world *w, struct net_route *r, const char *dst, uint32_t payload,
	     uint16_t gso_size)
{
	static uint8_t buffer[NET_HEADROOM + 70000];
	struct addr d = A(dst);
	uint8_t *l4 = buffer + NET_HEADROOM;
	struct net_send s = {
	    .src = &r->src, .dst = &d, .l4 = l4, .l4_len = 20, .gso_size = gso_size};

	put_tcp(l4, 80, 4000, 1000, payload);
	if (payload) {
		uint32_t first =
		    payload / 2 | 1u; /* odd, so that the second begins at an odd offset */

		s.data[s.data_count++] = (struct span){l4 + 20, first};
		if (payload > first)
			s.data[s.data_count++] = (struct span){l4 + 20 + first, payload - first};
	}
	return net_send(w->net, r, &s, w->now);
}

void know_peer4(struct world *w, const char *addr)
{
	struct net_route r;
	struct addr d = A(addr);
	uint8_t f[60];

	assert_int_equal(net_route(w->net, &d, NULL, &r), 0);
	assert_int_equal(send_tcp(w, &r, addr, 0, 0), 0);
	feed(w, r.interface, f,
	     put_arp(f, mac_if[r.interface], 2, addr, mac_peer,
		     r.interface ? "10.1.0.1" : "10.0.0.1"));
	world_pass(w, 0);
	assert_string_equal(neighbour_state(w, addr), "reachable");
	world_quiet(w);
}

void know_peer6(struct world *w, const char *addr)
{
	struct net_route r;
	struct addr d = A(addr);
	uint8_t l4[32], f[100];

	assert_int_equal(net_route(w->net, &d, NULL, &r), 0);
	assert_int_equal(send_tcp(w, &r, addr, 0, 0), 0);
	feed(w, 0, f,
	     put_ip6(f, addr, "fd00::1", 58, l4, put_nd(l4, 136, 0x60, addr, 2, mac_peer)));
	world_pass(w, 0);
	assert_string_equal(neighbour_state(w, addr), "reachable");
	world_quiet(w);
}

const char *neighbour_state(struct world *w, const char *addr)
{
	struct net_neighbour_info n;
	struct addr a = A(addr);
	uint32_t at = 0;

	while (net_next_neighbour(w->net, &at, w->now, &n)) {
		if (addr_equal(&n.addr, &a))
			return n.state;
	}
	return NULL;
}

void assert_sums(const struct record *r)
{
	bool ip4 = get_be16(r->bytes + 12) == 0x0800;
	uint32_t header = ip4 ? 20 : 40;
	const uint8_t *ip = r->bytes + 14, *l4 = ip + header;
	uint32_t len = r->len - 14 - header;
	uint8_t protocol = ip4 ? ip[9] : ip[6];
	struct addr src, dst;

	assert_true(r->flushed);
	if (ip4) {
		assert_int_equal(plain_sum(ip, 20, 0), 0xffff);
		assert_int_equal(get_be16(ip + 2), r->len - 14);
		src = addr_from4(ip + 12);
		dst = addr_from4(ip + 16);
	} else {
		assert_int_equal(get_be16(ip + 4), len);
		memcpy(src.b, ip + 8, 16);
		memcpy(dst.b, ip + 24, 16);
	}
	assert_int_equal(plain_sum(l4, len, protocol == 1 ? 0 : pseudo(&src, &dst, protocol, len)),
			 0xffff);
}
