/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * overlap_subject POOL: a program to be recorded, in whose pool rep movs loads what it has just stored, as
 * decoders of LZ formats do to repeat a pattern. It prints how many of these copies are wrong.
 */

#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define POOL_BYTES (1u << 20)
#define AREA 2048
#define MIDDLE 1000
#define BYTES 480

static unsigned char *pool;

#define MOVS(before, letter, after)                                                  \
	__asm__ volatile(before "rep movs" letter after                              \
			 : "+D"(to), "+S"(from), "+c"(count)                         \
			 :                                                           \
			 : "memory", "cc")

#define COPY(name, before, after)                                                              \
	static void name(unsigned char *to, const unsigned char *from, unsigned size, long count) \
	{                                                                                      \
		if (size == 1)                                                                 \
			MOVS(before, "b", after);                                              \
		else if (size == 2)                                                            \
			MOVS(before, "w", after);                                              \
		else if (size == 4)                                                            \
			MOVS(before, "l", after);                                              \
		else                                                                           \
			MOVS(before, "q", after);                                              \
	}
COPY(copy_up, "", "")
COPY(copy_down, "std\n\t", "\n\tcld")

static void copy_elements(unsigned char *to, const unsigned char *from, unsigned size, long count, int step)
{
	unsigned char element[8];

	for (; count--; to += step, from += step) {
		memcpy(element, from, size);
		memcpy(to, element, size);
	}
}

/* The copy stores `distance` bytes ahead of what it loads, or behind it. */
static bool is_right(unsigned size, int distance, bool down)
{
	unsigned char expected[AREA];
	const int ahead = down ? -distance : distance, step = down ? -(int)size : (int)size;

	for (unsigned i = 0; i < AREA; i++)
		expected[i] = (unsigned char)(i * 31 + i / 256);
	memcpy(pool, expected, AREA);
	copy_elements(expected + MIDDLE + ahead, expected + MIDDLE, size, BYTES / size, step);
	(down ? copy_down : copy_up)(pool + MIDDLE + ahead, pool + MIDDLE, size, BYTES / size);
	return memcmp(pool, expected, AREA) == 0;
}

/* A pattern that begins in other memory, right before the pool. */
static bool continues_from_outside(int fd)
{
	unsigned char *before =
		mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char *start = before + 4096, expected[128];

	if (mmap(start, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		err(1, "mmap");
	memcpy(start - 4, "abcd", 4);
	memcpy(expected, "abcd", 4);
	copy_elements(expected + 4, expected, 1, 100, 1);
	copy_up(start, start - 4, 1, 100);
	return memcmp(start, expected + 4, 100) == 0;
}

int main(int argc, char **argv)
{
	const int fd = argc == 2 ? open(argv[1], O_RDWR) : -1;
	unsigned wrong[2] = { 0 };

	pool = mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (pool == MAP_FAILED)
		err(2, "usage: overlap_subject POOL");
	for (unsigned size = 1; size <= 8; size *= 2)
		for (int distance = -80; distance < 80; distance++)
			for (unsigned down = 0; down < 2; down++)
				wrong[down] += !is_right(size, distance, down);
	printf("%u copies upwards and %u downwards are wrong\n", wrong[0], wrong[1]);
	printf("a pattern that begins before the pool is %s\n",
	       continues_from_outside(fd) ? "right" : "wrong");
	return 0;
}
