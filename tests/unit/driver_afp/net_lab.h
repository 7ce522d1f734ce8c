/* SPDX-License-Identifier: BSD-2-Clause */
/* net_lab.h - two network namespaces joined by a veth pair, gone with this process.  Ours has "va"
 * without any address: 10.99.0.2 and fd99::2 are the driver's.  The peer's has "vb" with 10.99.0.1
 * and fd99::1 and knows our addresses by static neighbour entries. */
#ifndef NET_LAB_H
#define NET_LAB_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct net_lab {
	int ours, peers; /* namespace descriptors */
	pid_t keeper;
	uint8_t mac[6], peer_mac[6];
};

bool net_lab_open(struct net_lab *); /* false: no privilege */
void net_lab_close(struct net_lab *);
/* Moves this thread. */
void net_lab_enter_peer(struct net_lab *);
void net_lab_leave_peer(struct net_lab *);
/* Runs a shell command here or there; asserts that it succeeds. */
void net_lab_run(const char *format, ...) __attribute__((format(printf, 1, 2)));
void net_lab_run_peer(struct net_lab *, const char *command);
/* Checksum offload and TSO of an interface of this namespace. */
void net_lab_offload(const char *interface, bool on);
/* A kernel socket of the peer's namespace. */
int net_lab_peer_socket(struct net_lab *, int family, int type, int protocol);

#endif
