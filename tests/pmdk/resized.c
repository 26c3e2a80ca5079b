/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A program that persists bytes of a mapped pool, and then truncates, punches or grows the pool.
 *
 *   resized change FILE WAY          persist 'a', change the file; the place must read as zero
 *   resized store FILE WAY           the same, then persist 'Q' in the place; it must be read
 *   resized verify-zero FILE WAY     after a power failure: the place reads as zero
 *   resized verify-stored FILE WAY   after a power failure: the place has 'Q', and its neighbours are zero
 *
 * Exits with 1 and a message if it is not so.
 */

#include <errno.h>
#include <fcntl.h>
#include <libpmem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE (1L << 20)
#define CUT 100L /* a byte of the first page */
#define PAGE 4096L

static int file;
static unsigned char *map;

static void die(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

static void resize(long size)
{
	if (ftruncate(file, size) < 0)
		die("ftruncate");
}

static void allocate(int mode, long offset, long length)
{
	if (fallocate(file, mode, offset, length) < 0)
		die("fallocate");
}

/* A byte in each page from the second on, outside of the place that is checked. */
static void write_pages(void)
{
	for (long at = PAGE; at < SIZE; at += PAGE)
		if (pwrite(file, "w", 1, at + PAGE - 1) != 1)
			die("pwrite");
}

static void truncate_and_grow(void)
{
	resize(PAGE);
	resize(SIZE);
}

static void truncate_and_fallocate(void)
{
	resize(PAGE);
	allocate(0, 0, SIZE);
}

static void truncate_and_write(void)
{
	resize(PAGE);
	write_pages();
}

static void truncate_in_page(void)
{
	resize(CUT);
	resize(SIZE);
}

static void punch(void)
{
	allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, SIZE - PAGE);
}

static void punch_and_fallocate(void)
{
	punch();
	allocate(0, 0, SIZE);
}

static void punch_and_write(void)
{
	punch();
	write_pages();
}

static void zero(void)
{
	allocate(FALLOC_FL_ZERO_RANGE, PAGE, SIZE - PAGE);
}

static void grow(void)
{
	resize(2 * SIZE);
}

static void grow_by_write(void)
{
	if (pwrite(file, "e", 1, 2 * SIZE - 1) != 1)
		die("pwrite");
}

static void grow_and_remap(void)
{
	resize(2 * SIZE);
	map = mremap(map, SIZE, 2 * SIZE, MREMAP_MAYMOVE);
	if (map == MAP_FAILED)
		die("mremap");
}

static const struct way {
	const char *name;
	void (*change)(void);
	long place;  /* offset of the place that is checked, of LENGTH bytes */
	long mapped; /* bytes that are mapped before the change */
} ways[] = {
	{ "truncate-grow", truncate_and_grow, 2 * PAGE, SIZE },
	{ "truncate-fallocate", truncate_and_fallocate, 2 * PAGE, SIZE },
	{ "truncate-write", truncate_and_write, 2 * PAGE, SIZE },
	{ "truncate-in-page", truncate_in_page, CUT, SIZE },
	{ "punch", punch, 2 * PAGE, SIZE },
	{ "punch-fallocate", punch_and_fallocate, 2 * PAGE, SIZE },
	{ "punch-write", punch_and_write, 2 * PAGE, SIZE },
	{ "zero-range", zero, 2 * PAGE, SIZE },
	{ "grow-under-mapping", grow, SIZE + 2 * PAGE, 2 * SIZE },
	{ "write-under-mapping", grow_by_write, SIZE + 2 * PAGE, 2 * SIZE },
	{ "grow-and-mremap", grow_and_remap, SIZE + 2 * PAGE, SIZE },
};
#define LENGTH 3000L
#define STORED 1000L /* within it */

static const struct way *find_way(const char *name)
{
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (strcmp(ways[i].name, name) == 0)
			return &ways[i];
	printf("no such way: %s\n", name);
	exit(2);
}

/* The place is zero except for the byte at STORED, which is `stored`. */
static void expect(const char *where, const unsigned char *bytes, unsigned char stored)
{
	for (long i = 0; i < LENGTH; i++) {
		unsigned char expected = i == STORED ? stored : 0;

		if (bytes[i] != expected) {
			printf("%s: byte %ld of the place is %d, not %d\n", where, i, bytes[i], expected);
			exit(1);
		}
	}
}

static void expect_file(const char *path, const struct way *way, unsigned char stored)
{
	unsigned char bytes[LENGTH] = { 0 };
	int again = open(path, O_RDONLY);

	if (again < 0 || pread(again, bytes, LENGTH, way->place) < 0)
		die("pread");
	close(again);
	expect("read", bytes, stored);
}

static void change(const char *path, const struct way *way)
{
	file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
	if (file < 0)
		die("open");
	allocate(0, 0, SIZE);
	map = mmap(NULL, (size_t)way->mapped, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (map == MAP_FAILED)
		die("mmap");
	pmem_memset_persist(map, 'a', (size_t)SIZE);
	way->change();
	expect_file(path, way, 0);
	expect("mapping", map + way->place, 0);
}

int main(int argc, char **argv)
{
	const struct way *way = argc == 4 ? find_way(argv[3]) : NULL;

	if (!way)
		return 2;
	if (strcmp(argv[1], "verify-zero") == 0) {
		expect_file(argv[2], way, 0);
		return 0;
	}
	if (strcmp(argv[1], "verify-stored") == 0) {
		expect_file(argv[2], way, 'Q');
		return 0;
	}
	change(argv[2], way);
	if (strcmp(argv[1], "store") == 0) {
		/* The size of an append is durable after a sync. */
		if (fsync(file) < 0)
			die("fsync");
		map[way->place + STORED] = 'Q';
		pmem_persist(map + way->place + STORED, 1);
		expect_file(argv[2], way, 'Q');
	}
	return 0;
}
