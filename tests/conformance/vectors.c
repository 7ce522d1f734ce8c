/* SPDX-License-Identifier: BSD-2-Clause */
/* readv, writev, sendmsg, recvmsg, sendmmsg, recvmmsg, preadv, pwritev: counts, zeros, flags. */
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "ends.h"
#include "observe.h"

static char buf[4096];
static volatile int minus_one = -1; /* which the compiler would find wrong */
static struct iovec many[IOV_MAX + 1];

static void say_bytes(const char *what, const char *bytes, int n)
{
	say(what, "%.*s", n, bytes);
}

static void fill(size_t each)
{
	for (int i = 0; i <= IOV_MAX; i++)
		many[i] = (struct iovec){.iov_base = buf + i, .iov_len = each};
}

static void writing(void)
{
	struct ends e = ends_open();
	struct iovec v[3] = {{"abc", 3}, {"", 0}, {"defg", 4}};

	section("writev");
	result("three, one of them empty", writev(e.fd, v, 3));
	result("none", writev(e.fd, v, 0));
	result("-1", writev(e.fd, v, minus_one));
	result("one empty", writev(e.fd, v + 1, 1));
	fill(1);
	memset(buf, 'x', sizeof(buf));
	result("IOV_MAX", writev(e.fd, many, IOV_MAX));
	result("IOV_MAX + 1", writev(e.fd, many, IOV_MAX + 1));
	result("the other end's recv", other_recv(&e, 7 + IOV_MAX));
	v[0].iov_len = SSIZE_MAX;
	v[2].iov_len = SSIZE_MAX;
	result("lengths beyond SSIZE_MAX", writev(e.fd, v, 3) > 0 ? 0 : -1);
	ends_close(&e);
}

static void reading(void)
{
	struct ends e = ends_open();
	char a[3], b[5];
	struct iovec v[3] = {{a, 3}, {NULL, 0}, {b, 5}};

	section("readv");
	other_send(&e, 20);
	await_bytes(e.fd, 20);
	result("three, one of them empty", readv(e.fd, v, 3));
	say_bytes("the first", a, 3);
	say_bytes("the last", b, 5);
	result("none", readv(e.fd, v, 0));
	result("-1", readv(e.fd, v, minus_one));
	result("one empty", readv(e.fd, v + 1, 1));
	fill(1);
	result("IOV_MAX", readv(e.fd, many, IOV_MAX));
	say_bytes("bytes", buf, 12);
	result("IOV_MAX + 1", readv(e.fd, many, IOV_MAX + 1));
	set_blocking(e.fd, false);
	result("nothing there", readv(e.fd, v, 3));
	result("nothing there, one empty", readv(e.fd, v + 1, 1));
	other_close(&e);
	await(e.fd, POLLIN);
	result("the end", readv(e.fd, v, 3));
	ends_close(&e);
}

static void at_an_offset(void)
{
	struct ends e = ends_open();
	struct iovec v = {buf, 3};
	long sent;

	section("at an offset");
	result("pread", pread(e.fd, buf, 3, 0));
	result("pwrite", pwrite(e.fd, buf, 3, 0));
	result("preadv", preadv(e.fd, &v, 1, 0));
	result("pwritev", pwritev(e.fd, &v, 1, 0));
	sent = result("pwritev2 at -1", pwritev2(e.fd, &v, 1, -1, 0));
	result("lseek", lseek(e.fd, 0, SEEK_CUR));
	if (sent == 3)
		result("the other end's recv", other_recv(&e, 3));
	result("the other end's send", other_send(&e, 3));
	await_bytes(e.fd, 3);
	result("preadv2 at 0", preadv2(e.fd, &v, 1, 0, 0));
	result("preadv2 at -2", preadv2(e.fd, &v, 1, -2, 0));
	result("preadv2 at -1", preadv2(e.fd, &v, 1, -1, 0));
	result("preadv2 of nothing with an unknown flag", preadv2(e.fd, &v, 0, -1, 1 << 29));
	result("preadv2 with an unknown flag", preadv2(e.fd, &v, 1, -1, 1 << 29));
	result("preadv2 RWF_NOWAIT", preadv2(e.fd, &v, 1, -1, RWF_NOWAIT));
	result("pwritev2 at 0", pwritev2(e.fd, &v, 1, 0, 0));
	result("pwritev2 with an unknown flag", pwritev2(e.fd, &v, 1, -1, 1 << 29));
	result("pwritev2 RWF_NOWAIT | RWF_APPEND", pwritev2(e.fd, &v, 1, -1, RWF_NOWAIT | RWF_APPEND));
	result("preadv2 by number", syscall(SYS_preadv2, e.fd, &v, 1L, -1L, -1L, (long)RWF_NOWAIT));
	signal(SIGPIPE, SIG_IGN);
	shutdown(e.fd, SHUT_WR);
	result("pwritev2 after shutdown", pwritev2(e.fd, &v, 1, -1, RWF_NOWAIT));
	result("ftruncate", ftruncate(e.fd, 0));
	result("fsync", fsync(e.fd));
	ends_close(&e);
}

static void messages(void)
{
	struct ends e = ends_open();
	struct sockaddr_storage name;
	char control[64];
	struct iovec v[2] = {{buf, 4}, {buf + 100, 30}};
	struct msghdr m = {.msg_iov = v,
			   .msg_iovlen = 2,
			   .msg_name = &name,
			   .msg_namelen = sizeof(name),
			   .msg_control = control,
			   .msg_controllen = sizeof(control),
			   .msg_flags = 0x1234};

	section("recvmsg");
	other_send(&e, 10);
	await_bytes(e.fd, 10);
	result("recvmsg", recvmsg(e.fd, &m, 0));
	say("name", "%d", (int)m.msg_namelen);
	say("control", "%d", (int)m.msg_controllen);
	say("flags", "%#x", (unsigned)m.msg_flags);
	say_bytes("the second buffer", buf + 100, 6);
	result("recvmsg without waiting", recvmsg(e.fd, &m, MSG_DONTWAIT));
	m.msg_iovlen = 0;
	result("recvmsg of no buffers without waiting", recvmsg(e.fd, &m, MSG_DONTWAIT));
	m.msg_iovlen = IOV_MAX + 1;
	m.msg_iov = many;
	result("recvmsg of too many", recvmsg(e.fd, &m, MSG_DONTWAIT));
	m.msg_iovlen = 2;
	m.msg_iov = v;
	result("recvmsg MSG_ERRQUEUE", recvmsg(e.fd, &m, MSG_ERRQUEUE));
	other_close(&e);
	await(e.fd, POLLIN);
	m.msg_flags = 0x55;
	result("recvmsg at the end", recvmsg(e.fd, &m, 0));
	say("flags at the end", "%#x", (unsigned)m.msg_flags);
	ends_close(&e);
}

static void sending(void)
{
	struct ends e = ends_open();
	struct iovec v[2] = {{"abcd", 4}, {"efg", 3}};
	struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};
	struct sockaddr_storage ss;

	section("sendmsg");
	result("sendmsg", sendmsg(e.fd, &m, 0));
	m.msg_name = &ss;
	m.msg_namelen = own_addr(&ss, 1);
	result("sendmsg with a name", sendmsg(e.fd, &m, 0));
	m.msg_name = NULL;
	m.msg_namelen = 0;
	m.msg_iovlen = 0;
	result("sendmsg of nothing", sendmsg(e.fd, &m, 0));
	m.msg_iov = many;
	m.msg_iovlen = IOV_MAX + 1;
	result("sendmsg of too many", sendmsg(e.fd, &m, 0));
	result("the other end's recv", other_recv(&e, 14));
	m.msg_iov = v;
	m.msg_iovlen = 2;
	shutdown(e.fd, SHUT_WR);
	result("sendmsg after shutdown", sendmsg(e.fd, &m, MSG_NOSIGNAL));
	ends_close(&e);
}

static void several(void)
{
	struct ends e = ends_open();
	struct iovec v[3] = {{"one", 3}, {"two2", 4}, {"three", 5}};
	struct mmsghdr m[3] = {{.msg_hdr = {.msg_iov = &v[0], .msg_iovlen = 1}},
			       {.msg_hdr = {.msg_iov = &v[1], .msg_iovlen = 1}},
			       {.msg_hdr = {.msg_iov = &v[2], .msg_iovlen = 1}}};
	struct timespec t = {0};

	section("several messages");
	result("sendmmsg of 3", sendmmsg(e.fd, m, 3, 0));
	say("lengths", "%u %u %u", m[0].msg_len, m[1].msg_len, m[2].msg_len);
	result("sendmmsg of 0", sendmmsg(e.fd, m, 0, 0));
	result("the other end's recv", other_recv(&e, 12));
	for (int i = 0; i < 3; i++)
		v[i] = (struct iovec){buf + 10 * i, 4};
	other_send(&e, 6);
	await_bytes(e.fd, 6);
	result("recvmmsg without waiting", recvmmsg(e.fd, m, 3, MSG_DONTWAIT, NULL));
	say("lengths of the two", "%u %u", m[0].msg_len, m[1].msg_len);
	result("recvmmsg of nothing", recvmmsg(e.fd, m, 3, MSG_DONTWAIT, NULL));
	other_send(&e, 4);
	await_bytes(e.fd, 4);
	result("recvmmsg MSG_WAITFORONE", recvmmsg(e.fd, m, 3, MSG_WAITFORONE, NULL));
	other_send(&e, 8);
	await_bytes(e.fd, 8);
	t.tv_sec = -1;
	result("recvmmsg with a wrong time", recvmmsg(e.fd, m, 1, 0, &t));
	t = (struct timespec){.tv_sec = 5};
	result("recvmmsg of one with a time", recvmmsg(e.fd, m, 1, 0, &t));
	other_close(&e);
	await(e.fd, POLLRDHUP);
	result("recvmmsg of the rest", recvmmsg(e.fd, m, 1, 0, NULL));
	result("recvmmsg at the end", recvmmsg(e.fd, m, 3, 0, NULL));
	shutdown(e.fd, SHUT_WR);
	result("sendmmsg after shutdown", sendmmsg(e.fd, m, 3, MSG_NOSIGNAL));
	ends_close(&e);
}

int main(int argc, char **argv)
{
	observe_start(argc, argv);
	writing();
	reading();
	at_an_offset();
	messages();
	sending();
	several();
	return observe_end();
}
