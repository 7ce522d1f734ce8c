/* SPDX-License-Identifier: BSD-2-Clause */
/* The packet socket: raw frames with virtio-net headers in both directions, filtered, in a fanout
 * group with those of the other shards.  Everything that it changes vanishes with it. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "driver/af_packet.h"

#ifndef PACKET_FANOUT_FLAG_IGNORE_OUTGOING
#define PACKET_FANOUT_FLAG_IGNORE_OUTGOING 0x4000
#endif

/* 64 KB frames are counted with what they occupy: the default holds two or three of them. */
#define RCVBUF_BYTES (64 << 20)
/* What may wait below us in queues: enough for a 10 Gbit/s device, little against bufferbloat. */
#define SNDBUF_BYTES (512 << 10)

static int set(int sock, int level, int name, int value)
{
	return setsockopt(sock, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

static void set_size(int sock, int forced, int plain, int bytes)
{
	if (set(sock, SOL_SOCKET, forced, bytes) < 0)
		set(sock, SOL_SOCKET, plain, bytes);
}

uint32_t afp_socket_rcvbuf(int sock)
{
	int bytes = 0;
	socklen_t len = sizeof(bytes);

	getsockopt(sock, SOL_SOCKET, SO_RCVBUF, &bytes, &len);
	return (uint32_t)bytes;
}

static int attach_filter(int sock, struct sock_filter *code, uint32_t len)
{
	struct sock_fprog program = {.len = (unsigned short)len, .filter = code};

	return setsockopt(sock, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0
		   ? -errno
		   : 0;
}

static int attach_nothing(int sock)
{
	struct sock_filter refuse = BPF_STMT(BPF_RET | BPF_K, 0);

	return attach_filter(sock, &refuse, 1);
}

static int attach_addresses(int sock, const struct driver_config *config)
{
	static_assert(AFP_FILTER_MAX >= 40 + ADDRESSES_MAX * 10, "filter of IPv6 addresses");
	struct sock_filter code[AFP_FILTER_MAX];

	return attach_filter(sock, code,
			     afp_filter_build(config->addresses, config->address_count, code));
}

static int bind_to(int sock, int ifindex, uint16_t protocol)
{
	struct sockaddr_ll at = {
	    .sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = ifindex};

	return bind(sock, (struct sockaddr *)&at, sizeof(at)) < 0 ? -errno : 0;
}

/* One group per process and interface.  The flow hash is symmetric and leaves the IPv6 flow label
 * out: all segments of a connection reach one shard. */
static int join_fanout(int sock, int ifindex)
{
	uint32_t pid = (uint32_t)getpid();
	uint32_t id = (pid ^ pid >> 16 ^ (uint32_t)ifindex << 11) & 0xffff;

	return set(sock, SOL_PACKET, PACKET_FANOUT,
		   (int)(id | (PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_IGNORE_OUTGOING) << 16));
}

static int join_group(int sock, int ifindex, const uint8_t mac[static 6])
{
	struct packet_mreq join = {
	    .mr_ifindex = ifindex, .mr_type = PACKET_MR_MULTICAST, .mr_alen = 6};

	memcpy(join.mr_address, mac, 6);
	return setsockopt(sock, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &join, sizeof(join)) < 0 ? -errno
											    : 0;
}

/* RFC 4861 7.2.1: all-nodes and the solicited-node group of every address. */
static int join_groups(int sock, int ifindex, const struct driver_config *config)
{
	uint8_t mac[6] = {0x33, 0x33, 0, 0, 0, 1};
	int e = 0;

	for (uint32_t i = 0; i < config->address_count && e == 0; i++) {
		const struct addr *a = &config->addresses[i];
		if (addr_is4(a))
			continue;
		memcpy(mac, (uint8_t[]){0x33, 0x33, 0, 0, 0, 1}, 6);
		if ((e = join_group(sock, ifindex, mac)) < 0)
			break;
		mac[2] = 0xff;
		memcpy(mac + 3, a->b + 13, 3);
		e = join_group(sock, ifindex, mac);
	}
	return e;
}

/* Nothing is let in before the socket stands in its fanout group: until then it would get every
 * frame, the other shards' too. */
static int set_up(int sock, const struct driver_config *config, const struct device *device,
		  const char **step)
{
	int e;

	set_size(sock, SO_RCVBUFFORCE, SO_RCVBUF, RCVBUF_BYTES);
	set_size(sock, SO_SNDBUFFORCE, SO_SNDBUF, SNDBUF_BYTES);
	*step = "PACKET_VNET_HDR";
	if ((e = set(sock, SOL_PACKET, PACKET_VNET_HDR, 1)) < 0)
		return e;
	*step = "PACKET_IGNORE_OUTGOING";
	if ((e = set(sock, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)) < 0)
		return e;
	*step = "the socket filter";
	if ((e = attach_nothing(sock)) < 0)
		return e;
	*step = "bind";
	if ((e = bind_to(sock, device->ifindex, ETH_P_ALL)) < 0)
		return e;
	*step = "PACKET_FANOUT";
	if (config->shards > 1 && (e = join_fanout(sock, device->ifindex)) < 0)
		return e;
	*step = "joining the IPv6 multicast groups";
	if ((e = join_groups(sock, device->ifindex, config)) < 0)
		return e;
	*step = "the socket filter";
	return attach_addresses(sock, config);
}

/* Protocol 0: nothing is received. */
static int set_up_sender(int sock, const struct device *device, const char **step)
{
	int e;

	set_size(sock, SO_SNDBUFFORCE, SO_SNDBUF, SNDBUF_BYTES);
	*step = "PACKET_VNET_HDR";
	if ((e = set(sock, SOL_PACKET, PACKET_VNET_HDR, 1)) < 0)
		return e;
	*step = "bind";
	return bind_to(sock, device->ifindex, 0);
}

static int open_bare(char error[static DRIVER_ERROR_MAX])
{
	int sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	int e = sock < 0 ? -errno : 0;

	if (e == -EPERM)
		snprintf(error, DRIVER_ERROR_MAX,
			 "AF_PACKET needs CAP_NET_RAW: run as root, or give it (setcap "
			 "cap_net_raw,cap_net_admin+ep)");
	else if (e < 0)
		snprintf(error, DRIVER_ERROR_MAX, "no AF_PACKET socket: %s", strerror(-e));
	return e < 0 ? e : sock;
}

/* The socket when it is set up, or what came of the step that failed. */
static int finish(int sock, int e, const char *interface, const char *step,
		  char error[static DRIVER_ERROR_MAX])
{
	if (e == 0)
		return sock;
	snprintf(error, DRIVER_ERROR_MAX, "AF_PACKET on %s: %s: %s", interface, step, strerror(-e));
	close(sock);
	return e;
}

int afp_socket_open(const struct driver_config *config, const struct device *device,
		    char error[static DRIVER_ERROR_MAX])
{
	const char *step = "";
	int sock = open_bare(error);

	if (sock < 0)
		return sock;
	int e = set_up(sock, config, device, &step);
	return finish(sock, e, config->interface, step, error);
}

int afp_send_socket_open(const char *interface, const struct device *device,
			 char error[static DRIVER_ERROR_MAX])
{
	const char *step = "";
	int sock = open_bare(error);

	if (sock < 0)
		return sock;
	int e = set_up_sender(sock, device, &step);
	return finish(sock, e, interface, step, error);
}
