/* SPDX-License-Identifier: BSD-2-Clause */
/* device.c - SO_BINDTODEVICE and SO_BINDTOIFINDEX: the only interface that a socket uses.  The
 * kernel socket behind it checks and remembers; one of stackd's interfaces is told to the daemon, by
 * the daemon's number.  Any other makes the socket the kernel's: attach_serves knows of no address
 * there. */
#include "client.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>

bool device_names(int level, int name)
{
	return level == SOL_SOCKET && (name == SO_BINDTODEVICE || name == SO_BINDTOIFINDEX);
}

/* What the program asks for; -1: what that is the kernel has to say. */
static int device_asked(int name, const void *value, socklen_t len)
{
	char text[IFNAMSIZ] = {0};
	int ifindex = -1;

	if (name == SO_BINDTOIFINDEX) {
		if (len >= sizeof(ifindex))
			memcpy(&ifindex, value, sizeof(ifindex));
		return ifindex;
	}
	memcpy(text, value, len < sizeof(text) ? len : sizeof(text) - 1);
	ifindex = (int)if_nametoindex(text);
	return ifindex || !text[0] ? ifindex : -1;
}

/* A stack socket's interface must be one of stackd's that leads to its peer; a listener stays where
 * it is. */
static int device_refused(const struct ofd *o, int ifindex)
{
	struct addr peer = {{0}, 0};

	if (o->mode != MODE_STACK || ifindex < 0 || ifindex == o->ifindex)
		return 0;
	if (ifindex && !attach_device(o->attach, ifindex))
		return ENODEV;
	if (o->listening)
		return EINVAL;
	if (!o->accepted && !o->connect_posted)
		return 0;
	memcpy(peer.byte, o->sock->remote_addr, sizeof(peer.byte));
	if (ifindex && attach_owns(o->attach, &peer))
		return EINVAL;
	return attach_reaches(o->attach, &peer, ifindex) ? 0 : EINVAL;
}

void device_post(struct ofd *o)
{
	queue_post(o, STACKD_OP_SETOPT, STACKD_OPT_DEVICE, attach_device(o->attach, o->ifindex), 0);
}

int device_set(struct ofd *o, int fd, int name, const void *value, socklen_t len)
{
	socklen_t size = sizeof(o->ifindex);
	int error = value ? device_refused(o, device_asked(name, value, len)) : 0;

	if (error)
		return error;
	if (LIBC->setsockopt(fd, SOL_SOCKET, name, value, len) < 0)
		return errno;
	LIBC->getsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &o->ifindex, &size);
	if (o->mode == MODE_STACK)
		device_post(o);
	return 0;
}

void device_hand_on(const struct ofd *o, int fd)
{
	if (o->ifindex)
		LIBC->setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &o->ifindex, sizeof(o->ifindex));
}
