/* SPDX-License-Identifier: BSD-2-Clause */
#include "region.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "slab.h"

#ifndef MFD_NOEXEC_SEAL /* Linux 6.3 */
#define MFD_NOEXEC_SEAL 0x0008U
#endif

#define SQ_ENTRIES	   4096u
#define EVQ_COUNT	   256u
#define SUBS_PER_SOCKET	   4u
#define ACCEPT_ENTRIES_MAX 4096u
#define PAGE		   4096u

struct listener_block {
	struct listener_block *next, *next_free;
	struct sock_listener listener[SHARDS_MAX];
};

/* What the control thread keeps beside the part that sock/ knows. */
struct region {
	struct sock_region sock;
	struct listener_block *listeners, *free_listeners;
};

static uint32_t next_region = 1;

static uint64_t page_up(uint64_t n)
{
	return (n + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

static uint32_t power_of_two_up(uint32_t n)
{
	uint32_t p = 1;

	while (p < n)
		p <<= 1;
	return p;
}

/* Entries that fit beside the two indices in one shard's share of a listener's rx ring. */
static uint32_t accept_entries(uint64_t rx_bytes)
{
	uint64_t fit = (rx_bytes / STACKD_SHARDS_MAX - sizeof(struct stackd_accept_ring)) / 4;
	uint32_t n = ACCEPT_ENTRIES_MAX;

	while (n > fit)
		n >>= 1;
	return n;
}

static void lay_out(const struct region_config *c, struct stackd_shm_head *h)
{
	uint64_t at = PAGE;

	*h = (struct stackd_shm_head){
		.magic = STACKD_SHM_MAGIC,
		.version = STACKD_SHM_VERSION,
		.region = next_region++,
		.shards = c->shards,
		.sock_own = c->sockets / 2,
		.sock_count = c->sockets,
		.sq_entries = SQ_ENTRIES,
		.evq_count = EVQ_COUNT,
		.sub_count = c->sockets * SUBS_PER_SOCKET,
		.accept_entries = accept_entries(c->rx_bytes),
		.rx_bytes = c->rx_bytes,
		.tx_bytes = c->tx_bytes,
	};
	h->evq_entries = power_of_two_up(h->sub_count);
	h->sock_off = at;
	at = page_up(at + (uint64_t)h->sock_count * sizeof(struct stackd_sock));
	h->sq_off = at;
	h->sq_stride = page_up(sizeof(struct stackd_sq) + (uint64_t)SQ_ENTRIES * sizeof(struct stackd_sqe));
	at += h->sq_stride * c->shards;
	h->evq_off = at;
	h->evq_ring_stride = page_up(sizeof(struct stackd_evq_ring) + (uint64_t)h->evq_entries * 4);
	h->evq_stride = page_up(STACKD_CACHE_LINE + h->evq_ring_stride * c->shards);
	at += h->evq_stride * h->evq_count;
	h->sub_off = at;
	at = page_up(at + (uint64_t)h->sub_count * sizeof(struct stackd_sub));
	h->ring_off = at;
	h->total_bytes = at + (h->rx_bytes + h->tx_bytes) * h->sock_count;
}

static int make_memfd(const char *name, uint64_t bytes, int *fd)
{
	*fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	if (*fd < 0 && errno == EINVAL) /* before Linux 6.3 */
		*fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd < 0)
		return -errno;
	if (ftruncate(*fd, (off_t)bytes) || fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW)) {
		close(*fd);
		return -errno;
	}
	return 0;
}

static void split_slots(struct sock_region *r)
{
	uint32_t span = (r->head.sock_count - r->head.sock_own) / r->head.shards;

	for (uint32_t s = 0; s < r->head.shards; s++) {
		r->part[s].fresh = r->head.sock_own + s * span;
		r->part[s].end = r->part[s].fresh + span;
		r->part[s].free = UINT32_MAX;
	}
}

int region_create(const struct region_config *c, struct sock_region **out)
{
	struct region *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	lay_out(c, &r->sock.head);
	err = make_memfd("stackd-client", r->sock.head.total_bytes, &r->sock.fd);
	if (err)
		goto free_region;
	r->sock.mem = mmap(NULL, r->sock.head.total_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
			   r->sock.fd, 0);
	err = -errno;
	if (r->sock.mem == MAP_FAILED)
		goto close_fd;
	r->sock.socks = slab_map(r->sock.head.sock_count * sizeof(struct sock));
	err = -ENOMEM;
	if (!r->sock.socks)
		goto unmap;
	memcpy(r->sock.mem, &r->sock.head, sizeof(r->sock.head));
	split_slots(&r->sock);
	atomic_init(&r->sock.refs, 1);
	*out = &r->sock;
	return 0;
unmap:
	munmap(r->sock.mem, r->sock.head.total_bytes);
close_fd:
	close(r->sock.fd);
free_region:
	free(r);
	return err;
}

void region_free(struct sock_region *s)
{
	struct region *r = container_of(s, struct region, sock);
	struct listener_block *next;

	for (struct listener_block *b = r->listeners; b; b = next) {
		next = b->next;
		free(b);
	}
	slab_unmap(s->socks, s->head.sock_count * sizeof(struct sock));
	munmap(s->mem, s->head.total_bytes);
	close(s->fd);
	free(r);
}

static size_t bits_bytes(const struct sock_region *r)
{
	return (r->head.sock_count + 63) / 64 * sizeof(uint64_t);
}

_Atomic uint64_t *region_bits(const struct sock_region *r)
{
	return slab_map(bits_bytes(r));
}

void region_free_bits(const struct sock_region *r, _Atomic uint64_t *bits)
{
	slab_unmap((void *)(uintptr_t)bits, bits_bytes(r));
}

struct sock_listener *region_listener(struct sock_region *s)
{
	struct region *r = container_of(s, struct region, sock);
	struct listener_block *b = r->free_listeners;

	if (b) {
		r->free_listeners = b->next_free;
		return b->listener;
	}
	b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	b->next = r->listeners;
	r->listeners = b;
	return b->listener;
}

void region_free_listener(struct sock_region *s, struct sock_listener *l)
{
	struct region *r = container_of(s, struct region, sock);
	struct listener_block *b = container_of(l, struct listener_block, listener[0]);

	b->next_free = r->free_listeners;
	r->free_listeners = b;
}

struct stackd_board *board_create(int *fd)
{
	uint64_t bytes = page_up(sizeof(struct stackd_board));
	struct stackd_board *b;

	if (make_memfd("stackd-board", bytes, fd))
		return NULL;
	b = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (b == MAP_FAILED || fcntl(*fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE)) {
		close(*fd);
		return NULL;
	}
	b->magic = STACKD_SHM_MAGIC;
	b->version = STACKD_SHM_VERSION;
	return b;
}
