/* SPDX-License-Identifier: BSD-2-Clause */
/* static_read - a program that can't be preloaded: its status is the errno of a read from standard input. */
#include <errno.h>
#include <unistd.h>

int main(void)
{
	char b;

	return read(0, &b, 1) < 0 ? errno : 0;
}
