/* SPDX-License-Identifier: BSD-2-Clause */
/* shipped.h - the plugins that ship, with their parameters at their defaults. */
#ifndef TESTS_TCP_SHIPPED_H
#define TESTS_TCP_SHIPPED_H

#include "tcp/tcp.h"

/* The i-th of this kind; plugin NULL: there are no more. */
struct tcp_plugin shipped(enum sp_kind kind, unsigned i);
/* The one of this name. */
struct tcp_plugin shipped_named(enum sp_kind kind, const char *name);

#endif
