/* SPDX-License-Identifier: BSD-2-Clause */
/* sweep_grid.c - the points of a sweep, and their transfers on all cores. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lab/sweep.h"

#define JOBS_MAX   256u
#define POINTS_MAX 100000u

const char *const sweep_axis_name[AXIS_MAX] = {
	"recovery", "cc", "ack", "rto", "loss", "ack-loss", "rtt", "rate", "queue", "size",
};

static const char *const axis_default[AXIS_MAX] = {
	"gbn,sr,reno,sack,racktlp", "cubic", "quick", "rfc6298", "0,1%,2%,5%", "0", "40ms", "10mbit",
	"100", "1MB",
};

#define NUMBER(name, type, min, max)                                                               \
	{                                                                                          \
		name, type, offsetof(struct sweep_value, number), "0", min, max, NULL, ""          \
	}
#define REAL(name)                                                                                 \
	{                                                                                          \
		name, KEY_REAL, offsetof(struct sweep_value, real), "0", "0", "1", NULL, ""        \
	}

static const struct key axis_key[AXIS_MAX] = {
	[AXIS_LOSS] = REAL("loss"),
	[AXIS_ACK_LOSS] = REAL("ack-loss"),
	[AXIS_RTT] = NUMBER("rtt", KEY_TIME, "0", "100s"),
	[AXIS_RATE] = NUMBER("rate", KEY_RATE, "0", NULL),
	[AXIS_QUEUE] = NUMBER("queue", KEY_U64, "1", "60000"),
	[AXIS_SIZE] = NUMBER("size", KEY_BYTES, "1", "4GB"),
};

static int complain(const char *what, const char *why)
{
	fprintf(stderr, "stackd-lab sweep: --%s: %s\n", what, why);
	return -1;
}

static int set_value(enum sweep_axis a, const char *text, size_t len, struct sweep_value *v)
{
	char error[KEY_ERROR_MAX];

	if (len == 0 || len >= sizeof(v->text))
		return complain(sweep_axis_name[a], "a value is empty or too long");
	memset(v, 0, sizeof(*v));
	memcpy(v->text, text, len);
	if (axis_key[a].name && key_set(&axis_key[a], v, v->text, error))
		return complain(sweep_axis_name[a], error);
	return 0;
}

int sweep_set_axis(struct sweep *s, enum sweep_axis a, const char *list)
{
	s->count[a] = 0;
	for (;;) {
		size_t len = strcspn(list, ",");

		if (s->count[a] == SWEEP_VALUES_MAX)
			return complain(sweep_axis_name[a], "more than 32 values");
		if (set_value(a, list, len, &s->value[a][s->count[a]]))
			return -1;
		s->count[a]++;
		if (!list[len])
			return 0;
		list += len + 1;
	}
}

int sweep_set_seeds(struct sweep *s, const char *range)
{
	char *end;

	s->seed_first = s->seed_last = strtoull(range, &end, 10);
	if (end != range && strncmp(end, "..", 2) == 0) {
		range = end + 2;
		s->seed_last = strtoull(range, &end, 10);
	}
	if (end == range || *end || s->seed_last < s->seed_first || s->seed_last - s->seed_first >= 1000000)
		return complain("seeds", "wanted is FIRST..LAST, a million at the most");
	return 0;
}

void sweep_defaults(struct sweep *s)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	memset(s, 0, sizeof(*s));
	for (enum sweep_axis a = 0; a < AXIS_MAX; a++)
		sweep_set_axis(s, a, axis_default[a]);
	sweep_set_seeds(s, "1..20");
	s->jobs = cpus > 0 ? (uint32_t)cpus : 1;
}

/* --- points ---------------------------------------------------------------------------------------- */

static bool advance(const struct sweep *s, uint32_t at[AXIS_MAX], enum sweep_axis last)
{
	for (int a = (int)last; a >= 0; a--) {
		if (++at[a] < s->count[a])
			return true;
		at[a] = 0;
	}
	return false;
}

static int make_rules(struct sweep *s, const uint32_t at[AXIS_MAX], struct plugins *plugins, uint32_t i)
{
	char text[sizeof(s->settings) + 512], error[CONFIG_ERROR_MAX];

	snprintf(text, sizeof(text), "tcp.recovery=%s\ntcp.cc=%s\ntcp.ack=%s\ntcp.rto=%s\n%s",
		 s->value[AXIS_RECOVERY][at[AXIS_RECOVERY]].text, s->value[AXIS_CC][at[AXIS_CC]].text,
		 s->value[AXIS_ACK][at[AXIS_ACK]].text, s->value[AXIS_RTO][at[AXIS_RTO]].text, s->settings);
	if (!lab_rules_make(&s->rules[i], plugins, text, error))
		return 0;
	fprintf(stderr, "stackd-lab sweep: %s\n", error);
	return -1;
}

static int make_policies(struct sweep *s, struct plugins *plugins)
{
	uint32_t at[AXIS_MAX] = {0};
	uint32_t most = s->count[AXIS_RECOVERY] * s->count[AXIS_CC] * s->count[AXIS_ACK] * s->count[AXIS_RTO];

	s->rules = lab_alloc(most * sizeof(s->rules[0]));
	do {
		if (make_rules(s, at, plugins, s->policies))
			return -1;
		s->policies++;
	} while (advance(s, at, AXIS_RTO));
	return 0;
}

static void fill(struct sweep *s, struct sweep_point *p, const uint32_t at[AXIS_MAX])
{
	const struct sweep_value *v[AXIS_MAX];
	uint32_t policy = 0;

	memcpy(p->at, at, sizeof(p->at));
	for (enum sweep_axis a = 0; a < AXIS_MAX; a++)
		v[a] = &s->value[a][at[a]];
	for (enum sweep_axis a = AXIS_RECOVERY; a <= AXIS_RTO; a++)
		policy = policy * s->count[a] + at[a];
	p->rules = &s->rules[policy];
	p->link = (struct bulk_link){.loss = v[AXIS_LOSS]->real, .ack_loss = v[AXIS_ACK_LOSS]->real,
				     .rtt_ns = v[AXIS_RTT]->number, .rate_bps = v[AXIS_RATE]->number,
				     .queue = (uint32_t)v[AXIS_QUEUE]->number};
	p->bytes = v[AXIS_SIZE]->number;
	p->run = lab_alloc(s->seeds * sizeof(p->run[0]));
}

int sweep_prepare(struct sweep *s, struct plugins *plugins)
{
	uint32_t at[AXIS_MAX] = {0};
	uint64_t points = 1;

	if (make_policies(s, plugins))
		return -1;
	for (enum sweep_axis a = 0; a < AXIS_MAX; a++)
		points *= s->count[a];
	if (points > POINTS_MAX) {
		fprintf(stderr, "stackd-lab sweep: %llu points are too many\n", (unsigned long long)points);
		return -1;
	}
	s->seeds = (uint32_t)(s->seed_last - s->seed_first + 1);
	s->point = lab_alloc(points * sizeof(s->point[0]));
	do
		fill(s, &s->point[s->points++], at);
	while (advance(s, at, AXIS_MAX - 1));
	return 0;
}

void sweep_free(struct sweep *s)
{
	for (uint32_t i = 0; i < s->points; i++)
		free(s->point[i].run);
	for (uint32_t i = 0; i < s->policies; i++)
		lab_rules_free(&s->rules[i]);
	free(s->point);
	free(s->rules);
}

/* --- transfers ------------------------------------------------------------------------------------- */

struct work {
	struct sweep *s;
	bool progress;
	_Atomic uint64_t next, done;
};

static void transfer(struct sweep *s, uint64_t i)
{
	struct sweep_point *p = &s->point[i / s->seeds];
	struct sweep_run *r = &p->run[i % s->seeds];

	r->seed = s->seed_first + i % s->seeds;
	bulk_run(p->rules->rules, &p->link, p->bytes, r->seed, false, &r->result);
}

static void *worker(void *arg)
{
	struct work *w = arg;
	uint64_t all = (uint64_t)w->s->points * w->s->seeds, i;

	while ((i = atomic_fetch_add(&w->next, 1)) < all) {
		transfer(w->s, i);
		i = atomic_fetch_add(&w->done, 1) + 1;
		if (w->progress && (i % 8 == 0 || i == all))
			fprintf(stderr, "\r%llu of %llu transfers ", (unsigned long long)i,
				(unsigned long long)all);
	}
	return NULL;
}

void sweep_run_all(struct sweep *s, bool progress)
{
	struct work w = {.s = s, .progress = progress};
	pthread_t thread[JOBS_MAX];
	uint32_t n = 0;

	while (n + 1 < s->jobs && n < JOBS_MAX && pthread_create(&thread[n], NULL, worker, &w) == 0)
		n++;
	worker(&w);
	while (n > 0)
		pthread_join(thread[--n], NULL);
	if (progress)
		fprintf(stderr, "\r%40s\r", "");
}
