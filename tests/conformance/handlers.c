/* SPDX-License-Identifier: BSD-2-Clause */
/* A handler that uses sockets, a thousand times a second, while the program uses the same ones. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "ends.h"
#include "observe.h"

#define ROUNDS	  3000
#define BLOCK	  300
#define TO_READ	  30000
#define MANY	  ((size_t)1 << 40) /* more than there is */
#define HANDLED   700 /* at least, however fast the rounds are */

static struct ends both, other; /* the program writes to the first one too */
static char block[BLOCK];
static atomic_long by_handler, to_other, read_by_handler, handled;
static atomic_int wrong; /* an errno that a handler met */

static void note(long r)
{
	if (r < 0 && errno != EAGAIN && errno != EINTR)
		atomic_store(&wrong, errno);
}

static void on_signal(int sig)
{
	int saved = errno, copy;
	char byte = 'h';
	ssize_t n;

	(void)sig;
	note(n = send(both.fd, &byte, 1, MSG_DONTWAIT));
	atomic_fetch_add(&by_handler, n > 0 ? n : 0);
	note(n = write(other.fd, &byte, 1));
	atomic_fetch_add(&to_other, n > 0 ? n : 0);
	note(n = recv(other.fd, &byte, 1, MSG_DONTWAIT));
	atomic_fetch_add(&read_by_handler, n > 0 ? n : 0);
	if (atomic_fetch_add(&handled, 1) % 8 == 0) {
		note(copy = dup(other.fd));
		note(close(copy));
		note(copy = new_socket(0));
		note(close(copy));
	}
	errno = saved;
}

static void every_us(int us)
{
	struct itimerval t = {.it_interval.tv_usec = us, .it_value.tv_usec = us};

	need(setitimer(ITIMER_REAL, &t, NULL) == 0);
}

static void *reader(void *arg)
{
	return (void *)(intptr_t)other_recv(arg, MANY);
}

static pthread_t begin(int flags)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = flags};
	sigset_t alarm;
	pthread_t t;

	both = ends_open();
	other = ends_open();
	atomic_store(&by_handler, 0);
	atomic_store(&to_other, 0);
	atomic_store(&read_by_handler, 0);
	atomic_store(&handled, 0);
	atomic_store(&wrong, 0);
	need(other_send(&other, TO_READ) == TO_READ);
	need(sigaction(SIGALRM, &sa, NULL) == 0);
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	need(pthread_sigmask(SIG_BLOCK, &alarm, NULL) == 0); /* only this thread takes it */
	need(pthread_create(&t, NULL, reader, &both) == 0);
	need(pthread_sigmask(SIG_UNBLOCK, &alarm, NULL) == 0);
	every_us(1000);
	return t;
}

static void end(pthread_t t, long sent, long got)
{
	void *arrived;
	char buf[1000];
	ssize_t n;

	every_us(0);
	shutdown(both.fd, SHUT_WR);
	pthread_join(t, &arrived);
	say("all that was sent arrived", "%d", (long)(intptr_t)arrived == sent + atomic_load(&by_handler));
	shutdown(other.fd, SHUT_WR);
	say("and what handlers sent alone", "%d",
	    other_recv(&other, MANY) == atomic_load(&to_other));
	got += atomic_load(&read_by_handler);
	while (got < TO_READ && (n = recv(other.fd, buf, sizeof(buf), 0)) > 0)
		got += n;
	say("read", "%ld", got);
	say("no errors", "%s", error_name(atomic_load(&wrong)));
	ends_close(&both);
	ends_close(&other);
}

static void rounds(const char *name, int flags)
{
	long sent = 0, got = 0;
	char byte;
	pthread_t t;

	section(name);
	t = begin(flags);
	for (int i = 0; i < ROUNDS || atomic_load(&handled) < HANDLED; i++) {
		ssize_t n = write(both.fd, block, sizeof(block));
		int copy;

		need(n > 0 || errno == EINTR);
		sent += n > 0 ? n : 0;
		n = i % 16 ? 0 : recv(other.fd, &byte, 1, MSG_DONTWAIT);
		got += n > 0 ? n : 0;
		copy = i % 4 ? -1 : dup(both.fd);
		if (copy >= 0)
			close(copy);
	}
	end(t, sent, got);
}

int main(int argc, char **argv)
{
	observe_start(argc, argv);
	memset(block, 'b', sizeof(block));
	rounds("handlers that write, with SA_RESTART", SA_RESTART);
	rounds("handlers that write, without", 0);
	return observe_end();
}
