/* SPDX-License-Identifier: BSD-2-Clause */
/* control_part.h - what the files control*.c and metrics.c share: a request and its answer. */
#ifndef STACKD_CONTROL_PART_H
#define STACKD_CONTROL_PART_H

#include "control.h"

#define CONTROL_WORDS_MAX   32u
#define CONTROL_REQUEST_MAX 4096u	  /* bytes of a request */
#define CONTROL_ANSWER_MAX  (64u << 20) /* bytes of an answer */

struct control_request {
	const struct control_context *context;
	const char *word[CONTROL_WORDS_MAX + 1]; /* what follows the command's own words; ends with NULL */
	uint32_t word_count;
	bool may_change; /* root or the daemon's user asks */
	struct writer answer;
	char error[CONFIG_ERROR_MAX]; /* why it was refused */
};

/* Takes a request apart: the words point into `text`.  1: complete; 0: more must come; -EINVAL: too
 * many words, or no end within CONTROL_REQUEST_MAX bytes. */
int control_parse(const char *text, size_t len, const char *word[static CONTROL_WORDS_MAX + 1],
		  uint32_t *count);

/* Finds and runs the command; 0, or -errno with a sentence in r->error.  Takes --json out of the
 * words and starts r->answer, which the caller frees in any case. */
int control_run(struct control_request *r);

/* The commands; each 0 or -errno with a sentence. */
int control_show_conns(struct control_request *);
int control_kill(struct control_request *);
int control_show_listeners(struct control_request *);
int control_show_shards(struct control_request *);
int control_show_clients(struct control_request *);
int control_show_interfaces(struct control_request *);
int control_show_plugins(struct control_request *);
int control_show_drops(struct control_request *);
int control_show_memory(struct control_request *);
int control_show_config(struct control_request *);
int control_metrics(struct control_request *);

int control_refuse(struct control_request *, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* --- asking the shards ------------------------------------------------------------------------- */

struct shard_facts {
	struct shard_stats stats;
	struct counters counters;
	uint32_t driver_count;
	struct driver_caps caps[INTERFACES_MAX];
	struct driver_stats driver[INTERFACES_MAX];
};
void control_shard_facts(struct shard *, struct shard_facts *out);

/* --- which connections --------------------------------------------------------------------------- */

/* All that is set must match. */
struct conn_filter {
	struct prefix local, remote; /* bits 0: any */
	uint16_t local_port, remote_port; /* 0: any */
	char state[16], recovery[16], cc[16]; /* "": any */
};
/* "state established", "src 10.0.0.0/8", "dst [fd00::1]:80", "sport :80", "dport = 443", "recovery
 * gbn", "cc cubic"; joined by blanks or "and".  0 or -EINVAL with a sentence. */
int conn_filter_parse(const char *const *word, struct conn_filter *out, char error[static CONFIG_ERROR_MAX]);
bool conn_filter_matches(const struct conn_filter *, const struct tcp_info *);

#endif
