/* SPDX-License-Identifier: BSD-2-Clause */
/* stackd.h - TCP sockets of stackd for programs that ask for them.
 *
 * The calls are those of POSIX with a prefix, and so are their arguments, results and errnos (the
 * man page of the name without the prefix): a socket is a descriptor, -1 is a failure.  Each takes
 * any descriptor: what isn't a socket of stackd goes to the C library unchanged.  Whether a TCP
 * socket goes through stackd is decided at bind, connect or listen, by address: those that stackd
 * owns or routes do, loopback never does.  Without a daemon all go through the kernel.
 *
 * Under stackd-run an unmodified program has the same through the plain names.  libstackd(3) tells
 * more, with examples.
 *
 * Threads: every call may be made from any thread, several at once on one socket; each copying
 * send or receive is whole among them.  Reserve/commit and peek/consume want one thread at a time
 * on each direction of a socket.
 * Processes: after fork both use the socket, as with the kernel's.  When the daemon dies, calls on
 * its sockets fail with ECONNRESET and those that wait return at once.
 * Signals: a handler may use a socket that its thread isn't copying to or from (else EDEADLK). */
#ifndef STACKD_H
#define STACKD_H

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

#define STACKD_API __attribute__((visibility("default")))

/* Of this header.  Before 1.0.0 a minor version may break programs, afterwards only a major one;
 * the library's soname changes with it. */
#define STACKD_VERSION_MAJOR 0
#define STACKD_VERSION_MINOR 1
#define STACKD_VERSION_PATCH 0
#define STACKD_VERSION                                                                             \
	(STACKD_VERSION_MAJOR * 1000000 + STACKD_VERSION_MINOR * 1000 + STACKD_VERSION_PATCH)

/* stackd_version - STACKD_VERSION of the library that was loaded.  Never fails. */
STACKD_API unsigned int stackd_version(void);

/* The level of stackd's own options for stackd_setsockopt and stackd_getsockopt; the values are
 * texts: names of plugins, at most 47 bytes.  Set before connect or listen (STACKD_CC also later).
 * Before that the name is looked up by bind, connect or listen.  ENOENT: no
 * plugin of that name; EINVAL: too long. */
#define SOL_STACKD 0x5344
enum stackd_choice {
	STACKD_RECOVERY = 0, /* "gbn", or several for a chain: "racktlp,sack" */
	STACKD_CC = 1,	     /* as TCP_CONGESTION */
	STACKD_RTO = 2,
	STACKD_ACK = 3
};

/* stackd_open - attaches to a daemon, before the first socket
 * @rundir: its run directory; NULL: $STACKD_RUNDIR, else /run/stackd
 * @options: "tcp.KEY=VALUE", one a line, for all sockets of this process; NULL: $STACKD_OPTIONS
 *
 * Optional: else the first bind or connect attaches.  Returns 0, or -1 with ENOENT or ECONNREFUSED
 * (no daemon there), EACCES or EPERM (not allowed), EPROTO (of another version), EINVAL (options),
 * ENAMETOOLONG (rundir), EALREADY (attached). */
STACKD_API int stackd_open(const char *rundir, const char *options);

/* stackd_is_stack - 1 if this descriptor is a socket of stackd, 0 if it is the kernel's, undecided
 * (before bind, connect or listen), or not open.  Never fails. */
STACKD_API int stackd_is_stack(int fd);

/* Sockets.  See socket(2), bind(2), connect(2), listen(2), accept(2), shutdown(2), close(2).
 * Besides their errnos: ENOBUFS (the daemon has no slot left for this process), ECONNRESET (the
 * daemon has gone), ENETUNREACH (STACKD_REQUIRE=1 is set and there is no daemon). */
STACKD_API int stackd_socket(int domain, int type, int protocol);
STACKD_API int stackd_bind(int fd, const struct sockaddr *addr, socklen_t len);
STACKD_API int stackd_connect(int fd, const struct sockaddr *addr, socklen_t len);
STACKD_API int stackd_listen(int fd, int backlog);
STACKD_API int stackd_accept(int fd, struct sockaddr *addr, socklen_t *len);
STACKD_API int stackd_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
STACKD_API int stackd_shutdown(int fd, int how);
STACKD_API int stackd_close(int fd);
STACKD_API int stackd_getsockname(int fd, struct sockaddr *addr, socklen_t *len);
STACKD_API int stackd_getpeername(int fd, struct sockaddr *addr, socklen_t *len);

/* Options, ioctl(2) with FIONBIO, FIONREAD, SIOCOUTQ, SIOCATMARK, and fcntl(2); the last argument
 * is the third of those calls, as a pointer or an integer cast to one.  An option that would do
 * nothing on a socket of stackd gives ENOPROTOOPT. */
STACKD_API int stackd_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
STACKD_API int stackd_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
STACKD_API int stackd_ioctl(int fd, unsigned long request, void *arg);
STACKD_API int stackd_fcntl(int fd, int command, void *arg);

/* Data.  See recv(2), send(2), readv(2), sendfile(2), splice(2).  Without waiting they make no system call
 * (stackd_sendfile reads the file).  MSG_OOB is as on Linux, SIGURG included. */
STACKD_API ssize_t stackd_recv(int fd, void *buf, size_t len, int flags);
STACKD_API ssize_t stackd_recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *addr,
				   socklen_t *addr_len);
STACKD_API ssize_t stackd_recvmsg(int fd, struct msghdr *msg, int flags);
STACKD_API ssize_t stackd_read(int fd, void *buf, size_t len);
STACKD_API ssize_t stackd_readv(int fd, const struct iovec *iov, int count);
STACKD_API ssize_t stackd_send(int fd, const void *buf, size_t len, int flags);
STACKD_API ssize_t stackd_sendto(int fd, const void *buf, size_t len, int flags,
				 const struct sockaddr *addr, socklen_t addr_len);
STACKD_API ssize_t stackd_sendmsg(int fd, const struct msghdr *msg, int flags);
STACKD_API ssize_t stackd_write(int fd, const void *buf, size_t len);
STACKD_API ssize_t stackd_writev(int fd, const struct iovec *iov, int count);
STACKD_API ssize_t stackd_sendfile(int out, int in, off_t *offset, size_t count);
/* Between a pipe and a socket of stackd, by a copy; SPLICE_F_NONBLOCK and SPLICE_F_MORE as on Linux. */
STACKD_API ssize_t stackd_splice(int in, off_t *in_off, int out, off_t *out_off, size_t len,
				 unsigned int flags);

/* stackd_reserve - room in the send ring to write into, without a copy
 * @fd: a connected socket of stackd
 * @len: bytes wanted
 * @iov: filled with one or two spans (the second may be of length 0)
 *
 * Never waits.  Returns the bytes reserved, at most len and less where there is less room, or -1:
 * EAGAIN (no room, or not connected yet: wait for POLLOUT), EPIPE (shut; no SIGPIPE is raised),
 * ECONNRESET or another end of the connection, EFAULT (iov is NULL), EOPNOTSUPP (not a socket of
 * stackd), EBADF.  Nothing is sent before stackd_commit, and nothing need be committed; the next
 * reserve, or a copying send, begins at the same place. */
STACKD_API ssize_t stackd_reserve(int fd, size_t len, struct iovec iov[2]);

/* stackd_commit - queues the first len bytes of what was reserved; the rest stays reserved
 * @fd: as at stackd_reserve
 * @len: bytes; 0 does nothing
 *
 * Returns 0, or -1 with EINVAL (more than is reserved; nothing was queued), EOPNOTSUPP, EBADF.
 * That the connection has ended meanwhile is told by the next call. */
STACKD_API int stackd_commit(int fd, size_t len);

/* stackd_peek - the received bytes where they lie, without a copy
 * @fd: a socket of stackd
 * @iov: filled with one or two spans (the second may be of length 0)
 *
 * Never waits.  Returns their number, 0 at the end of the stream, or -1: EAGAIN (nothing: wait for
 * POLLIN), ECONNRESET or another end of the connection, ENOTCONN, EFAULT (iov is NULL), EOPNOTSUPP
 * (not a socket of stackd), EBADF.  They stay until stackd_consume or a receive; a further peek
 * shows them again and what has come since.  An urgent byte is among them. */
STACKD_API ssize_t stackd_peek(int fd, struct iovec iov[2]);

/* stackd_consume - gives the first len bytes of what was peeked back to the receive window
 * @fd: as at stackd_peek
 * @len: bytes; 0 does nothing
 *
 * Returns 0, or -1 with EINVAL (more than was peeked and is left; nothing is lost), EOPNOTSUPP, EBADF. */
STACKD_API int stackd_consume(int fd, size_t len);

/* Waiting, for any mix of kernel and stackd descriptors in one sleep, without a system call when
 * something is ready.  See poll(2), select(2), epoll(7).  Instances must come from
 * stackd_epoll_create*.  ENOSPC: no subscription left. */
STACKD_API int stackd_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
STACKD_API int stackd_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
			    const sigset_t *mask);
STACKD_API int stackd_select(int n, fd_set *r, fd_set *w, fd_set *x, struct timeval *timeout);
STACKD_API int stackd_pselect(int n, fd_set *r, fd_set *w, fd_set *x,
			      const struct timespec *timeout, const sigset_t *mask);
STACKD_API int stackd_epoll_create(int size);
STACKD_API int stackd_epoll_create1(int flags);
STACKD_API int stackd_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
STACKD_API int stackd_epoll_wait(int epfd, struct epoll_event *events, int max, int timeout_ms);
STACKD_API int stackd_epoll_pwait(int epfd, struct epoll_event *events, int max, int timeout_ms,
				  const sigset_t *mask);
STACKD_API int stackd_epoll_pwait2(int epfd, struct epoll_event *events, int max,
				   const struct timespec *timeout, const sigset_t *mask);

/* stackd_notify_fd - a descriptor for another event loop (libuv, glib, plain poll)
 * @epfd: an instance of stackd_epoll_create1 with the sockets of interest in it
 *
 * Returns a descriptor (epfd itself) that the kernel reports readable when stackd_epoll_wait(epfd,
 * ..., 0) would have something; or -1 with EINVAL.  Readable may be said once too often, never too
 * seldom: watch it level-triggered, and let stackd_epoll_wait run with a timeout of 0 until it
 * gives 0, or once for each time. */
STACKD_API int stackd_notify_fd(int epfd);

#ifdef __cplusplus
}
#endif
#endif
