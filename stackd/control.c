/* SPDX-License-Identifier: BSD-2-Clause */
/* control.c - the connections of control.sock: non-blocking, each with a bounded request, a bounded
 * answer and a time limit, so that no client holds the daemon up.  The commands are
 * control_request.c's. */
#include "control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "control_part.h"
#include "log.h"
#include "stackd_msg.h"

#define PEERS_MAX	 16u
#define PATIENCE_SECONDS 10u /* without a byte moved */

struct peer {
	struct control *control;
	int fd; /* -1: free */
	bool may_change, answering;
	uint32_t idle_seconds;
	char in[CONTROL_REQUEST_MAX];
	size_t in_len;
	char status;
	struct writer answer;
	size_t sent; /* with the status byte */
};

struct control {
	struct control_context context;
	struct access access;
	char path[KEY_TEXT_MAX + 16];
	int fd, timer;
	bool ticking, paused; /* paused: no descriptor left to accept with */
	struct peer peer[PEERS_MAX];
};

static void set_ticking(struct control *c, bool on)
{
	struct itimerspec every = {.it_interval.tv_sec = on, .it_value.tv_sec = on};

	if (c->ticking != on)
		timerfd_settime(c->timer, 0, &every, NULL);
	c->ticking = on;
}

/* An idle daemon doesn't wake up. */
static void stop_ticking_when_alone(struct control *c)
{
	bool wanted = c->paused;

	for (uint32_t i = 0; i < PEERS_MAX; i++)
		wanted |= c->peer[i].fd >= 0;
	if (!wanted)
		set_ticking(c, false);
}

static void drop_peer(struct peer *p)
{
	struct control *c = p->control;

	loop_remove(c->context.loop, p->fd);
	close(p->fd);
	writer_free(&p->answer);
	p->fd = -1;
	stop_ticking_when_alone(c);
}

static void send_answer(struct peer *p)
{
	struct iovec part[2] = {{&p->status, 1}, {p->answer.text, p->answer.len}};
	size_t skip = p->sent, total = 1 + p->answer.len;
	struct msghdr message = {.msg_iov = part, .msg_iovlen = 2};
	ssize_t n;

	if (skip) {
		part[0].iov_len = 0;
		part[1].iov_base = p->answer.text + (skip - 1);
		part[1].iov_len -= skip - 1;
	}
	n = sendmsg(p->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		n = 0;
	if (n < 0) {
		drop_peer(p);
		return;
	}
	p->sent += (size_t)n;
	if (n)
		p->idle_seconds = 0;
	if (p->sent == total)
		drop_peer(p);
}

static void refuse_text(struct peer *p, const char *why)
{
	writer_free(&p->answer);
	writer_init(&p->answer, false, CONTROL_REQUEST_MAX);
	writer_raw(&p->answer, "%s\n", why);
	p->status = '1';
}

/* The request is complete, or won't ever be. */
static void answer(struct peer *p, int parsed, const char **word, uint32_t count)
{
	struct control_request r = {.context = &p->control->context, .may_change = p->may_change};
	int code = parsed;

	if (parsed < 0) {
		snprintf(r.error, sizeof(r.error), "not a request: more than %u words or %u bytes",
			 CONTROL_WORDS_MAX, CONTROL_REQUEST_MAX);
	} else {
		memcpy(r.word, word, sizeof(r.word));
		r.word_count = count;
		code = control_run(&r);
	}
	p->answer = r.answer;
	p->status = '0';
	if (!code && p->answer.overflow) {
		snprintf(r.error, sizeof(r.error), "the answer is longer than %u bytes; use a filter",
			 CONTROL_ANSWER_MAX);
		code = -EFBIG;
	}
	if (code)
		refuse_text(p, r.error);
	p->answering = true;
	loop_change(p->control->context.loop, p->fd, EPOLLOUT);
	send_answer(p);
}

static void read_request(struct peer *p)
{
	const char *word[CONTROL_WORDS_MAX + 1];
	uint32_t count;
	ssize_t n = recv(p->fd, p->in + p->in_len, sizeof(p->in) - p->in_len, MSG_DONTWAIT);
	int parsed;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop_peer(p);
		return;
	}
	p->in_len += (size_t)n;
	p->idle_seconds = 0;
	parsed = control_parse(p->in, p->in_len, word, &count);
	if (parsed)
		answer(p, parsed, word, count);
}

static void on_peer(struct loop *loop, int fd, uint32_t events, void *arg)
{
	struct peer *p = arg;

	(void)loop;
	(void)fd;
	if (events & EPOLLERR)
		drop_peer(p);
	else if (p->answering)
		send_answer(p);
	else
		read_request(p);
}

static struct peer *free_peer(struct control *c)
{
	for (uint32_t i = 0; i < PEERS_MAX; i++)
		if (c->peer[i].fd < 0)
			return &c->peer[i];
	return NULL;
}

static void on_connect(struct loop *loop, int listen_fd, uint32_t events, void *arg)
{
	struct control *c = arg;
	struct peer *p = free_peer(c);
	int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct ucred who;

	(void)events;
	if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
		c->paused = true; /* the event is level-triggered: look again in a second */
		loop_change(loop, listen_fd, 0);
		set_ticking(c, true);
	}
	if (fd < 0)
		return;
	if (!access_allows(&c->access, fd, &who)) {
		log_warning("control: process %d of user %u is not allowed (stackd.allow)", who.pid, who.uid);
		close(fd);
		return;
	}
	if (!p || loop_add(loop, fd, EPOLLIN, on_peer, p)) {
		log_warning("control: process %d turned away: %u at once are the limit", who.pid, PEERS_MAX);
		close(fd);
		return;
	}
	*p = (struct peer){.control = c, .fd = fd};
	p->may_change = who.uid == 0 || who.uid == geteuid();
	set_ticking(c, true);
}

static void on_second(struct loop *loop, int fd, uint32_t events, void *arg)
{
	struct control *c = arg;
	uint64_t expired;

	(void)events;
	if (read(fd, &expired, sizeof(expired)) != (ssize_t)sizeof(expired))
		return;
	if (c->paused)
		loop_change(loop, c->fd, EPOLLIN);
	c->paused = false;
	for (uint32_t i = 0; i < PEERS_MAX; i++)
		if (c->peer[i].fd >= 0 && ++c->peer[i].idle_seconds > PATIENCE_SECONDS)
			drop_peer(&c->peer[i]);
	stop_ticking_when_alone(c);
}

int control_create(const struct control_context *context, struct control **out,
		   char error[static CONFIG_ERROR_MAX])
{
	struct control *c = calloc(1, sizeof(*c));
	struct config_daemon daemon;
	int code;

	if (!c)
		return config_fail(error, -ENOMEM, "out of memory");
	c->context = *context;
	for (uint32_t i = 0; i < PEERS_MAX; i++)
		c->peer[i].fd = -1;
	config_daemon(context->config, &daemon);
	c->access = daemon.allow;
	snprintf(c->path, sizeof(c->path), "%s/" STACKD_CONTROL_SOCK, daemon.rundir);
	c->fd = access_listen(c->path, SOCK_STREAM, &c->access, error);
	if (c->fd < 0) {
		code = c->fd;
		goto free_it;
	}
	c->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (c->timer < 0) {
		code = config_fail(error, -errno, "timerfd: %s", strerror(errno));
		goto close_socket;
	}
	code = loop_add(context->loop, c->fd, EPOLLIN, on_connect, c);
	if (!code)
		code = loop_add(context->loop, c->timer, EPOLLIN, on_second, c);
	if (code) {
		config_fail(error, code, "control: %s", strerror(-code));
		goto close_timer;
	}
	*out = c;
	return 0;

close_timer:
	loop_remove(context->loop, c->fd);
	close(c->timer);
close_socket:
	close(c->fd);
	unlink(c->path);
free_it:
	free(c);
	return code;
}

void control_destroy(struct control *c)
{
	if (!c)
		return;
	for (uint32_t i = 0; i < PEERS_MAX; i++)
		if (c->peer[i].fd >= 0)
			drop_peer(&c->peer[i]);
	loop_remove(c->context.loop, c->fd);
	loop_remove(c->context.loop, c->timer);
	close(c->fd);
	close(c->timer);
	unlink(c->path);
	free(c);
}
