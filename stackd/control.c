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
#include "control_tap.h"
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
	struct control_stream *stream; /* NULL: `answer` is all */
	bool status_sent;
};

struct control {
	struct control_context context;
	struct access access;
	char path[KEY_TEXT_MAX + 16];
	int fd, timer;
	int stream_timer; /* -1: no answer goes on */
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
	if (p->stream)
		p->stream->close(p->stream);
	p->stream = NULL;
	stop_ticking_when_alone(c);
}

/* All of a part has left: a stream goes on with its next one. */
static void part_sent(struct peer *p)
{
	if (!p->stream) {
		drop_peer(p);
		return;
	}
	p->answer.len = p->sent = 0;
	p->status_sent = true;
	loop_change(p->control->context.loop, p->fd, EPOLLIN);
}

static void send_answer(struct peer *p)
{
	size_t status = p->status_sent ? 0 : 1, skip = p->sent, total = status + p->answer.len;
	struct iovec part[2] = {{&p->status, status}, {p->answer.text, p->answer.len}};
	struct msghdr message = {.msg_iov = part, .msg_iovlen = 2};
	ssize_t n;

	if (skip) {
		part[0].iov_len = 0;
		part[1].iov_base = p->answer.text + (skip - status);
		part[1].iov_len -= skip - status;
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
		part_sent(p);
}

/* --- answers that go on ---------------------------------------------------------------------------- */

static void go_on(struct peer *p, bool ending)
{
	struct control *c = p->control;
	size_t before = p->answer.len;
	bool over = !p->stream->fill(p->stream, &p->answer, ending);

	if (over) {
		p->stream->close(p->stream);
		p->stream = NULL;
	}
	if (p->answer.len > before || over) {
		/* a reader that has said its end would be readable for ever */
		loop_change(c->context.loop, p->fd, over ? EPOLLOUT : EPOLLIN | EPOLLOUT);
		send_answer(p);
	}
}

static void on_tick(struct loop *loop, int fd, uint32_t events, void *arg)
{
	struct control *c = arg;
	uint64_t expired;
	bool any = false;

	(void)events;
	if (read(fd, &expired, sizeof(expired)) != (ssize_t)sizeof(expired))
		return;
	for (uint32_t i = 0; i < PEERS_MAX; i++) {
		struct peer *p = &c->peer[i];

		if (p->fd >= 0 && p->stream)
			go_on(p, false);
		any |= p->fd >= 0 && p->stream;
	}
	if (any)
		return;
	loop_remove(loop, fd);
	close(fd);
	c->stream_timer = -1;
}

static int start_tick(struct control *c)
{
	const struct timespec tick = {.tv_nsec = CONTROL_TICK_MS * 1000000l};
	const struct itimerspec every = {.it_interval = tick, .it_value = tick};
	int fd, code;

	if (c->stream_timer >= 0)
		return 0;
	fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	timerfd_settime(fd, 0, &every, NULL);
	code = loop_add(c->context.loop, fd, EPOLLIN, on_tick, c);
	if (code)
		close(fd);
	else
		c->stream_timer = fd;
	return code;
}

/* The reader of a stream says nothing any more: it wants the end, or has gone. */
static void reader_spoke(struct peer *p)
{
	char ignored[64];
	ssize_t n = recv(p->fd, ignored, sizeof(ignored), MSG_DONTWAIT);

	if (n == 0 && p->stream)
		go_on(p, true);
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		drop_peer(p);
}

/* --- requests ---------------------------------------------------------------------------------------- */

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
	p->stream = r.stream;
	if (p->stream && start_tick(p->control))
		code = control_refuse(&r, -ENOMEM, "no timer to be had");
	if (!code && p->answer.overflow) {
		snprintf(r.error, sizeof(r.error), "the answer is longer than %u bytes; use a filter",
			 CONTROL_ANSWER_MAX);
		code = -EFBIG;
	}
	if (code && p->stream) {
		p->stream->close(p->stream);
		p->stream = NULL;
	}
	if (code)
		refuse_text(p, r.error);
	if (p->stream)
		p->answer.max = CONTROL_STREAM_MAX;
	p->answering = true;
	loop_change(p->control->context.loop, p->fd, p->stream ? EPOLLIN | EPOLLOUT : EPOLLOUT);
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
	else if (!p->answering)
		read_request(p);
	else if (events & EPOLLOUT)
		send_answer(p);
	else
		reader_spoke(p);
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
		if (c->peer[i].fd >= 0 && !c->peer[i].stream && ++c->peer[i].idle_seconds > PATIENCE_SECONDS)
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
	c->stream_timer = -1;
	for (uint32_t i = 0; i < PEERS_MAX; i++)
		c->peer[i].fd = -1;
	c->context.taps = taps_create(context->shards, context->shard_count);
	if (!c->context.taps) {
		code = config_fail(error, -ENOMEM, "out of memory");
		goto free_it;
	}
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
	taps_destroy(c->context.taps);
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
	if (c->stream_timer >= 0) {
		loop_remove(c->context.loop, c->stream_timer);
		close(c->stream_timer);
	}
	taps_destroy(c->context.taps);
	unlink(c->path);
	free(c);
}
