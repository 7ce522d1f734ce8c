/* SPDX-License-Identifier: BSD-2-Clause */
/* The small services of the control thread: who may connect, readiness, the loop, the log. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "access.h"
#include "log.h"
#include "loop.h"
#include "notify.h"

static char dir[] = "/tmp/stackd-service-XXXXXX";
static char error[ACCESS_ERROR_MAX];

static const char *in_dir(const char *name)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static int connect_to(const char *path, int type)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	close(fd);
	return -errno;
}

/* Connects as another user in a child; returns 0 or the errno. */
static int connect_as(const char *path, uid_t uid, gid_t gid)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		int fd = -EPERM;

		if (setgid(gid) == 0 && setuid(uid) == 0)
			fd = connect_to(path, SOCK_STREAM);
		_exit(fd < 0 ? -fd : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void parses_who_is_allowed(void **state)
{
	struct access a;

	(void)state;
	assert_int_equal(access_parse("uid:0 gid:7,uid:root", &a, error), 0);
	assert_int_equal(a.uid_count, 2);
	assert_int_equal(a.gid_count, 1);
	assert_int_equal(a.gid[0], 7);
	assert_int_equal(access_parse("", &a, error), 0);
	assert_int_equal(a.uid_count, 0);
	assert_int_equal(access_parse("0", &a, error), -EINVAL);
	assert_int_equal(access_parse("uid:", &a, error), -EINVAL);
	assert_int_equal(access_parse("uid:-1", &a, error), -EINVAL);
	assert_int_equal(access_parse("uid:99999999999", &a, error), -EINVAL);
	assert_int_equal(access_parse("gid:0x10", &a, error), -EINVAL);
}

static void lets_only_those_in(void **state)
{
	struct access nobody = {0}, some = {.uid = {12345}, .uid_count = 1, .gid = {23456}, .gid_count = 1};
	struct ucred peer;
	struct stat st;
	int fd, client, server;

	(void)state;
	fd = access_listen(in_dir("a.sock"), SOCK_STREAM, &nobody, error);
	if (fd < 0)
		fail_msg("%s", error);
	assert_int_equal(stat(in_dir("a.sock"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	client = connect_to(in_dir("a.sock"), SOCK_STREAM);
	assert_true(client >= 0);
	server = accept(fd, NULL, NULL);
	assert_true(access_allows(&nobody, server, &peer));
	assert_int_equal(peer.pid, getpid());
	close(server);
	close(client);
	assert_int_equal(access_listen(in_dir("a.sock"), SOCK_STREAM, &nobody, error), -EADDRINUSE);
	assert_non_null(strstr(error, "another stackd serves there"));
	if (geteuid() == 0)
		assert_int_equal(connect_as(in_dir("a.sock"), 12345, 12345), EACCES);
	close(fd);

	/* the file of a dead daemon is replaced */
	fd = access_listen(in_dir("a.sock"), SOCK_STREAM, &some, error);
	if (fd < 0)
		fail_msg("%s", error);
	assert_int_equal(stat(in_dir("a.sock"), &st), 0);
	assert_int_equal(st.st_mode & 0007, 0);
	if (geteuid() == 0) {
		assert_int_equal(connect_as(in_dir("a.sock"), 12345, 1), 0);
		server = accept(fd, NULL, NULL);
		assert_true(access_allows(&some, server, NULL));
		assert_false(access_allows(&nobody, server, NULL));
		close(server);
		assert_int_equal(connect_as(in_dir("a.sock"), 999, 23456), 0);
		server = accept(fd, NULL, NULL);
		assert_true(access_allows(&some, server, NULL));
		close(server);
		assert_int_equal(connect_as(in_dir("a.sock"), 999, 999), EACCES);
	}
	close(fd);
	unlink(in_dir("a.sock"));
}

static void leaves_other_files_alone(void **state)
{
	struct access nobody = {0};
	FILE *f = fopen(in_dir("file"), "w");

	(void)state;
	assert_non_null(f);
	fclose(f);
	assert_int_equal(access_listen(in_dir("file"), SOCK_STREAM, &nobody, error), -EADDRINUSE);
	assert_non_null(strstr(error, "is no socket"));
	assert_int_equal(access(in_dir("file"), F_OK), 0);
	unlink(in_dir("file"));
	assert_int_equal(access_listen("/nowhere/x.sock", SOCK_STREAM, &nobody, error), -ENOENT);
}

static void tells_that_it_is_ready(void **state)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	char text[256] = "";
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0), ends[2];

	(void)state;
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", in_dir("notify"));
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(pipe(ends), 0);
	setenv("NOTIFY_SOCKET", at.sun_path, 1);
	assert_int_equal(notify_ready(ends[1], "serving"), 0);
	assert_true(recv(fd, text, sizeof(text) - 1, 0) > 0);
	assert_string_equal(text, "READY=1\nSTATUS=serving\n");
	assert_int_equal(read(ends[0], text, sizeof(text)), 6);
	assert_memory_equal(text, "ready\n", 6);
	assert_int_equal(read(ends[0], text, sizeof(text)), 0); /* closed */
	notify_stopping();
	assert_int_equal(recv(fd, text, sizeof(text), 0), 11);
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(notify_ready(-1, "serving"), 0);
	setenv("NOTIFY_SOCKET", "relative", 1);
	assert_int_equal(notify_ready(-1, "serving"), -EINVAL);
	unsetenv("NOTIFY_SOCKET");
	close(ends[0]);
	close(fd);
	unlink(at.sun_path);
}

struct watched {
	int pipe[2][2];
	int calls;
};

/* Whoever comes first removes the other, whose event has been fetched already. */
static void remove_the_other(struct loop *l, int fd, uint32_t events, void *arg)
{
	struct watched *w = arg;
	int other = fd == w->pipe[0][0] ? w->pipe[1][0] : w->pipe[0][0];

	assert_int_equal(events & EPOLLIN, EPOLLIN);
	w->calls++;
	loop_remove(l, other);
	loop_stop(l);
}

static void removed_means_removed(void **state)
{
	struct loop *l = loop_create();
	struct watched w = {0};

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pipe(w.pipe[i]), 0);
		assert_int_equal(write(w.pipe[i][1], "x", 1), 1);
		assert_int_equal(loop_add(l, w.pipe[i][0], EPOLLIN, remove_the_other, &w), 0);
	}
	assert_int_equal(loop_run(l), 0);
	assert_int_equal(loop_run(l), 0);
	assert_int_equal(w.calls, 2); /* the same one twice: it is level-triggered */
	assert_int_equal(loop_add(l, -1, EPOLLIN, remove_the_other, &w), -EBADF);
	assert_int_equal(loop_change(l, 4000, EPOLLIN), -ENOENT);
	loop_remove(l, 4000);
	for (int i = 0; i < 2; i++) {
		close(w.pipe[i][0]);
		close(w.pipe[i][1]);
	}
	loop_destroy(l);
}

static void logs_one_line(void **state)
{
	int saved = dup(2), ends[2];
	char text[256] = "";

	(void)state;
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], 2);
	log_init(LOG_LEVEL_WARNING);
	log_info("not this");
	log_warning("a peer said '%s'", "x\n<0>forged");
	dup2(saved, 2);
	log_init(LOG_LEVEL_INFO);
	assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
	assert_string_equal(text, "stackd: warning: a peer said 'x <0>forged'\n");
	close(ends[0]);
	close(ends[1]);
	close(saved);
}

static void marks_levels_for_the_journal(void **state)
{
	int saved = dup(2), ends[2];
	char text[256] = "", stream[64];
	struct stat st;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], 2);
	assert_int_equal(fstat(2, &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_init(LOG_LEVEL_INFO);
	log_error("bad");
	dup2(saved, 2);
	unsetenv("JOURNAL_STREAM");
	log_init(LOG_LEVEL_INFO);
	assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
	assert_string_equal(text, "<3>bad\n");
	close(ends[0]);
	close(ends[1]);
	close(saved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(parses_who_is_allowed),
	    cmocka_unit_test(lets_only_those_in),
	    cmocka_unit_test(leaves_other_files_alone),
	    cmocka_unit_test(tells_that_it_is_ready),
	    cmocka_unit_test(removed_means_removed),
	    cmocka_unit_test(logs_one_line),
	    cmocka_unit_test(marks_levels_for_the_journal),
	};
	int failed;

	if (!mkdtemp(dir) || chmod(dir, 0755) < 0)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
