/* SPDX-License-Identifier: BSD-2-Clause */
/* alphabet.h - the bytes that the other end of a connection sends, a to z again and again, so that
 * a program can tell which ones came. */
#ifndef CONFORMANCE_ALPHABET_H
#define CONFORMANCE_ALPHABET_H

#include <stddef.h>

void alphabet_begin(int fd); /* a new connection has this number */
/* n bytes, by blocking calls; how many went, -1 with errno. */
long alphabet_send(int fd, size_t n, int flags);
/* n bytes, fewer where the stream ends. */
long alphabet_recv(int fd, size_t n);

#endif
