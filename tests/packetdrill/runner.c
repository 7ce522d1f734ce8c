/* SPDX-License-Identifier: BSD-2-Clause */
#include "runner.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define OWN_PORT  8080
#define PEER_PORT 33000
#define PEER_ISS  5000u

static const uint8_t own4[4] = {192, 168, 0, 1}, peer4[4] = {192, 0, 2, 1};
static const uint8_t own6[16] = {0xfd, 0x3d, [15] = 1}, peer6[16] = {0x20, 1, 0xd, 0xb8, [15] = 2};

#ifdef DIRECT
void packetdrill_interface_init(const char *flags, struct table *);
#endif

/* RTLD_DEEPBIND as the original: what the object brings along hides what the runner has. */
static void load(struct runner *r, const char *flags)
{
	void (*init)(const char *, struct table *);

#ifdef DIRECT
	init = packetdrill_interface_init;
#else
	const char *path = getenv("PACKETDRILL_SO");

	assert_non_null(path);
	r->object = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND | RTLD_NODELETE);
	if (!r->object)
		fail_msg("%s", dlerror());
	*(void **)&init = dlsym(r->object, "packetdrill_interface_init");
	assert_non_null(init);
#endif
	init(flags, &r->t);
}

void runner_start(struct runner *r, const char *flags)
{
	memset(r, 0, sizeof(*r));
	load(r, flags);
	r->six = strchr(flags, ':') != NULL;
	r->own_port = OWN_PORT;
	r->peer_port = PEER_PORT;
	r->iss = PEER_ISS;
	r->listener = r->fd = -1;
}

void runner_stop(struct runner *r)
{
	r->t.free(r->t.ud);
	if (r->object)
		dlclose(r->object);
	if (r->listener >= 0)
		close(r->listener); /* of the kernel, as it was left open */
	if (r->fd >= 0)
		close(r->fd);
}

long long runner_now_us(struct runner *r)
{
	struct timeval tv;

	assert_int_equal(r->t.gettimeofday(r->t.ud, &tv, NULL), 0);
	return tv.tv_sec * 1000000LL + tv.tv_usec;
}

/* --- packets -----------------------------------------------------------------------------------
 */

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

static uint32_t sum(const uint8_t *p, size_t len, uint32_t start)
{
	for (size_t i = 0; i < len; i++)
		start += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	return start;
}

static uint32_t fold(uint32_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return ~s & 0xffff;
}

/* The IP header for a segment of `len` bytes; how large it is, and *pseudo what the sum begins
 * with. */
static size_t write_ip(const struct runner *r, uint8_t *p, size_t len, uint32_t *pseudo)
{
	size_t head = r->six ? 40 : 20, addr = r->six ? 16 : 4;

	memset(p, 0, head);
	if (r->six) {
		p[0] = 0x60;
		put16(p + 4, (uint32_t)len);
		p[6] = 6;
		p[7] = 64;
	} else {
		p[0] = 0x45;
		put16(p + 2, (uint32_t)(20 + len));
		p[8] = 64;
		p[9] = 6;
	}
	memcpy(p + head - 2 * addr, r->six ? peer6 : peer4, addr);
	memcpy(p + head - addr, r->six ? own6 : own4, addr);
	if (!r->six)
		put16(p + 10, fold(sum(p, 20, 0)));
	*pseudo = sum(p + head - 2 * addr, 2 * addr, 6 + (uint32_t)len);
	return head;
}

void runner_inject(struct runner *r, const struct packet *x)
{
	uint8_t p[2048], *t;
	uint32_t pseudo, head = 20 + x->option_len;
	size_t ip = write_ip(r, p, head + x->len, &pseudo);

	t = p + ip;
	put16(t, r->peer_port);
	put16(t + 2, r->own_port);
	put32(t + 4, r->iss + x->seq);
	put32(t + 8, x->flags & ACK ? r->irs + x->ack : 0);
	t[12] = (uint8_t)(head / 4 << 4);
	t[13] = x->flags;
	put16(t + 14, x->window);
	put32(t + 16, 0);
	memcpy(t + 20, x->options, x->option_len);
	memcpy(t + head, x->payload, x->len);
	put16(t + 16, fold(sum(t, head + x->len, pseudo)));
	assert_int_equal(r->t.netdev_send(r->t.ud, p, ip + head + x->len), 0);
}

bool runner_receive(struct runner *r, struct packet *x)
{
	uint8_t p[4096];
	const uint8_t *t = p + (r->six ? 40 : 20);
	size_t len = sizeof(p);
	uint32_t head;

	memset(x, 0, sizeof(*x));
	assert_int_equal(r->t.netdev_receive(r->t.ud, p, &len, &x->at_us), 0);
	if (len == 0)
		return false;
	assert_int_equal(p[0] >> 4, r->six ? 6 : 4);
	if (t[13] & SYN)
		r->irs = get32(t + 4);
	if (t[13] & SYN && !(t[13] & ACK))
		r->own_port = (uint16_t)get16(t);
	head = (uint32_t)(t[12] >> 4) * 4;
	x->flags = t[13];
	x->seq = get32(t + 4) - r->irs;
	x->ack = get32(t + 8) - r->iss;
	x->window = (uint16_t)get16(t + 14);
	x->option_len = head - 20;
	memcpy(x->options, t + 20, x->option_len);
	x->len = (uint32_t)(p + len - t) - head;
	memcpy(x->payload, t + head, x->len);
	return true;
}

struct packet runner_expect(struct runner *r, uint8_t flags, uint32_t seq, uint32_t ack,
			    uint32_t len)
{
	struct packet x;

	if (!runner_receive(r, &x))
		fail_msg("expected flags %02x %u(%u) ack %u, nothing came", flags, seq, len, ack);
	if (x.flags != flags || x.seq != seq || x.len != len || (flags & ACK && x.ack != ack))
		fail_msg("expected flags %02x %u(%u) ack %u, came %02x %u(%u) ack %u", flags, seq,
			 len, ack, x.flags, x.seq, x.len, x.ack);
	return x;
}

/* --- openings
 * ------------------------------------------------------------------------------------- */

socklen_t runner_address(const struct runner *r, struct sockaddr_storage *out, bool peer,
			 uint16_t port)
{
	struct sockaddr_in *in4 = (void *)out;
	struct sockaddr_in6 *in6 = (void *)out;

	memset(out, 0, sizeof(*out));
	if (r->six) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		memcpy(&in6->sin6_addr, peer ? peer6 : own6, 16);
		return sizeof(*in6);
	}
	in4->sin_family = AF_INET;
	in4->sin_port = htons(port);
	memcpy(&in4->sin_addr, peer ? peer4 : own4, 4);
	return sizeof(*in4);
}

void runner_listen(struct runner *r)
{
	struct sockaddr_storage sa;
	socklen_t len = runner_address(r, &sa, false, OWN_PORT);

	r->listener = r->t.socket(r->t.ud, r->six ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
	assert_true(r->listener >= 0);
	assert_int_equal(r->t.bind(r->t.ud, r->listener, (void *)&sa, len), 0);
	assert_int_equal(r->t.listen(r->t.ud, r->listener, 8), 0);
}

void runner_handshake(struct runner *r)
{
	struct packet syn = {.flags = SYN,
			     .window = 65535,
			     .options = {2, 4, 1460 >> 8, 1460 & 255},
			     .option_len = 4};
	struct packet ack = {.flags = ACK, .seq = 1, .ack = 1, .window = 65535};

	runner_inject(r, &syn);
	runner_expect(r, SYN | ACK, 0, 1, 0);
	runner_inject(r, &ack);
}

void runner_accept(struct runner *r)
{
	runner_listen(r);
	runner_handshake(r);
	r->fd = r->t.accept(r->t.ud, r->listener, NULL, NULL);
	assert_true(r->fd >= 0);
}

/* --- the second thread
 * ------------------------------------------------------------------------------ */

static void *block(void *arg)
{
	struct blocking *b = arg;

	b->tid = gettid();
	b->result = b->call(b->r, b->arg);
	b->error = errno;
	b->done = true;
	return NULL;
}

void blocking_start(struct blocking *b, struct runner *r, ssize_t (*call)(struct runner *, void *),
		    void *arg)
{
	b->r = r;
	b->call = call;
	b->arg = arg;
	b->tid = 0;
	b->done = false;
	assert_int_equal(pthread_create(&b->thread, NULL, block, b), 0);
}

static char thread_state(int tid)
{
	char path[64], state = '?';
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	f = fopen(path, "r");
	if (!f)
		return '?';
	if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = '?';
	fclose(f);
	return state;
}

void blocking_asleep(struct blocking *b)
{
	struct timespec ms = {.tv_nsec = 1000000};

	/* asleep in the call and not only waiting for the lock: it still is after a while */
	for (unsigned seen = 0, tries = 0; seen < 20; tries++) {
		assert_true(tries < 30000);
		assert_false(b->done);
		seen = b->tid && thread_state(b->tid) == 'S' ? seen + 1 : 0;
		nanosleep(&ms, NULL);
	}
}

ssize_t blocking_end(struct blocking *b)
{
	pthread_join(b->thread, NULL);
	errno = b->error;
	return b->result;
}
