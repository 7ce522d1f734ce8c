/* SPDX-License-Identifier: BSD-2-Clause */
/* option.c - owns what setsockopt, getsockopt and ioctl mean.  What a listener was told goes for
 * the connections that it accepts; an option that is not known here is refused. */
#include "packetdrill/adapter.h"
#include "packetdrill/linux_tcp.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>

/* Options whose value is a number that TCP takes. */
static const struct number_option {
	int level, name;
	enum tcp_opt opt;
} number_options[] = {
    {IPPROTO_TCP, TCP_NODELAY, TCP_OPT_NODELAY},
    {IPPROTO_TCP, TCP_CORK, TCP_OPT_CORK},
    {IPPROTO_TCP, TCP_KEEPIDLE, TCP_OPT_KEEPIDLE_S},
    {IPPROTO_TCP, TCP_KEEPINTVL, TCP_OPT_KEEPINTVL_S},
    {IPPROTO_TCP, TCP_KEEPCNT, TCP_OPT_KEEPCNT},
    {IPPROTO_TCP, TCP_USER_TIMEOUT, TCP_OPT_USER_TIMEOUT_MS},
    {IPPROTO_TCP, TCP_SYNCNT, TCP_OPT_SYNCNT},
    {IPPROTO_TCP, TCP_LINGER2, TCP_OPT_LINGER2_S},
    {IPPROTO_TCP, TCP_MAXSEG, TCP_OPT_MAXSEG},
    {IPPROTO_TCP, TCP_QUICKACK, TCP_OPT_QUICKACK},
    {SOL_SOCKET, SO_KEEPALIVE, TCP_OPT_KEEPALIVE},
    {SOL_SOCKET, SO_RCVBUF, TCP_OPT_RCVBUF},
    {IPPROTO_IP, IP_TOS, TCP_OPT_TOS},
    {IPPROTO_IP, IP_TTL, TCP_OPT_TTL},
    {IPPROTO_IPV6, IPV6_TCLASS, TCP_OPT_TOS},
    {IPPROTO_IPV6, IPV6_UNICAST_HOPS, TCP_OPT_TTL},
};

static const struct number_option *number_option(int level, int name)
{
	for (size_t i = 0; i < sizeof(number_options) / sizeof(number_options[0]); i++)
		if (number_options[i].level == level && number_options[i].name == name)
			return &number_options[i];
	return NULL;
}

/* --- setting -----------------------------------------------------------------------------------
 */

/* What TCP would say, asked where there is no connection yet. */
static bool sensible(enum tcp_opt opt, int64_t v)
{
	switch (opt) {
	case TCP_OPT_KEEPIDLE_S:
	case TCP_OPT_KEEPINTVL_S:
		return v >= 1 && v <= 32767;
	case TCP_OPT_KEEPCNT:
	case TCP_OPT_SYNCNT:
		return v >= 1 && v <= 127;
	case TCP_OPT_MAXSEG:
		return v >= 88 && v <= 65495;
	case TCP_OPT_TOS:
		return v >= 0 && v <= 255;
	case TCP_OPT_TTL:
		return v >= 1 && v <= 255;
	case TCP_OPT_USER_TIMEOUT_MS:
	case TCP_OPT_LINGER2_S:
		return v >= 0;
	default:
		return true;
	}
}

static int set_number(struct so *s, enum tcp_opt opt, int64_t v)
{
	int code = 0;

	if (!sensible(opt, v))
		return EINVAL;
	if (s->conn)
		code = tcp_set_option(s->conn, opt, v);
	if (code < 0)
		return -code;
	s->options.set |= 1u << opt;
	s->options.value[opt] = v;
	if (s->conn && opt == TCP_OPT_NODELAY && v) /* what waited goes, corked or not */
		tcp_set_option(s->conn, TCP_OPT_PUSH, 1);
	return 0;
}

static int set_time(ns_t *out, const void *value, socklen_t len)
{
	struct timeval tv;

	if (len < sizeof(tv))
		return EINVAL;
	memcpy(&tv, value, sizeof(tv));
	if (tv.tv_sec < 0 || tv.tv_usec < 0 || tv.tv_usec >= 1000000)
		return EDOM;
	*out = (ns_t)tv.tv_sec * NS_PER_S + (ns_t)tv.tv_usec * NS_PER_US;
	if (*out == 0)
		*out = NS_NEVER;
	return 0;
}

static int set_linger(struct so *s, const void *value, socklen_t len)
{
	struct linger l;

	if (len < sizeof(l))
		return EINVAL;
	memcpy(&l, value, sizeof(l));
	s->options.lingers = l.l_onoff != 0;
	s->options.linger_ns = NS_NEVER;
	if (l.l_linger >= 0)
		s->options.linger_ns = (unsigned)l.l_linger * NS_PER_S;
	return 0;
}

static int set_cc(struct so *s, const char *name)
{
	struct plugins *all = s->adapter->plugins;
	char error[PLUGIN_ERROR_MAX];
	const struct plugin *p = plugins_find(all, SP_CC, name, error);
	struct tcp_plugin use;

	if (!p || strlen(name) >= sizeof(s->options.cc))
		return ENOENT;
	if (plugins_params(all, p, NULL, 0, &use.params, error) < 0)
		return ENOENT;
	use.plugin = p->plugin;
	strcpy(s->options.cc, name);
	if (s->conn)
		tcp_set_cc(s->conn, use);
	return 0;
}

static int set_cc_option(struct so *s, const void *value, socklen_t len)
{
	char name[32] = "";

	if (len == 0)
		return EINVAL;
	memcpy(name, value, len < sizeof(name) - 1 ? len : sizeof(name) - 1);
	return set_cc(s, name);
}

void so_apply_options(struct so *s)
{
	const struct so_options *o = &s->options;

	for (unsigned opt = 0; opt < SO_OPTIONS_MAX; opt++)
		if (o->set >> opt & 1)
			tcp_set_option(s->conn, (enum tcp_opt)opt, o->value[opt]);
}

static void name_send_buffer(struct so_options *o, int bytes)
{
	o->send_buffer = bytes < 4096 ? 4096 : (uint32_t)bytes;
	o->send_buffer_named = true;
}

static int set_flag(struct so *s, int level, int name, int value)
{
	bool on = value != 0;

	if (level == SOL_SOCKET && name == SO_REUSEADDR)
		s->options.reuse_address = on;
	else if (level == SOL_SOCKET && name == SO_REUSEPORT)
		s->options.reuse_port = on;
	else if (level == IPPROTO_IPV6 && name == IPV6_V6ONLY)
		s->options.v6_only = on;
	else if (level == SOL_SOCKET && name == SO_SNDBUF)
		name_send_buffer(&s->options, value);
	else
		return ENOPROTOOPT;
	return 0;
}

int so_set_option(struct so *s, int level, int name, const void *value, socklen_t len)
{
	const struct number_option *n = number_option(level, name);
	int number;

	if (!value)
		return EFAULT;
	if (level == SOL_SOCKET && name == SO_LINGER)
		return set_linger(s, value, len);
	if (level == SOL_SOCKET && name == SO_RCVTIMEO)
		return set_time(&s->options.receive_ns, value, len);
	if (level == SOL_SOCKET && name == SO_SNDTIMEO)
		return set_time(&s->options.send_ns, value, len);
	if (level == IPPROTO_TCP && name == TCP_CONGESTION)
		return set_cc_option(s, value, len);
	if (len < sizeof(number))
		return EINVAL;
	memcpy(&number, value, sizeof(number));
	return n ? set_number(s, n->opt, number) : set_flag(s, level, name, number);
}

/* --- asking --------------------------------------------------------------------------------------
 */

static int copy_out(void *to, socklen_t *len, const void *from, size_t size)
{
	if (*len > size)
		*len = (socklen_t)size;
	memcpy(to, from, *len);
	return 0;
}

/* The name of the congestion control in use. */
static const char *cc_name(struct so *s)
{
	struct tcp_info i = {0};

	if (s->conn)
		tcp_info(s->conn, &i, s->adapter->now);
	if (i.cc && *i.cc)
		return i.cc;
	return *s->options.cc ? s->options.cc
			      : s->adapter->rules.rules->fallback->cc.use[0].plugin->name;
}

static int get_flag(struct so *s, int level, int name, int *out)
{
	if (level == SOL_SOCKET && name == SO_ERROR)
		*out = so_take_error(s);
	else if (level == SOL_SOCKET && name == SO_TYPE)
		*out = SOCK_STREAM;
	else if (level == SOL_SOCKET && name == SO_DOMAIN)
		*out = s->family;
	else if (level == SOL_SOCKET && name == SO_PROTOCOL)
		*out = IPPROTO_TCP;
	else if (level == SOL_SOCKET && name == SO_ACCEPTCONN)
		*out = s->state == STATE_LISTENING;
	else if (level == SOL_SOCKET && name == SO_REUSEADDR)
		*out = s->options.reuse_address;
	else if (level == SOL_SOCKET && name == SO_REUSEPORT)
		*out = s->options.reuse_port;
	else if (level == SOL_SOCKET && name == SO_SNDBUF)
		*out = (int)s->options.send_buffer;
	else
		return ENOPROTOOPT;
	return 0;
}

/* What was set; else what goes for new connections. */
static int get_number(const struct so *s, enum tcp_opt opt)
{
	const struct tcp_knobs *k = &s->adapter->rules.rules->fallback->knobs;

	if (s->options.set >> opt & 1)
		return (int)s->options.value[opt];
	switch (opt) {
	case TCP_OPT_NODELAY:
		return !k->nagle;
	case TCP_OPT_KEEPALIVE:
		return k->keepalive;
	case TCP_OPT_KEEPIDLE_S:
		return (int)(k->keepalive_time_ns / NS_PER_S);
	case TCP_OPT_KEEPINTVL_S:
		return (int)(k->keepalive_interval_ns / NS_PER_S);
	case TCP_OPT_KEEPCNT:
		return (int)k->keepalive_probes;
	case TCP_OPT_USER_TIMEOUT_MS:
		return (int)(k->user_timeout_ns / NS_PER_MS);
	case TCP_OPT_SYNCNT:
		return (int)k->syn_retries;
	case TCP_OPT_LINGER2_S:
		return (int)(k->fin_wait2_ns / NS_PER_S);
	case TCP_OPT_RCVBUF:
		return (int)k->receive_buffer;
	case TCP_OPT_TOS:
		return (int)k->tos;
	case TCP_OPT_TTL:
		return (int)k->ttl;
	default:
		return 0;
	}
}

static int segment_size(const struct so *s)
{
	struct linux_tcp_info k;

	so_info(s, &k);
	return s->conn ? (int)k.tcpi_snd_mss : 536;
}

int so_get_option(struct so *s, int level, int name, void *value, socklen_t *len)
{
	const struct number_option *n = number_option(level, name);
	struct linux_tcp_info info;
	int number, error;

	if (!value || !len)
		return EFAULT;
	if (level == IPPROTO_TCP && name == TCP_INFO) {
		so_info(s, &info);
		return copy_out(value, len, &info, sizeof(info));
	}
	if (level == IPPROTO_TCP && name == TCP_CONGESTION)
		return copy_out(value, len, cc_name(s), strlen(cc_name(s)) + 1);
	if (level == IPPROTO_TCP && name == TCP_MAXSEG) {
		number = segment_size(s);
		return copy_out(value, len, &number, sizeof(number));
	}
	if (n) {
		number = get_number(s, n->opt);
		return copy_out(value, len, &number, sizeof(number));
	}
	error = get_flag(s, level, name, &number);
	return error ? error : copy_out(value, len, &number, sizeof(number));
}

/* --- ioctl
 * ----------------------------------------------------------------------------------------- */

int so_ioctl(struct so *s, unsigned long request, int *value)
{
	switch (request) {
	case FIONREAD: /* SIOCINQ is the same */
		if (s->state == STATE_LISTENING)
			return EINVAL;
		*value = (int)(s->arrived - s->received);
		return 0;
	case SIOCOUTQ:
		*value = (int)(s->queued - s->acked);
		return 0;
	case SIOCOUTQNSD: {
		struct tcp_info i = {0};

		if (s->conn)
			tcp_info(s->conn, &i, s->adapter->now);
		*value = (int)(i.snd_end - i.snd_nxt);
		return 0;
	}
	case FIONBIO:
		s->nonblock = *value != 0;
		return 0;
	default:
		return ENOTTY;
	}
}
