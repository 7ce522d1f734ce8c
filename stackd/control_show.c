/* SPDX-License-Identifier: BSD-2-Clause */
/* control_show.c - shards, interfaces, listeners, clients, plugins, drops, memory, config. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "control_part.h"

static void collect_facts(struct shard *s, void *arg)
{
	struct shard_facts *out = arg;

	shard_stats(s, &out->stats);
	out->counters = *shard_counters(s);
	out->driver_count = shard_driver_count(s);
	for (uint32_t i = 0; i < out->driver_count; i++) {
		struct driver *d = shard_driver(s, i);

		out->caps[i] = d->caps;
		d->ops->stats(d, &out->driver[i]);
	}
}

void control_shard_facts(struct shard *s, struct shard_facts *out)
{
	memset(out, 0, sizeof(*out));
	shard_call(s, collect_facts, out);
}

int control_show_shards(struct control_request *r)
{
	static const struct writer_column columns[] = {
	    {"shard", "Shard", 5},	  {"connections", "Connections", -11},
	    {"listeners", "Listeners", -9}, {"sockets", "Sockets", -8},
	    {"loops", "Loops", -12},	  {"sleeps", "Sleeps", -12},
	    {"busy", "Busy", -7},	  {0}};
	const struct control_context *c = r->context;
	struct writer *w = &r->answer;
	struct shard_facts facts;

	writer_table(w, "shards", columns);
	for (uint32_t i = 0; i < c->shard_count; i++) {
		const struct shard_stats *s = &facts.stats;
		double whole;

		control_shard_facts(c->shards[i], &facts);
		whole = (double)s->busy_ns + (double)s->idle_ns;
		writer_row(w);
		writer_u64(w, "shard", i);
		writer_u64(w, "connections", s->connections);
		writer_u64(w, "listeners", s->listeners);
		writer_u64(w, "sockets", s->sockets);
		writer_u64(w, "loops", s->loops);
		writer_u64(w, "sleeps", s->sleeps);
		writer_real(w, "busy", whole > 0 ? (double)s->busy_ns / whole : 0);
		writer_row_end(w);
	}
	writer_table_end(w);
	return 0;
}

static void interface_row(struct writer *w, const struct config_interface *i, uint32_t shard,
			  const struct driver_caps *caps, const struct driver_stats *s)
{
	char mac[18];

	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", caps->mac[0], caps->mac[1],
		 caps->mac[2], caps->mac[3], caps->mac[4], caps->mac[5]);
	writer_row(w);
	writer_text(w, "interface", i->name);
	writer_u64(w, "shard", shard);
	writer_text(w, "driver", caps->name);
	writer_text(w, "mode", caps->mode);
	writer_u64(w, "rx_frames", s->rx_frames);
	writer_u64(w, "rx_dropped", s->rx_dropped);
	writer_u64(w, "tx_frames", s->tx_frames);
	writer_u64(w, "tx_dropped", s->tx_dropped);
	writer_text(w, "mac", mac);
	writer_u64(w, "mtu", caps->mtu);
	writer_u64(w, "gso_max", caps->gso_max);
	writer_u64(w, "queues", caps->queues);
	writer_bool(w, "zero_copy", caps->zero_copy);
	writer_bool(w, "tx_csum", caps->tx_csum);
	writer_bool(w, "rx_csum", caps->rx_csum);
	writer_u64(w, "rx_bytes", s->rx_bytes);
	writer_u64(w, "tx_bytes", s->tx_bytes);
	if (i->has_fault) {
		writer_u64(w, "fault_lost", s->fault_lost);
		writer_u64(w, "fault_delayed", s->fault_delayed);
		writer_u64(w, "fault_reordered", s->fault_reordered);
		writer_u64(w, "fault_duplicated", s->fault_duplicated);
		writer_u64(w, "fault_corrupted", s->fault_corrupted);
		writer_u64(w, "fault_queue_full", s->fault_queue_full);
	}
	if (*caps->why_not_better)
		writer_text(w, "why_not_better", caps->why_not_better);
	writer_row_end(w);
}

int control_show_interfaces(struct control_request *r)
{
	static const struct writer_column columns[] = {
	    {"interface", "Interface", 15},    {"shard", "Shard", 5},
	    {"driver", "Driver", 16},	       {"mode", "Mode", 24},
	    {"rx_frames", "Rx-Frames", -12},   {"rx_dropped", "Rx-Drop", -8},
	    {"tx_frames", "Tx-Frames", -12},   {"tx_dropped", "Tx-Drop", -8},
	    {0}};
	const struct control_context *c = r->context;
	struct writer *w = &r->answer;
	struct config_interface interface;
	struct shard_facts facts;

	writer_table(w, "interfaces", columns);
	for (uint32_t s = 0; s < c->shard_count; s++) {
		control_shard_facts(c->shards[s], &facts);
		for (uint32_t i = 0; i < facts.driver_count; i++) {
			config_interface(c->config, i, &interface);
			interface_row(w, &interface, s, &facts.caps[i], &facts.driver[i]);
		}
	}
	writer_table_end(w);
	return 0;
}

int control_show_listeners(struct control_request *r)
{
	static const struct writer_column columns[] = {
	    {"state", "State", 10},	 {"waiting", "Recv-Q", -6},
	    {"backlog", "Send-Q", -6},	 {"local", "Local Address:Port", 28},
	    {"pid", "Process", 0},	 {0}};
	const struct control_context *c = r->context;
	struct writer *w = &r->answer;
	struct tcp_listener_info info;
	char local[ENDPOINT_TEXT_MAX];
	uint64_t cursor = 0;
	uint32_t pid = 0;

	if (!c->next_listener)
		return control_refuse(r, -EOPNOTSUPP, "this daemon can't list its listeners");
	writer_table(w, "listeners", columns);
	while (c->next_listener(c->arg, &cursor, &info, &pid)) {
		writer_row(w);
		writer_text(w, "state", tcp_state_name(TCP_LISTEN));
		writer_u64(w, "waiting", info.waiting);
		writer_u64(w, "backlog", info.backlog);
		writer_text(w, "local", endpoint_format(&info.local, local));
		writer_u64(w, "pid", pid);
		writer_u64(w, "handshakes", info.handshakes);
		writer_u64(w, "accepted", info.accepted);
		writer_u64(w, "refused", info.refused);
		writer_row_end(w);
	}
	writer_table_end(w);
	return 0;
}

int control_show_clients(struct control_request *r)
{
	if (!r->context->show_clients)
		return control_refuse(r, -EOPNOTSUPP, "this daemon can't list its clients");
	r->context->show_clients(r->context->arg, &r->answer);
	return 0;
}

int control_show_plugins(struct control_request *r)
{
	static const struct writer_column columns[] = {{"kind", "Kind", 8},
						       {"name", "Name", 15},
						       {"version", "Version", 8},
						       {"summary", "Summary", 0},
						       {0}};
	struct writer *w = &r->answer;
	const struct plugin *p;

	writer_table(w, "plugins", columns);
	for (uint32_t i = 0; (p = plugins_at(r->context->plugins, i)); i++) {
		writer_row(w);
		writer_text(w, "kind", plugin_kind_name(p->plugin->kind));
		writer_text(w, "name", p->plugin->name);
		writer_text(w, "version", p->plugin->version);
		writer_text(w, "summary", p->plugin->summary);
		writer_text(w, "file", p->path ? p->path : "built in");
		if (plugins_is_hidden(r->context->plugins, p))
			writer_bool(w, "hidden", true);
		writer_row_end(w);
	}
	writer_table_end(w);
	return 0;
}

/* What was refused, and whose mistakes were caught; -a: all counters. */
int control_show_drops(struct control_request *r)
{
	static const struct writer_column columns[] = {
	    {"count", "Count", -12}, {"kind", "Kind", 5}, {"name", "Name", 22}, {"is", "Is", 0}, {0}};
	static const char *const kinds[] = {"fact", "drop", "fault"};
	const struct control_context *c = r->context;
	bool all = r->word_count > 0 && strcmp(r->word[0], "-a") == 0;
	struct writer *w = &r->answer;
	struct counters sum = {0};
	struct shard_facts facts;

	if (r->word_count > (uint32_t)all)
		return control_refuse(r, -EINVAL, "usage: show drops [-a]");
	for (uint32_t s = 0; s < c->shard_count; s++) {
		control_shard_facts(c->shards[s], &facts);
		for (int i = 0; i < COUNT_MAX; i++)
			sum.n[i] += facts.counters.n[i];
	}
	writer_table(w, "counters", columns);
	for (int i = 0; i < COUNT_MAX; i++) {
		if (!all && (count_info[i].kind == COUNT_FACT || sum.n[i] == 0))
			continue;
		writer_row(w);
		writer_u64(w, "count", sum.n[i]);
		writer_text(w, "kind", kinds[count_info[i].kind]);
		writer_text(w, "name", count_info[i].name);
		writer_text(w, "is", count_info[i].sentence);
		writer_row_end(w);
	}
	writer_table_end(w);
	return 0;
}

int control_show_memory(struct control_request *r)
{
	unsigned long long whole = 0, resident = 0, shared = 0;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), connections = 0;
	const struct control_context *c = r->context;
	FILE *f = fopen("/proc/self/statm", "re");
	struct shard_facts facts;

	if (!f || fscanf(f, "%llu %llu %llu", &whole, &resident, &shared) != 3)
		whole = resident = shared = 0;
	if (f)
		fclose(f);
	for (uint32_t s = 0; s < c->shard_count; s++) {
		control_shard_facts(c->shards[s], &facts);
		connections += facts.stats.connections;
	}
	writer_u64(&r->answer, "virtual_bytes", whole * page);
	writer_u64(&r->answer, "resident_bytes", resident * page);
	writer_u64(&r->answer, "shared_bytes", shared * page);
	writer_u64(&r->answer, "connections", connections);
	return 0;
}

int control_show_config(struct control_request *r)
{
	static const struct writer_column columns[] = {{"section", "Section", 20},
						       {"key", "Key", 20},
						       {"value", "Value", 24},
						       {"origin", "From", 0},
						       {0}};
	const struct control_context *c = r->context;
	struct writer *w = &r->answer;
	struct config_value v;
	uint32_t cursor = 0;

	writer_table(w, "config", columns);
	while (config_next(c->config, c->plugins, &cursor, &v)) {
		writer_row(w);
		writer_text(w, "section", v.section);
		writer_text(w, "key", v.key);
		writer_text(w, "value", v.value);
		writer_text(w, "origin", v.origin);
		writer_row_end(w);
	}
	writer_table_end(w);
	return 0;
}
