/* SPDX-License-Identifier: BSD-2-Clause */
/* dup, fcntl, close_range, ioctl: what belongs to a descriptor and what to the open description. */
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ends.h"
#include "observe.h"

#define HIGH 700

static char buf[100];

static void show_flags(const char *what, int fd)
{
	int fl = fcntl(fd, F_GETFL), own = fcntl(fd, F_GETFD);

	if (fl < 0)
		say(what, "%s", error_name(errno));
	else
		say(what, "access %d%s%s%s", fl & O_ACCMODE, fl & O_NONBLOCK ? " nonblock" : "",
		    fl & O_ASYNC ? " async" : "", own & FD_CLOEXEC ? " cloexec" : "");
}

static void show_alive(const char *what, const struct ends *e, int fd)
{
	long n = send(fd, "x", 1, MSG_NOSIGNAL);

	say(what, "%s", n == 1 && other_recv(e, 1) == 1 ? "works" : error_name(errno));
}

static void copying(void)
{
	struct ends e = ends_open();
	int other = new_socket(0), copy;

	section("copies");
	copy = dup(e.fd);
	show_alive("dup", &e, copy);
	show_flags("flags of dup", copy);
	close(copy);
	result("dup2", dup2(e.fd, HIGH));
	show_alive("its result", &e, HIGH);
	result("dup2 onto itself", dup2(HIGH, HIGH));
	result("dup2 onto another socket", dup2(e.fd, other) == other);
	show_alive("the other is now", &e, other);
	result("dup3", dup3(e.fd, HIGH + 1, O_CLOEXEC));
	show_flags("flags of dup3", HIGH + 1);
	result("dup3 onto itself", dup3(e.fd, e.fd, 0));
	result("dup3 with a wrong flag", dup3(e.fd, HIGH + 1, O_APPEND));
	result("dup2 to -1", dup2(e.fd, -1));
	result("dup2 of -1", dup2(-1, HIGH));
	result("F_DUPFD", fcntl(e.fd, F_DUPFD, HIGH + 10));
	show_alive("its copy", &e, HIGH + 10);
	result("F_DUPFD_CLOEXEC", fcntl(e.fd, F_DUPFD_CLOEXEC, HIGH + 10));
	show_flags("flags of its copy", HIGH + 11);
	result("F_DUPFD of -1", fcntl(e.fd, F_DUPFD, -1));
	close(e.fd);
	show_alive("a copy when the first is closed", &e, HIGH);
	result("the closed one", send(e.fd, "x", 1, MSG_NOSIGNAL));
	e.fd = HIGH;
	close(HIGH + 1);
	close(HIGH + 10);
	close(HIGH + 11);
	close(other);
	show_alive("the last one", &e, HIGH);
	ends_close(&e);
	e = ends_open();
	copy = open("/dev/null", O_RDWR);
	result("dup2 of a file onto a socket", dup2(copy, e.fd) == e.fd);
	result("write then goes to the file", write(e.fd, "abc", 3));
	result("the other end's recv", other_recv(&e, 1));
	close(copy);
	ends_close(&e);
}

static void closing_ranges(void)
{
	struct ends e = ends_open();

	section("close_range");
	need(dup2(e.fd, HIGH) == HIGH && dup2(e.fd, HIGH + 5) == HIGH + 5);
	result("CLOEXEC", close_range(HIGH, HIGH, CLOSE_RANGE_CLOEXEC));
	show_flags("flags then", HIGH);
	show_alive("then", &e, HIGH);
	result("of both", close_range(HIGH, HIGH + 5, 0));
	result("send by the first", send(HIGH, "x", 1, MSG_NOSIGNAL));
	result("send by the last", send(HIGH + 5, "x", 1, MSG_NOSIGNAL));
	show_alive("the original", &e, e.fd);
	result("of an empty range", close_range(HIGH + 5, HIGH, 0));
	result("with a wrong flag", close_range(HIGH, HIGH, 77));
	need(dup2(e.fd, HIGH) == HIGH);
	close(e.fd);
	closefrom(HIGH);
	e.fd = HIGH;
	result("send after closefrom", send(HIGH, "x", 1, MSG_NOSIGNAL));
	result("the other end's recv", other_recv(&e, 1));
	e.fd = -1;
	ends_close(&e);
}

static void flags(void)
{
	struct ends e = ends_open();
	int copy = dup(e.fd), on = 1, fd;

	section("flags");
	show_flags("fresh connection", e.fd);
	set_blocking(copy, false);
	show_flags("when the copy is set to O_NONBLOCK", e.fd);
	result("recv", recv(e.fd, buf, 1, 0));
	on = 0;
	result("FIONBIO off by one", ioctl(e.fd, FIONBIO, &on));
	show_flags("the copy's", copy);
	on = 1;
	result("FIONBIO on", ioctl(copy, FIONBIO, &on));
	show_flags("the first's", e.fd);
	result("read of the first", read(e.fd, buf, 1));
	result("F_SETFD", fcntl(e.fd, F_SETFD, FD_CLOEXEC));
	show_flags("the first's with it", e.fd);
	show_flags("the copy's without", copy);
	result("FIOCLEX", ioctl(copy, FIOCLEX));
	show_flags("the copy's with it", copy);
	result("FIONCLEX", ioctl(copy, FIONCLEX));
	result("F_SETFL of access mode is ignored", fcntl(e.fd, F_SETFL, O_RDONLY));
	show_flags("then", e.fd);
	result("F_GETFL with an unknown command", fcntl(e.fd, 9999, 0));
	result("F_SETPIPE_SZ", fcntl(e.fd, F_SETPIPE_SZ, 4096));
	result("F_GETLK", fcntl(e.fd, F_GETLK, &(struct flock){.l_type = F_RDLCK}));
	fd = new_socket(SOCK_NONBLOCK | SOCK_CLOEXEC);
	show_flags("of socket with both", fd);
	close(fd);
	close(copy);
	ends_close(&e);
}

static void of_accepted(void)
{
	int port = next_port(), listener = listen_at(port, 4), other[4], fd;
	struct sockaddr_storage ss;

	section("accepted");
	for (int i = 0; i < 4; i++)
		need((other[i] = peer_connect(port)) >= 0);
	set_blocking(listener, false);
	await(listener, POLLIN);
	fd = accept(listener, NULL, NULL);
	show_flags("by accept from a non-blocking listener", fd);
	close(fd);
	await(listener, POLLIN);
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	show_flags("by accept4 with both", fd);
	close(fd);
	await(listener, POLLIN);
	result("accept4 with a wrong flag", accept4(listener, NULL, NULL, 0x20));
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	show_flags("by accept4 with one", fd);
	close(fd);
	await(listener, POLLIN);
	result("accept with an address, without its length",
	       accept(listener, (struct sockaddr *)&ss, NULL));
	result("accept without one", accept(listener, NULL, NULL));
	for (int i = 0; i < 4; i++)
		peer_close(other[i]);
	close(listener);
}

static void counting(void)
{
	struct ends e = ends_open();
	int n = -1, listener = listen_at(next_port(), 1);

	section("ioctl");
	result("FIONREAD", ioctl(e.fd, FIONREAD, &n));
	say("bytes", "%d", n);
	other_send(&e, 33);
	await_bytes(e.fd, 33);
	need(ioctl(e.fd, FIONREAD, &n) == 0);
	say("bytes then", "%d", n);
	need(recv(e.fd, buf, 30, 0) == 30);
	need(ioctl(e.fd, SIOCINQ, &n) == 0);
	say("bytes left", "%d", n);
	other_shut(&e, SHUT_WR);
	await(e.fd, POLLRDHUP);
	need(ioctl(e.fd, FIONREAD, &n) == 0);
	say("bytes left before the end", "%d", n);
	need(send(e.fd, "abcd", 4, 0) == 4);
	other_recv(&e, 4);
	for (int i = 0; i < 1000 && (ioctl(e.fd, SIOCOUTQ, &n) < 0 || n); i++)
		pause_ms(2);
	say("SIOCOUTQ when all is acknowledged", "%d", n);
	need(ioctl(e.fd, SIOCOUTQNSD, &n) == 0);
	say("SIOCOUTQNSD", "%d", n);
	result("SIOCATMARK", ioctl(e.fd, SIOCATMARK, &n));
	say("at the mark", "%d", n);
	result("an unknown request", ioctl(e.fd, 0x9999, &n));
	result("TCGETS", ioctl(e.fd, 0x5401, buf));
	result("FIONREAD of a listener", ioctl(listener, FIONREAD, &n));
	result("SIOCOUTQ of a listener", ioctl(listener, SIOCOUTQ, &n));
	close(listener);
	listener = new_socket(0);
	result("FIONREAD of a fresh one", ioctl(listener, FIONREAD, &n));
	say("its bytes", "%d", n);
	close(listener);
	ends_close(&e);
}

int main(int argc, char **argv)
{
	struct rlimit r = {.rlim_cur = 1024, .rlim_max = 4096};

	observe_start(argc, argv);
	setrlimit(RLIMIT_NOFILE, &r);
	copying();
	flags();
	of_accepted();
	counting();
	closing_ranges();
	return observe_end();
}
