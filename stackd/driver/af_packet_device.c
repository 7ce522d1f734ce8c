/* SPDX-License-Identifier: BSD-2-Clause */
/* What the AF_PACKET driver asks of a network device before it opens it. */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "driver/af_packet.h"

static void name_those_that_exist(const char *interface, char error[static DRIVER_ERROR_MAX])
{
	int at =
	    snprintf(error, DRIVER_ERROR_MAX, "no interface '%.32s' here; there are:", interface);
	struct if_nameindex *all = if_nameindex();

	for (struct if_nameindex *i = all; i && i->if_index; i++) {
		if (at + (int)sizeof(i->if_name) + IFNAMSIZ + 2 >= (int)DRIVER_ERROR_MAX)
			break;
		at += snprintf(error + at, DRIVER_ERROR_MAX - (size_t)at, "%s %s",
			       i == all ? "" : ",", i->if_name);
	}
	if_freenameindex(all);
}

static int ask(int fd, struct ifreq *ifr, unsigned long request)
{
	return ioctl(fd, request, ifr) < 0 ? -errno : 0;
}

/* The ioctl of ethtool has the device's name in `ifr` and a command of its own behind ifr_data. */
static int ask_ethtool(int fd, struct ifreq *ifr, void *command)
{
	ifr->ifr_data = command;
	return ask(fd, ifr, SIOCETHTOOL);
}

static uint16_t read_queues(int fd, struct ifreq *ifr)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};

	if (ask_ethtool(fd, ifr, &channels) < 0)
		return 1;
	uint32_t queues = channels.combined_count + channels.rx_count;
	return queues == 0 ? 1 : (uint16_t)(queues > UINT16_MAX ? UINT16_MAX : queues);
}

static int read_all(int fd, struct ifreq *ifr, struct afp_device *out,
		    char error[static DRIVER_ERROR_MAX])
{
	struct ethtool_value tso = {.cmd = ETHTOOL_GTSO};
	int e = ask(fd, ifr, SIOCGIFINDEX);

	if (e < 0) {
		name_those_that_exist(ifr->ifr_name, error);
		return -ENODEV;
	}
	out->ifindex = ifr->ifr_ifindex;
	if ((e = ask(fd, ifr, SIOCGIFHWADDR)) < 0)
		goto gone;
	if (ifr->ifr_hwaddr.sa_family != ARPHRD_ETHER) {
		snprintf(error, DRIVER_ERROR_MAX,
			 "interface %s does not carry Ethernet frames (ARP hardware type %u)",
			 ifr->ifr_name, (unsigned)ifr->ifr_hwaddr.sa_family);
		return -EOPNOTSUPP;
	}
	memcpy(out->mac, ifr->ifr_hwaddr.sa_data, 6);
	if ((e = ask(fd, ifr, SIOCGIFMTU)) < 0)
		goto gone;
	out->mtu = (uint32_t)ifr->ifr_mtu;
	out->queues = read_queues(fd, ifr);
	out->tso = ask_ethtool(fd, ifr, &tso) == 0 && tso.data;
	return 0;
gone:
	snprintf(error, DRIVER_ERROR_MAX, "interface %s can't be asked: %s", ifr->ifr_name,
		 strerror(-e));
	return e;
}

int afp_device_read(const char *interface, struct afp_device *out,
		    char error[static DRIVER_ERROR_MAX])
{
	struct ifreq ifr = {0};

	if (strlen(interface) >= sizeof(ifr.ifr_name)) {
		name_those_that_exist(interface, error);
		return -ENODEV;
	}
	memcpy(ifr.ifr_name, interface, strlen(interface));
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		snprintf(error, DRIVER_ERROR_MAX, "no socket to ask for interface %s: %s",
			 interface, strerror(errno));
		return -errno;
	}
	int e = read_all(fd, &ifr, out, error);
	close(fd);
	return e;
}
