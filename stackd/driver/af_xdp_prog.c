/* SPDX-License-Identifier: BSD-2-Clause */
/* af_xdp_prog.c - the XDP program of an interface: loaded, told the addresses, attached.
 *
 * Owns the list of this process's interfaces.  The attachment is a bpf link, which the kernel ends
 * when its descriptor is closed: the interface is left as it was found even by a kill. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include "driver/af_xdp.h"
#include "steer.skel.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the list and the references */
static struct xdp_interface *interfaces;

/* The libraries' own messages say less than our sentences. */
static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

static int quiet_xdp(enum libxdp_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

static int add_address(const struct steer_bpf *skel, const struct addr *a)
{
	struct stackd_xdp_address key;
	uint8_t present = 1;

	memcpy(key.b, a->b, sizeof(key.b));
	return bpf_map_update_elem(bpf_map__fd(skel->maps.addresses), &key, &present, BPF_ANY) < 0
		   ? -errno
		   : 0;
}

/* RFC 4291 appendix A: fe80:: and the modified EUI-64 of the MAC, as net/ makes it. */
static struct addr link_local(const uint8_t mac[6])
{
	struct addr a = {.b = {0xfe, 0x80, [8] = mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3],
			       mac[4], mac[5]}};

	return a;
}

static int add_addresses(const struct steer_bpf *skel, const struct driver_config *c,
			 const struct device *device)
{
	struct addr local = link_local(device->mac);
	bool ipv6 = false;
	int err = 0;

	for (uint32_t i = 0; i < c->address_count && err == 0; i++) {
		ipv6 = ipv6 || !addr_is4(&c->addresses[i]);
		err = add_address(skel, &c->addresses[i]);
	}
	return err == 0 && ipv6 ? add_address(skel, &local) : err;
}

static struct xdp_interface *find(int ifindex)
{
	struct xdp_interface *i = interfaces;

	while (i && i->ifindex != ifindex)
		i = i->next;
	return i;
}

static void destroy(struct xdp_interface *i)
{
	if (i->link >= 0)
		close(i->link);
	steer_bpf__destroy(i->skel);
	free(i);
}

static int load(const struct driver_config *c, const struct device *device, struct xdp_interface *i,
		char error[static DRIVER_ERROR_MAX])
{
	int err;

	i->skel = steer_bpf__open_and_load();
	err = i->skel ? add_addresses(i->skel, c, device) : -errno;
	if (err == -EPERM || err == -EACCES)
		snprintf(error, DRIVER_ERROR_MAX,
			 "not allowed to load an XDP program for %s: this needs root, or CAP_BPF, "
			 "CAP_NET_ADMIN and CAP_NET_RAW",
			 c->interface);
	else if (err)
		snprintf(error, DRIVER_ERROR_MAX, "the kernel refused the XDP program for %s: %s",
			 c->interface, strerror(-err));
	return err == -EACCES ? -EPERM : err;
}

static int create(const struct driver_config *c, const struct device *device,
		  struct xdp_interface **out, char error[static DRIVER_ERROR_MAX])
{
	struct xdp_interface *i = calloc(1, sizeof(*i));
	int err;

	if (!i) {
		snprintf(error, DRIVER_ERROR_MAX, "no memory for interface %s", c->interface);
		return -ENOMEM;
	}
	i->ifindex = device->ifindex;
	i->link = -1;
	i->refs = 1;
	snprintf(i->name, sizeof(i->name), "%s", c->interface);
	err = load(c, device, i, error);
	if (err) {
		destroy(i);
		return err;
	}
	i->next = interfaces;
	interfaces = i;
	*out = i;
	return 0;
}

int xdp_interface_get(const struct driver_config *c, const struct device *device,
		      struct xdp_interface **out, char error[static DRIVER_ERROR_MAX])
{
	struct xdp_interface *i;
	int err = 0;

	pthread_mutex_lock(&lock);
	libbpf_set_print(quiet);
	libxdp_set_print(quiet_xdp);
	i = find(device->ifindex);
	if (i && c->shard > 0) {
		i->refs++;
		*out = i;
	} else if (i) {
		snprintf(error, DRIVER_ERROR_MAX, "interface %s is already open in this process",
			 c->interface);
		err = -EBUSY;
	} else if (c->shard > 0) {
		snprintf(error, DRIVER_ERROR_MAX, "interface %s: shard 0 has to open it first",
			 c->interface);
		err = -EINVAL;
	} else {
		err = create(c, device, out, error);
	}
	pthread_mutex_unlock(&lock);
	return err;
}

void xdp_interface_put(struct xdp_interface *i)
{
	struct xdp_interface **at = &interfaces;

	pthread_mutex_lock(&lock);
	if (--i->refs == 0) {
		while (*at != i)
			at = &(*at)->next;
		*at = i->next;
		destroy(i);
	}
	pthread_mutex_unlock(&lock);
}

int xdp_interface_attach(struct xdp_interface *i, const struct xdp_plan *plan,
			 char error[static DRIVER_ERROR_MAX])
{
	const char *mode = plan->native ? "native" : "generic";
	LIBBPF_OPTS(bpf_link_create_opts, opts,
		    .flags = plan->native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);
	int fd = bpf_link_create(bpf_program__fd(i->skel->progs.steer), i->ifindex, BPF_XDP, &opts);
	int err = fd < 0 ? -errno : 0;

	if (err == -EBUSY || err == -EEXIST) {
		snprintf(error, DRIVER_ERROR_MAX,
			 "interface %s already has an XDP program (another stackd?); 'ip link show "
			 "%s' names it",
			 i->name, i->name);
		return -EBUSY;
	}
	if (err) {
		snprintf(error, DRIVER_ERROR_MAX,
			 "interface %s can't run an XDP program in %s mode: %s", i->name, mode,
			 strerror(-err));
		return err;
	}
	i->link = fd;
	i->plan = *plan;
	return 0;
}

int xdp_interface_steer(struct xdp_interface *i, uint32_t queue, int xsk)
{
	int map = bpf_map__fd(i->skel->maps.sockets);

	return bpf_map_update_elem(map, &queue, &xsk, BPF_ANY) < 0 ? -errno : 0;
}
