/* SPDX-License-Identifier: BSD-2-Clause */
/* each - an acknowledgement for every arriving segment, at once. */
#include "ack_common.h"

static sp_ns each_on_data(const struct sp_conn *c, void *st, const struct sp_seg *s)
{
	(void)st;
	(void)s;
	return c->now;
}

static int each_describe(const struct sp_conn *c, const void *st, char *line, size_t len)
{
	(void)c;
	(void)st;
	return snprintf(line, len, "delay=0");
}

static const struct sp_ack_ops ops = {
    .size = sizeof(struct sp_ack_ops),
    .on_data = each_on_data,
    .describe = each_describe,
};

const struct sp_plugin SP_SYMBOL = {
    .abi_major = SP_ABI_MAJOR,
    .abi_minor = SP_ABI_MINOR,
    .size = sizeof(struct sp_plugin),
    .kind = SP_ACK,
    .name = "each",
    .version = "1",
    .license = "BSD-2-Clause",
    .summary = "every segment is acknowledged at once",
    .ops = &ops,
};
