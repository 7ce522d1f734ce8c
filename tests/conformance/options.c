/* SPDX-License-Identifier: BSD-2-Clause */
/* Socket options: what get gives before and after set, in each state; wrong values and lengths. */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "ends.h"
#include "observe.h"

#define MANY 3

static const struct row {
	const char *name;
	int level, option;
	int try[MANY]; /* values to set, one after the other */
} table[] = {
    {"SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR, {1, 0, 7}},
    {"SO_REUSEPORT", SOL_SOCKET, SO_REUSEPORT, {1, 0, -1}},
    {"SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE, {1, 0, 9}},
    {"SO_BROADCAST", SOL_SOCKET, SO_BROADCAST, {1, 0, 2}},
    {"SO_OOBINLINE", SOL_SOCKET, SO_OOBINLINE, {1, 2, 0}},
    {"SO_PRIORITY", SOL_SOCKET, SO_PRIORITY, {3, 0, 6}},
    {"SO_RCVLOWAT", SOL_SOCKET, SO_RCVLOWAT, {100, 0, -5}},
    {"SO_SNDLOWAT", SOL_SOCKET, SO_SNDLOWAT, {1, 100, 0}},
    {"SO_SNDBUF", SOL_SOCKET, SO_SNDBUF, {50000, 1, 20000}},
    {"SO_RCVBUF", SOL_SOCKET, SO_RCVBUF, {50000, 1, 30000}},
    {"SO_TYPE", SOL_SOCKET, SO_TYPE, {1, 2, 3}},
    {"SO_PROTOCOL", SOL_SOCKET, SO_PROTOCOL, {6, 0, 17}},
    {"SO_DOMAIN", SOL_SOCKET, SO_DOMAIN, {2, 10, 0}},
    {"SO_ACCEPTCONN", SOL_SOCKET, SO_ACCEPTCONN, {1, 0, 1}},
    {"SO_ERROR", SOL_SOCKET, SO_ERROR, {1, 0, 1}},
    {"SO_DEBUG", SOL_SOCKET, SO_DEBUG, {0, 0, 0}},
    {"SO_DONTROUTE", SOL_SOCKET, SO_DONTROUTE, {0, 0, 0}},
    {"SO_TIMESTAMP", SOL_SOCKET, SO_TIMESTAMP, {1, 0, 1}},
    {"SO_PASSCRED", SOL_SOCKET, SO_PASSCRED, {1, 0, 1}},
    {"SO_MARK", SOL_SOCKET, SO_MARK, {5, 0, 1}},
    {"SO_BUSY_POLL", SOL_SOCKET, SO_BUSY_POLL, {50, 0, -1}},
    {"SO_ZEROCOPY", SOL_SOCKET, SO_ZEROCOPY, {1, 0, 2}},
    {"SO 9999", SOL_SOCKET, 9999, {1, 0, 1}},
    {"TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY, {1, 0, 5}},
    {"TCP_CORK", IPPROTO_TCP, TCP_CORK, {1, 0, 5}},
    {"TCP_MAXSEG", IPPROTO_TCP, TCP_MAXSEG, {1000, 10, 70000}},
    {"TCP_KEEPIDLE", IPPROTO_TCP, TCP_KEEPIDLE, {60, 0, 40000}},
    {"TCP_KEEPINTVL", IPPROTO_TCP, TCP_KEEPINTVL, {10, 0, 40000}},
    {"TCP_KEEPCNT", IPPROTO_TCP, TCP_KEEPCNT, {4, 0, 200}},
    {"TCP_SYNCNT", IPPROTO_TCP, TCP_SYNCNT, {3, 0, 200}},
    {"TCP_LINGER2", IPPROTO_TCP, TCP_LINGER2, {30, -1, 1000}},
    {"TCP_DEFER_ACCEPT", IPPROTO_TCP, TCP_DEFER_ACCEPT, {3, 0, 1}},
    {"TCP_USER_TIMEOUT", IPPROTO_TCP, TCP_USER_TIMEOUT, {30000, 0, -1}},
    {"TCP_QUICKACK", IPPROTO_TCP, TCP_QUICKACK, {0, 1, 1}},
    {"TCP_NOTSENT_LOWAT", IPPROTO_TCP, TCP_NOTSENT_LOWAT, {16384, 1, 0}},
    {"TCP_WINDOW_CLAMP", IPPROTO_TCP, TCP_WINDOW_CLAMP, {20000, 0, 30000}},
    {"TCP_THIN_LINEAR_TIMEOUTS", IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, {1, 0, 2}},
    {"TCP 9999", IPPROTO_TCP, 9999, {1, 0, 1}},
    {"level 9999", 9999, 1, {1, 0, 1}},
    {"IP_TOS", IPPROTO_IP, IP_TOS, {0x10, 0xb9, 0}},
    {"IP_TTL", IPPROTO_IP, IP_TTL, {33, 0, 256}},
    {"IP_MTU_DISCOVER", IPPROTO_IP, IP_MTU_DISCOVER, {IP_PMTUDISC_WANT, 77, IP_PMTUDISC_WANT}},
    {"IP_RECVERR", IPPROTO_IP, IP_RECVERR, {0, 0, 0}},
    {"IP_FREEBIND", IPPROTO_IP, IP_FREEBIND, {1, 0, 1}},
    {"IP 9999", IPPROTO_IP, 9999, {1, 0, 1}},
    {"IPV6_V6ONLY", IPPROTO_IPV6, IPV6_V6ONLY, {1, 0, 1}},
    {"IPV6_TCLASS", IPPROTO_IPV6, IPV6_TCLASS, {0x20, 256, -1}},
    {"IPV6_UNICAST_HOPS", IPPROTO_IPV6, IPV6_UNICAST_HOPS, {44, 256, -1}},
    {"IPV6_MTU_DISCOVER", IPPROTO_IPV6, IPV6_MTU_DISCOVER, {IPV6_PMTUDISC_WANT, 77, 1}},
    {"IPV6 9999", IPPROTO_IPV6, 9999, {1, 0, 1}},
};

static const char *read_back(int fd, const struct row *r, char *text, size_t size)
{
	int value = 0;
	socklen_t len = sizeof(value);

	if (getsockopt(fd, r->level, r->option, &value, &len) < 0)
		return error_name(errno);
	/* these differ between two connections of one kernel */
	if (r->level == IPPROTO_TCP && r->option == TCP_QUICKACK)
		value = value != 0;
	snprintf(text, size, "%d in %d bytes", value, (int)len);
	return text;
}

/* By the kernel, as it likes, or out of its local device's MTU. */
static bool tuned(const struct row *r)
{
	return (r->level == SOL_SOCKET && (r->option == SO_SNDBUF || r->option == SO_RCVBUF)) ||
	       (r->level == IPPROTO_TCP &&
		(r->option == TCP_WINDOW_CLAMP || r->option == TCP_MAXSEG));
}

static void try_row(int fd, const char *state, const struct row *r)
{
	char what[96], text[64];

	snprintf(what, sizeof(what), "%s %s before", state, r->name);
	if (strcmp(state, "connected") != 0 || !tuned(r))
		say(what, "%s", read_back(fd, r, text, sizeof(text)));
	for (int i = 0; i < MANY; i++) {
		int value = r->try[i];
		const char *set = setsockopt(fd, r->level, r->option, &value, sizeof(value)) < 0
				      ? error_name(errno)
				      : "ok";

		snprintf(what, sizeof(what), "%s %s = %d", state, r->name, value);
		say(what, "%s, then %s", set, read_back(fd, r, text, sizeof(text)));
	}
}

static void all_in(const char *state, int fd)
{
	section("option");
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		try_row(fd, state, &table[i]);
}

static void in_each_state(void)
{
	struct sockaddr_storage ss;
	socklen_t len = own_addr(&ss, next_port());
	struct ends e = ends_open();
	int fd = new_socket(0);

	all_in("fresh", fd);
	close(fd);
	fd = new_socket(0);
	need(bind(fd, (struct sockaddr *)&ss, len) == 0);
	all_in("bound", fd);
	close(fd);
	fd = listen_at(next_port(), 1);
	all_in("listening", fd);
	close(fd);
	all_in("connected", e.fd);
	ends_close(&e);
}

/* ---- other types and lengths ---- */

static void lengths(const char *state, int fd)
{
	char bytes[16] = {1};
	char what[64];
	const int size[] = {0, 1, 2, 3, 4, 5, 16, -1};

	section("lengths");
	for (size_t i = 0; i < sizeof(size) / sizeof(size[0]); i++) {
		socklen_t len = (socklen_t)size[i];

		snprintf(what, sizeof(what), "%s set NODELAY %d", state, size[i]);
		result(what, setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, bytes, len));
		snprintf(what, sizeof(what), "%s set KEEPALIVE %d", state, size[i]);
		result(what, setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, bytes, len));
		snprintf(what, sizeof(what), "%s set LINGER %d", state, size[i]);
		result(what, setsockopt(fd, SOL_SOCKET, SO_LINGER, bytes, len));
		snprintf(what, sizeof(what), "%s get NODELAY %d", state, size[i]);
		result(what, getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, bytes, &len));
		snprintf(what, sizeof(what), "%s get NODELAY %d gives length", state, size[i]);
		say(what, "%d", (int)len);
		len = (socklen_t)size[i];
		snprintf(what, sizeof(what), "%s get KEEPALIVE %d", state, size[i]);
		result(what, getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, bytes, &len));
		snprintf(what, sizeof(what), "%s get KEEPALIVE %d gives length", state, size[i]);
		say(what, "%d", (int)len);
		memset(bytes, 0, sizeof(bytes));
		bytes[0] = 1;
	}
}

static void linger(const char *state, int fd)
{
	static const struct linger values[] = {{1, 0}, {1, 7}, {0, 7}, {3, 1}, {0, 0}};
	struct linger l;
	char what[64];
	socklen_t len;

	section("SO_LINGER");
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		snprintf(what, sizeof(what), "%s set %d %d", state, values[i].l_onoff,
			 values[i].l_linger);
		result(what, setsockopt(fd, SOL_SOCKET, SO_LINGER, &values[i], sizeof(l)));
		len = sizeof(l);
		memset(&l, 0xff, sizeof(l));
		need(getsockopt(fd, SOL_SOCKET, SO_LINGER, &l, &len) == 0);
		snprintf(what, sizeof(what), "%s get after %d %d", state, values[i].l_onoff,
			 values[i].l_linger);
		say(what, "%d %d in %d bytes", l.l_onoff, l.l_linger, (int)len);
	}
}

static void timeouts(const char *state, int fd)
{
	static const struct timeval values[] = {{2, 500000},  {0, 0},  {0, 1},
						{1, 1000000}, {-1, 0}, {1, -1}};
	struct timeval t;
	char what[64];
	socklen_t len;

	section("SO_RCVTIMEO and SO_SNDTIMEO");
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		for (int option = 0; option < 2; option++) {
			int name = option ? SO_SNDTIMEO : SO_RCVTIMEO;

			snprintf(what, sizeof(what), "%s %d of %ld s %ld us", state, option,
				 (long)values[i].tv_sec, (long)values[i].tv_usec);
			result(what, setsockopt(fd, SOL_SOCKET, name, &values[i], sizeof(t)));
			len = sizeof(t);
			need(getsockopt(fd, SOL_SOCKET, name, &t, &len) == 0);
			snprintf(what, sizeof(what), "%s %d after %ld s %ld us", state, option,
				 (long)values[i].tv_sec, (long)values[i].tv_usec);
			say(what, "%ld s %ld us in %d bytes", (long)t.tv_sec, (long)t.tv_usec,
			    (int)len);
		}
	}
	result("length 8", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, 8));
}

static void congestion(const char *state, int fd)
{
	char text[32] = "", what[64];
	socklen_t len;

	section("TCP_CONGESTION");
	for (int i = 0; i < 4; i++) {
		static const char *const names[] = {"reno", "cubic", "nonesuch", ""};

		snprintf(what, sizeof(what), "%s set %s", state, names[i]);
		result(what, setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, names[i],
					(socklen_t)strlen(names[i])));
		len = sizeof(text);
		need(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, text, &len) == 0);
		snprintf(what, sizeof(what), "%s get after %s", state, names[i]);
		say(what, "%s in %d bytes", text, (int)len);
	}
	len = 3;
	memset(text, 0, sizeof(text));
	need(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, text, &len) == 0);
	snprintf(what, sizeof(what), "%s get into 3 bytes", state);
	say(what, "%s in %d bytes", text, (int)len);
}

static void other_types(void)
{
	struct ends e = ends_open();
	int fd = new_socket(0);

	lengths("fresh", fd);
	lengths("connected", e.fd);
	linger("fresh", fd);
	linger("connected", e.fd);
	timeouts("fresh", fd);
	timeouts("connected", e.fd);
	congestion("fresh", fd);
	congestion("connected", e.fd);
	close(fd);
	ends_close(&e);
}

/* ---- what an accepted socket has from its listener ---- */

static void inherited(void)
{
	static const struct row set[] = {
	    {"SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE, {1}},
	    {"SO_SNDBUF", SOL_SOCKET, SO_SNDBUF, {60000}},
	    {"SO_RCVBUF", SOL_SOCKET, SO_RCVBUF, {70000}},
	    {"SO_OOBINLINE", SOL_SOCKET, SO_OOBINLINE, {1}},
	    {"SO_RCVLOWAT", SOL_SOCKET, SO_RCVLOWAT, {3}},
	    {"SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR, {1}},
	    {"SO_PRIORITY", SOL_SOCKET, SO_PRIORITY, {2}},
	    {"TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY, {1}},
	    {"TCP_KEEPIDLE", IPPROTO_TCP, TCP_KEEPIDLE, {77}},
	    {"TCP_KEEPINTVL", IPPROTO_TCP, TCP_KEEPINTVL, {7}},
	    {"TCP_KEEPCNT", IPPROTO_TCP, TCP_KEEPCNT, {5}},
	    {"TCP_USER_TIMEOUT", IPPROTO_TCP, TCP_USER_TIMEOUT, {5000}},
	    {"TCP_LINGER2", IPPROTO_TCP, TCP_LINGER2, {20}},
	    {"TCP_DEFER_ACCEPT", IPPROTO_TCP, TCP_DEFER_ACCEPT, {0}},
	};
	struct timeval t = {.tv_sec = 3};
	struct linger l = {1, 4};
	socklen_t len = sizeof(t);
	int port = next_port(), listener = listen_at(port, 2), other, fd;
	char text[64];

	section("inherited");
	for (size_t i = 0; i < sizeof(set) / sizeof(set[0]); i++)
		set_int(listener, set[i].level, set[i].option, set[i].try[0]);
	need(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)) == 0);
	need(setsockopt(listener, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) == 0);
	other = peer_connect(port);
	fd = accept(listener, NULL, NULL);
	need(other >= 0 && fd >= 0);
	for (size_t i = 0; i < sizeof(set) / sizeof(set[0]); i++)
		say(set[i].name, "%s", read_back(fd, &set[i], text, sizeof(text)));
	need(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, &len) == 0);
	say("SO_RCVTIMEO", "%ld", (long)t.tv_sec);
	len = sizeof(l);
	need(getsockopt(fd, SOL_SOCKET, SO_LINGER, &l, &len) == 0);
	say("SO_LINGER", "%d %d", l.l_onoff, l.l_linger);
	peer_close(other);
	close(fd);
	close(listener);
}

int main(int argc, char **argv)
{
	observe_start(argc, argv);
	in_each_state();
	other_types();
	inherited();
	return observe_end();
}
