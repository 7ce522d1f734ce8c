/* SPDX-License-Identifier: BSD-2-Clause */
/* sweep.c - `stackd-lab sweep`: its options and where the results go. */
#include "lab/sweep.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lab/command.h"

static const char usage[] =
	"usage: stackd-lab sweep [OPTIONS]\n"
	"\n"
	"Bulk transfers in virtual time for every combination of the lists, once for each seed: goodput,\n"
	"completion time, retransmissions and time-outs.  Lists are separated by commas.\n"
	"\n"
	"  --recovery LIST   plugins by name or path (gbn,sr,reno,sack,racktlp)\n"
	"  --cc LIST         congestion control (cubic)\n"
	"  --ack LIST        when to acknowledge (quick)\n"
	"  --rto LIST        retransmission timer (rfc6298)\n"
	"  --loss LIST       of the frames that the sender sends (0,1%,2%,5%)\n"
	"  --ack-loss LIST   of the frames that the receiver sends (0)\n"
	"  --rtt LIST        round-trip time (40ms)\n"
	"  --rate LIST       of the link, each way; 0: no limit (10mbit)\n"
	"  --queue LIST      frames that wait for the rate; more are dropped (100)\n"
	"  --size LIST       bytes of a transfer (1MB)\n"
	"  --seeds A..B      (1..20)\n"
	"  --set KEY=VALUE   a setting as of stackd -o, for both ends: --set tcp.timestamps=no\n"
	"  --jobs N          threads (all CPUs)\n"
	"  -o FILE.html      a report with plots, one file that needs no network\n"
	"  --csv FILE        a line for each transfer; - for stdout\n"
	"  --json FILE       all of it; - for stdout\n"
	"\n"
	"The same seed gives the same transfer, byte for byte.  Exit 1 when one was not completed.\n";

enum { OPT_SEEDS = AXIS_MAX + 1, OPT_SET, OPT_JOBS, OPT_CSV, OPT_JSON, OPT_HELP };

/* getopt's value 0 is a flag's: an axis is its index + 1 */
static const struct option longs[] = {
	{"recovery", 1, NULL, AXIS_RECOVERY + 1},
	{"cc", 1, NULL, AXIS_CC + 1},
	{"ack", 1, NULL, AXIS_ACK + 1},
	{"rto", 1, NULL, AXIS_RTO + 1},
	{"loss", 1, NULL, AXIS_LOSS + 1},
	{"ack-loss", 1, NULL, AXIS_ACK_LOSS + 1},
	{"rtt", 1, NULL, AXIS_RTT + 1},
	{"rate", 1, NULL, AXIS_RATE + 1},
	{"queue", 1, NULL, AXIS_QUEUE + 1},
	{"size", 1, NULL, AXIS_SIZE + 1},
	{"seeds", 1, NULL, OPT_SEEDS},
	{"set", 1, NULL, OPT_SET},
	{"jobs", 1, NULL, OPT_JOBS},
	{"csv", 1, NULL, OPT_CSV},
	{"json", 1, NULL, OPT_JSON},
	{"help", 0, NULL, OPT_HELP},
	{0},
};

static int add_setting(struct sweep *s, const char *setting)
{
	size_t len = strlen(s->settings);

	if (len + strlen(setting) + 2 > sizeof(s->settings)) {
		fprintf(stderr, "stackd-lab sweep: too many settings\n");
		return -1;
	}
	snprintf(s->settings + len, sizeof(s->settings) - len, "%s\n", setting);
	return 0;
}

static int set_jobs(struct sweep *s, const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end || n < 1 || n > 256) {
		fprintf(stderr, "stackd-lab sweep: --jobs: 1 to 256, not '%s'\n", text);
		return -1;
	}
	s->jobs = (uint32_t)n;
	return 0;
}

static int option(struct sweep *s, int opt)
{
	switch (opt) {
	case OPT_SEEDS:
		return sweep_set_seeds(s, optarg);
	case OPT_SET:
		return add_setting(s, optarg);
	case OPT_JOBS:
		return set_jobs(s, optarg);
	case 'o':
		s->html = optarg;
		return 0;
	case OPT_CSV:
		s->csv = optarg;
		return 0;
	case OPT_JSON:
		s->json = optarg;
		return 0;
	default:
		return sweep_set_axis(s, (enum sweep_axis)(opt - 1), optarg);
	}
}

/* 0 go on; else the exit code + 1. */
static int options(struct sweep *s, int argc, char **argv)
{
	int opt;

	argv[0] = (char[]){"stackd-lab sweep"};
	optind = 1;
	while ((opt = getopt_long(argc, argv, "ho:", longs, NULL)) != -1) {
		if (opt == OPT_HELP || opt == 'h') {
			fputs(usage, stdout);
			return 1;
		}
		if (opt == '?') {
			fprintf(stderr, "\n%s", usage);
			return LAB_USAGE + 1;
		}
		if (option(s, opt))
			return LAB_USAGE + 1;
	}
	if (optind < argc)
		return lab_usage("sweep", argv[optind], usage) + 1;
	return 0;
}

static int write_to(const char *path, const struct sweep *s, void (*how)(const struct sweep *, FILE *))
{
	FILE *out = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
	bool failed = !out;

	if (out) {
		how(s, out);
		failed = ferror(out) != 0;
		failed |= out == stdout ? fflush(out) != 0 : fclose(out) != 0;
	}
	if (failed)
		fprintf(stderr, "stackd-lab sweep: %s: %s\n", path, strerror(errno));
	return failed;
}

static int report(const struct sweep *s)
{
	bool taken = (s->csv && strcmp(s->csv, "-") == 0) || (s->json && strcmp(s->json, "-") == 0) ||
		     (s->html && strcmp(s->html, "-") == 0);
	int failed = 0;

	if (s->csv)
		failed |= write_to(s->csv, s, sweep_csv);
	if (s->html)
		failed |= write_to(s->html, s, sweep_html);
	if (s->json)
		failed |= write_to(s->json, s, sweep_json);
	if (!taken)
		failed |= write_to("-", s, sweep_table);
	for (uint32_t i = 0; i < s->points; i++)
		for (uint32_t k = 0; k < s->seeds; k++)
			failed |= !s->point[i].run[k].result.complete || s->point[i].run[k].result.wrong;
	return failed ? LAB_DIFFERS : 0;
}

int lab_sweep(int argc, char **argv)
{
	struct sweep *s = lab_alloc(sizeof(*s));
	struct plugins *plugins;
	int code;

	sweep_defaults(s);
	code = options(s, argc, argv);
	if (code) {
		free(s);
		return code - 1;
	}
	plugins = lab_plugins();
	code = LAB_USAGE;
	if (sweep_prepare(s, plugins) == 0) {
		sweep_run_all(s, isatty(STDERR_FILENO));
		code = report(s);
	}
	sweep_free(s);
	plugins_destroy(plugins);
	free(s);
	return code;
}
