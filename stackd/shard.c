/* SPDX-License-Identifier: BSD-2-Clause */
/* shard.c - a shard's thread.  One turn of its loop: frames in, TCP, sockets' news, submissions,
 * timers and output, one flush, wake-ups.  When there was nothing to do for a while it sleeps in
 * one system call that waits for frames, kicks, messages and the next timer at once. */
#include "shard.h"

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "shard_inside.h"
#include "slab.h"

#define LETTERS_MAX    8192u
#define BLOCKED_NS     (200 * NS_PER_US) /* the driver had no room: look again so soon */
#define LOOKS_A_YIELD  8u
#define SPIN_GROWTH_MAX 4u /* times stackd.spin */
#define SPIN_GROWN_MAX_NS (200 * NS_PER_US)
#define PORT_MIN       32768u
#define PORT_MAX       60999u
#define CHUNKS_MAX     4000000u

ns_t shard_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (ns_t)ts.tv_sec * NS_PER_S + (ns_t)ts.tv_nsec;
}

/* --- frames ---------------------------------------------------------------------------------------- */

enum tcp_outcome shard_segment(struct shard *sh, const struct net_segment *seg)
{
	struct tcp_conn *conn;
	enum tcp_outcome o = tcp_input(sh->tcp, seg, sh->now, &conn);

	if (o != TCP_NEEDS_BUFFERS)
		return o;
	if (sock_give_buffers(sh->socks, conn))
		return tcp_input(sh->tcp, seg, sh->now, &conn);
	count(&sh->counters, COUNT_listen_no_buffers);
	return o;
}

void shard_frame(struct shard *sh, uint32_t interface, const struct frame *f)
{
	struct net_result r;

	switch (net_input(sh->net, interface, f, sh->now, &r)) {
	case NET_SEGMENT:
		if (shard_segment(sh, &r.segment) == TCP_NOT_FOUND)
			handover_frame(sh, interface, f, &r.segment);
		break;
	case NET_ERROR:
		if (!tcp_error(sh->tcp, &r.error, sh->now))
			handover_error(sh, &r.error);
		break;
	case NET_NEIGHBOUR:
		handover_neighbour(sh, &r.neighbour);
		break;
	case NET_DONE:
		break;
	}
}

/* A copy for those who look. */
static void put_on_tape(struct shard *sh, uint32_t interface, const struct frame *f)
{
	struct tape_frame *t = tape_write(sh->tape, TAPE_FRAME_IN, sh->now, (uint32_t)sizeof(*t) + f->len);
	uint8_t *to;

	if (!t)
		return;
	*t = (struct tape_frame){.interface = interface, .len = f->len};
	to = (uint8_t *)(t + 1);
	for (uint32_t i = 0; i < f->span_count; i++) {
		memcpy(to, f->span[i].base, f->span[i].len);
		to += f->span[i].len;
	}
	tape_end(sh->tape);
}

static bool rx_interface(struct shard *sh, uint32_t i)
{
	struct driver *d = sh->config.driver[i];
	struct frame frames[FRAME_BURST_MAX];
	uint32_t n = d->ops->rx(d, sh->now, frames, FRAME_BURST_MAX);

	for (uint32_t k = 0; k < n; k++) {
		count_add(&sh->counters, COUNT_rx_bytes, frames[k].len);
		if (sh->tape)
			put_on_tape(sh, i, &frames[k]);
		shard_frame(sh, i, &frames[k]);
	}
	count_add(&sh->counters, COUNT_rx_frames, n);
	if (n)
		d->ops->rx_release(d);
	return n > 0;
}

static bool rx_loop(struct shard *sh)
{
	struct frame frames[FRAME_BURST_MAX];
	uint32_t n = net_loop(sh->net, frames, FRAME_BURST_MAX);

	for (uint32_t k = 0; k < n; k++)
		shard_frame(sh, NET_LOOP, &frames[k]);
	return n > 0;
}

static bool rx_all(struct shard *sh)
{
	bool any = rx_loop(sh);

	for (uint32_t i = 0; i < sh->config.net.interface_count; i++)
		any |= rx_interface(sh, i);
	return any;
}

/* --- the loop -------------------------------------------------------------------------------------- */

static void wake_clients(struct shard *sh)
{
	bool trusted;
	int fd;

	while ((fd = sock_next_wakeup(sh->socks, &trusted)) >= 0)
		waker_wake(&sh->waker, fd, trusted);
}

static bool turn(struct shard *sh)
{
	bool any;

	sh->now = shard_clock();
	any = rx_all(sh);
	any |= sock_events(sh->socks);
	wake_clients(sh);
	any |= sock_poll(sh->socks, sh->now);
	any |= mailbox_drain(&sh->mailbox, sh);
	tcp_run(sh->tcp, sh->now);
	if (sock_events(sh->socks))
		any = true;
	net_flush(sh->net, sh->now);
	wake_clients(sh);
	handover_letters(sh);
	sh->stats.loops++;
	return any;
}

static ns_t earliest(ns_t a, ns_t b)
{
	return a < b ? a : b;
}

static ns_t next_deadline(struct shard *sh)
{
	ns_t at = earliest(tcp_deadline(sh->tcp), net_deadline(sh->net));

	for (uint32_t i = 0; i < sh->config.net.interface_count; i++) {
		struct driver *d = sh->config.driver[i];

		if (d->ops->deadline)
			at = earliest(at, d->ops->deadline(d));
	}
	return tcp_blocked(sh->tcp) ? earliest(at, sh->now + BLOCKED_NS) : at;
}

static bool something_waits(struct shard *sh)
{
	if (sock_ready(sh->socks) || mailbox_waiting(&sh->mailbox))
		return true;
	for (uint32_t i = 0; i < sh->config.net.interface_count; i++) {
		struct driver *d = sh->config.driver[i];

		if (d->ops->rx_ready(d, sh->now))
			return true;
	}
	return false;
}

static void wait_until(struct shard *sh, ns_t at)
{
	ns_t now = shard_clock(), left = at > now ? at - now : 0;
	struct timespec ts = {(time_t)(left / NS_PER_S), (long)(left % NS_PER_S)};
	struct epoll_event ev[16];
	int n = epoll_pwait2(sh->epoll, ev, 16, at == NS_NEVER ? NULL : &ts, NULL);
	uint64_t counter;

	for (int i = 0; i < n; i++)
		if (ev[i].data.fd == sh->mailbox.fd)
			(void)!read(sh->mailbox.fd, &counter, sizeof(counter));
}

/* A sleep so short that it was hardly worth its wake-up: look longer the next time. */
static void learn(struct shard *sh, ns_t slept_ns)
{
	ns_t most = sh->config.spin_ns * SPIN_GROWTH_MAX;

	if (most > SPIN_GROWN_MAX_NS)
		most = SPIN_GROWN_MAX_NS;
	if (slept_ns > most)
		sh->spin_ns = sh->config.spin_ns;
	else if (sh->spin_ns < most)
		sh->spin_ns = 2 * sh->spin_ns < most ? 2 * sh->spin_ns : most;
}

/* The flag, the fence, one more look: see docs/PROTOCOL.md. */
static void shard_sleep(struct shard *sh)
{
	ns_t before = shard_clock(), slept_ns;

	atomic_store(sh->sleeping, 1);
	atomic_thread_fence(memory_order_seq_cst);
	if (!something_waits(sh) && !atomic_load(&sh->stop)) {
		wait_until(sh, next_deadline(sh));
		sh->stats.sleeps++;
		count(&sh->counters, COUNT_shard_wakeups);
	}
	atomic_store(sh->sleeping, 0);
	slept_ns = shard_clock() - before;
	sh->stats.idle_ns += slept_ns;
	learn(sh, slept_ns);
}

static int watch(struct shard *sh, int fd, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.fd = fd};

	return epoll_ctl(sh->epoll, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

/* After the first turn: an io_uring can be watched reliably only once its own thread has used it. */
static void watch_drivers(struct shard *sh)
{
	for (uint32_t i = 0; i < sh->config.net.interface_count; i++)
		if (sh->config.driver[i]->fd >= 0 && watch(sh, sh->config.driver[i]->fd, EPOLLIN))
			log_error("shard %u: can't watch interface %u: %s", sh->config.index, i, strerror(errno));
}

static void pin(const struct shard *sh)
{
	cpu_set_t set;

	if (sh->config.cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET((size_t)sh->config.cpu, &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

/* The CPU may be wanted by the very client or peer that is waited for: without the yield it would
 * wait for the scheduler's next tick. */
static void look_again(const struct shard *sh)
{
	if (sh->stats.loops % LOOKS_A_YIELD == 0)
		sched_yield();
	else
		__builtin_ia32_pause();
}

static void *shard_main(void *arg)
{
	struct shard *sh = arg;
	ns_t busy_at = shard_clock();
	char name[16];

	snprintf(name, sizeof(name), "shard %u", sh->config.index);
	pthread_setname_np(pthread_self(), name);
	pin(sh);
	turn(sh);
	watch_drivers(sh);
	while (!atomic_load_explicit(&sh->stop, memory_order_relaxed)) {
		if (turn(sh)) {
			busy_at = sh->now;
		} else if (sh->now - busy_at < sh->spin_ns && next_deadline(sh) > sh->now) {
			look_again(sh);
		} else {
			shard_sleep(sh);
			busy_at = shard_clock();
		}
	}
	return NULL;
}

/* --- life -------------------------------------------------------------------------------------------- */

static void close_drivers(struct shard_config *c)
{
	for (uint32_t i = 0; i < INTERFACES_MAX; i++)
		if (c->driver[i])
			c->driver[i]->ops->close(c->driver[i]);
}

int shard_watch_kick(struct shard *sh, int eventfd)
{
	return watch(sh, eventfd, EPOLLIN | EPOLLET);
}

void shard_forget_kick(struct shard *sh, int eventfd)
{
	epoll_ctl(sh->epoll, EPOLL_CTL_DEL, eventfd, NULL);
}

static int open_waiting(struct shard *sh)
{
	int err = mailbox_init(&sh->mailbox, sh->sleeping);

	if (err)
		return err;
	sh->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (sh->epoll < 0)
		return -errno;
	err = waker_init(&sh->waker);
	if (err)
		return err;
	sh->has_waker = true;
	return watch(sh, sh->mailbox.fd, EPOLLIN);
}

static int build_layers(struct shard *sh)
{
	struct net_config net = sh->config.net;
	struct tcp_config tcp = {.memory = &slab_memory, .counters = &sh->counters, .secret = sh->config.secret,
				 .rules = sh->config.rules, .connections_max = sh->config.connections_max,
				 .chunks_max = CHUNKS_MAX, .debug = sh->config.debug};
	struct sock_table_config socks = {.memory = &slab_memory, .counters = &sh->counters,
					  .shard = sh->config.index, .shards = sh->config.count,
					  .letters_max = LETTERS_MAX, .port_min = PORT_MIN, .port_max = PORT_MAX};

	for (uint32_t i = 0; i < net.interface_count; i++)
		net.interface[i].driver = sh->config.driver[i];
	net.memory = &slab_memory;
	net.counters = &sh->counters;
	net.secret = sh->config.secret;
	sh->now = shard_clock();
	sh->net = net_create(&net, sh->now);
	tcp.net = sh->net;
	sh->tcp = sh->net ? tcp_create(&tcp, sh->now) : NULL;
	socks.tcp = sh->tcp;
	socks.port_seed = (uint32_t)siphash(&sh->config.secret, &sh->now, sizeof(sh->now));
	sh->socks = sh->tcp ? sock_table_create(&socks) : NULL;
	return sh->socks ? 0 : -ENOMEM;
}

int shard_create(const struct shard_config *config, struct shard **out)
{
	struct shard *sh = slab_map(sizeof(*sh));
	int err;

	if (!sh)
		return -ENOMEM;
	sh->config = *config;
	sh->spin_ns = config->spin_ns;
	sh->epoll = sh->mailbox.fd = -1;
	sh->started_at = shard_clock();
	sh->sleeping = &config->board->shard[config->index].sleeping;
	err = open_waiting(sh);
	if (!err)
		err = build_layers(sh);
	if (err)
		shard_destroy(sh);
	else
		*out = sh;
	return err;
}

void shard_on_letter(struct shard *sh, void (*deliver)(void *, struct mail *))
{
	sh->on_letter = deliver;
}

int shard_start(struct shard *sh)
{
	int err = pthread_create(&sh->thread, NULL, shard_main, sh);

	sh->started = !err;
	return -err;
}

static void nothing(struct shard *sh, void *arg)
{
	(void)sh;
	(void)arg;
}

void shard_stop(struct shard *sh)
{
	if (!sh->started)
		return;
	shard_call(sh, nothing, NULL);
	atomic_store(&sh->stop, true);
	(void)!write(sh->mailbox.fd, &(uint64_t){1}, sizeof(uint64_t));
	pthread_join(sh->thread, NULL);
	sh->started = false;
}

void shard_destroy(struct shard *sh)
{
	if (sh->socks)
		sock_table_destroy(sh->socks);
	if (sh->tcp)
		tcp_destroy(sh->tcp);
	if (sh->net)
		net_destroy(sh->net);
	close_drivers(&sh->config);
	if (sh->has_waker)
		waker_destroy(&sh->waker);
	if (sh->epoll >= 0)
		close(sh->epoll);
	if (sh->mailbox.fd >= 0)
		mailbox_destroy(&sh->mailbox);
	slab_unmap(sh, sizeof(*sh));
}

/* --- calls from the control thread --------------------------------------------------------------------- */

struct call_mail {
	struct mail mail;
	void (*fn)(struct shard *, void *);
	void *arg;
	sem_t done;
};

static void deliver_call(void *to, struct mail *m)
{
	struct call_mail *c = container_of(m, struct call_mail, mail);

	c->fn(to, c->arg);
	sem_post(&c->done);
}

void shard_call(struct shard *sh, void (*fn)(struct shard *, void *), void *arg)
{
	struct call_mail c = {.mail.deliver = deliver_call, .fn = fn, .arg = arg};

	if (!sh->started) {
		fn(sh, arg);
		return;
	}
	sem_init(&c.done, 0, 0);
	mailbox_post(&sh->mailbox, &c.mail);
	while (sem_wait(&c.done) && errno == EINTR)
		;
	sem_destroy(&c.done);
}

uint32_t shard_index(const struct shard *sh)
{
	return sh->config.index;
}

ns_t shard_now(const struct shard *sh)
{
	return sh->now;
}

struct tcp *shard_tcp(struct shard *sh)
{
	return sh->tcp;
}

struct net *shard_net(struct shard *sh)
{
	return sh->net;
}

struct sock_table *shard_socks(struct shard *sh)
{
	return sh->socks;
}

uint32_t shard_driver_count(const struct shard *sh)
{
	return sh->config.net.interface_count;
}

struct driver *shard_driver(struct shard *sh, uint32_t interface)
{
	return sh->config.driver[interface];
}

void shard_set_tape(struct shard *sh, struct tape *tape)
{
	sh->tape = tape && tape->frames ? tape : NULL;
	net_set_tape(sh->net, sh->tape);
	tcp_set_tape(sh->tcp, tape);
}

void shard_stats(const struct shard *sh, struct shard_stats *out)
{
	*out = sh->stats;
	out->busy_ns = sh->now - sh->started_at - sh->stats.idle_ns;
	out->sockets = sock_count(sh->socks);
	out->connections = tcp_conn_count(sh->tcp);
	out->listeners = tcp_listener_count(sh->tcp);
}

const struct counters *shard_counters(const struct shard *sh)
{
	return &sh->counters;
}
