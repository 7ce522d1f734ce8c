/* SPDX-License-Identifier: BSD-2-Clause */
/* conform.c - `stackd-lab conform`: a plugin file under many simulated transfers, and what it must
 * never do.  It runs in a child, so that a crash or a loop without end is a verdict too. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab/bulk.h"
#include "lab/command.h"
#include "lab/rules.h"

static const char usage[] =
	"usage: stackd-lab conform [--seeds N] FILE.so\n"
	"\n"
	"Loads a plugin file and puts it to the test: transfers over good and bad links, with each of its\n"
	"parameters at its limits, twice with the same seed, on two threads at once.  One line for each\n"
	"rule.\n"
	"\n"
	"  --seeds N   transfers over each link (5)\n"
	"\n"
	"Exit 1 when a rule is broken.\n";

#define TIME_LIMIT_S 300u
#define SEEDS_MAX    1000u

struct bed {
	struct plugins *plugins;
	const struct plugin *plugin;
	const char *path;
	uint32_t seeds;
	uint32_t broken;
};

static const struct {
	const char *name;
	struct bulk_link link;
	uint64_t bytes;
} links[] = {
	{"a good link", {.rtt_ns = 20 * NS_PER_MS, .rate_bps = 20000000}, 300000},
	{"no delay", {.rtt_ns = 0}, 200000},
	{"2 % loss", {.loss = 0.02, .ack_loss = 0.02, .rtt_ns = 40 * NS_PER_MS, .rate_bps = 10000000}, 300000},
	{"25 % loss", {.loss = 0.25, .ack_loss = 0.25, .rtt_ns = 40 * NS_PER_MS}, 40000},
	{"half of the ACKs lost", {.ack_loss = 0.5, .rtt_ns = 40 * NS_PER_MS}, 200000},
	{"reordering", {.reorder = 0.2, .rtt_ns = 40 * NS_PER_MS}, 300000},
	{"duplicates", {.duplicate = 0.2, .loss = 0.02, .rtt_ns = 40 * NS_PER_MS}, 200000},
	{"damage", {.corrupt = 0.05, .rtt_ns = 40 * NS_PER_MS}, 100000},
	{"a short queue", {.rtt_ns = 60 * NS_PER_MS, .rate_bps = 5000000, .queue = 5}, 300000},
	{"jitter", {.jitter_ns = 80 * NS_PER_MS, .loss = 0.02, .rtt_ns = 20 * NS_PER_MS}, 200000},
	{"a satellite", {.loss = 0.01, .rtt_ns = 600 * NS_PER_MS, .rate_bps = 5000000}, 200000},
};

static const struct {
	enum count_id id;
	const char *rule;
} faults[] = {
	{COUNT_plugin_deadline_past, "its deadline is not again and again in the past"},
	{COUNT_plugin_cwnd_low, "cwnd is one MSS at least"},
	{COUNT_plugin_mark_sacked, "a sacked chunk is never marked lost"},
	{COUNT_plugin_bad_chunk, "only chunks of this connection are picked or marked"},
	{COUNT_plugin_bad_report, "only ranges that are held are reported"},
	{COUNT_plugin_bad_rto, "the RTO is above 0 and 120 s at the most"},
	{COUNT_plugin_ack_late, "an ACK is delayed by less than 500 ms"},
};

static void verdict(struct bed *b, bool ok, const char *rule, const char *detail)
{
	printf("%s  %s%s%s\n", ok ? "pass" : "FAIL", rule, *detail ? ": " : "", detail);
	fflush(stdout);
	b->broken += !ok;
}

static const char *policy_key(enum sp_kind kind)
{
	return kind == SP_RTO ? "rto" : kind == SP_ACK ? "ack" : kind == SP_RECOVERY ? "recovery" : "cc";
}

/* The plugin with one parameter at a value, or with its defaults. */
static void make_rules(const struct bed *b, const char *param, const char *value, struct lab_rules *out)
{
	const struct sp_plugin *p = b->plugin->plugin;
	char text[1024], error[CONFIG_ERROR_MAX];
	int n = snprintf(text, sizeof(text), "tcp.%s=%s\ntcp.retries=100\ntcp.syn-retries=100\n",
			 policy_key(p->kind), b->path);

	if (param)
		snprintf(text + n, sizeof(text) - (size_t)n, "plugin %s/%s.%s=%s\n", policy_key(p->kind),
			 p->name, param, value);
	if (lab_rules_make(out, b->plugins, text, error))
		lab_fail(error);
}

/* --- transfers over all links ------------------------------------------------------------------------- */

static void add_faults(struct counters *sum, const struct bulk_result *r)
{
	for (unsigned i = 0; i < array_count(faults); i++)
		sum->n[faults[i].id] += r->sent.n[faults[i].id] + r->got.n[faults[i].id];
}

static void over_link(struct bed *b, const struct lab_rules *rules, unsigned i, struct counters *sum)
{
	char rule[96], detail[96] = "";
	uint32_t lost = 0, wrong = 0;
	struct bulk_result r;

	for (uint32_t seed = 1; seed <= b->seeds; seed++) {
		bulk_run(rules->rules, &links[i].link, links[i].bytes, seed, true, &r);
		add_faults(sum, &r);
		lost += !r.complete;
		wrong += r.wrong;
	}
	snprintf(rule, sizeof(rule), "delivers all, and right: %s", links[i].name);
	if (lost + wrong)
		snprintf(detail, sizeof(detail), "%u of %u transfers not complete in an hour, %u wrong", lost,
			 b->seeds, wrong);
	verdict(b, lost + wrong == 0, rule, detail);
}

static void battery(struct bed *b, const struct lab_rules *rules)
{
	struct counters sum = {0};

	for (unsigned i = 0; i < array_count(links); i++)
		over_link(b, rules, i, &sum);
	for (unsigned i = 0; i < array_count(faults); i++) {
		char detail[64] = "";
		uint64_t n = sum.n[faults[i].id];

		if (n)
			snprintf(detail, sizeof(detail), "broken %llu times", (unsigned long long)n);
		verdict(b, n == 0, faults[i].rule, detail);
	}
}

/* --- parameters, repetition, threads, words ----------------------------------------------------------- */

static void at_limit(struct bed *b, const char *param, const char *which, const char *value)
{
	/* near enough that no time which may be configured is absurd */
	static const struct bulk_link near = {.loss = 0.02, .rtt_ns = NS_PER_MS / 2};
	struct lab_rules rules;
	struct bulk_result r;
	char rule[128];

	if (!value)
		return;
	make_rules(b, param, value, &rules);
	bulk_run(rules.rules, &near, 50000, 1, true, &r);
	lab_rules_free(&rules);
	snprintf(rule, sizeof(rule), "works with %s at its %s, %s", param, which, value);
	verdict(b, r.complete && !r.wrong, rule, "");
}

static void limits(struct bed *b)
{
	for (const struct key *k = b->plugin->keys; k && k->name; k++) {
		at_limit(b, k->name, "least", k->min);
		at_limit(b, k->name, "most", k->max);
	}
}

static bool same(const struct bulk_result *a, const struct bulk_result *b)
{
	return a->seconds == b->seconds && memcmp(&a->sent, &b->sent, sizeof(a->sent)) == 0 &&
	       memcmp(&a->got, &b->got, sizeof(a->got)) == 0;
}

struct job {
	const struct lab_rules *rules;
	uint64_t seed;
	struct bulk_result result;
};

static void *transfer(void *arg)
{
	struct job *j = arg;

	bulk_run(j->rules->rules, &links[2].link, links[2].bytes, j->seed, true, &j->result);
	return NULL;
}

static void repetition(struct bed *b, const struct lab_rules *rules)
{
	struct job first[2] = {{rules, 1, {0}}, {rules, 2, {0}}}, again = first[0], both[2];
	pthread_t thread;

	transfer(&first[0]);
	transfer(&first[1]);
	transfer(&again);
	verdict(b, same(&first[0].result, &again.result), "the same seed gives the same: no clock, no memory "
							  "of other connections", "");
	memcpy(both, first, sizeof(both));
	if (pthread_create(&thread, NULL, transfer, &both[0]))
		lab_fail("no thread");
	transfer(&both[1]);
	pthread_join(thread, NULL);
	verdict(b, same(&first[0].result, &both[0].result) && same(&first[1].result, &both[1].result),
		"connections on two threads do not touch each other", "");
}

static const char *described(const struct bed *b, const struct tcp_info *info)
{
	switch (b->plugin->plugin->kind) {
	case SP_RECOVERY:
		return info->describe[0];
	case SP_RTO:
		return info->describe[1];
	case SP_ACK:
		return info->describe[2];
	default:
		return info->describe[3];
	}
}

static bool words_are_pairs(const char *line)
{
	while (*line) {
		size_t len = strcspn(line, " ");
		const char *equals = memchr(line, '=', len);

		if (!equals || equals == line)
			return false;
		line += len + (line[len] == ' ');
	}
	return true;
}

static void words(struct bed *b, const struct lab_rules *rules)
{
	struct bulk_result r;
	const char *line;

	bulk_run(rules->rules, &links[2].link, links[2].bytes, 3, true, &r);
	line = described(b, &r.sender);
	verdict(b, words_are_pairs(line), "describe writes words key=value", *line ? line : "it has none");
}

/* --- all of it ---------------------------------------------------------------------------------------- */

static bool load(struct bed *b)
{
	static const enum sp_kind kinds[] = {SP_RECOVERY, SP_RTO, SP_ACK, SP_CC};
	char error[PLUGIN_ERROR_MAX] = "";
	struct plugin_view view;

	if (plugin_file_open(b->path, &view, error)) {
		verdict(b, false, "loads", error);
		return false;
	}
	for (unsigned i = 0; i < array_count(kinds) && !b->plugin; i++)
		if (kinds[i] == view.plugin.kind)
			b->plugin = plugins_find(b->plugins, kinds[i], b->path, error);
	verdict(b, b->plugin != NULL, "loads", b->plugin ? b->plugin->plugin->summary : error);
	return b->plugin != NULL;
}

static int child(struct bed *b)
{
	struct lab_rules rules;

	alarm(TIME_LIMIT_S);
	if (!load(b))
		return LAB_DIFFERS;
	make_rules(b, NULL, NULL, &rules);
	battery(b, &rules);
	limits(b);
	repetition(b, &rules);
	words(b, &rules);
	lab_rules_free(&rules);
	return b->broken ? LAB_DIFFERS : 0;
}

static int watch(struct bed *b)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		lab_fail("no process");
	if (pid == 0)
		exit(child(b));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFSIGNALED(status))
		return WEXITSTATUS(status);
	verdict(b, false, "neither crashes nor loops for ever", strsignal(WTERMSIG(status)));
	return LAB_DIFFERS;
}

/* A name without a folder is a file here, not a plugin's name; and the configuration wants whole
 * paths. */
static char *whole_path(const char *path)
{
	char *out = realpath(path, NULL);

	if (!out)
		out = strdup(path); /* loading says what is wrong with it */
	if (!out)
		lab_fail("out of memory");
	return out;
}

int lab_conform(int argc, char **argv)
{
	struct bed b = {.seeds = 5};
	int i = 1, code;
	char *path;

	if (argc > 2 && strcmp(argv[1], "--seeds") == 0) {
		b.seeds = (uint32_t)strtoul(argv[2], NULL, 10);
		if (b.seeds < 1 || b.seeds > SEEDS_MAX) {
			fprintf(stderr, "stackd-lab conform: --seeds: 1 to %u\n", SEEDS_MAX);
			return LAB_USAGE;
		}
		i = 3;
	}
	if (i < argc && argv[i][0] == '-')
		return lab_usage("conform", argv[i], usage);
	if (argc != i + 1) {
		fputs(usage, stderr);
		return LAB_USAGE;
	}
	path = whole_path(argv[i]);
	b.path = path;
	b.plugins = lab_plugins();
	code = watch(&b);
	printf("%s: %s\n", argv[i], code ? "does not conform" : "conforms");
	plugins_destroy(b.plugins);
	free(path);
	return code;
}
