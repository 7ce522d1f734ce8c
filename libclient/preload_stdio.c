/* SPDX-License-Identifier: BSD-2-Clause */
/* preload_stdio.c - stdio on a stack socket.  The C library's streams call its own read and write,
 * past everybody, so a stream on one of our sockets is a custom one (fopencookie) that comes back
 * to us.  fdopen makes one; so does a program whose standard input or output was handed to it by
 * the program that started it, as inetd does.  Owns which streams are such ones. */
#undef _FILE_OFFSET_BITS /* it would rename what is defined here; off_t has 64 bits anyway */

#include "client.h"
#include "preload.h"
#include "stackd.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct stream {
	struct stream *next;
	FILE *file;
	int fd;
};

static _Atomic uint32_t streams_lock;
static struct stream *_Atomic streams;

/* ---- what the stream calls ---- */

static ssize_t stream_read(void *cookie, char *buf, size_t n)
{
	return stackd_read(((struct stream *)cookie)->fd, buf, n);
}

/* Here 0 tells of an error, and less than everything too. */
static ssize_t stream_write(void *cookie, const char *buf, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t w = stackd_write(((struct stream *)cookie)->fd, buf + done, n - done);

		if (w <= 0)
			break;
		done += (size_t)w;
	}
	return (ssize_t)done;
}

/* Without this one the C library says EIO. */
static int stream_seek(void *cookie, off64_t *offset, int whence)
{
	(void)cookie;
	(void)offset;
	(void)whence;
	errno = ESPIPE;
	return -1;
}

static int stream_close(void *cookie)
{
	struct stream *s = cookie, *at;
	int fd = s->fd;

	lock_take(&streams_lock);
	at = streams;
	if (at == s)
		streams = s->next;
	while (at && at != s && at->next != s)
		at = at->next;
	if (at && at != s)
		at->next = s->next;
	lock_drop(&streams_lock);
	free(s);
	return stackd_close(fd);
}

static FILE *stream_open(int fd, const char *mode)
{
	static const cookie_io_functions_t functions = {
	    .read = stream_read, .write = stream_write, .seek = stream_seek, .close = stream_close};
	struct stream *s = malloc(sizeof(*s));

	if (!s)
		return NULL;
	*s = (struct stream){.fd = fd};
	s->file = fopencookie(s, mode, functions);
	if (!s->file) {
		free(s);
		return NULL;
	}
	lock_take(&streams_lock);
	s->next = streams;
	streams = s;
	lock_drop(&streams_lock);
	return s->file;
}

static bool is_socket_of_ours(int fd)
{
	struct ofd *o = fd_in_foreign_process() ? NULL : fd_get_stack(fd);

	if (o)
		fd_put(o);
	return o;
}

static void take_over(FILE **standard, int fd, const char *mode)
{
	FILE *f = is_socket_of_ours(fd) ? stream_open(fd, mode) : NULL;

	if (f)
		*standard = f;
}

void stdio_begin(void)
{
	int saved = errno;

	take_over(&stdin, 0, "r");
	take_over(&stdout, 1, "w");
	take_over(&stderr, 2, "w");
	if (is_socket_of_ours(2))
		setvbuf(stderr, NULL, _IONBF, 0);
	errno = saved;
}

/* At the end the C library flushes its streams after all else: our sockets are closed then. */
__attribute__((destructor)) static void flush(void)
{
	if (streams)
		fflush(NULL);
}

/* ---- the C library's names ---- */

PRELOAD FILE *fdopen(int fd, const char *mode)
{
	return is_socket_of_ours(fd) ? stream_open(fd, mode) : LIBC->fdopen(fd, mode);
}

PRELOAD int fileno(FILE *f)
{
	int fd = -1;

	if (!streams)
		return LIBC->fileno(f);
	lock_take(&streams_lock);
	for (struct stream *s = streams; s; s = s->next)
		if (s->file == f)
			fd = s->fd;
	lock_drop(&streams_lock);
	return fd >= 0 ? fd : LIBC->fileno(f);
}

PRELOAD int fileno_unlocked(FILE *f)
{
	return fileno(f);
}

PRELOAD int vdprintf(int fd, const char *format, va_list ap)
{
	char *text = NULL;
	int n;

	if (!is_socket_of_ours(fd))
		return LIBC->vdprintf(fd, format, ap);
	n = vasprintf(&text, format, ap);
	for (int done = 0; n > 0 && done < n;) {
		ssize_t w = stackd_write(fd, text + done, (size_t)(n - done));

		if (w < 0)
			n = -1;
		done += (int)w;
	}
	free(text);
	return n;
}

PRELOAD int dprintf(int fd, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vdprintf(fd, format, ap);
	va_end(ap);
	return n;
}

/* What -D_FORTIFY_SOURCE makes of the two. */
int __vdprintf_chk(int fd, int flag, const char *format, va_list ap);
int __dprintf_chk(int fd, int flag, const char *format, ...);

PRELOAD int __vdprintf_chk(int fd, int flag, const char *format, va_list ap)
{
	(void)flag;
	return vdprintf(fd, format, ap);
}

PRELOAD int __dprintf_chk(int fd, int flag, const char *format, ...)
{
	va_list ap;
	int n;

	(void)flag;
	va_start(ap, format);
	n = vdprintf(fd, format, ap);
	va_end(ap);
	return n;
}
