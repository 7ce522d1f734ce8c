/* SPDX-License-Identifier: BSD-2-Clause */
/* follow.c - prints what comes as it comes.  ^C asks the daemon for the end, so that what it still holds
 * and its last words arrive; a second ^C ends at once. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ctl/stackdctl.h"

/* pcapng, as far as it is counted here */
enum { BLOCK_STATISTICS = 5, BLOCK_PACKET = 6, OPT_ISB_IFDROP = 5 };
#define STATISTICS_HEAD 20u

struct sink {
	int out;
	bool screen;	/* a form feed begins a screen */
	bool any;
	bool count;	/* pcapng: count packets */
	uint8_t head[256];
	size_t head_len, block_left;
	uint64_t packets, dropped;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

static void catch_interrupts(void)
{
	struct sigaction a = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};

	sigaction(SIGINT, &a, NULL);
	sigaction(SIGTERM, &a, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static bool put(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		}
	}
	return true;
}

/* --- what passes ------------------------------------------------------------------------------------- */

static uint32_t word_at(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void count_block(struct sink *s)
{
	uint32_t type = word_at(s->head), len = word_at(s->head + 4);

	s->packets += type == BLOCK_PACKET;
	if (type != BLOCK_STATISTICS || len > sizeof(s->head))
		return;
	for (uint32_t at = STATISTICS_HEAD; at + 8 <= len;) {
		uint32_t option = word_at(s->head + at), bytes = option >> 16;
		uint64_t value;

		if ((option & 0xffff) == OPT_ISB_IFDROP && bytes == sizeof(value) && at + 12 <= len) {
			memcpy(&value, s->head + at + 4, sizeof(value));
			s->dropped += value;
		}
		at += 4 + ((bytes + 3) & ~3u);
	}
}

/* Blocks arrive in pieces of any size; of each only the front is kept. */
static void count_packets(struct sink *s, const uint8_t *data, size_t len)
{
	while (len > 0) {
		size_t room = sizeof(s->head) - s->head_len, n;

		if (s->block_left == 0) { /* its first 8 bytes say how long it is */
			n = 8 - s->head_len < len ? 8 - s->head_len : len;
			memcpy(s->head + s->head_len, data, n);
			s->head_len += n;
			if (s->head_len == 8) {
				uint32_t bytes = word_at(s->head + 4);

				s->block_left = bytes > 8 ? bytes - 8 : 0;
				s->head_len = s->block_left ? 8 : 0;
			}
		} else {
			n = s->block_left < len ? s->block_left : len;
			memcpy(s->head + s->head_len, data, n < room ? n : room);
			s->head_len += n < room ? n : room;
			s->block_left -= n;
			if (s->block_left == 0) {
				count_block(s);
				s->head_len = 0;
			}
		}
		data += n;
		len -= n;
	}
}

static bool put_screens(struct sink *s, const char *data, size_t len)
{
	static const char clear[] = "\033[H\033[2J";

	while (len > 0) {
		const char *feed = memchr(data, '\f', len);
		size_t n = feed ? (size_t)(feed - data) : len;

		if (!put(s->out, data, n))
			return false;
		if (feed && s->screen && !put(s->out, clear, sizeof(clear) - 1))
			return false;
		if (feed && !s->screen && s->any && !put(s->out, "\n", 1))
			return false;
		s->any = true;
		n += feed != NULL;
		data += n;
		len -= n;
	}
	return true;
}

static bool pass(struct sink *s, const void *data, size_t len)
{
	if (!s->count)
		return put_screens(s, data, len);
	count_packets(s, data, len);
	return put(s->out, data, len);
}

/* --- until the end ----------------------------------------------------------------------------------- */

/* The rest of a refusal. */
static int refused(int fd, const char *data, size_t len)
{
	char more[1024];
	ssize_t n;

	fprintf(stderr, "stackdctl: %.*s", (int)len, data);
	while ((n = recv(fd, more, sizeof(more), 0)) > 0)
		fprintf(stderr, "%.*s", (int)n, more);
	return EXIT_REFUSED;
}

/* Of poll: 1 something came, 0 ask for the end, -1 the reader of a pipe has gone. */
static int wait_more(int fd, int out)
{
	struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = out, .events = 0}};

	for (;;) {
		int n = poll(p, 2, 1000);

		if (interrupted)
			return 0;
		if (n > 0 && p[1].revents & POLLERR)
			return -1;
		if (n > 0 && p[0].revents)
			return 1;
	}
}

/* *began: after the first byte, which says that it is granted. */
static int run(int fd, struct sink *s, bool *began)
{
	char buffer[65536];
	bool asked = false;

	*began = false;
	for (;;) {
		int what = asked ? 1 : wait_more(fd, s->out);
		ssize_t n;

		if (what < 0)
			return EXIT_DONE;
		if (what == 0) {
			shutdown(fd, SHUT_WR);
			asked = true;
		}
		n = recv(fd, buffer, sizeof(buffer), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return *began ? EXIT_DONE : daemon_gone();
		if (!*began && buffer[0] != '0')
			return refused(fd, buffer + 1, (size_t)n - 1);
		if (!pass(s, buffer + !*began, (size_t)n - !*began)) {
			if (errno != EPIPE)
				fprintf(stderr, "stackdctl: can't write: %s\n", strerror(errno));
			return errno == EPIPE ? EXIT_DONE : EXIT_REFUSED;
		}
		*began = true;
	}
}

/* A trace ends with its connection, all end by ^C or with their reader; else it was the daemon. */
static int still_served(const struct options *o, int code)
{
	if (code != EXIT_DONE || interrupted || serves(o))
		return code;
	return daemon_gone();
}

int follow(const struct options *o, char **word, int count)
{
	struct sink s = {.out = STDOUT_FILENO, .screen = isatty(STDOUT_FILENO)};
	int code, fd = ask_daemon(o, word, count, &code);
	bool began;

	if (fd < 0)
		return code;
	catch_interrupts();
	code = run(fd, &s, &began);
	close(fd);
	return still_served(o, code);
}

/* --- capture ----------------------------------------------------------------------------------------- */

/* "-w FILE" out of the words; false: FILE is missing. */
static bool take_file(char **word, int *count, const char **file)
{
	int kept = 0;

	for (int i = 0; i < *count; i++) {
		if (strcmp(word[i], "-w") != 0) {
			word[kept++] = word[i];
			continue;
		}
		if (++i == *count)
			return false;
		*file = word[i];
	}
	*count = kept;
	word[kept] = NULL;
	return true;
}

static void say_count(const struct sink *s, const char *file)
{
	fprintf(stderr, "stackdctl: %llu frames captured%s%s, %llu dropped because the reader or stackd's memory "
		"for it was too slow\n", (unsigned long long)s->packets, file ? " to " : "", file ? file : "",
		(unsigned long long)s->dropped);
}

int capture(const struct options *o, char **word, int count)
{
	struct sink s = {.out = STDOUT_FILENO, .count = true};
	const char *file = NULL;
	bool began;
	int code, fd;

	if (!take_file(word, &count, &file))
		return wrong_usage("-w needs a file, or - for standard output", "");
	if (file && strcmp(file, "-") == 0)
		file = NULL;
	if (!file && isatty(STDOUT_FILENO))
		return wrong_usage("a terminal can't show a capture: -w FILE, or a pipe", "");
	fd = ask_daemon(o, word, count, &code);
	if (fd < 0)
		return code;
	if (file)
		s.out = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (s.out < 0) {
		fprintf(stderr, "stackdctl: %s: %s\n", file, strerror(errno));
		close(fd);
		return EXIT_REFUSED;
	}
	catch_interrupts();
	code = run(fd, &s, &began);
	close(fd);
	code = still_served(o, code);
	if (began)
		say_count(&s, file);
	if (file && close(s.out) && code == EXIT_DONE)
		code = EXIT_REFUSED;
	return code;
}
