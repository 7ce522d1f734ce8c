/* SPDX-License-Identifier: BSD-2-Clause */
/* A plugin with one thing wrong (or right), chosen by -DODD_...; for plugin_test.c. */
#include "stackd_plugin.h"

#ifndef ODD_MAJOR
#define ODD_MAJOR SP_ABI_MAJOR
#endif
#ifndef ODD_MINOR
#define ODD_MINOR SP_ABI_MINOR
#endif
#ifndef ODD_NAME
#define ODD_NAME "odd"
#endif
#ifndef ODD_STATE
#define ODD_STATE 8
#endif
#ifndef ODD_DEFAULT
#define ODD_DEFAULT "3"
#endif
#ifndef ODD_OFFSET
#define ODD_OFFSET 0
#endif
#ifndef ODD_TAIL
#define ODD_TAIL 0
#endif
#ifndef ODD_OPS_TAIL
#define ODD_OPS_TAIL 0
#endif
#ifndef ODD_SIZE
#define ODD_SIZE sizeof(struct larger)
#endif
#ifndef ODD_WANTS
#define ODD_WANTS 0
#endif

static sp_ns on_data(const struct sp_conn *c, void *st, const struct sp_seg *seg)
{
	(void)st;
	(void)seg;
	return c->now;
}

static const struct sp_param params[] = {
    {"n", SP_TYPE_U64, ODD_OFFSET, ODD_DEFAULT, "1", "10", "a number"},
    {0},
};

/* of a later minor version */
static const struct {
	struct sp_ack_ops ops;
	uint64_t tail;
} ops = {
#ifdef ODD_NO_HOOK
    .ops = {.size = sizeof(ops)},
#else
    .ops = {.size = sizeof(ops), .on_data = on_data},
#endif
    .tail = ODD_OPS_TAIL,
};
const void *odd_keep(void);
const void *odd_keep(void)
{
	return (const void *)on_data;
}

struct larger {
	struct sp_plugin plugin;
	uint64_t tail;
};

__attribute__((visibility("default"))) extern const struct larger odd_symbol __asm__("stackd_plugin");
const struct larger odd_symbol = {
    .plugin = {.abi_major = ODD_MAJOR,
	       .abi_minor = ODD_MINOR,
	       .size = ODD_SIZE,
	       .kind = SP_ACK,
	       .name = ODD_NAME,
	       .version = "1",
	       .license = "BSD-2-Clause",
	       .summary = "for tests",
	       .wants = ODD_WANTS,
	       .state_size = ODD_STATE,
	       .params_size = 8,
	       .params = params,
	       .ops = &ops.ops},
    .tail = ODD_TAIL,
};
