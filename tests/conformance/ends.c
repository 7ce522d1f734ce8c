/* SPDX-License-Identifier: BSD-2-Clause */
#include "ends.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "alphabet.h"
#include "ask.h"
#include "observe.h"

#define PORTS 100 /* that are ours, from $CONFORM_PORT on */

enum way { LOCAL, ACTIVE, PASSIVE };

static enum way way;
static int domain = AF_INET;
static int control = -1;
static int port, port_base;

void ends_start(const char *text, int family)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	const char *path = getenv("CONFORM_PEER"), *ports = getenv("CONFORM_PORT");

	way = !strcmp(text, "active") ? ACTIVE : !strcmp(text, "passive") ? PASSIVE : LOCAL;
	domain = family == 6 ? AF_INET6 : AF_INET;
	need(path && strlen(path) < sizeof(sun.sun_path));
	need(ports);
	port = port_base = atoi(ports);
	strcpy(sun.sun_path, path);
	control = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	need(connect(control, (struct sockaddr *)&sun, sizeof(sun)) == 0);
}

bool ends_local(void)
{
	return way == LOCAL;
}

int ends_domain(void)
{
	return domain;
}

/* ---- addresses ---- */

socklen_t make_addr(struct sockaddr_storage *ss, const char *text, int number)
{
	struct sockaddr_in *in = (void *)ss;
	struct sockaddr_in6 *in6 = (void *)ss;

	memset(ss, 0, sizeof(*ss));
	in->sin_port = htons((uint16_t)number);
	if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		return sizeof(*in);
	}
	need(inet_pton(AF_INET6, text, &in6->sin6_addr) == 1);
	in6->sin6_family = AF_INET6;
	return sizeof(*in6);
}

socklen_t own_addr(struct sockaddr_storage *ss, int number)
{
	return make_addr(ss, domain == AF_INET ? "10.9.0.2" : "fd00:9::2", number);
}

socklen_t peer_addr(struct sockaddr_storage *ss, int number)
{
	return make_addr(ss, domain == AF_INET ? "10.9.0.1" : "fd00:9::1", number);
}

socklen_t loop_addr(struct sockaddr_storage *ss, int number)
{
	return make_addr(ss, domain == AF_INET ? "127.0.0.1" : "::1", number);
}

socklen_t any_addr(struct sockaddr_storage *ss, int number)
{
	return make_addr(ss, domain == AF_INET ? "0.0.0.0" : "::", number);
}

int new_socket(int flags)
{
	int fd = socket(domain, SOCK_STREAM | flags, 0);

	need(fd >= 0);
	return fd;
}

int next_port(void)
{
	return port++;
}

int port_number(int number)
{
	return number >= port_base && number < port_base + PORTS ? number - port_base : number;
}

int listen_at(int number, int backlog)
{
	struct sockaddr_storage ss;
	socklen_t len = own_addr(&ss, number);
	int fd = new_socket(0);

	set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	need(bind(fd, (struct sockaddr *)&ss, len) == 0);
	need(listen(fd, backlog) == 0);
	return fd;
}

/* ---- the peer ---- */

static long ask(enum ask_what what, int handle, int64_t a, int64_t b)
{
	struct ask q = {.what = what, .handle = handle, .a = a, .b = b};
	struct answer r;

	need(send(control, &q, sizeof(q), 0) == sizeof(q));
	need(recv(control, &r, sizeof(r), 0) == sizeof(r));
	errno = r.error;
	return r.value;
}

int peer_listen(int number, int backlog)
{
	return (int)ask(ASK_LISTEN, domain, number, backlog);
}

int peer_accept(int listener)
{
	return (int)ask(ASK_ACCEPT, listener, 0, 0);
}

int peer_connect(int number)
{
	return (int)ask(ASK_CONNECT, domain, number, 0);
}

long peer_close(int handle)
{
	return ask(ASK_CLOSE, handle, 0, 0);
}

/* ---- connections ---- */

static void open_active(struct ends *e, void (*prepare)(int fd))
{
	struct sockaddr_storage ss;
	int number = next_port();
	int listener = peer_listen(number, 4);
	socklen_t len = peer_addr(&ss, number);

	need(listener >= 0);
	e->fd = new_socket(0);
	if (prepare)
		prepare(e->fd);
	need(connect(e->fd, (struct sockaddr *)&ss, len) == 0);
	e->other = peer_accept(listener);
	peer_close(listener);
}

static void open_passive(struct ends *e)
{
	int number = next_port(), listener = listen_at(number, 4);

	e->other = peer_connect(number);
	e->fd = accept(listener, NULL, NULL);
	close(listener);
}

static void open_local(struct ends *e, void (*prepare)(int fd))
{
	struct sockaddr_storage ss;
	int number = next_port(), listener = listen_at(number, 4);
	socklen_t len = own_addr(&ss, number);

	e->fd = new_socket(0);
	if (prepare)
		prepare(e->fd);
	need(connect(e->fd, (struct sockaddr *)&ss, len) == 0);
	e->other = accept(listener, NULL, NULL);
	close(listener);
}

struct ends ends_open_with(void (*prepare)(int fd))
{
	struct ends e;

	if (way == ACTIVE)
		open_active(&e, prepare);
	else if (way == LOCAL)
		open_local(&e, prepare);
	else
		open_passive(&e);
	need(e.fd >= 0 && e.other >= 0 && e.other < 1024);
	if (way == PASSIVE && prepare)
		prepare(e.fd);
	alphabet_begin(e.other);
	return e;
}

struct ends ends_open(void)
{
	return ends_open_with(NULL);
}

void ends_close(struct ends *e)
{
	if (e->fd >= 0)
		close(e->fd);
	if (e->other >= 0)
		other_close(e);
	e->fd = -1;
}

/* ---- what the other end does ---- */

long other_send(const struct ends *e, size_t n)
{
	return way == LOCAL ? alphabet_send(e->other, n, 0) : ask(ASK_SEND, e->other, (int64_t)n, 0);
}

long other_send_urgent(const struct ends *e, size_t n)
{
	return way == LOCAL ? alphabet_send(e->other, n, MSG_OOB)
			    : ask(ASK_SEND, e->other, (int64_t)n, MSG_OOB);
}

long other_recv(const struct ends *e, size_t n)
{
	return way == LOCAL ? alphabet_recv(e->other, n) : ask(ASK_RECV, e->other, (int64_t)n, 0);
}

long other_shut(const struct ends *e, int how)
{
	return way == LOCAL ? shutdown(e->other, how) : ask(ASK_SHUT, e->other, how, 0);
}

long other_close(struct ends *e)
{
	int handle = e->other;

	e->other = -1;
	return way == LOCAL ? close(handle) : ask(ASK_CLOSE, handle, 0, 0);
}

long other_reset(struct ends *e)
{
	struct linger hard = {.l_onoff = 1};
	int handle = e->other;

	e->other = -1;
	if (way != LOCAL)
		return ask(ASK_RESET, handle, 0, 0);
	setsockopt(handle, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	return close(handle);
}
