/* SPDX-License-Identifier: BSD-2-Clause */
/* device.h - what a driver asks of a network device before it opens it. */
#ifndef STACKD_DRIVER_DEVICE_H
#define STACKD_DRIVER_DEVICE_H

#include "driver/driver.h"

struct device {
	int ifindex;
	uint32_t mtu;
	uint16_t queues;
	bool up;
	bool tso; /* it cuts large TCP frames itself */
	uint8_t mac[6];
};

/* 0; -ENODEV; -EOPNOTSUPP: not Ethernet; with a sentence. */
int device_read(const char *interface, struct device *out, char error[static DRIVER_ERROR_MAX]);

#endif
