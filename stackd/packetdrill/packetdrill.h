/* SPDX-License-Identifier: BSD-2-Clause */
/* packetdrill.h - what a script runner of packetdrill's kind asks of a shared object that stands in
 * for the kernel: the table of calls, declared here in our own words.  The order of the members and
 * their types are the contract.
 *
 * `userdata` goes back as the first argument of each call; the rest, the results and errno are
 * those of the C library's function of that name.  Two threads may call at once. */
#ifndef STACKD_PACKETDRILL_H
#define STACKD_PACKETDRILL_H

#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>

struct packetdrill_calls {
	void *userdata;
	void (*free)(void *userdata);
	int (*socket)(void *, int domain, int type, int protocol);
	int (*bind)(void *, int fd, const struct sockaddr *, socklen_t);
	int (*listen)(void *, int fd, int backlog);
	int (*accept)(void *, int fd, struct sockaddr *, socklen_t *);
	int (*connect)(void *, int fd, const struct sockaddr *, socklen_t);
	ssize_t (*read)(void *, int fd, void *, size_t);
	ssize_t (*readv)(void *, int fd, const struct iovec *, int count);
	ssize_t (*recv)(void *, int fd, void *, size_t, int flags);
	ssize_t (*recvfrom)(void *, int fd, void *, size_t, int flags, struct sockaddr *,
			    socklen_t *);
	ssize_t (*recvmsg)(void *, int fd, struct msghdr *, int flags);
	ssize_t (*write)(void *, int fd, const void *, size_t);
	ssize_t (*writev)(void *, int fd, const struct iovec *, int count);
	ssize_t (*send)(void *, int fd, const void *, size_t, int flags);
	ssize_t (*sendto)(void *, int fd, const void *, size_t, int flags, const struct sockaddr *,
			  socklen_t);
	ssize_t (*sendmsg)(void *, int fd, const struct msghdr *, int flags);
	int (*fcntl)(void *, int fd, int command, ...);
	int (*ioctl)(void *, int fd, unsigned long request, ...);
	int (*close)(void *, int fd);
	int (*shutdown)(void *, int fd, int how);
	int (*getsockopt)(void *, int fd, int level, int name, void *, socklen_t *);
	int (*setsockopt)(void *, int fd, int level, int name, const void *, socklen_t);
	int (*poll)(void *, struct pollfd *, nfds_t, int timeout_ms);
	/* An IP packet without link header arrives at the stack: 0 or -1. */
	int (*netdev_send)(void *, const void *packet, size_t bytes);
	/* The next packet of the stack, *bytes large (before: room in the buffer), and when it
	 * left, in us of gettimeofday.  *bytes 0: nothing more will come. */
	int (*netdev_receive)(void *, void *packet, size_t *bytes, long long *time_us);
	int (*usleep)(void *, useconds_t);
	int (*gettimeofday)(void *, struct timeval *, struct timezone *);
	int (*epoll_create)(void *, int size);
	int (*epoll_ctl)(void *, int epfd, int op, int fd, struct epoll_event *);
	int (*epoll_wait)(void *, int epfd, struct epoll_event *, int max, int timeout_ms);
	int (*pipe)(void *, int fd[2]);
	ssize_t (*splice)(void *, int from, loff_t *, int to, loff_t *, size_t, unsigned flags);
};

/* flags: the stack's address, then settings "SECTION.KEY=VALUE" of stackd's -o, all separated by
 * commas.  What is wrong in them is said on stderr and ends the program with status 2. */
void packetdrill_interface_init(const char *flags, struct packetdrill_calls *);

#endif
