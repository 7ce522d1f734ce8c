/* SPDX-License-Identifier: BSD-2-Clause */
#include "interfaces.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "log.h"

static void driver_config(const struct config_interface *c, uint32_t shard, uint32_t shards,
			  const struct addr *addresses, struct driver_config *out)
{
	*out = (struct driver_config){
		.interface = c->name,
		.shard = shard,
		.shards = shards,
		.queues = c->queues,
		.mode = (enum af_xdp_mode)c->mode,
		.require_zerocopy = c->require == CONFIG_REQUIRE_ZEROCOPY,
		.require_native = c->require == CONFIG_REQUIRE_NATIVE,
		.prefer_native = c->has_fault,
		.addresses = addresses,
		.address_count = c->address_count,
	};
}

/* AF_XDP, and if it can't be had and needn't be, AF_PACKET with the reason said. */
static int open_bare(const struct config_interface *c, const struct driver_config *d, struct driver **out,
		     char error[static DRIVER_ERROR_MAX])
{
	char why[DRIVER_ERROR_MAX];
	int err;

	if (c->driver == CONFIG_DRIVER_AF_PACKET)
		return af_packet_open(d, out, error);
	err = af_xdp_open(d, out, error);
	if (err == 0 || err == -ENODEV || c->driver == CONFIG_DRIVER_AF_XDP || c->require != CONFIG_REQUIRE_NOTHING)
		return err;
	memcpy(why, error, sizeof(why));
	err = af_packet_open(d, out, error);
	if (err == 0)
		snprintf((*out)->caps.why_not_better, sizeof((*out)->caps.why_not_better), "%.159s", why);
	return err;
}

static int open_one(const struct config_interface *c, uint32_t shard, uint32_t shards, struct driver **out,
		    char error[static DRIVER_ERROR_MAX])
{
	struct addr addresses[ADDRESSES_MAX];
	struct fault_config fault = c->fault;
	struct driver_config d;
	struct driver *bare;
	int err;

	for (uint32_t i = 0; i < c->address_count; i++)
		addresses[i] = c->address[i].addr;
	driver_config(c, shard, shards, addresses, &d);
	err = open_bare(c, &d, &bare, error);
	if (err)
		return err;
	*out = bare;
	if (!c->has_fault)
		return 0;
	fault.seed += shard;
	err = faulty_wrap(bare, &fault, out);
	if (err) {
		snprintf(error, DRIVER_ERROR_MAX, "no memory for the fault's frames");
		bare->ops->close(bare);
		*out = NULL;
	}
	return err;
}

static void say(const struct config_interface *c, const struct driver_caps *caps)
{
	log_info("interface %s: driver %s, %s, mtu %u, segments up to %u bytes%s%s%s", c->name, caps->name,
		 caps->mode, caps->mtu, caps->gso_max, caps->zero_copy ? ", zero-copy" : "",
		 caps->why_not_better[0] ? "; not better because: " : "", caps->why_not_better);
	if (c->has_fault)
		log_info("interface %s: fault = %s", c->name, c->fault_text);
}

int interfaces_open(const struct config *config, uint32_t shards, struct interfaces *out,
		    char error[static CONFIG_ERROR_MAX])
{
	char why[DRIVER_ERROR_MAX];
	int err = 0;

	memset(out, 0, sizeof(*out));
	out->count = config_interface_count(config);
	for (uint32_t i = 0; i < out->count && !err; i++) {
		config_interface(config, i, &out->config[i]);
		for (uint32_t s = 0; s < shards && !err; s++)
			err = open_one(&out->config[i], s, shards, &out->driver[s][i], why);
		if (!err)
			say(&out->config[i], &out->driver[0][i]->caps);
		else
			snprintf(error, CONFIG_ERROR_MAX, "interface %s: %s", out->config[i].name, why);
	}
	for (uint32_t s = 0; err && s < shards; s++)
		for (uint32_t i = 0; i < out->count; i++)
			if (out->driver[s][i])
				out->driver[s][i]->ops->close(out->driver[s][i]);
	return err;
}

void interfaces_give(struct interfaces *all, uint32_t shard, struct shard_config *out)
{
	out->net.interface_count = all->count;
	for (uint32_t i = 0; i < all->count; i++) {
		const struct config_interface *c = &all->config[i];
		struct net_if_config *n = &out->net.interface[i];

		out->driver[i] = all->driver[shard][i];
		all->driver[shard][i] = NULL;
		memcpy(n->address, c->address, sizeof(n->address));
		n->address_count = c->address_count;
		n->gateway4 = c->gateway4;
		n->gateway6 = c->gateway6;
		n->rx_csum = (enum rx_csum)c->rx_csum;
		n->mtu = (uint32_t)c->mtu;
		snprintf(n->name, sizeof(n->name), "%s", c->name);
	}
}

static void add_route(struct stackd_board *b, uint32_t interface, const char *name,
		      const struct prefix *p, bool own)
{
	struct stackd_route *r = &b->route[b->route_count];

	if (b->route_count == STACKD_ROUTES_MAX) {
		log_warning("more than %u routes: clients do not learn of all", STACKD_ROUTES_MAX);
		return;
	}
	memcpy(r->addr, p->addr.b, 16);
	r->bits = own ? 128 : p->bits;
	r->own = own;
	r->interface = (uint8_t)interface;
	r->ifindex = if_nametoindex(name);
	b->route_count++;
}

static void add_text_route(struct stackd_board *b, uint32_t interface, const char *name,
			   const char *text)
{
	struct prefix p;

	if (prefix_parse(text, &p) == 0)
		add_route(b, interface, name, &p, false);
}

void interfaces_routes(const struct interfaces *all, struct stackd_board *b)
{
	for (uint32_t i = 0; i < all->count; i++) {
		const struct config_interface *c = &all->config[i];

		for (uint32_t k = 0; k < c->address_count; k++) {
			add_route(b, i, c->name, &c->address[k], true);
			add_route(b, i, c->name, &c->address[k], false);
		}
		if (!addr_is_unspecified(&c->gateway4))
			add_text_route(b, i, c->name, "0.0.0.0/0");
		if (addr_is_unspecified(&c->gateway6))
			continue;
		/* not ::/0, which holds the v4-mapped addresses too */
		add_text_route(b, i, c->name, "2000::/3");
		add_text_route(b, i, c->name, "fc00::/7");
	}
}

void interfaces_describe(const struct config *config, void (*tell)(const char *))
{
	static const char *const driver_name[] = {"auto", "af_xdp", "af_packet"};
	char line[512], text[ADDR_TEXT_MAX];

	for (uint32_t i = 0; i < config_interface_count(config); i++) {
		struct config_interface c;
		int n;

		config_interface(config, i, &c);
		n = snprintf(line, sizeof(line), "would open interface %s, driver %s, addresses", c.name,
			     driver_name[c.driver]);
		for (uint32_t k = 0; k < c.address_count && n > 0 && (size_t)n < sizeof(line); k++)
			n += snprintf(line + n, sizeof(line) - (size_t)n, " %s", prefix_format(&c.address[k], text));
		tell(line);
	}
}
