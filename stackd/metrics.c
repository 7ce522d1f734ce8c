/* SPDX-License-Identifier: BSD-2-Clause */
/* metrics.c - Prometheus' text format (0.0.4): every counter, shard and interface. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "control_part.h"

static void head(struct writer *w, const char *name, const char *type, const char *help)
{
	writer_raw(w, "# HELP stackd_%s %s\n# TYPE stackd_%s %s\n", name, help, name, type);
}

static void counters(struct writer *w, const struct shard_facts *facts, uint32_t shards)
{
	char name[80];

	for (int i = 0; i < COUNT_MAX; i++) {
		snprintf(name, sizeof(name), "%s_total", count_info[i].name);
		head(w, name, "counter", count_info[i].sentence);
		for (uint32_t s = 0; s < shards; s++)
			writer_raw(w, "stackd_%s{shard=\"%u\"} %llu\n", name, s,
				   (unsigned long long)facts[s].counters.n[i]);
	}
}

static void shard_figures(struct writer *w, const struct shard_facts *facts, uint32_t shards)
{
	static const struct {
		const char *name, *type, *help;
	} figure[] = {
	    {"connections", "gauge", "connections there are"},
	    {"listeners", "gauge", "listeners there are"},
	    {"sockets", "gauge", "sockets there are"},
	    {"shard_loops_total", "counter", "rounds of the shard's loop"},
	    {"shard_sleeps_total", "counter", "times that the shard went to sleep"},
	    {"shard_busy_seconds_total", "counter", "time spent working"},
	    {"shard_idle_seconds_total", "counter", "time spent looking for work or asleep"},
	};

	for (size_t f = 0; f < array_count(figure); f++) {
		head(w, figure[f].name, figure[f].type, figure[f].help);
		for (uint32_t s = 0; s < shards; s++) {
			const struct shard_stats *t = &facts[s].stats;
			const double value[] = {t->connections,	      t->listeners,
						t->sockets,	      (double)t->loops,
						(double)t->sleeps,    (double)t->busy_ns / 1e9,
						(double)t->idle_ns / 1e9};

			writer_raw(w, "stackd_%s{shard=\"%u\"} %.16g\n", figure[f].name, s, value[f]);
		}
	}
}

static void interface_figures(struct writer *w, const struct config *config,
			      const struct shard_facts *facts, uint32_t shards)
{
	static const struct {
		const char *name, *help;
		size_t offset;
	} figure[] = {
	    {"interface_rx_frames_total", "frames received", offsetof(struct driver_stats, rx_frames)},
	    {"interface_rx_bytes_total", "bytes received", offsetof(struct driver_stats, rx_bytes)},
	    {"interface_rx_dropped_total", "frames dropped by the kernel or a full ring",
	     offsetof(struct driver_stats, rx_dropped)},
	    {"interface_tx_frames_total", "frames sent", offsetof(struct driver_stats, tx_frames)},
	    {"interface_tx_bytes_total", "bytes sent", offsetof(struct driver_stats, tx_bytes)},
	    {"interface_tx_dropped_total", "frames refused below the driver",
	     offsetof(struct driver_stats, tx_dropped)},
	    {"interface_fault_lost_total", "frames lost by the impairment",
	     offsetof(struct driver_stats, fault_lost)},
	};
	struct config_interface interface;

	for (size_t f = 0; f < array_count(figure); f++) {
		head(w, figure[f].name, "counter", figure[f].help);
		for (uint32_t s = 0; s < shards; s++)
			for (uint32_t i = 0; i < facts[s].driver_count; i++) {
				const char *stats = (const char *)&facts[s].driver[i];

				config_interface(config, i, &interface);
				writer_raw(w, "stackd_%s{interface=\"%s\",shard=\"%u\"} %llu\n",
					   figure[f].name, interface.name, s,
					   *(const unsigned long long *)(const void *)(stats +
										       figure[f].offset));
			}
	}
}

int control_metrics(struct control_request *r)
{
	const struct control_context *c = r->context;
	struct shard_facts *facts = calloc(c->shard_count, sizeof(*facts));

	if (!facts)
		return control_refuse(r, -ENOMEM, "out of memory");
	for (uint32_t s = 0; s < c->shard_count; s++)
		control_shard_facts(c->shards[s], &facts[s]);
	writer_free(&r->answer);
	writer_init(&r->answer, false, CONTROL_ANSWER_MAX);
	counters(&r->answer, facts, c->shard_count);
	shard_figures(&r->answer, facts, c->shard_count);
	interface_figures(&r->answer, c->config, facts, c->shard_count);
	free(facts);
	return 0;
}
