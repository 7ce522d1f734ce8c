/* SPDX-License-Identifier: BSD-2-Clause */
/* notify.c - sd_notify's protocol: one datagram of KEY=VALUE lines to $NOTIFY_SOCKET. */
#include "notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int notify(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t len = path ? strlen(path) : 0;
	ssize_t sent;
	int error, fd;

	if (len == 0)
		return 0;
	if (len >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
		return -EINVAL;
	memcpy(to.sun_path, path, len);
	if (path[0] == '@') /* the abstract namespace */
		to.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	sent = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&to,
		      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	error = sent < 0 ? -errno : 0;
	close(fd);
	return error;
}

int notify_ready(int ready_fd, const char *status)
{
	char text[512];
	int error;

	snprintf(text, sizeof(text), "READY=1\nSTATUS=%s\n", status);
	error = notify(text);
	if (ready_fd >= 0) {
		if (write(ready_fd, "ready\n", 6) < 0 && !error)
			error = -errno;
		close(ready_fd);
	}
	return error;
}

void notify_stopping(void)
{
	(void)notify("STOPPING=1\n");
}
