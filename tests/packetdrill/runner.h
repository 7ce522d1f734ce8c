/* SPDX-License-Identifier: BSD-2-Clause */
/* runner.h - a script runner in small: it loads packetdrill.so as packetdrill does, plays the peer
 * packet by packet, and makes calls from a second thread that may block.
 *
 * The table of calls is declared here a second time, on purpose: what the object believes it to be
 * is put to the test, too. */
#ifndef TESTS_PACKETDRILL_RUNNER_H
#define TESTS_PACKETDRILL_RUNNER_H

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cmocka.h>

struct table {
	void *ud;
	void (*free)(void *);
	int (*socket)(void *, int, int, int);
	int (*bind)(void *, int, const struct sockaddr *, socklen_t);
	int (*listen)(void *, int, int);
	int (*accept)(void *, int, struct sockaddr *, socklen_t *);
	int (*connect)(void *, int, const struct sockaddr *, socklen_t);
	ssize_t (*read)(void *, int, void *, size_t);
	ssize_t (*readv)(void *, int, const struct iovec *, int);
	ssize_t (*recv)(void *, int, void *, size_t, int);
	ssize_t (*recvfrom)(void *, int, void *, size_t, int, struct sockaddr *, socklen_t *);
	ssize_t (*recvmsg)(void *, int, struct msghdr *, int);
	ssize_t (*write)(void *, int, const void *, size_t);
	ssize_t (*writev)(void *, int, const struct iovec *, int);
	ssize_t (*send)(void *, int, const void *, size_t, int);
	ssize_t (*sendto)(void *, int, const void *, size_t, int, const struct sockaddr *,
			  socklen_t);
	ssize_t (*sendmsg)(void *, int, const struct msghdr *, int);
	int (*fcntl)(void *, int, int, ...);
	int (*ioctl)(void *, int, unsigned long, ...);
	int (*close)(void *, int);
	int (*shutdown)(void *, int, int);
	int (*getsockopt)(void *, int, int, int, void *, socklen_t *);
	int (*setsockopt)(void *, int, int, int, const void *, socklen_t);
	int (*poll)(void *, struct pollfd *, nfds_t, int);
	int (*netdev_send)(void *, const void *, size_t);
	int (*netdev_receive)(void *, void *, size_t *, long long *);
	int (*usleep)(void *, useconds_t);
	int (*gettimeofday)(void *, struct timeval *, struct timezone *);
	int (*epoll_create)(void *, int);
	int (*epoll_ctl)(void *, int, int, int, struct epoll_event *);
	int (*epoll_wait)(void *, int, struct epoll_event *, int, int);
	int (*pipe)(void *, int[2]);
	ssize_t (*splice)(void *, int, loff_t *, int, loff_t *, size_t, unsigned);
};

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

/* A TCP segment of either side; numbers relative to the sides' first ones. */
struct packet {
	uint8_t flags;
	uint32_t seq, ack, len;
	uint16_t window;
	uint8_t options[40];
	uint32_t option_len;
	long long at_us;
	uint8_t payload[1500];
};

struct runner {
	struct table t;
	void *object;
	bool six;
	uint16_t own_port, peer_port;
	uint32_t iss, irs; /* the peer's (ours), and the stack's */
	int listener, fd;
};

/* flags as --so_flags; the address decides the family. */
void runner_start(struct runner *, const char *flags);
void runner_stop(struct runner *);
long long runner_now_us(struct runner *);

void runner_inject(struct runner *, const struct packet *);
/* The next packet of the stack; false: nothing more comes. */
bool runner_receive(struct runner *, struct packet *);
/* It must have these flags, numbers and length. */
struct packet runner_expect(struct runner *, uint8_t flags, uint32_t seq, uint32_t ack,
			    uint32_t len);

/* A listener on port 8080, and the peer's SYN and ACK with MSS 1460 and nothing else. */
void runner_listen(struct runner *);
void runner_handshake(struct runner *);
void runner_accept(struct runner *); /* all three; fd is the connection */

socklen_t runner_address(const struct runner *, struct sockaddr_storage *, bool peer,
			 uint16_t port);

/* One call on a second thread. */
struct blocking {
	struct runner *r;
	ssize_t (*call)(struct runner *, void *arg);
	void *arg;
	ssize_t result;
	int error;
	pthread_t thread;
	_Atomic int tid;
	_Atomic bool done;
};
void blocking_start(struct blocking *, struct runner *, ssize_t (*call)(struct runner *, void *),
		    void *arg);
/* Waits until the thread sleeps in the call, as the kernel tells. */
void blocking_asleep(struct blocking *);
ssize_t blocking_end(struct blocking *);

#endif
