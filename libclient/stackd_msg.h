/* SPDX-License-Identifier: BSD-2-Clause */
/* stackd_msg.h - what goes over the two unix sockets in the run directory.
 *
 * client.sock (SOCK_SEQPACKET): one connection per client process, for as long as it lives.  The
 * client asks, the daemon answers each request with one struct stackd_reply, in order.  Data and
 * readiness go through shared memory (stackd_shm.h), never here.  When the connection closes the
 * client is gone and what only it held is reset; when the daemon dies the client sees a hang-up.
 *
 * control.sock (SOCK_STREAM): stackdctl.  One request: the words of the command, each ended by NUL,
 * an empty word at the end ("show\0conns\0-i\0--json\0\0").  The answer is a text; its first byte is
 * '0' (done) or '1' (refused, the text says why), a streaming answer goes on until the end of file. */
#ifndef STACKD_MSG_H
#define STACKD_MSG_H

#include <stdint.h>

#include "stackd_shm.h"

#define STACKD_MSG_VERSION 1u
#define STACKD_RUNDIR	   "/run/stackd"
#define STACKD_CLIENT_SOCK "client.sock"
#define STACKD_CONTROL_SOCK "control.sock"
#define STACKD_TEXT_MAX	   512u
#define STACKD_PASS_NAME   "stackd-pass-"
#define STACKD_NO_SLOT	   UINT32_MAX

enum stackd_request_type {
	STACKD_REQ_HELLO = 1, /* version, pid; text: overrides "tcp.recovery=gbn,sr\ntcp.cc=cubic" (one a
				 line).  Answer: fds = region memfd, board memfd, one kick eventfd a shard */
	STACKD_REQ_CLONE,     /* before fork: a new client that holds all that this one holds now.  Answer:
				 fds = its connection, its region, then the kick eventfds of that region.
				 The parent closes them after fork, the child goes on with them */
	STACKD_REQ_EVQ,	      /* arg: event queue of the own region; comes with one fd, its eventfd.
				 arg2 = 1: forget it */
	STACKD_REQ_BIND,      /* region, slot, gen, addr, port (0: choose); arg: STACKD_BIND_*; arg2: as
				 STACKD_OPT_DEVICE.
				 Answer: value = the port */
	STACKD_REQ_LISTEN,    /* region, slot, gen; arg: backlog; arg2: as STACKD_OPT_DEVICE.  Again:
				 changes the backlog */
	STACKD_REQ_INFO,      /* region, slot, gen.  Answer: info */
	STACKD_REQ_CHOOSE,    /* region, slot, gen; text "tcp.KEY=VALUE": for this socket, before connect or
				 listen (tcp.cc also later).  Slot STACKD_NO_SLOT: only whether that
				 could be */
	STACKD_REQ_CHOSEN,    /* region, slot, gen; text "tcp.KEY".  Answer: text = the value in force */
	STACKD_REQ_RESUME,    /* the first request of a clone whose maker has execed.  Answer: as HELLO's */
	STACKD_REQ_REGION,    /* region.  Answer: fds = its memfd, if this client holds something there */
	STACKD_REQ_PASS,      /* region, slot, gen; text: what the receiver must know (any bytes).  Answer:
				 fds = a descriptor that stands for the socket and may be passed on; its
				 peer's name begins with NUL and STACKD_PASS_NAME.  It holds the socket
				 until it is taken; when all copies are closed before, so is the socket */
	STACKD_REQ_TAKE,      /* comes with such a descriptor: this client holds the socket now.  Answer:
				 text as it was passed */
	STACKD_REQ_SIGNAL,    /* arg: event queue of the own region, which has no eventfd.  Answer: fds = one
				 end of a pair of unix sockets.  News for the queue shut the other end
				 down, again and again, so that with O_ASYNC its owner is signalled */
};

struct stackd_request {
	uint32_t type; /* enum stackd_request_type */
	uint32_t version;
	uint32_t region, slot, gen;
	uint32_t arg, arg2;
	uint16_t port, pad;
	uint8_t addr[16];
	char text[STACKD_TEXT_MAX]; /* NUL-terminated */
};

/* What TCP_INFO, stackdctl and tests want to know of one connection; times in us as in tcp_info. */
struct stackd_info {
	uint8_t state; /* Linux's TCP_ESTABLISHED ... numbers */
	uint8_t ca_state, backoff, options; /* TCPI_OPT_* */
	uint8_t snd_wscale, rcv_wscale, pad[2];
	uint32_t rto_us, ato_us, snd_mss, rcv_mss, advmss, pmtu;
	uint32_t unacked_segs, sacked_segs, lost_segs, retrans_segs, reordering;
	uint32_t rtt_us, rttvar_us, min_rtt_us, rcv_rtt_us;
	uint32_t snd_cwnd_segs, snd_ssthresh_segs;
	uint32_t last_data_sent_ms, last_data_recv_ms, last_ack_recv_ms;
	uint32_t rcv_space, snd_wnd, rcv_wnd, total_retrans;
	uint64_t bytes_acked, bytes_received, bytes_sent, bytes_retrans;
	uint64_t delivery_rate, pacing_rate;
	uint32_t segs_out, segs_in, data_segs_out, data_segs_in;
	uint32_t notsent_bytes, dsack_dups, reord_seen, timeouts, recoveries, undos;
	uint64_t busy_us;
	char recovery[16], cc[16], rto[16], ack[16];
};

struct stackd_reply {
	uint32_t type; /* of the request */
	int32_t error; /* 0 or an errno */
	uint32_t value;
	uint32_t fd_count; /* passed with SCM_RIGHTS */
	struct stackd_info info; /* STACKD_REQ_INFO */
	char text[STACKD_TEXT_MAX]; /* a sentence on error; the value for CHOSEN */
};

#endif
