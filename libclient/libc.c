/* SPDX-License-Identifier: BSD-2-Clause */
/* libc.c - finds the functions that stand behind ours.  Owns the table; knows nothing of sockets. */
#include "libc.h"

#include <dlfcn.h>
#include <string.h>

struct libc libc_table;
_Atomic bool libc_loaded;

static void next(const char *name, void *place)
{
	void *f = dlsym(RTLD_NEXT, name);

	/* ISO C has no cast from an object to a function pointer; POSIX promises the same size */
	memcpy(place, &f, sizeof(f));
}

/* Two threads may do this at once: both store the same values. */
const struct libc *libc_load(void)
{
#define LIBC_FIND(name) next(#name, &libc_table.name);
	LIBC_FUNCTIONS(LIBC_FIND)
#undef LIBC_FIND
	next("_Exit", &libc_table.exit_now);
	atomic_store_explicit(&libc_loaded, true, memory_order_release);
	return &libc_table;
}
