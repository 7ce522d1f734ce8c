/* SPDX-License-Identifier: BSD-2-Clause */
#include "harness.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

pid_t harness_daemon;

static void start_daemon(const char *rundir)
{
	int out[2];
	char c;

	if (pipe(out) < 0)
		abort();
	harness_daemon = fork();
	if (harness_daemon == 0) {
		dup2(out[1], STDOUT_FILENO);
		close(out[0]);
		close(out[1]);
		unsetenv("LD_PRELOAD");
		execl(getenv("FAKE_DAEMON"), "fake_daemon", rundir, (char *)NULL);
		_exit(127);
	}
	close(out[1]);
	CHECK(read(out[0], &c, 1) == 1);
	close(out[0]);
}

static int outcome(pid_t pid)
{
	int status = 0;

	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		fprintf(stderr, "killed by signal %d\n", WTERMSIG(status));
	return status;
}

int harness_run(void (*fn)(void), unsigned int seconds)
{
	char dir[] = "/tmp/stackd-client-XXXXXX", path[64];
	pid_t pid;
	int status;

	CHECK(mkdtemp(dir));
	start_daemon(dir);
	setenv("STACKD_RUNDIR", dir, 1);
	pid = fork();
	if (pid == 0) {
		alarm(seconds);
		fn();
		exit(0);
	}
	status = outcome(pid);
	kill(harness_daemon, SIGKILL);
	waitpid(harness_daemon, NULL, 0);
	snprintf(path, sizeof(path), "%s/client.sock", dir);
	unlink(path);
	rmdir(dir);
	return status;
}

static void loopback_up(void)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	CHECK(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0 && close(fd) == 0);
}

uint16_t harness_listens_on_both(void)
{
	uint16_t first = (uint16_t)(10000 + getpid() % 220 * 100); /* below the kernel's own choices */
	char text[8];

	if (unshare(CLONE_NEWNET) == 0)
		loopback_up();
	snprintf(text, sizeof(text), "%u", first);
	setenv("FAKE_FIRST_PORT", text, 1);
	setenv("FAKE_LISTEN_BOTH", "1", 1);
	return first;
}

struct sockaddr_in own_addr(uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};

	a.sin_addr.s_addr = inet_addr("10.77.0.1");
	return a;
}

int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
