/* SPDX-License-Identifier: BSD-2-Clause */
/* Urgent data: MSG_OOB, SO_OOBINLINE, the mark. */
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ends.h"
#include "observe.h"

static char buf[100];

static void say_bytes(const char *what, int n)
{
	say(what, "%.*s", n, buf);
}

static void urgent(void)
{
	struct ends e = ends_open();
	int mark = -1;

	section("urgent data");
	if (result("send MSG_OOB", send(e.fd, "ab", 2, MSG_OOB)) == 2)
		result("recv by the other end", other_recv(&e, 1));
	if (result("send MSG_OOB by the other end", other_send_urgent(&e, 3)) != 3)
		goto out;
	await(e.fd, POLLPRI);
	show_poll("poll", e.fd, POLLIN | POLLOUT | POLLPRI);
	result("SIOCATMARK", ioctl(e.fd, SIOCATMARK, &mark));
	say("at the mark", "%d", mark);
	result("peek MSG_OOB", recv(e.fd, buf, 10, MSG_OOB | MSG_PEEK | MSG_DONTWAIT));
	result("recv MSG_OOB", recv(e.fd, buf, 10, MSG_OOB | MSG_DONTWAIT));
	say_bytes("byte", 1);
	result("recv MSG_OOB again", recv(e.fd, buf, 10, MSG_OOB | MSG_DONTWAIT));
	result("recv stops at the mark", recv(e.fd, buf, 10, MSG_DONTWAIT));
	say_bytes("bytes", 2);
	result("SIOCATMARK then", ioctl(e.fd, SIOCATMARK, &mark));
	say("at the mark then", "%d", mark);
	result("sockatmark", sockatmark(e.fd));
	result("sockatmark of no socket", sockatmark(1000));
	result("nothing more", recv(e.fd, buf, 10, MSG_DONTWAIT));
	show_poll("poll then", e.fd, POLLIN | POLLOUT | POLLPRI);
out:
	ends_close(&e);
}

static void urgent_inline(void)
{
	struct ends e = ends_open();
	int mark = -1;

	section("urgent data inline");
	set_int(e.fd, SOL_SOCKET, SO_OOBINLINE, 1);
	if (result("send MSG_OOB by the other end", other_send_urgent(&e, 3)) != 3)
		goto out;
	await(e.fd, POLLPRI);
	show_poll("poll", e.fd, POLLIN | POLLOUT | POLLPRI);
	result("recv MSG_OOB", recv(e.fd, buf, 10, MSG_OOB | MSG_DONTWAIT));
	result("recv stops before it", recv(e.fd, buf, 10, MSG_DONTWAIT));
	say_bytes("bytes", 2);
	result("SIOCATMARK", ioctl(e.fd, SIOCATMARK, &mark));
	say("at the mark", "%d", mark);
	result("recv the urgent byte", recv(e.fd, buf, 10, MSG_DONTWAIT));
	say_bytes("byte", 1);
out:
	ends_close(&e);
}

int main(int argc, char **argv)
{
	observe_start(argc, argv);
	urgent();
	urgent_inline();
	return observe_end();
}
