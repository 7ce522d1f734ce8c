/* SPDX-License-Identifier: BSD-2-Clause */
/* Urgent data: MSG_OOB, SO_OOBINLINE, the mark. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
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

/* ---- SIGURG and SIGIO ---- */

static atomic_int signals[65];

static void on_signal(int sig)
{
	atomic_fetch_add(&signals[sig], 1);
}

static void count_signals(int sig)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	need(sigaction(sig, &sa, NULL) == 0);
}

/* How many have come when there are at least n, or after 10 s. */
static int wait_signals(int sig, int n)
{
	for (int i = 0; i < 1000 && atomic_load(&signals[sig]) < n; i++)
		pause_ms(10);
	return atomic_load(&signals[sig]);
}

static void send_urgent_and_take(struct ends *e)
{
	need(other_send_urgent(e, 1) == 1);
	await(e->fd, POLLPRI);
	need(recv(e->fd, buf, 1, MSG_OOB) == 1);
}

static void owners(void)
{
	struct ends e = ends_open();
	struct f_owner_ex ex = {F_OWNER_TID, 0};
	int pid = getpid(), got = 0;

	section("SIGURG");
	count_signals(SIGURG);
	result("F_GETOWN at first", fcntl(e.fd, F_GETOWN));
	send_urgent_and_take(&e);
	pause_ms(50);
	say("without an owner", "%d", atomic_load(&signals[SIGURG]));
	result("F_SETOWN", fcntl(e.fd, F_SETOWN, pid));
	say("F_GETOWN", "%d", fcntl(e.fd, F_GETOWN) == pid);
	pause_ms(50);
	say("none for what came before", "%d", atomic_load(&signals[SIGURG]));
	send_urgent_and_take(&e);
	say("one", "%d", wait_signals(SIGURG, 1));
	send_urgent_and_take(&e);
	say("two", "%d", wait_signals(SIGURG, 2));
	other_send(&e, 5);
	await(e.fd, POLLIN);
	pause_ms(50);
	say("none for other data", "%d", atomic_load(&signals[SIGURG]));
	result("F_SETOWN 0", fcntl(e.fd, F_SETOWN, 0));
	send_urgent_and_take(&e);
	pause_ms(50);
	say("none without an owner again", "%d", atomic_load(&signals[SIGURG]));
	result("F_SETOWN of a group", fcntl(e.fd, F_SETOWN, -getpgrp()));
	say("F_GETOWN then", "%d", fcntl(e.fd, F_GETOWN) == -getpgrp());
	result("F_SETOWN of nobody", fcntl(e.fd, F_SETOWN, 0x3fffffff));
	ex.pid = (int)syscall(SYS_gettid);
	result("F_SETOWN_EX", fcntl(e.fd, F_SETOWN_EX, &ex));
	ex = (struct f_owner_ex){F_OWNER_PGRP, 1};
	result("F_GETOWN_EX", fcntl(e.fd, F_GETOWN_EX, &ex));
	say("a thread", "%d %d", ex.type, ex.pid == (int)syscall(SYS_gettid));
	send_urgent_and_take(&e);
	say("three", "%d", wait_signals(SIGURG, 3));
	pid = 0;
	result("FIOSETOWN", ioctl(e.fd, FIOSETOWN, &pid));
	pid = getpid();
	result("SIOCSPGRP", ioctl(e.fd, SIOCSPGRP, &pid));
	result("SIOCGPGRP", ioctl(e.fd, SIOCGPGRP, &got));
	say("it", "%d", got == pid);
	send_urgent_and_take(&e);
	say("four", "%d", wait_signals(SIGURG, 4));
	ends_close(&e);
}

static void own(int fd)
{
	need(fcntl(fd, F_SETOWN, getpid()) == 0);
}

static void owned_before(void)
{
	struct ends e = ends_open_with(own);

	section("SIGURG, the owner set before the connection");
	atomic_store(&signals[SIGURG], 0);
	say("is it the owner", "%d", fcntl(e.fd, F_GETOWN) == getpid());
	send_urgent_and_take(&e);
	if (fcntl(e.fd, F_GETOWN) == getpid())
		say("one", "%d", wait_signals(SIGURG, 1));
	ends_close(&e);
}

static void async(void)
{
	struct ends e = ends_open();
	int flags = fcntl(e.fd, F_GETFL);

	section("O_ASYNC");
	count_signals(SIGIO);
	count_signals(SIGRTMIN);
	own(e.fd);
	result("F_SETFL", fcntl(e.fd, F_SETFL, flags | O_ASYNC));
	say("F_GETFL", "%d", !!(fcntl(e.fd, F_GETFL) & O_ASYNC));
	other_send(&e, 1);
	await(e.fd, POLLIN);
	say("SIGIO for data", "%d", wait_signals(SIGIO, 1) >= 1);
	result("F_SETSIG", fcntl(e.fd, F_SETSIG, SIGRTMIN));
	say("F_GETSIG", "%d", fcntl(e.fd, F_GETSIG) == SIGRTMIN);
	result("F_SETSIG of no signal", fcntl(e.fd, F_SETSIG, 100));
	atomic_store(&signals[SIGIO], 0);
	other_send(&e, 1);
	await_bytes(e.fd, 2);
	say("another for more", "%d", wait_signals(SIGRTMIN, 1) >= 1);
	say("and no SIGIO", "%d", atomic_load(&signals[SIGIO]));
	result("F_SETFL back", fcntl(e.fd, F_SETFL, flags));
	pause_ms(50);
	atomic_store(&signals[SIGRTMIN], 0);
	other_send(&e, 1);
	await_bytes(e.fd, 3);
	pause_ms(50);
	say("none then", "%d", atomic_load(&signals[SIGRTMIN]));
	flags = 1;
	result("FIOASYNC", ioctl(e.fd, FIOASYNC, &flags));
	other_close(&e);
	await(e.fd, POLLRDHUP);
	say("one for the end", "%d", wait_signals(SIGRTMIN, 1) >= 1);
	ends_close(&e);
}

int main(int argc, char **argv)
{
	observe_start(argc, argv);
	urgent();
	urgent_inline();
	owners();
	owned_before();
	async();
	return observe_end();
}
