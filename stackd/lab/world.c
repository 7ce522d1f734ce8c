/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/world.h"

#include <string.h>

#define LINK_DEPTH 1024u
#define START_NS   (1000 * NS_PER_S) /* not 0, so that a forgotten time shows */
#define LOCAL_PORT 40000u

static const char *const address4[2] = {"10.0.0.1/24", "10.0.0.2/24"};
static const char *const address6[2] = {"fd00::1/64", "fd00::2/64"};

static struct driver *impaired(struct driver *inner, const struct lab_world_config *c, unsigned i)
{
	struct fault_config fault;
	struct driver *out;

	if (!c->fault[i])
		return inner;
	fault = *c->fault[i];
	fault.direction = FAULT_OUT;
	fault.seed = c->seed * 2 + i;
	if (faulty_wrap(inner, &fault, &out))
		lab_fail("the impairment could not be made");
	return out;
}

static struct lab_host *make(const struct lab_world_config *c, unsigned i, struct driver *driver,
			     ns_t now)
{
	struct lab_host_config host = {
		.address = c->v6 ? address6[i] : address4[i],
		.driver = driver,
		.rules = c->rules[i],
		.seed = c->seed * 2 + i,
		.ring_bytes = c->ring_bytes[i],
		.lenient = c->lenient,
		.burst = c->burst,
	};

	return lab_host_create(&host, now);
}

void lab_world_open(struct lab_world *w, const struct lab_world_config *c)
{
	struct pair_config pair = {.mtu = c->mtu, .depth = LINK_DEPTH,
				   .mac = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}}};
	struct driver *end[2];

	memset(w, 0, sizeof(*w));
	w->now = START_NS;
	w->introduced = c->introduced;
	if (pair_open(&pair, end))
		lab_fail("the link could not be made");
	for (unsigned i = 0; i < 2; i++) {
		end[i] = impaired(end[i], c, i);
		if (c->wrap)
			end[i] = c->wrap(c->wrap_arg, i, end[i]);
		if (c->see)
			end[i] = tap_wrap(end[i], i, c->see, c->see_arg);
		w->host[i] = make(c, i, end[i], w->now);
	}
	if (lab_listen(w->host[1], LAB_PORT, 16))
		lab_fail("listening failed");
}

void lab_world_close(struct lab_world *w)
{
	lab_host_destroy(w->host[0]);
	lab_host_destroy(w->host[1]);
}

struct lab_stream *lab_world_connect(struct lab_world *w, const struct lab_stream *what)
{
	struct lab_stream *s = lab_connect(w->host[0], &w->host[1]->address, LAB_PORT, LOCAL_PORT, what,
					   w->now);

	if (!s)
		lab_fail("connecting was refused");
	return s;
}

struct lab_stream *lab_world_accepted(const struct lab_world *w)
{
	return w->host[1]->stream_count ? w->host[1]->stream[0] : NULL;
}

uint32_t lab_host_connections(struct lab_host *h, ns_t now)
{
	struct tcp_conn *conn;
	struct tcp_info info;
	uint64_t cursor = 0;
	uint32_t n = 0;

	while (tcp_next_conn(h->tcp, &cursor, &conn, &info, now))
		n += conn != NULL;
	return n;
}
