/* SPDX-License-Identifier: BSD-2-Clause */
/* access.h - who may connect to the sockets in the run directory: the mode and ACL of the socket
 * file, and once more the peer's credentials at accept. */
#ifndef STACKD_ACCESS_H
#define STACKD_ACCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#define ACCESS_IDS_MAX	 16u
#define ACCESS_ERROR_MAX 256u

/* Root and the daemon's own user are always allowed. */
struct access {
	uid_t uid[ACCESS_IDS_MAX];
	gid_t gid[ACCESS_IDS_MAX];
	uint32_t uid_count, gid_count;
};

/* "uid:0 gid:stackd, uid:jo": numbers or names that exist.  0 or -EINVAL with a sentence. */
int access_parse(const char *text, struct access *out, char error[static ACCESS_ERROR_MAX]);

/* Binds a socket of `type` to `path`, replacing a dead one's file, and listens; it is non-blocking.
 * The file is open to those allowed only: mode 0600, and an ACL for the others.  The descriptor;
 * -EADDRINUSE when somebody serves there, or -errno; with a sentence. */
int access_listen(const char *path, int type, const struct access *, char error[static ACCESS_ERROR_MAX]);

/* Whether the process that connected `fd` is allowed; *peer (may be NULL) is who it is. */
bool access_allows(const struct access *, int fd, struct ucred *peer);

#endif
