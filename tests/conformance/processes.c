/* SPDX-License-Identifier: BSD-2-Clause */
/* fork: both sides use the socket; exec; descriptors that travel in a message. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ends.h"
#include "observe.h"

static char buf[100000];

static int status_of(pid_t pid)
{
	int status = -1;

	need(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void both_sides(void)
{
	struct ends e = ends_open();
	pid_t pid;

	section("fork");
	other_send(&e, 10);
	await_bytes(e.fd, 10);
	pid = fork();
	if (pid == 0) {
		result("child's recv", recv(e.fd, buf, 4, 0));
		say("child's bytes", "%.4s", buf);
		result("child's send", send(e.fd, "chil", 4, 0));
		_exit(0);
	}
	say("child's end", "%d", status_of(pid));
	result("parent's recv", recv(e.fd, buf, 100, 0));
	say("parent's bytes", "%.6s", buf);
	result("parent's send", send(e.fd, "parent", 6, 0));
	result("the other end's recv", other_recv(&e, 10));
	result("nothing more", recv(e.fd, buf, 100, MSG_DONTWAIT));
	ends_close(&e);
}

static void child_keeps_it(void)
{
	struct ends e = ends_open();
	int go[2];
	pid_t pid;

	section("the parent closes");
	need(pipe(go) == 0);
	pid = fork();
	if (pid == 0) {
		need(read(go[0], buf, 1) == 1);
		result("child's send", send(e.fd, "still", 5, 0));
		result("child's recv", recv(e.fd, buf, 3, MSG_WAITALL));
		_exit(0);
	}
	result("close", close(e.fd));
	need(write(go[1], "g", 1) == 1);
	result("the other end's recv", other_recv(&e, 5));
	other_send(&e, 3);
	say("child's end", "%d", status_of(pid));
	result("the other end's recv when both have gone", other_recv(&e, 1));
	e.fd = -1;
	ends_close(&e);
	close(go[0]);
	close(go[1]);
}

static void child_closes(void)
{
	struct ends e = ends_open();
	pid_t pid;

	section("the child closes");
	pid = fork();
	if (pid == 0) {
		close(e.fd);
		_exit(0);
	}
	say("child's end", "%d", status_of(pid));
	result("send", send(e.fd, "x", 1, 0));
	result("the other end's recv", other_recv(&e, 1));
	pid = fork();
	if (pid == 0) {
		shutdown(e.fd, SHUT_WR);
		_exit(0);
	}
	say("the second child's end", "%d", status_of(pid));
	result("the other end's recv after the child's shutdown", other_recv(&e, 1));
	result("send after the child's shutdown", send(e.fd, "x", 1, MSG_NOSIGNAL));
	other_send(&e, 2);
	result("recv after the child's shutdown", recv(e.fd, buf, 2, MSG_WAITALL));
	ends_close(&e);
}

static void child_shuts_reading(void)
{
	struct ends e = ends_open();
	pid_t pid;

	section("the child shuts reading");
	pid = fork();
	if (pid == 0) {
		shutdown(e.fd, SHUT_RD);
		_exit(0);
	}
	say("child's end", "%d", status_of(pid));
	show_poll("poll", e.fd, POLLIN | POLLOUT | POLLRDHUP);
	result("recv", recv(e.fd, buf, 1, MSG_DONTWAIT));
	result("send", send(e.fd, "x", 1, 0));
	result("the other end's recv", other_recv(&e, 1));
	ends_close(&e);
}

static void shared_flags(void)
{
	struct ends e = ends_open();
	int on = 0;
	socklen_t len = sizeof(on);
	pid_t pid;

	section("what the child sets");
	pid = fork();
	if (pid == 0) {
		set_blocking(e.fd, false);
		set_int(e.fd, SOL_SOCKET, SO_KEEPALIVE, 1);
		_exit(0);
	}
	say("child's end", "%d", status_of(pid));
	say("O_NONBLOCK", "%d", !!(fcntl(e.fd, F_GETFL) & O_NONBLOCK));
	need(getsockopt(e.fd, SOL_SOCKET, SO_KEEPALIVE, &on, &len) == 0);
	say("SO_KEEPALIVE", "%d", on);
	set_blocking(e.fd, true);
	ends_close(&e);
}

static void accepting(void)
{
	int port = next_port(), listener = listen_at(port, 8), other[4], total = 0;
	pid_t pid[4];

	section("accept in four processes");
	for (int i = 0; i < 4; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			int fd = accept(listener, NULL, NULL);

			_exit(fd >= 0 && send(fd, "hello", 5, 0) == 5 ? 7 : 1);
		}
	}
	for (int i = 0; i < 4; i++)
		other[i] = peer_connect(port);
	for (int i = 0; i < 4; i++)
		total += status_of(pid[i]);
	say("all of them got one", "%d", total);
	show_poll("poll", listener, POLLIN);
	for (int i = 0; i < 4; i++)
		peer_close(other[i]);
	close(listener);
}

static void accepted_by_child(void)
{
	int port = next_port(), listener = listen_at(port, 8), go[2];
	struct ends e = {.fd = -1};
	pid_t pid;

	section("a child accepts, the parent listens on");
	need(pipe(go) == 0);
	pid = fork();
	if (pid == 0) {
		int fd = accept(listener, NULL, NULL);

		close(listener);
		if (write(go[1], "a", 1) == 1)
			result("child's recv", recv(fd, buf, 3, MSG_WAITALL));
		result("child's send", send(fd, buf, 3, 0));
		_exit(0);
	}
	e.other = peer_connect(port);
	need(read(go[0], buf, 1) == 1);
	other_send(&e, 3);
	result("the other end's recv", other_recv(&e, 3));
	status_of(pid);
	peer_close(e.other);
	e.other = peer_connect(port);
	await(listener, POLLIN);
	outcome("parent's accept", accept(listener, NULL, NULL));
	peer_close(e.other);
	close(listener);
}

static void started_program(void)
{
	struct ends e = ends_open();
	char text[16];
	pid_t pid;

	section("exec");
	snprintf(text, sizeof(text), "%d", e.fd);
	pid = fork();
	if (pid == 0) {
		dup2(e.fd, 0);
		dup2(e.fd, 1);
		execl("/bin/sh", "sh", "-c", "read x; echo got $x", (char *)NULL);
		_exit(9);
	}
	close(e.fd);
	e.fd = -1;
	other_send(&e, 26);
	other_shut(&e, SHUT_WR);
	result("the other end's recv", other_recv(&e, 31));
	result("and its end", other_recv(&e, 1));
	say("its end", "%d", status_of(pid));
	ends_close(&e);
}

static void in_a_message(void)
{
	struct ends e = ends_open();
	char control[CMSG_SPACE(sizeof(int))] = {0}, byte = 'f';
	struct iovec v = {&byte, 1};
	struct msghdr m = {.msg_iov = &v,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int pair[2];
	pid_t pid;

	section("SCM_RIGHTS");
	need(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	pid = fork();
	if (pid == 0) {
		int got = -1;

		close(e.fd);
		close(pair[0]);
		result("recvmsg", recvmsg(pair[1], &m, 0));
		if (m.msg_controllen)
			memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
		say("a descriptor came", "%d", got >= 0);
		result("send by it", send(got, "passed", 6, MSG_NOSIGNAL));
		_exit(0);
	}
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &e.fd, sizeof(int));
	result("sendmsg", sendmsg(pair[0], &m, 0));
	close(e.fd);
	e.fd = -1;
	say("child's end", "%d", status_of(pid));
	result("the other end's recv", other_recv(&e, 6));
	close(pair[0]);
	close(pair[1]);
	ends_close(&e);
}

int main(int argc, char **argv)
{
	observe_start(argc, argv);
	both_sides();
	child_keeps_it();
	child_closes();
	child_shuts_reading();
	shared_flags();
	accepting();
	accepted_by_child();
	started_program();
	in_a_message();
	return observe_end();
}
