/* SPDX-License-Identifier: BSD-2-Clause */
/* preload.h - how the preload_*.c files define the C library's names.  Each of them is thin: the
 * public interface does the work and knows when to call the next one. */
#ifndef STACKD_CLIENT_PRELOAD_H
#define STACKD_CLIENT_PRELOAD_H

#define PRELOAD __attribute__((visibility("default")))

void stdio_begin(void); /* standard streams that are inherited stack sockets */

#endif
