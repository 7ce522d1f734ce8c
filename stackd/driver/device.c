/* SPDX-License-Identifier: BSD-2-Clause */
/* device.c - asks the kernel about a network device, by ioctl: the answers don't depend on which
 * /sys is mounted. */
#include "driver/device.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static void name_all(const char *missing, char error[static DRIVER_ERROR_MAX])
{
	struct if_nameindex *all = if_nameindex();
	int at = snprintf(error, DRIVER_ERROR_MAX, "no interface \"%.32s\"; there are:", missing);

	for (struct if_nameindex *i = all; i && i->if_index; i++) {
		if (at + IFNAMSIZ + 2 >= (int)DRIVER_ERROR_MAX)
			break;
		at += snprintf(error + at, DRIVER_ERROR_MAX - (size_t)at, "%s %s",
			       i == all ? "" : ",", i->if_name);
	}
	if (all)
		if_freenameindex(all);
}

/* A device without queues to set has one. */
static uint16_t read_queues(int fd, struct ifreq *r)
{
	struct ethtool_channels c = {.cmd = ETHTOOL_GCHANNELS};
	uint32_t n;

	r->ifr_data = (void *)&c;
	if (ioctl(fd, SIOCETHTOOL, r) < 0)
		return 1;
	n = c.combined_count + c.rx_count;
	if (n == 0)
		return 1;
	return n > UINT16_MAX ? UINT16_MAX : (uint16_t)n;
}

static bool read_tso(int fd, struct ifreq *r)
{
	struct ethtool_value tso = {.cmd = ETHTOOL_GTSO};

	r->ifr_data = (void *)&tso;
	return ioctl(fd, SIOCETHTOOL, r) == 0 && tso.data;
}

static int read_fields(int fd, struct ifreq *r, struct device *out)
{
	if (ioctl(fd, SIOCGIFINDEX, r) < 0)
		return -errno;
	out->ifindex = r->ifr_ifindex;
	if (ioctl(fd, SIOCGIFHWADDR, r) < 0)
		return -errno;
	if (r->ifr_hwaddr.sa_family != ARPHRD_ETHER)
		return -EOPNOTSUPP;
	memcpy(out->mac, r->ifr_hwaddr.sa_data, sizeof(out->mac));
	if (ioctl(fd, SIOCGIFMTU, r) < 0)
		return -errno;
	out->mtu = (uint32_t)r->ifr_mtu;
	if (ioctl(fd, SIOCGIFFLAGS, r) < 0)
		return -errno;
	out->up = r->ifr_flags & IFF_UP;
	out->queues = read_queues(fd, r);
	out->tso = read_tso(fd, r);
	return 0;
}

int device_read(const char *interface, struct device *out, char error[static DRIVER_ERROR_MAX])
{
	struct ifreq r = {0};
	int fd, err;

	if (strlen(interface) >= sizeof(r.ifr_name)) {
		name_all(interface, error);
		return -ENODEV;
	}
	strcpy(r.ifr_name, interface);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	err = fd < 0 ? -errno : read_fields(fd, &r, out);
	if (err == -ENODEV)
		name_all(interface, error);
	else if (err == -EOPNOTSUPP)
		snprintf(error, DRIVER_ERROR_MAX, "interface %s does not carry Ethernet frames",
			 interface);
	else if (err)
		snprintf(error, DRIVER_ERROR_MAX, "interface %s: %s", interface, strerror(-err));
	if (fd >= 0)
		close(fd);
	return err;
}
