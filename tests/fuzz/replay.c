/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs a fuzz target without libFuzzer: on each file of a corpus, then on mutations of them. A fault is
 * an abort, or is found by a sanitizer.
 *
 *	replay CORPUS-DIRECTORY [MUTATIONS [SEED]]
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/rng.h"
#include "fuzz.h"

struct input {
	uint8_t *bytes;
	size_t size;
};

static int not_dot(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static struct input read_input(const char *directory, const char *name)
{
	struct input input = { 0 };
	char path[4096];
	FILE *file;
	long size;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "rb");
	if (!file || fseek(file, 0, SEEK_END) < 0 || (size = ftell(file)) < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(1);
	}
	rewind(file);
	input.bytes = malloc((size_t)size + 1);
	input.size = fread(input.bytes, 1, (size_t)size, file);
	fclose(file);
	return input;
}

/* A separate allocation of the exact size, so that a sanitizer notices reads beyond its end. */
static void try_copy(const uint8_t *bytes, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	memcpy(copy, bytes, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

/* Make up to four changes: flip a bit, set a byte, write a boundary value, move bytes, or truncate. */
static size_t mutate(uint8_t *bytes, size_t size, struct rng *rng)
{
	static const uint32_t boundaries[] = { 0,      1,      0x7f,	   0x80,      0xff,
					       0x7fff, 0xffff, 0x7fffffff, 0xffffffff };

	for (uint64_t changes = 1 + rng_below(rng, 4); changes && size >= 8; changes--) {
		size_t at = rng_below(rng, size), other = rng_below(rng, size);
		size_t length = rng_below(rng, 16) + 1;

		switch (rng_below(rng, 5)) {
		case 0:
			bytes[at] ^= (uint8_t)(1u << rng_below(rng, 8));
			break;
		case 1:
			bytes[at] = (uint8_t)rng_next(rng);
			break;
		case 2:
			memcpy(bytes + rng_below(rng, size - 3), &boundaries[rng_below(rng, 9)], 4);
			break;
		case 3:
			length = length > size - at ? size - at : length;
			length = length > size - other ? size - other : length;
			memmove(bytes + at, bytes + other, length);
			break;
		default:
			if (rng_below(rng, 8) == 0)
				size = at + 1;
			break;
		}
	}
	return size;
}

int main(int argc, char **argv)
{
	unsigned long long mutations = argc > 2 ? strtoull(argv[2], NULL, 0) : 10000;
	struct rng rng = { .state = argc > 3 ? strtoull(argv[3], NULL, 0) : 1 };
	struct dirent **names;
	int count = argc > 1 ? scandir(argv[1], &names, not_dot, alphasort) : -1;
	struct input *inputs;

	if (count < 1) {
		fprintf(stderr, "usage: replay CORPUS-DIRECTORY [MUTATIONS [SEED]]\n");
		return 2;
	}
	inputs = calloc((size_t)count, sizeof(*inputs));
	for (int i = 0; i < count; i++) {
		inputs[i] = read_input(argv[1], names[i]->d_name);
		try_copy(inputs[i].bytes, inputs[i].size);
		printf("ok %d - %s\n", i + 1, names[i]->d_name);
		fflush(stdout);
	}
	for (unsigned long long i = 0; i < mutations; i++) {
		const struct input *input = &inputs[rng_below(&rng, (uint64_t)count)];
		uint8_t *copy = malloc(input->size + 1);

		memcpy(copy, input->bytes, input->size);
		try_copy(copy, mutate(copy, input->size, &rng));
		free(copy);
	}
	printf("ok %d - %llu mutations\n1..%d\n", count + 1, mutations, count + 1);
	for (int i = 0; i < count; i++) {
		free(inputs[i].bytes);
		free(names[i]);
	}
	free(inputs);
	free(names);
	return 0;
}
