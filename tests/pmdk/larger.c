/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A program that maps a sparse pool, which may be larger than its region.
 *
 *   larger map FILE SIZE WAY        map it: WAY is mmap, read-only or pmem_map_file
 *   larger store FILE SIZE WAY      map it, and store 'Q' to places far apart; WAY is persist, msync (of the
 *                                   whole mapping) or nothing
 *   larger verify FILE SIZE         after a power failure: the places have 'Q', and their neighbours are zero
 *   larger fill FILE SIZE WAY       store to each page; WAY is persist (each at once), msync (of all) or wait
 *   larger inside FILE SIZE WAY     as `store`, in steps: it prints a line when it has mapped the file, and
 *                                   when it has stored, and waits for a byte on stdin after each
 *   larger outside FILE SIZE CMD    open, map and read FILE, which CMD (`larger inside`) has mapped, before
 *                                   it stores; then what it stored must be read through both
 *
 * SIZE is in MiB. Exits with 1 and a message if it is not so.
 */

#include <errno.h>
#include <fcntl.h>
#include <libpmem.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096L
#define PLACES 5

static long size;
static int file;

static void die(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

static void open_file(const char *path, int flags)
{
	file = open(path, flags, 0600);
	if (file < 0)
		die(path);
}

static unsigned char *map(int protection)
{
	unsigned char *bytes = mmap(NULL, (size_t)size, protection, MAP_SHARED, file, 0);

	if (bytes == MAP_FAILED)
		die("mmap");
	return bytes;
}

/* In the middle of a page, and the last one in the last page. */
static long place(int which)
{
	return (size - PAGE) / (PLACES - 1) / PAGE * PAGE * which + 100;
}

static void map_in_a_way(const char *path, const char *way)
{
	const int sparse = PMEM_FILE_CREATE | PMEM_FILE_SPARSE;

	if (strcmp(way, "pmem_map_file") == 0) {
		if (!pmem_map_file(path, (size_t)size, sparse, 0600, NULL, NULL))
			die("pmem_map_file");
		return;
	}
	open_file(path, O_RDWR | O_CREAT);
	if (ftruncate(file, size) < 0)
		die("ftruncate");
	if (strcmp(way, "read-only") == 0) {
		close(file);
		open_file(path, O_RDONLY);
		if (map(PROT_READ)[place(2)])
			die("a hole is not zero");
		return;
	}
	map(PROT_READ | PROT_WRITE)[place(2)] = 1;
}

static void store(const char *path, const char *way)
{
	unsigned char *bytes;

	open_file(path, O_RDWR | O_CREAT);
	if (ftruncate(file, size) < 0)
		die("ftruncate");
	bytes = map(PROT_READ | PROT_WRITE);
	for (int i = 0; i < PLACES; i++) {
		bytes[place(i)] = 'Q';
		if (strcmp(way, "persist") == 0)
			pmem_persist(bytes + place(i), 1);
	}
	if (strcmp(way, "msync") == 0 && msync(bytes, (size_t)size, MS_SYNC) < 0)
		die("msync");
}

static void say_and_wait(const char *what)
{
	char byte;

	if (puts(what) < 0 || fflush(stdout) || read(0, &byte, 1) != 1)
		die(what);
}

static void store_in_steps(const char *path, const char *way)
{
	unsigned char *bytes;

	open_file(path, O_RDWR);
	bytes = map(PROT_READ | PROT_WRITE);
	say_and_wait("mapped");
	for (int i = 0; i < PLACES; i++)
		bytes[place(i)] = 'Q';
	if (strcmp(way, "msync") == 0 && msync(bytes, (size_t)size, MS_SYNC) < 0)
		die("msync");
	say_and_wait("stored");
}

/* Run the command with pipes as its stdin and stdout. */
static void start(char **command, int *to, int *from)
{
	int in[2], out[2];
	pid_t pid;

	if (pipe(in) < 0 || pipe(out) < 0)
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		close(out[0]);
		execvp(command[0], command);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	*to = in[1];
	*from = out[0];
}

static void await_line(int from)
{
	char line[16];

	if (read(from, line, sizeof(line)) <= 0)
		die("the other process has ended");
}

static void expect_places(const volatile unsigned char *bytes, unsigned char value)
{
	for (int i = 0; i < PLACES; i++) {
		unsigned char byte;

		if (pread(file, &byte, 1, place(i)) != 1)
			die("pread");
		if (byte == value && bytes[place(i)] == value)
			continue;
		printf("place %d is %d when read, and %d in the mapping\n", i, byte, bytes[place(i)]);
		exit(1);
	}
}

static void look_from_outside(const char *path, char **command)
{
	const unsigned char *bytes;
	int to, from;

	open_file(path, O_RDWR);
	if (ftruncate(file, size) < 0)
		die("ftruncate");
	bytes = map(PROT_READ);
	start(command, &to, &from);
	await_line(from);
	expect_places(bytes, 0);
	if (write(to, "s", 1) != 1)
		die("write");
	await_line(from);
	expect_places(bytes, 'Q');
	if (write(to, "e", 1) != 1)
		die("write");
}

static void verify(const char *path)
{
	open_file(path, O_RDONLY);
	for (int i = 0; i < PLACES; i++) {
		unsigned char page[PAGE];

		if (pread(file, page, PAGE, place(i) - 100) != PAGE)
			die("pread");
		for (int at = 0; at < PAGE; at++)
			if (page[at] != (at == 100 ? 'Q' : 0)) {
				printf("byte %d of place %d is %d\n", at, i, page[at]);
				exit(1);
			}
	}
}

static void fill(const char *path, const char *way)
{
	const bool persists = strcmp(way, "persist") == 0;
	unsigned char *bytes;

	open_file(path, O_RDWR | O_CREAT);
	if (ftruncate(file, size) < 0)
		die("ftruncate");
	bytes = map(PROT_READ | PROT_WRITE);
	for (long at = 0; at < size; at += PAGE) {
		bytes[at] = 'Q';
		if (persists)
			pmem_persist(bytes + at, 1);
	}
	/* The media have what was persisted before. */
	if (persists)
		pmem_deep_drain(bytes, (size_t)size);
	else if (strcmp(way, "wait") == 0)
		pause();
	else if (msync(bytes, (size_t)size, MS_SYNC) < 0)
		die("msync");
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	size = atol(argv[3]) << 20;
	if (strcmp(argv[1], "map") == 0 && argc == 5)
		map_in_a_way(argv[2], argv[4]);
	else if (strcmp(argv[1], "store") == 0 && argc == 5)
		store(argv[2], argv[4]);
	else if (strcmp(argv[1], "verify") == 0)
		verify(argv[2]);
	else if (strcmp(argv[1], "fill") == 0 && argc == 5)
		fill(argv[2], argv[4]);
	else if (strcmp(argv[1], "inside") == 0 && argc == 5)
		store_in_steps(argv[2], argv[4]);
	else if (strcmp(argv[1], "outside") == 0 && argc > 4)
		look_from_outside(argv[2], argv + 4);
	else
		return 2;
	return 0;
}
