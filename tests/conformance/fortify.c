/* SPDX-License-Identifier: BSD-2-Clause */
/* The forms that -D_FORTIFY_SOURCE=2 makes the compiler call: __read_chk, __recv_chk, __poll_chk
 * and so on, and their end when the buffer is too small. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ends.h"
#include "observe.h"

/* Lengths that the compiler can't know make it call the checking form. */
static size_t unknown(size_t n)
{
	volatile size_t v = n;

	return v;
}

static void checked_calls(void)
{
	struct ends e = ends_open();
	struct pollfd p[2] = {{.fd = e.fd, .events = POLLIN}, {.fd = -1}};
	struct timespec t = {0};
	char buf[20];
	fd_set r;

	section("calls");
	other_send(&e, 15);
	await_bytes(e.fd, 15);
	result("poll", poll(p, unknown(2), 0));
	result("ppoll", ppoll(p, unknown(2), &t, NULL));
	FD_ZERO(&r);
	FD_SET(e.fd, &r);
	result("select", select(e.fd + 1, &r, NULL, NULL, &(struct timeval){0}));
	result("read", read(e.fd, buf, unknown(4)));
	result("recv", recv(e.fd, buf, unknown(4), 0));
	result("recvfrom", recvfrom(e.fd, buf, unknown(4), 0, NULL, NULL));
	say("bytes", "%.4s", buf);
	result("recv without waiting", recv(e.fd, buf, unknown(20), MSG_DONTWAIT));
	result("nothing there", recv(e.fd, buf, unknown(20), MSG_DONTWAIT));
	ends_close(&e);
}

static void overflowing(const char *name, int which)
{
	struct ends e = ends_open();
	int status = 0;
	pid_t pid;

	other_send(&e, 15);
	await_bytes(e.fd, 15);
	pid = fork();
	if (pid == 0) {
		char buf[4];
		struct pollfd p[1] = {{.fd = e.fd, .events = POLLIN}};
		struct rlimit none = {0};

		setrlimit(RLIMIT_CORE, &none);
		fclose(stderr);
		close(STDERR_FILENO);
		if (which == 0 && read(e.fd, buf, unknown(8)) > 0)
			_exit(buf[0]);
		if (which == 1 && recv(e.fd, buf, unknown(8), 0) > 0)
			_exit(buf[0]);
		if (which == 2 && recvfrom(e.fd, buf, unknown(8), 0, NULL, NULL) > 0)
			_exit(buf[0]);
		if (which == 3 && poll(p, unknown(3), 0) > 0)
			_exit(p[0].revents);
		_exit(0);
	}
	need(waitpid(pid, &status, 0) == pid);
	say(name, "%s", WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? "aborted" : "went on");
	ends_close(&e);
}

int main(int argc, char **argv)
{
	observe_start(argc, argv);
	checked_calls();
	section("overflow");
	overflowing("read", 0);
	overflowing("recv", 1);
	overflowing("recvfrom", 2);
	overflowing("poll", 3);
	return observe_end();
}
