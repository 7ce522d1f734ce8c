/* SPDX-License-Identifier: BSD-2-Clause */
/* linux_tcp.h - Linux's TCP options and its TCP_INFO, whose struct has the name of ours. */
#ifndef STACKD_PACKETDRILL_LINUX_TCP_H
#define STACKD_PACKETDRILL_LINUX_TCP_H

#define tcp_info linux_tcp_info
#include <linux/tcp.h>
#undef tcp_info

struct so;
void so_info(const struct so *, struct linux_tcp_info *out);

#endif
