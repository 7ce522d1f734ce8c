/* SPDX-License-Identifier: BSD-2-Clause */
/* ask.h - what a conformance program asks of conform_peer, one message and one answer at a time. */
#ifndef CONFORMANCE_ASK_H
#define CONFORMANCE_ASK_H

#include <stdint.h>

enum ask_what {
	ASK_LISTEN = 1, /* a: port, b: backlog, handle: domain */
	ASK_ACCEPT,     /* handle: listener */
	ASK_CONNECT,    /* a: port, handle: domain */
	ASK_SEND,       /* a: bytes, b: flags */
	ASK_RECV,       /* a: bytes */
	ASK_SHUT,       /* a: how */
	ASK_CLOSE,
	ASK_RESET,
};

struct ask {
	uint32_t what;
	int32_t handle;
	int64_t a, b;
};

struct answer {
	int64_t value;
	int32_t error;
};

#endif
