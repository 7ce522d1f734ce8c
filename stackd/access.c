/* SPDX-License-Identifier: BSD-2-Clause */
/* access.c - parses the list of who is allowed, makes the socket file such that only they can open
 * it, and asks the kernel who has connected. */
#include "access.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PEER_GROUPS_MAX 256u

static bool number(const char *text, uint32_t *out)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value >= UINT32_MAX)
		return false;
	*out = (uint32_t)value;
	return true;
}

static int add_user(const char *name, struct access *out, char error[static ACCESS_ERROR_MAX])
{
	const struct passwd *pw;
	uint32_t id;

	if (!number(name, &id)) {
		pw = getpwnam(name);
		if (!pw) {
			snprintf(error, ACCESS_ERROR_MAX, "there is no user named '%.64s'", name);
			return -EINVAL;
		}
		id = pw->pw_uid;
	}
	if (out->uid_count == ACCESS_IDS_MAX) {
		snprintf(error, ACCESS_ERROR_MAX, "more than %u users", ACCESS_IDS_MAX);
		return -EINVAL;
	}
	out->uid[out->uid_count++] = id;
	return 0;
}

static int add_group(const char *name, struct access *out, char error[static ACCESS_ERROR_MAX])
{
	const struct group *gr;
	uint32_t id;

	if (!number(name, &id)) {
		gr = getgrnam(name);
		if (!gr) {
			snprintf(error, ACCESS_ERROR_MAX,
				 "there is no group named '%.64s' (groupadd --system makes one)", name);
			return -EINVAL;
		}
		id = gr->gr_gid;
	}
	if (out->gid_count == ACCESS_IDS_MAX) {
		snprintf(error, ACCESS_ERROR_MAX, "more than %u groups", ACCESS_IDS_MAX);
		return -EINVAL;
	}
	out->gid[out->gid_count++] = id;
	return 0;
}

int access_parse(const char *text, struct access *out, char error[static ACCESS_ERROR_MAX])
{
	char copy[512], *save = NULL;
	int code = 0;

	*out = (struct access){0};
	snprintf(copy, sizeof(copy), "%s", text);
	for (char *word = strtok_r(copy, " ,\t", &save); word && !code;
	     word = strtok_r(NULL, " ,\t", &save)) {
		if (strncmp(word, "uid:", 4) == 0) {
			code = add_user(word + 4, out, error);
		} else if (strncmp(word, "gid:", 4) == 0) {
			code = add_group(word + 4, out, error);
		} else {
			snprintf(error, ACCESS_ERROR_MAX,
				 "'%.64s' is neither uid:NAME nor gid:NAME (names or numbers)", word);
			code = -EINVAL;
		}
	}
	return code;
}

/* The kernel's form of a POSIX ACL (linux/posix_acl_xattr.h, little-endian). */
struct acl_entry {
	uint16_t tag, perm;
	uint32_t id;
};
struct acl {
	uint32_t version;
	struct acl_entry entry[4 + 2 * ACCESS_IDS_MAX];
};
enum { ACL_USER_OBJ = 1, ACL_USER = 2, ACL_GROUP_OBJ = 4, ACL_GROUP = 8, ACL_MASK = 16, ACL_OTHER = 32 };
enum { ACL_RW = 6, ACL_VERSION = 2 };

static int by_id(const void *a, const void *b)
{
	uint32_t x = ((const struct acl_entry *)a)->id, y = ((const struct acl_entry *)b)->id;

	return x < y ? -1 : x > y;
}

static uint32_t add_ids(struct acl_entry *at, uint16_t tag, const uint32_t *id, uint32_t count)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < count; i++)
		at[i] = (struct acl_entry){.tag = tag, .perm = ACL_RW, .id = id[i]};
	qsort(at, count, sizeof(*at), by_id);
	for (uint32_t i = 0; i < count; i++)
		if (i == 0 || at[i].id != at[n - 1].id)
			at[n++] = at[i];
	return n;
}

/* One user or group more than the owner needs an ACL; the order of the entries is prescribed. */
static int grant(const char *path, const struct access *a)
{
	struct acl acl = {.version = ACL_VERSION};
	uint32_t n = 0;

	acl.entry[n++] = (struct acl_entry){ACL_USER_OBJ, ACL_RW, UINT32_MAX};
	n += add_ids(acl.entry + n, ACL_USER, a->uid, a->uid_count);
	acl.entry[n++] = (struct acl_entry){ACL_GROUP_OBJ, 0, UINT32_MAX};
	n += add_ids(acl.entry + n, ACL_GROUP, a->gid, a->gid_count);
	acl.entry[n++] = (struct acl_entry){ACL_MASK, ACL_RW, UINT32_MAX};
	acl.entry[n++] = (struct acl_entry){ACL_OTHER, 0, UINT32_MAX};
	return setxattr(path, "system.posix_acl_access", &acl,
			sizeof(acl.version) + n * sizeof(acl.entry[0]), 0) < 0
		       ? -errno
		       : 0;
}

/* Without ACLs (an odd file system) one group can still be let in. */
static int open_to(const char *path, const struct access *a)
{
	bool only_us = a->gid_count == 0;

	for (uint32_t i = 0; i < a->uid_count; i++)
		only_us &= a->uid[i] == 0 || a->uid[i] == geteuid();
	if (only_us || grant(path, a) == 0)
		return 0;
	if (a->gid_count == 0)
		return -EOPNOTSUPP;
	if (chown(path, (uid_t)-1, a->gid[0]) < 0 || chmod(path, 0660) < 0)
		return -errno;
	return 0;
}

/* A file whose owner has died refuses connections; anything else is left alone. */
static bool somebody_serves(const struct sockaddr_un *at, int type)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool dead = fd >= 0 && connect(fd, (const struct sockaddr *)at, sizeof(*at)) < 0 &&
		    (errno == ECONNREFUSED || errno == ENOENT);

	if (fd >= 0)
		close(fd);
	return !dead;
}

static int bind_private(int fd, const struct sockaddr_un *at)
{
	mode_t before = umask(0177);
	int error = bind(fd, (const struct sockaddr *)at, sizeof(*at)) < 0 ? -errno : 0;

	umask(before);
	return error;
}

int access_listen(const char *path, int type, const struct access *a, char error[static ACCESS_ERROR_MAX])
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct stat st;
	int fd, code;

	if (strlen(path) >= sizeof(at.sun_path)) {
		snprintf(error, ACCESS_ERROR_MAX, "%.128s...: path longer than %zu", path,
			 sizeof(at.sun_path) - 1);
		return -ENAMETOOLONG;
	}
	memcpy(at.sun_path, path, strlen(path) + 1);
	if (lstat(path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode) || somebody_serves(&at, type)) {
			snprintf(error, ACCESS_ERROR_MAX, "%.128s: %s", path,
				 S_ISSOCK(st.st_mode) ? "another stackd serves there"
						      : "exists and is no socket");
			return -EADDRINUSE;
		}
		unlink(path);
	}
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		code = -errno;
		snprintf(error, ACCESS_ERROR_MAX, "socket: %s", strerror(errno));
		return code;
	}
	code = bind_private(fd, &at);
	if (!code)
		code = open_to(path, a);
	if (!code && listen(fd, 128) < 0)
		code = -errno;
	if (code) {
		snprintf(error, ACCESS_ERROR_MAX, "%.128s: %s", path, strerror(-code));
		close(fd);
		return code;
	}
	return fd;
}

static bool in_group(const struct access *a, gid_t gid)
{
	for (uint32_t i = 0; i < a->gid_count; i++)
		if (a->gid[i] == gid)
			return true;
	return false;
}

bool access_allows(const struct access *a, int fd, struct ucred *peer)
{
	gid_t groups[PEER_GROUPS_MAX];
	socklen_t len = sizeof(struct ucred);
	struct ucred who;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
		return false;
	if (peer)
		*peer = who;
	if (who.uid == 0 || who.uid == geteuid() || in_group(a, who.gid))
		return true;
	for (uint32_t i = 0; i < a->uid_count; i++)
		if (a->uid[i] == who.uid)
			return true;
	len = sizeof(groups);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return false; /* more groups than one may reasonably have */
	for (uint32_t i = 0; i < len / sizeof(groups[0]); i++)
		if (in_group(a, groups[i]))
			return true;
	return false;
}
