/* SPDX-License-Identifier: BSD-2-Clause */
/* fake_daemon.h - the two halves of the fake daemon: fake_stack.c is what connections do,
 * fake_daemon.c what clients ask. */
#ifndef TEST_CLIENT_FAKE_DAEMON_H
#define TEST_CLIENT_FAKE_DAEMON_H

#include <stdbool.h>

#include "stackd_msg.h"
#include "stackd_shm.h"

#define CLIENTS	     32
#define SOCKS_OWN    64
#define SOCKS	     128
#define SUBS	     2048
#define EVQS	     32
#define SQ_ENTRIES   64
#define ACCEPTS	     64
#define RING	     65536ull
#define BLACK_HOLE   9
#define FIRST_PORT   40000

struct sock {
	bool used, listening, offered, fin, closing;
	uint32_t gen, holders;
	uint16_t port;
	struct region *region;
	struct sock *peer, *parent;
	uint32_t slot, accept_tail;
	char cc[32];
};

struct region {
	int fd;
	uint8_t *mem;
	struct stackd_shm_head head;
	struct sock sock[SOCKS];
};

struct sub {
	struct sock *sock;
	uint32_t evq, mask;
};

struct client {
	bool used;
	int fd, kick, evq_fd[EVQS];
	struct region *region;
	uint32_t sq_head, evq_tail[EVQS];
	struct sub sub[SUBS];
	struct stackd_request parcel;
	uint64_t parcel_inode; /* 0: a process */
	bool holds[CLIENTS * 2][SOCKS]; /* by region number, slot */
};

extern struct client clients[CLIENTS];
extern struct region *regions[CLIENTS * 2];
extern uint32_t region_count;
extern int board_fd;
extern uint16_t next_port;

void make_board(void);
struct region *make_region(void);
struct stackd_sock *shm(struct sock *);
struct sock *find_listener(uint16_t port);
/* The socket that this client holds; `open`: a free one of its own becomes known. */
struct sock *sock_of(struct client *, uint32_t region, uint32_t slot, uint32_t gen, bool open);
void let_go(struct client *, struct sock *, bool reset);
void drain(struct client *); /* all that it has submitted */

#endif
