/* SPDX-License-Identifier: BSD-2-Clause */
/* api_names.h - the same test over the public API: included first, the plain names mean stackd's. */
#ifndef TEST_API_NAMES_H
#define TEST_API_NAMES_H

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "stackd.h"

#define socket(...)	   stackd_socket(__VA_ARGS__)
#define bind(...)	   stackd_bind(__VA_ARGS__)
#define connect(...)	   stackd_connect(__VA_ARGS__)
#define listen(...)	   stackd_listen(__VA_ARGS__)
#define accept(...)	   stackd_accept(__VA_ARGS__)
#define accept4(...)	   stackd_accept4(__VA_ARGS__)
#define shutdown(...)	   stackd_shutdown(__VA_ARGS__)
#define close(...)	   stackd_close(__VA_ARGS__)
#define getsockname(...)   stackd_getsockname(__VA_ARGS__)
#define getpeername(...)   stackd_getpeername(__VA_ARGS__)
#define setsockopt(...)	   stackd_setsockopt(__VA_ARGS__)
#define getsockopt(...)	   stackd_getsockopt(__VA_ARGS__)
#define read(...)	   stackd_read(__VA_ARGS__)
#define write(...)	   stackd_write(__VA_ARGS__)
#define readv(...)	   stackd_readv(__VA_ARGS__)
#define writev(...)	   stackd_writev(__VA_ARGS__)
#define recv(...)	   stackd_recv(__VA_ARGS__)
#define send(...)	   stackd_send(__VA_ARGS__)
#define sendmsg(...)	   stackd_sendmsg(__VA_ARGS__)
#define recvmsg(...)	   stackd_recvmsg(__VA_ARGS__)
#define sendfile(...)	   stackd_sendfile(__VA_ARGS__)
#define splice(...)	   stackd_splice(__VA_ARGS__)
#define poll(...)	   stackd_poll(__VA_ARGS__)
#define select(...)	   stackd_select(__VA_ARGS__)
#define epoll_create1(...) stackd_epoll_create1(__VA_ARGS__)
#define epoll_ctl(...)	   stackd_epoll_ctl(__VA_ARGS__)
#define epoll_wait(...)	   stackd_epoll_wait(__VA_ARGS__)
#define ioctl(fd, r, arg)  stackd_ioctl(fd, r, arg)
#define fcntl(fd, c, arg)  stackd_fcntl(fd, c, (void *)(intptr_t)(arg))
#endif
