/* SPDX-License-Identifier: BSD-2-Clause */
/* toy_tcp.h - as much TCP as it takes to make a kernel peer send and receive large segments through
 * a driver: it answers a SYN, acknowledges everything, and sends what it is told to. */
#ifndef TOY_TCP_H
#define TOY_TCP_H

#include "driver/driver.h"

struct toy_tcp {
	struct driver *driver;
	uint8_t mac[6], peer_mac[6];
	bool established;
	uint16_t port, peer_port;
	uint32_t snd_nxt, rcv_nxt;
	uint64_t received; /* bytes in order */
	bool content_ok;   /* byte i of the stream is toy_tcp_byte(i) */
	/* of the frames with data seen so far */
	uint32_t frames, largest, gso_frames, gso_size;
	uint32_t csum[3];
};

uint8_t toy_tcp_byte(uint64_t position);
/* One receive burst, answered. */
void toy_tcp_poll(struct toy_tcp *);
/* Sends `data` as one frame, of segments of 1448 bytes when it is longer. */
int toy_tcp_send(struct toy_tcp *, const struct span *data, uint8_t count);

/* Ones' complement sum of a piece, for checking. */
uint32_t toy_sum(const uint8_t *p, uint32_t len, uint32_t sum);
uint16_t toy_fold(uint32_t sum);

#endif
