/* SPDX-License-Identifier: BSD-2-Clause */
/* capture_file.h - reads a capture: pcapng (stackdctl capture, dumpcap) or pcap (tcpdump), of either byte
 * order, whole Ethernet frames. */
#ifndef STACKD_LAB_CAPTURE_FILE_H
#define STACKD_LAB_CAPTURE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

#define CAPTURE_ERROR_MAX 256u

struct capture_packet {
	ns_t at; /* since 1970 */
	const uint8_t *frame;
	uint32_t len;
	bool whole;		/* false: cut by the capture's limit (snaplen) */
	bool sent, received;	/* by the host that captured; both false: the file doesn't say */
};

struct capture_file {
	uint8_t *bytes;
	size_t len;
	struct capture_packet *packet; /* in the file's order; frames point into bytes */
	uint32_t count;
};

/* 0, or -errno with a sentence that says what of the file can't be taken. */
int capture_open(struct capture_file *, const char *path, char error[static CAPTURE_ERROR_MAX]);
void capture_close(struct capture_file *);

#endif
