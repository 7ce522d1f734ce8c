/* SPDX-License-Identifier: BSD-2-Clause */
/* replay - a fuzzer's corpus without a fuzzer: runs every file of the given folders once.  Of
 * libFuzzer's options it takes none, and skips them. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define INPUT_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned run_file(const char *folder, const char *name)
{
	char path[4096];
	uint8_t *data = malloc(INPUT_MAX);
	size_t size;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "rb");
	if (!f || !data) {
		perror(path);
		exit(1);
	}
	size = fread(data, 1, INPUT_MAX, f);
	fclose(f);
	fprintf(stderr, "%s\n", path); /* the last one named is the one that failed */
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 1;
}

int main(int argc, char **argv)
{
	unsigned count = 0;

	for (int i = 1; i < argc; i++) {
		DIR *d = argv[i][0] == '-' ? NULL : opendir(argv[i]);
		struct dirent *e;

		while (d && (e = readdir(d)))
			if (e->d_name[0] != '.')
				count += run_file(argv[i], e->d_name);
		if (d)
			closedir(d);
	}
	printf("%u inputs\n", count);
	return count == 0;
}
