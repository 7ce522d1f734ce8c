/* SPDX-License-Identifier: BSD-2-Clause */
/* The C library's streams on a socket: fdopen, fprintf, fgets, dprintf, perror's relatives. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ends.h"
#include "observe.h"

static void writing(void)
{
	struct ends e = ends_open();
	FILE *f = fdopen(dup(e.fd), "w");

	section("a stream to write");
	need(f);
	setvbuf(f, NULL, _IOFBF, 4096);
	result("fprintf", fprintf(f, "%s %d\n", "line", 42));
	result("fflush", fflush(f));
	if (!ferror(f))
		result("the other end's recv", other_recv(&e, 8));
	result("fputc", fputc('x', f));
	result("fclose", fclose(f));
	result("dprintf", dprintf(e.fd, "%04d", 7));
	ends_close(&e);
}

static void reading(void)
{
	struct ends e = ends_open();
	char line[40] = "";
	FILE *f = fdopen(e.fd, "r");

	section("a stream to read");
	need(f);
	other_send(&e, 26);
	other_shut(&e, SHUT_WR);
	await(e.fd, POLLRDHUP);
	result("fgetc", fgetc(f));
	say("fgets", "%s", fgets(line, 10, f) ? line : "nothing");
	result("fread", (long)fread(line, 1, 40, f));
	say("feof", "%d", !!feof(f));
	say("ferror", "%d", !!ferror(f));
	result("ftell", ftell(f));
	result("fclose", fclose(f));
	e.fd = -1;
	ends_close(&e);
}

static void both(void)
{
	struct ends e = ends_open();
	char line[40] = "";
	FILE *f = fdopen(e.fd, "r+");

	section("both ways");
	need(f);
	result("fputs", fputs("hello", f) >= 0);
	result("fflush", fflush(f));
	if (!ferror(f))
		result("the other end's recv", other_recv(&e, 5));
	other_send(&e, 6);
	other_shut(&e, SHUT_WR);
	await(e.fd, POLLRDHUP);
	say("fgets", "%s", fgets(line, sizeof(line), f) ? line : "nothing");
	result("fclose", fclose(f));
	e.fd = -1;
	ends_close(&e);
}

int main(int argc, char **argv)
{
	observe_start(argc, argv);
	writing();
	reading();
	both();
	return observe_end();
}
