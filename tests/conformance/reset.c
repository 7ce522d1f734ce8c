/* SPDX-License-Identifier: BSD-2-Clause */
/* Resets: SO_LINGER, close with unread data, what each call says after an RST. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ends.h"
#include "observe.h"

#define ALL (POLLIN | POLLOUT | POLLRDHUP)

static char buf[100000];
static volatile sig_atomic_t signals;

static void on_pipe(int sig)
{
	(void)sig;
	signals++;
}

static int pending(int fd)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &len) == 0 ? value : errno;
}

static struct ends reset_by_peer(const char *name, size_t unread)
{
	struct ends e = ends_open();

	section(name);
	if (unread) {
		other_send(&e, unread);
		await_bytes(e.fd, (int)unread);
	}
	other_reset(&e);
	await(e.fd, POLLHUP);
	return e;
}

static void seen_by_recv(void)
{
	struct ends e = reset_by_peer("RST, then recv", 0);

	show_poll("poll", e.fd, ALL);
	result("recv", recv(e.fd, buf, 10, 0));
	result("recv again", recv(e.fd, buf, 10, 0));
	result("send", send(e.fd, "x", 1, MSG_NOSIGNAL));
	show_poll("poll then", e.fd, ALL);
	say("SO_ERROR", "%s", error_name(pending(e.fd)));
	show_name("getpeername", e.fd, true);
	show_name("getsockname", e.fd, false);
	result("shutdown", shutdown(e.fd, SHUT_WR));
	ends_close(&e);
}

static void seen_by_send(void)
{
	struct ends e = reset_by_peer("RST, then send", 0);
	struct sigaction sa = {.sa_handler = on_pipe}, old;

	sigaction(SIGPIPE, &sa, &old);
	result("send", send(e.fd, "x", 1, 0));
	say("signals", "%d", (int)signals);
	result("send again", send(e.fd, "x", 1, 0));
	say("signals then", "%d", (int)signals);
	result("recv", recv(e.fd, buf, 10, 0));
	sigaction(SIGPIPE, &old, NULL);
	ends_close(&e);
}

static void seen_by_option(void)
{
	struct ends e = reset_by_peer("RST, then SO_ERROR", 0);

	say("SO_ERROR", "%s", error_name(pending(e.fd)));
	say("SO_ERROR again", "%s", error_name(pending(e.fd)));
	show_poll("poll then", e.fd, ALL);
	result("recv", recv(e.fd, buf, 10, 0));
	result("send", send(e.fd, "x", 1, MSG_NOSIGNAL));
	ends_close(&e);
}

static void seen_with_data(void)
{
	struct ends e = reset_by_peer("RST behind data", 6);

	show_poll("poll", e.fd, ALL);
	result("peek", recv(e.fd, buf, 10, MSG_PEEK));
	result("recv", recv(e.fd, buf, 10, 0));
	result("recv again", recv(e.fd, buf, 10, 0));
	result("recv and again", recv(e.fd, buf, 10, 0));
	ends_close(&e);
}

static void unread_data(void)
{
	struct ends e = ends_open();

	section("close with unread data");
	other_send(&e, 10);
	await_bytes(e.fd, 10);
	result("close", close(e.fd));
	e.fd = -1;
	result("the other end's recv", other_recv(&e, 1));
	ends_close(&e);
}

static void other_has_unread(void)
{
	struct ends e = ends_open();

	section("the other end closes with unread data");
	result("send", send(e.fd, "hello", 5, 0));
	pause_ms(20);
	other_close(&e);
	await(e.fd, POLLHUP);
	show_poll("poll", e.fd, ALL);
	result("recv", recv(e.fd, buf, 1, 0));
	result("recv again", recv(e.fd, buf, 1, 0));
	ends_close(&e);
}

static void nobody_reads(void)
{
	struct ends e = ends_open();

	section("send to one that has closed");
	other_close(&e);
	await(e.fd, POLLRDHUP);
	result("recv", recv(e.fd, buf, 1, 0));
	result("the first send", send(e.fd, "x", 1, MSG_NOSIGNAL));
	await(e.fd, POLLHUP);
	show_poll("poll", e.fd, ALL);
	result("the second send", send(e.fd, "x", 1, MSG_NOSIGNAL));
	result("the third send", send(e.fd, "x", 1, MSG_NOSIGNAL));
	result("recv then", recv(e.fd, buf, 1, 0));
	ends_close(&e);
}

static void hard_close(void)
{
	struct linger hard = {.l_onoff = 1};
	struct ends e = ends_open();

	section("SO_LINGER of 0");
	result("setsockopt", setsockopt(e.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)));
	result("send", send(e.fd, "x", 1, 0));
	result("the other end's recv", other_recv(&e, 1));
	result("close", close(e.fd));
	e.fd = -1;
	result("the other end's recv then", other_recv(&e, 1));
	ends_close(&e);
}

static void soft_close(void)
{
	struct linger soft = {.l_onoff = 1, .l_linger = 5};
	struct ends e = ends_open();

	section("SO_LINGER of 5");
	result("setsockopt", setsockopt(e.fd, SOL_SOCKET, SO_LINGER, &soft, sizeof(soft)));
	result("send", send(e.fd, buf, 50000, 0));
	result("close", close(e.fd));
	e.fd = -1;
	result("the other end's recv", other_recv(&e, 60000));
	ends_close(&e);
}

static void ordinary_close(void)
{
	struct ends e = ends_open();

	section("close");
	result("send", send(e.fd, buf, 90000, 0));
	result("close", close(e.fd));
	e.fd = -1;
	result("the other end's recv", other_recv(&e, 100000));
	ends_close(&e);
}

static void of_a_listener(void)
{
	struct ends e;
	int port = next_port(), listener = listen_at(port, 4);

	section("connections not accepted when the listener closes");
	e = (struct ends){.fd = -1, .other = peer_connect(port)};
	await(listener, POLLIN);
	result("close", close(listener));
	if (!ends_local())
		result("the other end's recv", other_recv(&e, 1));
	peer_close(e.other);
	/* the daemon hears of the close a moment later */
	for (int i = 0; i < 1000 && (e.other = peer_connect(port)) >= 0; i++) {
		peer_close(e.other);
		pause_ms(10);
	}
	say("connect in the end", "%s", error_name(errno));
}

int main(int argc, char **argv)
{
	observe_start(argc, argv);
	seen_by_recv();
	seen_by_send();
	seen_by_option();
	seen_with_data();
	unread_data();
	other_has_unread();
	nobody_reads();
	hard_close();
	soft_close();
	ordinary_close();
	of_a_listener();
	return observe_end();
}
