/* SPDX-License-Identifier: BSD-2-Clause */
/* sendfile, splice, copy_file_range, and what a socket is as a file. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ends.h"
#include "observe.h"

#define FILE_BYTES 30000

static char buf[FILE_BYTES];

static int make_file(void)
{
	int fd = memfd_create("conform", 0);

	need(fd >= 0);
	for (int i = 0; i < FILE_BYTES; i++)
		buf[i] = (char)('a' + i % 26);
	need(write(fd, buf, FILE_BYTES) == FILE_BYTES);
	need(lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

static void sending_a_file(void)
{
	struct ends e = ends_open();
	int file = make_file();
	off_t at = 5;

	section("sendfile");
	result("10 bytes", sendfile(e.fd, file, NULL, 10));
	result("the file's position", lseek(file, 0, SEEK_CUR));
	result("10 bytes from 5", sendfile(e.fd, file, &at, 10));
	say("the offset", "%ld", (long)at);
	result("the file's position then", lseek(file, 0, SEEK_CUR));
	result("0 bytes", sendfile(e.fd, file, NULL, 0));
	result("the rest and more", sendfile(e.fd, file, NULL, FILE_BYTES));
	result("at the file's end", sendfile(e.fd, file, NULL, 10));
	at = FILE_BYTES + 100;
	result("behind the file's end", sendfile(e.fd, file, &at, 10));
	at = -1;
	result("from a negative offset", sendfile(e.fd, file, &at, 10));
	result("the other end's recv", other_recv(&e, FILE_BYTES + 10));
	result("from the socket to the file", sendfile(file, e.fd, NULL, 10));
	result("from a directory", sendfile(e.fd, open("/", O_RDONLY), NULL, 10));
	result("from -1", sendfile(e.fd, -1, NULL, 10));
	shutdown(e.fd, SHUT_WR);
	at = 0;
	result("after shutdown", sendfile(e.fd, file, &at, 10));
	say("the offset then", "%ld", (long)at);
	close(file);
	ends_close(&e);
}

static void splicing(void)
{
	struct ends e = ends_open();
	int p[2], file = make_file();
	off_t at = 0;
	long n;

	section("splice");
	need(pipe(p) == 0);
	need(write(p[1], "hello world", 11) == 11);
	n = result("from a pipe into the socket", splice(p[0], NULL, e.fd, NULL, 11, 0));
	if (n == 11)
		result("the other end's recv", other_recv(&e, 11));
	other_send(&e, 20);
	await_bytes(e.fd, 20);
	n = result("from the socket into a pipe", splice(e.fd, NULL, p[1], NULL, 100, 0));
	if (n > 0) {
		result("read from the pipe", read(p[0], buf, (size_t)n));
		say("bytes", "%.5s", buf);
		set_blocking(e.fd, false);
		result("nothing there", splice(e.fd, NULL, p[1], NULL, 100, SPLICE_F_NONBLOCK));
	}
	result("nothing in the pipe", splice(p[0], NULL, e.fd, NULL, 10, SPLICE_F_NONBLOCK));
	result("into the pipe's reading end", splice(e.fd, NULL, p[0], NULL, 10, 0));
	result("no bytes", splice(p[0], NULL, e.fd, NULL, 0, 0));
	result("an unknown flag", splice(p[0], NULL, e.fd, NULL, 10, 0x1000));
	result("the pipe with an offset", splice(p[0], &at, e.fd, NULL, 10, SPLICE_F_NONBLOCK));
	result("the socket with an offset", splice(p[0], NULL, e.fd, &at, 10, SPLICE_F_NONBLOCK));
	result("out of the socket with one", splice(e.fd, &at, p[1], NULL, 10, SPLICE_F_NONBLOCK));
	result("from a file straight into the socket", splice(file, NULL, e.fd, NULL, 10, 0));
	result("tee from the socket", tee(e.fd, p[1], 10, 0));
	result("tee into the socket", tee(p[0], e.fd, 10, 0));
	result("copy_file_range from the socket", copy_file_range(e.fd, NULL, file, NULL, 10, 0));
	result("copy_file_range into the socket", copy_file_range(file, NULL, e.fd, NULL, 10, 0));
	close(p[0]);
	close(p[1]);
	close(file);
	ends_close(&e);
}

static void as_a_file(void)
{
	struct ends e = ends_open();
	char path[64], link[64] = "";
	struct stat st;

	section("as a file");
	need(fstat(e.fd, &st) == 0);
	say("is a socket", "%d", S_ISSOCK(st.st_mode));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", e.fd);
	need(readlink(path, link, sizeof(link) - 1) > 0);
	say("its name", "%.8s", link);
	result("open by that name", open(path, O_RDWR));
	result("isatty", isatty(e.fd) ? 1 : -1);
	result("mmap", mmap(NULL, 4096, PROT_READ, MAP_SHARED, e.fd, 0) == MAP_FAILED ? -1 : 0);
	result("posix_fadvise", posix_fadvise(e.fd, 0, 0, POSIX_FADV_NORMAL));
	result("fchdir", fchdir(e.fd));
	ends_close(&e);
}

int main(int argc, char **argv)
{
	observe_start(argc, argv);
	sending_a_file();
	splicing();
	as_a_file();
	return observe_end();
}
