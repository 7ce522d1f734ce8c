/* SPDX-License-Identifier: BSD-2-Clause */
/* fake_daemon - the daemon's half of stackd_shm.h and stackd_msg.h without a network: connections
 * lead from one slot to another.  One thread, one shard, everything trusted; for tests of libclient.
 *
 *	fake_daemon RUNDIR        prints "ready" when it serves
 *
 * Its own address is 10.77.0.1 (fd77::1 too), 10.77.0.0/16 is routed.  A connect to port 9 is never
 * answered, to a port without a listener it is refused. */
#include "fake_daemon.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int listen_fd;

/* ---- messages ---- */

static void reply(struct client *c, struct stackd_reply *r, const int *fds)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(3 * sizeof(int))];
	} control = {0};
	struct iovec iov = {r, sizeof(*r)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (r->fd_count) {
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(r->fd_count * sizeof(int));
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(r->fd_count * sizeof(int));
		memcpy(CMSG_DATA(&control.head), fds, r->fd_count * sizeof(int));
	}
	(void)!sendmsg(c->fd, &m, MSG_NOSIGNAL);
}

static struct client *client_new(int fd)
{
	for (int i = 0; i < CLIENTS; i++)
		if (!clients[i].used) {
			memset(&clients[i], 0, sizeof(clients[i]));
			clients[i].used = true;
			clients[i].fd = fd;
			return &clients[i];
		}
	exit(1);
}

static void attach(struct client *c)
{
	c->region = make_region();
	c->kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	for (int i = 0; i < EVQS; i++)
		c->evq_fd[i] = -1;
}

static int clone_client(struct client *c, int fds[3])
{
	struct client *n;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		exit(1);
	n = client_new(pair[0]);
	attach(n);
	for (uint32_t r = 0; r < region_count; r++)
		for (uint32_t s = 0; s < SOCKS; s++)
			if (c->holds[r][s]) {
				n->holds[r][s] = true;
				regions[r]->sock[s].holders++;
			}
	fds[0] = pair[1];
	fds[1] = n->region->fd;
	fds[2] = n->kick;
	return pair[1];
}

/* Stands for a socket: its client holds nothing else. */
static int pass(struct client *c, const struct stackd_request *q)
{
	static int number;
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct sock *s = sock_of(c, q->region, q->slot, q->gen, true);
	struct client *n;
	struct stat st;
	int pair[2], len;

	if (!s || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	len = snprintf(sun.sun_path + 1, 50, STACKD_PASS_NAME "fake-%d-%d", (int)getpid(), ++number);
	if (bind(pair[0], (struct sockaddr *)&sun, (socklen_t)(sizeof(sun.sun_family) + 1 + (size_t)len)) < 0 ||
	    shutdown(pair[0], SHUT_WR) < 0 || fstat(pair[1], &st) < 0)
		exit(1);
	n = client_new(pair[0]);
	n->region = make_region();
	n->kick = -1;
	for (int i = 0; i < EVQS; i++)
		n->evq_fd[i] = -1;
	n->parcel = *q;
	n->parcel_inode = st.st_ino;
	n->holds[q->region][q->slot] = true;
	s->holders++;
	return pair[1];
}

static void gone(struct client *c);

static int take(struct client *c, int fd, struct stackd_reply *r)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return EBADF;
	for (int i = 0; i < CLIENTS; i++) {
		struct client *p = &clients[i];

		if (!p->used || !p->parcel_inode || p->parcel_inode != st.st_ino)
			continue;
		if (!c->holds[p->parcel.region][p->parcel.slot])
			regions[p->parcel.region]->sock[p->parcel.slot].holders++;
		c->holds[p->parcel.region][p->parcel.slot] = true;
		memcpy(r->text, p->parcel.text, sizeof(r->text));
		gone(p);
		return 0;
	}
	return EBADF;
}

static void choose(struct sock *s, const struct stackd_request *q, struct stackd_reply *r)
{
	const char *value = strchr(q->text, '=');
	int len = value ? (int)strcspn(value, "\n") : 0;
	char name[32];

	snprintf(name, sizeof(name), "%.*s", len, value ? value : "");
	if (strcmp(name, "=cubic") && strcmp(name, "=newreno") && strcmp(name, "=gbn"))
		r->error = ENOENT;
	else
		snprintf(s->cc, sizeof(s->cc), "%.30s", name + 1);
}

static void on_sock(struct client *c, struct sock *s, const struct stackd_request *q,
		    struct stackd_reply *r)
{
	(void)c;
	switch (q->type) {
	case STACKD_REQ_BIND:
		if (q->port && find_listener(q->port))
			r->error = EADDRINUSE;
		else
			s->port = q->port ? q->port : next_port++;
		r->value = s->port;
		break;
	case STACKD_REQ_LISTEN:
		s->listening = true;
		memset(stackd_shm_rx(s->region->mem, &s->region->head, s->slot), 0, 4096);
		memcpy(shm(s)->local_addr, (uint8_t[16]){[10] = 0xff, [11] = 0xff}, 16);
		shm(s)->local_port = s->port;
		atomic_store(&shm(s)->state, STACKD_SOCK_LISTENING);
		break;
	case STACKD_REQ_INFO:
		r->info = (struct stackd_info){.state = 1, .snd_mss = 1448, .rtt_us = 100,
					       .snd_cwnd_segs = 10, .pmtu = 1500};
		break;
	case STACKD_REQ_CHOOSE:
		choose(s, q, r);
		break;
	default:
		snprintf(r->text, sizeof(r->text), "%s", s->cc[0] ? s->cc : "cubic");
	}
}

static void request(struct client *c, const struct stackd_request *q, int fd)
{
	struct stackd_reply r = {.type = q->type};
	int fds[3] = {-1, -1, -1}, close_after = -1;
	struct sock *s;

	if (c->region)
		drain(c);
	if (q->type == STACKD_REQ_HELLO && strstr(q->text, "bad")) {
		r.error = EINVAL;
	} else if (q->type == STACKD_REQ_HELLO) {
		attach(c);
		r.fd_count = 3;
		memcpy(fds, (int[3]){c->region->fd, board_fd, c->kick}, sizeof(fds));
	} else if (q->type == STACKD_REQ_RESUME) {
		r.fd_count = 3;
		memcpy(fds, (int[3]){c->region->fd, board_fd, c->kick}, sizeof(fds));
	} else if (q->type == STACKD_REQ_REGION) {
		r.fd_count = 1;
		fds[0] = regions[q->region]->fd;
	} else if (q->type == STACKD_REQ_PASS) {
		fds[0] = close_after = pass(c, q);
		r.fd_count = fds[0] >= 0;
		r.error = fds[0] >= 0 ? 0 : EBADF;
	} else if (q->type == STACKD_REQ_TAKE) {
		r.error = take(c, fd, &r);
		if (fd >= 0)
			close(fd);
	} else if (q->type == STACKD_REQ_CLONE) {
		r.fd_count = 3;
		close_after = clone_client(c, fds);
	} else if (q->type == STACKD_REQ_EVQ) {
		c->evq_fd[q->arg] = fd;
	} else if ((s = sock_of(c, q->region, q->slot, q->gen, true))) {
		on_sock(c, s, q, &r);
	} else {
		r.error = EBADF;
	}
	reply(c, &r, fds);
	if (close_after >= 0)
		close(close_after);
}

static void gone(struct client *c)
{
	for (uint32_t r = 0; c->region && r < region_count; r++)
		for (uint32_t s = 0; s < SOCKS; s++)
			if (c->holds[r][s])
				let_go(c, &regions[r]->sock[s], c->parcel_inode == 0);
	for (int i = 0; c->region && i < EVQS; i++)
		if (c->evq_fd[i] >= 0)
			close(c->evq_fd[i]);
	if (c->region && c->kick >= 0)
		close(c->kick);
	close(c->fd);
	c->used = false;
}

static void on_message(struct client *c)
{
	struct stackd_request q;
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {&q, sizeof(q)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			   .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(c->fd, &m, MSG_CMSG_CLOEXEC);
	int fd = -1;

	if (n != (ssize_t)sizeof(q)) {
		gone(c);
		return;
	}
	if (m.msg_controllen)
		memcpy(&fd, CMSG_DATA(&control.head), sizeof(fd));
	request(c, &q, fd);
}

static int serve_unix(const char *rundir)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/%s", rundir, STACKD_CLIENT_SOCK);
	unlink(sun.sun_path);
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 || listen(fd, 16) < 0) {
		perror(sun.sun_path);
		exit(1);
	}
	return fd;
}

static void serve_clients(const struct pollfd *p)
{
	uint64_t count;

	for (int i = 0; i < CLIENTS; i++) {
		if (p[2 * i + 1].revents && clients[i].used && clients[i].region) {
			(void)!read(clients[i].kick, &count, sizeof(count));
			drain(&clients[i]);
		}
		if (p[2 * i].revents && clients[i].used) {
			if (clients[i].region)
				drain(&clients[i]);
			on_message(&clients[i]);
		}
	}
}

int main(int argc, char **argv)
{
	struct pollfd p[2 * CLIENTS + 1];

	if (argc < 2)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	make_board();
	if (getenv("FAKE_FIRST_PORT"))
		next_port = (uint16_t)atoi(getenv("FAKE_FIRST_PORT"));
	listen_fd = serve_unix(argv[1]);
	puts("ready");
	fflush(stdout);
	for (;;) {
		for (int i = 0; i < CLIENTS; i++) {
			p[2 * i] = (struct pollfd){.fd = clients[i].used ? clients[i].fd : -1, .events = POLLIN};
			p[2 * i + 1] = (struct pollfd){
				.fd = clients[i].used && clients[i].region ? clients[i].kick : -1,
				.events = POLLIN};
		}
		p[2 * CLIENTS] = (struct pollfd){.fd = listen_fd, .events = POLLIN};
		if (poll(p, 2 * CLIENTS + 1, -1) < 0)
			continue;
		serve_clients(p);
		if (p[2 * CLIENTS].revents)
			client_new(accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC));
	}
}
