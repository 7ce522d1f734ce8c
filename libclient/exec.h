/* SPDX-License-Identifier: BSD-2-Clause */
/* exec.h - what a program leaves for the one that takes its place, and what is passed to another. */
#ifndef STACKD_CLIENT_EXEC_H
#define STACKD_CLIENT_EXEC_H

#include "client.h"

/* ---- exec.c ---- */

struct handover {
	int conn, table; /* close-on-exec still; -1: nothing goes over */
};

/* Before another program takes this process's place, or begins in a new one (`spawn`: then any of
 * the sockets may be its). */
bool exec_hand_over(struct handover *, const char *path, char *const envp[], bool spawn);
void exec_keep_open(const struct handover *);
void exec_take_back(struct handover *);
extern char exec_library[4096]; /* the path of preload.so; empty: nothing is handed over */

/* ---- inherit.c ---- */

void inherit_sockets(void);

/* What a program must know of a socket to go on with it. */
struct luggage {
	uint64_t inode;
	uint32_t region, slot, gen;
	int32_t domain;
	bool listening, connect_posted, connect_pending, bound, accepted, nonblock, unconnected, both;
	uint32_t bind_flags;
	int32_t error;
	struct addr local;
	int64_t rcvtimeo_ns, sndtimeo_ns;
	int32_t linger, rcvlowat, ifindex;
	uint32_t option_count;
	struct option_value option[OPTIONS_MAX];
};

void luggage_pack(const struct ofd *, struct luggage *);
/* NULL with errno; the caller has the reference. */
struct ofd *luggage_unpack(const struct luggage *, struct attach *);

/* What lies in the memfd. */
#define EXEC_MAGIC 0x737461636b657802ull
struct exec_table {
	uint64_t magic;
	uint32_t luggage_bytes, count;
	uint64_t conn_inode;
	int32_t conn;
	uint32_t epolls; /* instances, behind the luggage, each with its items behind it */
};

struct exec_epoll {
	uint64_t id; /* the same for each number of one instance */
	uint64_t marks;
	int32_t fd;
	uint32_t items;
};

struct exec_item {
	uint64_t inode;
	int32_t fd;
	uint32_t events;
	uint64_t data;
	struct news told;
};

struct exec_writer {
	int fd;
	bool spawn;
	off_t at;
	struct exec_table head;
};

/* What was left, as the new program has it. */
struct estate {
	int table;
	struct exec_table head;
	struct luggage *luggage;
	struct ofd **ofd; /* one for each */
};

/* ---- exec_epoll.c ---- */

bool exec_put_epoll(int fd, void *writer);
void exec_take_epolls(const struct estate *);

/* ---- rights.c ---- */

bool rights_ours(const struct msghdr *); /* is one of the sockets to be passed a stack socket? */
ssize_t rights_send(int fd, const struct msghdr *, int flags);
void rights_received(struct msghdr *, int flags);

#endif
