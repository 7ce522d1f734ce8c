/* SPDX-License-Identifier: BSD-2-Clause */
/* fd.c - which descriptors are ours.  Owns the table from numbers to open descriptions, the
 * descriptions' life, dup and close, and the descriptors that libclient itself needs.
 *
 * The table is dense and read without a lock: for a kernel descriptor a call costs one load. */
#include "client.h"

#include <dirent.h>
#include <errno.h>
#include <linux/close_range.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "stackd.h"

#define OFD_SLAB       256
#define INTERNAL_FDS   64 /* how far below the limit our own ones begin */
#define INTERNAL_FIRST (1 << 19)

struct slab {
	struct slab *next;
	struct ofd ofd[OFD_SLAB];
};

_Atomic uint32_t table_lock;
static _Atomic(_Atomic(struct ofd *) *) table;
static struct slab *slabs;
static struct ofd *ofd_free;
static _Atomic int top; /* no entry above it */
static _Atomic pid_t process;
static struct ofd internal = {.kind = KIND_INTERNAL};

/* ---- the table ---- */

static _Atomic(struct ofd *) *table_get(void)
{
	_Atomic(struct ofd *) *t = atomic_load_explicit(&table, memory_order_acquire), *none = NULL;
	void *m;

	if (t)
		return t;
	m = mmap(NULL, FD_NUMBERS * sizeof(*t), PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m == MAP_FAILED)
		return NULL;
	if (!atomic_compare_exchange_strong(&table, &none, m)) {
		munmap(m, FD_NUMBERS * sizeof(*t));
		return none;
	}
	fd_process_changed();
	fork_prepare_once();
	return m;
}

static inline struct ofd *peek(int fd)
{
	_Atomic(struct ofd *) *t = atomic_load_explicit(&table, memory_order_acquire);

	if (!t || (uint32_t)fd >= FD_NUMBERS)
		return NULL;
	return atomic_load_explicit(&t[fd], memory_order_acquire);
}

static struct ofd *swap(int fd, struct ofd *o)
{
	_Atomic(struct ofd *) *t = table_get();

	if (!t || (uint32_t)fd >= FD_NUMBERS)
		return NULL;
	for (int was = top; o && was < fd;)
		if (atomic_compare_exchange_weak(&top, &was, fd))
			break;
	return atomic_exchange_explicit(&t[fd], o, memory_order_acq_rel);
}

static bool hold(struct ofd *o)
{
	uint32_t refs = atomic_load_explicit(&o->refs, memory_order_relaxed);

	while (refs)
		if (atomic_compare_exchange_weak_explicit(&o->refs, &refs, refs + 1,
							  memory_order_acquire,
							  memory_order_relaxed))
			return true;
	return false;
}

struct ofd *fd_get(int fd)
{
	struct ofd *o;

	while ((o = peek(fd)) && o != &internal) {
		if (!hold(o))
			continue; /* it was closed in between: look again */
		if (peek(fd) == o)
			return o;
		fd_put(o);
	}
	return NULL;
}

struct ofd *fd_get_stack(int fd)
{
	struct ofd *o = peek(fd);

	if (!o || o->kind != KIND_SOCKET || o->mode != MODE_STACK)
		return NULL;
	o = fd_get(fd);
	if (o && o->mode != MODE_STACK) {
		fd_put(o);
		return NULL;
	}
	return o;
}

bool fd_is_internal(int fd)
{
	return peek(fd) == &internal;
}

bool fd_is_ours(int fd)
{
	struct ofd *o = peek(fd);

	return o && (o->kind == KIND_EPOLL || (o->kind == KIND_SOCKET && o->mode == MODE_STACK));
}

/* ---- descriptions ---- */

static struct ofd *ofd_take(void)
{
	struct ofd *o = ofd_free;
	struct slab *s;

	if (o) {
		ofd_free = o->next_free;
		return o;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->next = slabs;
	slabs = s;
	for (int i = 1; i < OFD_SLAB; i++) {
		s->ofd[i].next_free = ofd_free;
		ofd_free = &s->ofd[i];
	}
	return &s->ofd[0];
}

static void ofd_clear(struct ofd *o, enum kind kind)
{
	size_t from = offsetof(struct ofd, domain);

	__builtin_memset((char *)o + from, 0, sizeof(*o) - from);
	o->kind = (uint8_t)kind;
	atomic_store(&o->mode, MODE_CANDIDATE);
	atomic_store(&o->nonblock, false);
	o->listening = o->connect_posted = o->connect_pending = o->bound = o->accepted = false;
	o->kernel_only = o->unconnected = o->both = false;
	o->ifindex = 0;
	atomic_store(&o->beside, -1);
	atomic_store(&o->error, 0);
	o->linger = -1;
	o->rcvlowat = 1;
}

struct ofd *ofd_new(enum kind kind)
{
	struct ofd *o;

	lock_take(&table_lock);
	o = ofd_take();
	lock_drop(&table_lock);
	if (!o) {
		errno = ENOMEM;
		return NULL;
	}
	ofd_clear(o, kind);
	atomic_store_explicit(&o->refs, 1, memory_order_release);
	return o;
}

static void ofd_release(struct ofd *o)
{
	int saved = errno;

	if (o->kind == KIND_EPOLL)
		epoll_release(o);
	else
		sock_release(o);
	lock_take(&table_lock);
	o->next_free = ofd_free;
	ofd_free = o;
	lock_drop(&table_lock);
	errno = saved;
}

void fd_put(struct ofd *o)
{
	if (o && atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) == 1)
		ofd_release(o);
}

void fd_each(void (*visit)(struct ofd *))
{
	for (struct slab *s = slabs; s; s = s->next)
		for (int i = 0; i < OFD_SLAB; i++)
			if (atomic_load_explicit(&s->ofd[i].refs, memory_order_acquire))
				visit(&s->ofd[i]);
}

void fd_each_with(void (*visit)(struct ofd *, void *), void *arg)
{
	for (struct slab *s = slabs; s; s = s->next)
		for (int i = 0; i < OFD_SLAB; i++)
			if (atomic_load_explicit(&s->ofd[i].refs, memory_order_acquire))
				visit(&s->ofd[i], arg);
}

bool fd_install(int fd, struct ofd *o)
{
	if (!table_get() || (uint32_t)fd >= FD_NUMBERS) {
		fd_put(o);
		return false;
	}
	fd_put(swap(fd, o));
	return true;
}

void fd_forget(int fd)
{
	struct ofd *o = peek(fd);

	if (o && o != &internal)
		fd_put(swap(fd, NULL));
}

/* ---- our own descriptors ---- */

int fd_high(int fd)
{
	struct rlimit limit;
	int high = -1, base = INTERNAL_FIRST;
	int saved = errno;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
	    limit.rlim_cur < (rlim_t)INTERNAL_FIRST + INTERNAL_FDS)
		base = limit.rlim_cur > 2 * INTERNAL_FDS ? (int)limit.rlim_cur - INTERNAL_FDS : 0;
	for (; high < 0 && base > 0; base -= 2 * INTERNAL_FDS)
		high = LIBC->fcntl(fd, F_DUPFD_CLOEXEC, base);
	if (high >= 0)
		LIBC->close(fd);
	errno = saved;
	return high >= 0 ? high : fd;
}

int fd_internal(int fd)
{
	fd = fd_high(fd);
	swap(fd, &internal);
	return fd;
}

void fd_internal_close(int fd)
{
	if (peek(fd) == &internal)
		swap(fd, NULL);
	LIBC->close(fd);
}

static void unmark_beside(struct ofd *o)
{
	if (atomic_load(&o->beside) >= 0)
		swap(atomic_load(&o->beside), NULL);
}

static void mark_beside(struct ofd *o)
{
	if (atomic_load(&o->beside) >= 0)
		swap(atomic_load(&o->beside), &internal);
}

/* In a forked child: the parent's connection, kicks and queues are not for it; the kernel's halves
 * of its listeners are. */
void fd_internal_close_all(void)
{
	int end = atomic_load(&top);

	fd_each(unmark_beside);
	for (int fd = 0; fd <= end; fd++)
		if (peek(fd) == &internal)
			fd_internal_close(fd);
	fd_each(mark_beside);
}

/* ---- vfork ---- */

void fd_process_changed(void)
{
	atomic_store(&process, getpid());
}

/* A vfork child runs in its parent's memory until it execs: what it closes or moves there must
 * change the kernel's table, which is its own, and not ours. */
bool fd_in_foreign_process(void)
{
	pid_t known = atomic_load(&process); /* 0: no socket has been made yet */

	return known && known != getpid();
}

/* ---- close and dup ---- */

int stackd_close(int fd)
{
	struct ofd *o = peek(fd);

	if (o == &internal) {
		errno = EBADF;
		return -1;
	}
	if (!o || fd_in_foreign_process())
		return LIBC->close(fd);
	/* the entry goes first, for the number may be given out again at once; then the daemon
	 * hears of it, so that the FIN leaves while the kernel clears its socket away */
	fd_put(swap(fd, NULL));
	return LIBC->close(fd);
}

/* After the kernel has made `copy` the same as fd. */
static int share(int fd, int copy)
{
	struct ofd *o;

	if (copy < 0 || copy == fd)
		return copy;
	o = fd_get(fd);
	if (o)
		fd_install(copy, o);
	else
		fd_forget(copy);
	return copy;
}

int fd_dup(int fd)
{
	struct ofd *o = peek(fd);

	if (o == &internal) {
		errno = EBADF;
		return -1;
	}
	return o && !fd_in_foreign_process() ? share(fd, LIBC->dup(fd)) : LIBC->dup(fd);
}

int fd_dup_to(int fd, int copy, int flags, bool dup3)
{
	struct ofd *from = peek(fd), *to = peek(copy);

	if (from == &internal || to == &internal) {
		errno = EBADF;
		return -1;
	}
	if ((from || to) && !fd_in_foreign_process())
		return share(fd, dup3 ? LIBC->dup3(fd, copy, flags) : LIBC->dup2(fd, copy));
	return dup3 ? LIBC->dup3(fd, copy, flags) : LIBC->dup2(fd, copy);
}

int fd_dup_above(int fd, int command, int least)
{
	struct ofd *o = peek(fd);

	if (o == &internal) {
		errno = EBADF;
		return -1;
	}
	if (!o || fd_in_foreign_process())
		return LIBC->fcntl(fd, command, least);
	return share(fd, LIBC->fcntl(fd, command, least));
}

/* ---- ranges ---- */

static bool used(int fd, bool internal_only)
{
	struct ofd *o = peek(fd);

	return internal_only ? o == &internal : o != NULL;
}

static unsigned int next_used(unsigned int first, unsigned int last, bool internal_only)
{
	unsigned int end = (unsigned int)atomic_load(&top);

	while (first <= last && first <= end && !used((int)first, internal_only))
		first++;
	return first <= end ? first : FD_NUMBERS;
}

static void forget_range(unsigned int first, unsigned int last)
{
	for (unsigned int fd = next_used(first, last, false); fd <= last && fd < FD_NUMBERS;
	     fd = next_used(fd + 1, last, false))
		if (peek((int)fd) != &internal)
			fd_put(swap((int)fd, NULL));
}

/* Our own descriptors stay open, also in a vfork child: it needs them to exec. */
int fd_close_range(unsigned int first, unsigned int last, int flags)
{
	unsigned int fd = first;

	if (!atomic_load(&table) || first > last || (flags & ~(int)CLOSE_RANGE_UNSHARE))
		return LIBC->close_range(first, last, flags);
	if (!fd_in_foreign_process())
		forget_range(first, last);
	while (fd <= last && fd < FD_NUMBERS) {
		unsigned int keep = next_used(fd, last, true);

		if (keep > last || keep >= FD_NUMBERS)
			break;
		if (keep > fd && LIBC->close_range(fd, keep - 1, flags) < 0)
			return -1;
		fd = keep + 1;
	}
	return fd > last ? 0 : LIBC->close_range(fd, last, flags);
}

/* ---- what the kernel knows ---- */

uint64_t fd_inode(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) ? st.st_ino : 0;
}

static int number_of(const char *name)
{
	int n = 0;

	if (!*name)
		return -1;
	for (; *name; name++) {
		if (*name < '0' || *name > '9')
			return -1;
		n = n * 10 + (*name - '0');
	}
	return n;
}

void fd_each_open(bool (*visit)(int fd, void *), void *arg)
{
	_Alignas(struct dirent64) char buf[2048];
	int dir = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool more = dir >= 0;
	long n;

	while (more && (n = syscall(SYS_getdents64, dir, buf, sizeof(buf))) > 0)
		for (long at = 0; more && at < n;) {
			const struct dirent64 *d = (const void *)(buf + at);
			int fd = number_of(d->d_name);

			at += d->d_reclen;
			if (fd >= 0 && fd != dir)
				more = visit(fd, arg);
		}
	if (dir >= 0)
		LIBC->close(dir);
}
