/* SPDX-License-Identifier: BSD-2-Clause */
/* count.c - the counter table as data. */
#include "base/count.h"

const struct count_info count_info[COUNT_MAX] = {
#define X(id, kind, sentence) {#id, COUNT_##kind, sentence},
    COUNT_TABLE(X)
#undef X
};
