/* SPDX-License-Identifier: BSD-2-Clause */
/* ends.h - a connection with an end under observation and another that does as it is told.
 *
 * local: both ends are ours, on the host's own address; active: we connect to the kernel of another
 * host; passive: it connects to us.  There the other end is the program conform_peer, told by a
 * unix socket ($CONFORM_PEER), in which nothing of stackd is loaded. */
#ifndef CONFORMANCE_ENDS_H
#define CONFORMANCE_ENDS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct ends {
	int fd;    /* ours */
	int other; /* local: a descriptor; else the peer's number of it */
};

void ends_start(const char *way, int family);
bool ends_local(void);
int ends_domain(void); /* AF_INET or AF_INET6 */

/* A connection. */
struct ends ends_open(void);
void ends_close(struct ends *);
/* Before the connection: options of our socket are set by `prepare` (may be NULL). */
struct ends ends_open_with(void (*prepare)(int fd));

/* What the other end does; -1 with errno. */
long other_send(const struct ends *, size_t n);
long other_send_urgent(const struct ends *, size_t n);
long other_recv(const struct ends *, size_t n); /* waits for all or the end; how many */
long other_shut(const struct ends *, int how);
long other_close(struct ends *);
long other_reset(struct ends *);
/* Its bytes are "abc...z" again and again, from the first one it sends on each connection. */

/* Our own addresses, and the peer's. */
socklen_t own_addr(struct sockaddr_storage *, int port);
socklen_t peer_addr(struct sockaddr_storage *, int port);
socklen_t loop_addr(struct sockaddr_storage *, int port);
socklen_t any_addr(struct sockaddr_storage *, int port);
/* An address in the family given: text, port. */
socklen_t make_addr(struct sockaddr_storage *, const char *text, int port);

int new_socket(int flags);
int next_port(void);       /* one that no test of this program has had */
int port_number(int port); /* which of them, as it may be said; another port as it is */
/* A listener on our own address with SO_REUSEADDR. */
int listen_at(int port, int backlog);

/* Connections that the peer makes or takes on demand. */
int peer_listen(int port, int backlog);
int peer_accept(int listener); /* -1 with errno */
int peer_connect(int port);
long peer_close(int handle);

#endif
