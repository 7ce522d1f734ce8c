/* SPDX-License-Identifier: BSD-2-Clause */
/* calls.h - the functions of the table, all but `free`. */
#ifndef STACKD_PACKETDRILL_CALLS_H
#define STACKD_PACKETDRILL_CALLS_H

#include "packetdrill/packetdrill.h"

void calls_fill(struct packetdrill_calls *);

#endif
