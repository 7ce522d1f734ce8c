/* SPDX-License-Identifier: BSD-2-Clause */
/* control_part.h - what the files control*.c and metrics.c share: a request and its answer. */
#ifndef STACKD_CONTROL_PART_H
#define STACKD_CONTROL_PART_H

#include "control.h"

#define CONTROL_WORDS_MAX   32u
#define CONTROL_REQUEST_MAX 4096u	  /* bytes of a request */
#define CONTROL_ANSWER_MAX  (64u << 20) /* bytes of an answer */

/* An answer that goes on: what happens from now on, until its reader goes or it has said all. */
struct control_stream {
	/* Every CONTROL_TICK_MS: appends what there is to `out`, as much as fits; what does not fit is
	 * lost, and counted by it.  `ending`: the last time.  False: that was all. */
	bool (*fill)(struct control_stream *, struct writer *out, bool ending);
	void (*close)(struct control_stream *); /* frees it */
};
#define CONTROL_TICK_MS	    10u
#define CONTROL_STREAM_MAX  (4u << 20) /* bytes that wait for a stream's reader */

struct control_request {
	const struct control_context *context;
	const char *word[CONTROL_WORDS_MAX + 1]; /* what follows the command's own words; ends with NULL */
	uint32_t word_count;
	bool may_change; /* root or the daemon's user asks */
	struct writer answer;
	struct control_stream *stream; /* set by a command whose answer goes on after `answer` */
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
int control_drain(struct control_request *);
int control_watch(struct control_request *);
int control_trace(struct control_request *);
int control_capture(struct control_request *);

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

/* CONN: LOCAL REMOTE as show conns prints them, or as one word LOCAL-REMOTE.  0 or -EINVAL. */
int conn_name_parse(const char *const *word, uint32_t count, struct endpoint *local, struct endpoint *remote);
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
/* The two ends alone. */
bool conn_filter_ends(const struct conn_filter *, const struct endpoint *local, const struct endpoint *remote);
/* Calls `see` for each connection, TIME-WAIT too, until it says false.  -ENOMEM, else 0. */
int control_each_conn(const struct control_context *,
		      bool (*see)(void *arg, uint32_t shard, const struct tcp_info *, ns_t now), void *arg);
/* True when there is a connection with these ends. */
bool control_conn_exists(const struct control_context *, const struct endpoint *local,
			 const struct endpoint *remote);

#endif
