/* SPDX-License-Identifier: BSD-2-Clause */
/* option.c - socket options.  The kernel socket behind each of ours checks and
 * remembers what it can; what matters to the stack goes on to the daemon.  An option that would do
 * nothing on a stack socket is refused. */
#include "client.h"

#include <errno.h>
#include <linux/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include "stackd.h"

#define NS_PER_S         INT64_C(1000000000)
#define CONGESTION_BYTES 16
#define INFO_LISTEN	 10 /* TCP_LISTEN; the two headers can't be had together */

/* opt 0: the kernel socket's memory is all it takes. */
static const struct {
	int level, name;
	enum stackd_opt opt;
} known[] = {
	{SOL_SOCKET, SO_KEEPALIVE, STACKD_OPT_KEEPALIVE},
	{SOL_SOCKET, SO_SNDBUF, STACKD_OPT_SNDBUF},
	{SOL_SOCKET, SO_RCVBUF, STACKD_OPT_RCVBUF},
	{SOL_SOCKET, SO_REUSEADDR, 0},
	{SOL_SOCKET, SO_REUSEPORT, 0},
	{SOL_SOCKET, SO_PRIORITY, 0},
	{SOL_SOCKET, SO_BROADCAST, 0},
	{SOL_SOCKET, SO_OOBINLINE, 0},
	{SOL_SOCKET, SO_RCVLOWAT, 0},
	{IPPROTO_TCP, TCP_NODELAY, STACKD_OPT_NODELAY},
	{IPPROTO_TCP, TCP_CORK, STACKD_OPT_CORK},
	{IPPROTO_TCP, TCP_KEEPIDLE, STACKD_OPT_KEEPIDLE},
	{IPPROTO_TCP, TCP_KEEPINTVL, STACKD_OPT_KEEPINTVL},
	{IPPROTO_TCP, TCP_KEEPCNT, STACKD_OPT_KEEPCNT},
	{IPPROTO_TCP, TCP_USER_TIMEOUT, STACKD_OPT_USER_TIMEOUT},
	{IPPROTO_TCP, TCP_SYNCNT, STACKD_OPT_SYNCNT},
	{IPPROTO_TCP, TCP_LINGER2, STACKD_OPT_LINGER2},
	{IPPROTO_TCP, TCP_MAXSEG, STACKD_OPT_MAXSEG},
	{IPPROTO_TCP, TCP_QUICKACK, STACKD_OPT_QUICKACK},
	{IPPROTO_TCP, TCP_DEFER_ACCEPT, STACKD_OPT_DEFER_ACCEPT},
	{IPPROTO_TCP, TCP_NOTSENT_LOWAT, STACKD_OPT_NOTSENT_LOWAT},
	{IPPROTO_IP, IP_TOS, STACKD_OPT_TOS},
	{IPPROTO_IP, IP_TTL, STACKD_OPT_TTL},
	{IPPROTO_IP, IP_RECVERR, STACKD_OPT_RECVERR},
	{IPPROTO_IP, IP_MTU_DISCOVER, 0},
	{IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 0},
	{IPPROTO_IPV6, IPV6_V6ONLY, 0},
	{IPPROTO_IPV6, IPV6_RECVERR, STACKD_OPT_RECVERR},
	{IPPROTO_IPV6, IPV6_TCLASS, STACKD_OPT_TOS},
	{IPPROTO_IPV6, IPV6_UNICAST_HOPS, STACKD_OPT_TTL},
};

#define KNOWN_COUNT (sizeof(known) / sizeof(known[0]))

/* The plugin kinds, in the order of enum stackd_choice. */
static const char *const choice_key[4] = {"tcp.recovery", "tcp.cc", "tcp.rto", "tcp.ack"};

static int known_index(int level, int name)
{
	for (size_t i = 0; i < KNOWN_COUNT; i++)
		if (known[i].level == level && known[i].name == name)
			return (int)i;
	return -1;
}

/* ---- plugins by name ---- */

/* What is chosen anew comes first; the daemon forgets what isn't said again. */
static int choose(const struct ofd *o, int kind, const char *value, const char *reno)
{
	struct stackd_request q;
	struct stackd_reply r;
	size_t n = 0;

	sock_request(o, &q, STACKD_REQ_CHOOSE);
	for (int i = 0; i < 4; i++) {
		int k = (kind + i) % 4;
		const char *name = i == 0 ? value : o->choice[k];

		if (!*name)
			continue;
		name = k == STACKD_CC && !strcmp(name, "reno") ? reno : name;
		n += (size_t)snprintf(q.text + n, sizeof(q.text) - n, "%s%s=%s", n ? "\n" : "",
				      choice_key[k], name);
	}
	return attach_request(o->attach, &q, &r, -1);
}

/* By name; "reno" is the kernel's for ours. */
static int choose_named(const struct ofd *o, int kind, const char *name)
{
	int error = choose(o, kind, name, "reno");

	if (error && !strcmp(kind == STACKD_CC ? name : o->choice[STACKD_CC], "reno"))
		error = choose(o, kind, name, "newreno");
	return error;
}

static int set_choice(struct ofd *o, int kind, const void *value, socklen_t len)
{
	char text[sizeof(o->choice[0])] = {0};
	int error = 0;

	if (kind < 0 || kind > 3)
		return ENOPROTOOPT;
	if (!value || len == 0 || strnlen(value, len) >= sizeof(text))
		return EINVAL;
	memcpy(text, value, strnlen(value, len));
	if (o->mode == MODE_STACK)
		error = choose_named(o, kind, text);
	if (!error)
		memcpy(o->choice[kind], text, sizeof(text));
	return error;
}

/* Before a socket is the stack's: has the daemon such a plugin?  errno stays. */
static bool is_known_congestion(const char *name, socklen_t len)
{
	struct stackd_request q = {.type = STACKD_REQ_CHOOSE, .slot = STACKD_NO_SLOT};
	struct stackd_reply r;
	int saved = errno;
	struct attach *a = attach_get();
	bool there;

	snprintf(q.text, sizeof(q.text), "%s=%.*s", choice_key[STACKD_CC],
		 (int)strnlen(name, len < CONGESTION_BYTES ? len : CONGESTION_BYTES), name);
	there = a && attach_request(a, &q, &r, -1) == 0;
	errno = saved;
	return there;
}

static int copy_out(void *value, socklen_t *len, const void *from, size_t size)
{
	size_t n = *len < size ? *len : size;

	memcpy(value, from, n);
	*len = (socklen_t)n;
	return 0;
}

static int get_choice(struct ofd *o, int kind, void *value, socklen_t *len)
{
	struct stackd_request q;
	struct stackd_reply r;
	int error;

	if (kind < 0 || kind > 3)
		return ENOPROTOOPT;
	if (o->mode != MODE_STACK)
		return copy_out(value, len, o->choice[kind], strlen(o->choice[kind]) + 1);
	sock_request(o, &q, STACKD_REQ_CHOSEN);
	snprintf(q.text, sizeof(q.text), "%s", choice_key[kind]);
	error = attach_request(o->attach, &q, &r, -1);
	return error ? error : copy_out(value, len, r.text, strlen(r.text) + 1);
}

/* TCP_CONGESTION: in a field of 16 bytes, by the name that the program gave. */
static int get_congestion(struct ofd *o, void *value, socklen_t *len)
{
	char text[STACKD_TEXT_MAX] = {0};
	socklen_t size = sizeof(text);
	int error = get_choice(o, STACKD_CC, text, &size);

	if (error)
		return error;
	if (!strcmp(text, "newreno") && !strcmp(o->choice[STACKD_CC], "reno"))
		strcpy(text, "reno");
	return copy_out(value, len, text, CONGESTION_BYTES);
}

/* ---- set ---- */

static void post_option(struct ofd *o, enum stackd_opt opt, int value)
{
	/* the kernel reads buffers back doubled; the stack counts payload only */
	if (opt == STACKD_OPT_SNDBUF || opt == STACKD_OPT_RCVBUF)
		value /= 2;
	queue_post(o, STACKD_OP_SETOPT, (uint16_t)opt, value, 0);
}

static void remember(struct ofd *o, int level, int name, int value)
{
	uint32_t i = 0;

	while (i < o->option_count &&
	       (o->option[i].level != level || o->option[i].name != name))
		i++;
	if (i == OPTIONS_MAX)
		return;
	o->option[i] = (struct option_value){level, name, value};
	if (i == o->option_count)
		o->option_count++;
}

static int64_t timeval_ns(const void *value)
{
	struct timeval t;

	memcpy(&t, value, sizeof(t));
	return t.tv_sec * NS_PER_S + t.tv_usec * 1000;
}

/* After the kernel has taken it: what we ourselves must know.  False: not one of these. */
static bool set_local(struct ofd *o, int level, int name, const void *value)
{
	struct linger l;

	if (level != SOL_SOCKET)
		return false;
	switch (name) {
	case SO_RCVTIMEO:
		o->rcvtimeo_ns = timeval_ns(value);
		return true;
	case SO_SNDTIMEO:
		o->sndtimeo_ns = timeval_ns(value);
		return true;
	case SO_LINGER:
		memcpy(&l, value, sizeof(l));
		o->linger = l.l_onoff ? l.l_linger : -1;
		if (o->mode == MODE_STACK)
			queue_post(o, STACKD_OP_SETOPT, STACKD_OPT_LINGER, o->linger, 0);
		return true;
	default:
		return false;
	}
}

static const struct option_value *remembered(const struct ofd *o, int level, int name)
{
	for (uint32_t i = 0; i < o->option_count; i++)
		if (o->option[i].level == level && o->option[i].name == name)
			return &o->option[i];
	return NULL;
}

int option_value(const struct ofd *o, int level, int name)
{
	const struct option_value *v = remembered(o, level, name);

	return v ? v->value : 0;
}

void option_more(struct ofd *o, bool more)
{
	if (option_value(o, IPPROTO_TCP, TCP_CORK))
		return;
	if (more)
		__atomic_or_fetch(&o->sock->client_word, SOCK_MORE, __ATOMIC_SEQ_CST);
	else
		__atomic_and_fetch(&o->sock->client_word, ~(uint32_t)SOCK_MORE, __ATOMIC_SEQ_CST);
	queue_post(o, STACKD_OP_SETOPT, STACKD_OPT_CORK, more, 0);
}

static int set_known(struct ofd *o, int fd, int index)
{
	int value = 0;
	socklen_t len = sizeof(value);

	if (LIBC->getsockopt(fd, known[index].level, known[index].name, &value, &len) < 0)
		return 0;
	if (known[index].level == SOL_SOCKET && known[index].name == SO_RCVLOWAT)
		o->rcvlowat = value > 0 ? value : 1;
	if (known[index].opt == STACKD_OPT_NOTSENT_LOWAT)
		atomic_store(&o->notsent_lowat, (uint32_t)value);
	remember(o, known[index].level, known[index].name, value);
	if (o->mode != MODE_STACK || !known[index].opt)
		return 0;
	if (known[index].opt == STACKD_OPT_CORK) /* its word counts from here on */
		__atomic_and_fetch(&o->sock->client_word, ~(uint32_t)SOCK_MORE, __ATOMIC_SEQ_CST);
	post_option(o, known[index].opt, value);
	return 0;
}

/* Hints: refused even while the socket's side is open.  A kernel socket without one still works. */
static bool is_refused(int level, int name)
{
	return level == IPPROTO_TCP &&
	       (name == TCP_FASTOPEN || name == TCP_FASTOPEN_CONNECT || name == TCP_FASTOPEN_KEY);
}

/* Promises that only the kernel's TCP can keep: an address of the stack is refused after them. */
static bool is_binding(int level, int name)
{
	static const struct {
		int level, name;
	} binding[] = {
		{IPPROTO_TCP, TCP_MD5SIG},	   {IPPROTO_TCP, TCP_MD5SIG_EXT},
		{IPPROTO_TCP, TCP_ULP},		   {IPPROTO_TCP, TCP_REPAIR},
		{IPPROTO_TCP, TCP_WINDOW_CLAMP},
		{SOL_SOCKET, SO_ATTACH_FILTER},	   {SOL_SOCKET, SO_ATTACH_BPF},
		{SOL_SOCKET, SO_MAX_PACING_RATE},  {IPPROTO_IP, IP_OPTIONS},
		{IPPROTO_IP, IP_MINTTL},	   {IPPROTO_IP, IP_TRANSPARENT},
		{IPPROTO_IPV6, IPV6_MINHOPCOUNT},  {IPPROTO_IPV6, IPV6_TRANSPARENT},
	};

	for (size_t i = 0; i < sizeof(binding) / sizeof(binding[0]); i++)
		if (binding[i].level == level && binding[i].name == name)
			return true;
	return false;
}

static bool is_local(int level, int name)
{
	return level == SOL_SOCKET && (name == SO_RCVTIMEO || name == SO_SNDTIMEO || name == SO_LINGER);
}

/* On a stack socket: wrong values give the kernel's errno, and what changes nothing is no lie. */
static int set_unsupported(int fd, int level, int name, const void *value, socklen_t len)
{
	int before = 0, after = 0;
	socklen_t before_len = sizeof(before), after_len = sizeof(after);

	if (len != sizeof(int) || is_binding(level, name))
		return ENOPROTOOPT;
	if (LIBC->getsockopt(fd, level, name, &before, &before_len) < 0)
		return level == SOL_SOCKET ? errno : ENOPROTOOPT;
	if (LIBC->setsockopt(fd, level, name, value, len) < 0)
		return errno;
	if (LIBC->getsockopt(fd, level, name, &after, &after_len) == 0 && after == before)
		return 0;
	LIBC->setsockopt(fd, level, name, &before, before_len);
	return ENOPROTOOPT;
}

static bool has_port(const struct ofd *o)
{
	return o->domain == AF_INET6 && o->mode == MODE_STACK && (o->bound || o->accepted || o->connect_posted);
}

/* An IPv6 address that isn't the wildcard hears IPv6 alone, and the option says so. */
void option_bound(struct ofd *o)
{
	struct in6_addr a;

	memcpy(&a, o->local.byte, sizeof(a));
	if (!IN6_IS_ADDR_UNSPECIFIED(&a) && !IN6_IS_ADDR_V4MAPPED(&a))
		remember(o, IPPROTO_IPV6, IPV6_V6ONLY, 1);
}

static int set_option(struct ofd *o, int fd, int level, int name, const void *value, socklen_t len)
{
	int index = known_index(level, name);

	if (device_names(level, name))
		return device_set(o, fd, name, value, len);
	if (level == SOL_STACKD)
		return set_choice(o, name, value, len);
	if (level == IPPROTO_TCP && name == TCP_CONGESTION) {
		if (o->mode == MODE_STACK)
			return set_choice(o, STACKD_CC, value, len);
		/* the kernel may not know our names */
		if (LIBC->setsockopt(fd, level, name, value, len) < 0 &&
		    (errno != ENOENT || !is_known_congestion(value, len)))
			return errno;
		return set_choice(o, STACKD_CC, value, len);
	}
	if (is_refused(level, name))
		return ENOPROTOOPT;
	if (o->mode == MODE_STACK && index < 0 && !is_local(level, name))
		return set_unsupported(fd, level, name, value, len);
	if (level == IPPROTO_IPV6 && name == IPV6_V6ONLY && has_port(o))
		return EINVAL; /* too late */
	if (LIBC->setsockopt(fd, level, name, value, len) < 0)
		return errno;
	if (is_binding(level, name))
		o->kernel_only = true;
	if (set_local(o, level, name, value) || index < 0)
		return 0;
	return set_known(o, fd, index);
}

int stackd_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	struct ofd *o = fd_get(fd);
	int error;

	if (!o || o->kind != KIND_SOCKET || o->mode == MODE_KERNEL) {
		fd_put(o);
		return LIBC->setsockopt(fd, level, name, value, len);
	}
	error = set_option(o, fd, level, name, value, len);
	fd_put(o);
	return sock_fail(error);
}

int option_replay(struct ofd *o)
{
	int error = 0;

	for (int kind = 0; kind < 4; kind++)
		if (o->choice[kind][0]) {
			error = choose_named(o, kind, o->choice[kind]); /* and the others */
			break;
		}
	for (uint32_t i = 0; i < o->option_count; i++) {
		int index = known_index(o->option[i].level, o->option[i].name);

		if (index >= 0 && known[index].opt)
			post_option(o, known[index].opt, o->option[i].value);
	}
	if (o->linger >= 0)
		queue_post(o, STACKD_OP_SETOPT, STACKD_OPT_LINGER, o->linger, 0);
	if (o->ifindex)
		device_post(o);
	return error;
}

/* An accepted socket has its listener's options; the daemon has copied its part itself. */
void option_inherit(struct ofd *o, const struct ofd *listener)
{
	o->rcvtimeo_ns = listener->rcvtimeo_ns;
	o->sndtimeo_ns = listener->sndtimeo_ns;
	o->linger = listener->linger;
	o->rcvlowat = listener->rcvlowat;
	atomic_store(&o->notsent_lowat, atomic_load(&listener->notsent_lowat));
	o->ifindex = listener->ifindex;
	o->option_count = listener->option_count;
	memcpy(o->option, listener->option, sizeof(o->option));
	for (uint32_t i = 0; i < o->option_count; i++) /* Linux's exception */
		if (o->option[i].level == SOL_SOCKET && o->option[i].name == SO_PRIORITY)
			o->option[i].value = 0;
}

static void hand_on(int from, int to, int name, size_t size)
{
	char value[sizeof(struct timeval)];
	socklen_t len = (socklen_t)size;

	if (LIBC->getsockopt(from, SOL_SOCKET, name, value, &len) == 0)
		LIBC->setsockopt(to, SOL_SOCKET, name, value, len);
}

void option_hand_on(const struct ofd *listener, int from, int to)
{
	if (listener->rcvtimeo_ns)
		hand_on(from, to, SO_RCVTIMEO, sizeof(struct timeval));
	if (listener->sndtimeo_ns)
		hand_on(from, to, SO_SNDTIMEO, sizeof(struct timeval));
	if (listener->linger >= 0)
		hand_on(from, to, SO_LINGER, sizeof(struct linger));
	device_hand_on(listener, to);
}

/* ---- get ---- */

static int ask_info(const struct ofd *o, struct stackd_info *info)
{
	struct stackd_request q;
	struct stackd_reply r;
	int error;

	sock_request(o, &q, STACKD_REQ_INFO);
	error = attach_request(o->attach, &q, &r, -1);
	if (!error)
		*info = r.info;
	return error;
}

static void fill_tcp_info(struct tcp_info *t, const struct stackd_info *i)
{
	*t = (struct tcp_info){
		.tcpi_state = i->state, .tcpi_ca_state = i->ca_state, .tcpi_backoff = i->backoff,
		.tcpi_options = i->options, .tcpi_rto = i->rto_us, .tcpi_ato = i->ato_us,
		.tcpi_snd_mss = i->snd_mss, .tcpi_rcv_mss = i->rcv_mss,
		.tcpi_unacked = i->unacked_segs, .tcpi_sacked = i->sacked_segs,
		.tcpi_lost = i->lost_segs, .tcpi_retrans = i->retrans_segs,
		.tcpi_last_data_sent = i->last_data_sent_ms,
		.tcpi_last_data_recv = i->last_data_recv_ms,
		.tcpi_last_ack_recv = i->last_ack_recv_ms, .tcpi_pmtu = i->pmtu,
		.tcpi_rcv_ssthresh = i->rcv_wnd, .tcpi_rtt = i->rtt_us,
		.tcpi_rttvar = i->rttvar_us, .tcpi_snd_ssthresh = i->snd_ssthresh_segs,
		.tcpi_snd_cwnd = i->snd_cwnd_segs, .tcpi_advmss = i->advmss,
		.tcpi_reordering = i->reordering, .tcpi_rcv_rtt = i->rcv_rtt_us,
		.tcpi_rcv_space = i->rcv_space, .tcpi_total_retrans = i->total_retrans,
		.tcpi_pacing_rate = i->pacing_rate, .tcpi_max_pacing_rate = UINT64_MAX,
		.tcpi_bytes_acked = i->bytes_acked, .tcpi_bytes_received = i->bytes_received,
		.tcpi_segs_out = i->segs_out, .tcpi_segs_in = i->segs_in,
		.tcpi_notsent_bytes = i->notsent_bytes, .tcpi_min_rtt = i->min_rtt_us,
		.tcpi_data_segs_in = i->data_segs_in, .tcpi_data_segs_out = i->data_segs_out,
		.tcpi_delivery_rate = i->delivery_rate, .tcpi_busy_time = i->busy_us,
		.tcpi_bytes_sent = i->bytes_sent, .tcpi_bytes_retrans = i->bytes_retrans,
		.tcpi_dsack_dups = i->dsack_dups, .tcpi_reord_seen = i->reord_seen,
		.tcpi_snd_wnd = i->snd_wnd,
	};
	/* two fields of four bits, in the order of Linux's header */
	((uint8_t *)t)[offsetof(struct tcp_info, tcpi_options) + 1] =
		(uint8_t)((i->snd_wscale & 0xf) | i->rcv_wscale << 4);
}

static int get_info(const struct ofd *o, int level, int name, void *value, socklen_t *len)
{
	struct stackd_info info;
	struct tcp_info t;
	int error = ask_info(o, &info), number;

	if (error)
		return error;
	if (level == IPPROTO_TCP && name == TCP_INFO) {
		fill_tcp_info(&t, &info);
		if (o->listening)
			t.tcpi_state = INFO_LISTEN;
		return copy_out(value, len, &t, sizeof(t));
	}
	number = (int)(level == IPPROTO_TCP ? info.snd_mss : info.pmtu);
	return copy_out(value, len, &number, sizeof(number));
}

static int get_option(struct ofd *o, int fd, int level, int name, void *value, socklen_t *len)
{
	const struct option_value *v = remembered(o, level, name);
	int number;

	if (level == SOL_SOCKET && name == SO_ERROR) {
		number = sock_take_error(o);
		if (!number)
			number = atomic_exchange(&o->sock->soft_error, 0);
		return copy_out(value, len, &number, sizeof(number));
	}
	if (level == SOL_SOCKET && name == SO_ACCEPTCONN) {
		number = o->listening;
		return copy_out(value, len, &number, sizeof(number));
	}
	if (level == IPPROTO_TCP && name == TCP_CONGESTION)
		return get_congestion(o, value, len);
	if (level == IPPROTO_TCP && name == TCP_MAXSEG && sock_state(o) != STACKD_SOCK_CONNECTED)
		return LIBC->getsockopt(fd, level, name, value, len) < 0 ? errno : 0;
	if ((level == IPPROTO_TCP && (name == TCP_INFO || name == TCP_MAXSEG)) ||
	    (level == IPPROTO_IP && name == IP_MTU) || (level == IPPROTO_IPV6 && name == IPV6_MTU))
		return get_info(o, level, name, value, len);
	if (v)
		return copy_out(value, len, &v->value, sizeof(v->value));
	return LIBC->getsockopt(fd, level, name, value, len) < 0 ? errno : 0;
}

int stackd_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	struct ofd *o = fd_get(fd);
	int error;

	if (!o || o->kind != KIND_SOCKET || (o->mode != MODE_STACK && level != SOL_STACKD)) {
		fd_put(o);
		return LIBC->getsockopt(fd, level, name, value, len);
	}
	if (!value || !len)
		error = EFAULT;
	else if ((int)*len < 0)
		error = EINVAL;
	else if (level == SOL_STACKD)
		error = get_choice(o, name, value, len);
	else
		error = get_option(o, fd, level, name, value, len);
	fd_put(o);
	return sock_fail(error);
}
