/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Each form of a mapping, with each change of its file, by each process that can make it: a place that was
 * cut off or punched reads as zero by read(2) and in the mapping, and what is persisted there afterwards is
 * read, and survives a power failure.
 *
 *   changed_forms run DIRECTORY      makes a file for each combination
 *   changed_forms verify DIRECTORY   after a power failure
 *   changed_forms change FILE CHANGE as another process
 *
 * Prints the combinations that fail, and how many there are.
 */

#include <errno.h>
#include <fcntl.h>
#include <libpmem.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096L
#define SIZE (16 * PAGE)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *program, *directory;
static char path[4096];
static unsigned combinations, failed;

static void die(const char *what)
{
	printf("%s: %s: %s\n", path, what, strerror(errno));
	exit(2);
}

static int open_file(int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		die("open");
	return fd;
}

/* ---- Changes ----------------------------------------------------------------------- */

static void resize(int fd, long size)
{
	if (ftruncate(fd, size) < 0)
		die("ftruncate");
}

static void allocate(int fd, int mode, long offset, long length)
{
	if (fallocate(fd, mode, offset, length) < 0)
		die("fallocate");
}

static void put(int fd, const void *bytes, size_t length, long offset)
{
	if (pwrite(fd, bytes, length, offset) != (ssize_t)length)
		die("pwrite");
}

static void cut_and_grow(int fd)
{
	resize(fd, PAGE);
	resize(fd, SIZE);
}

static void cut_in_page(int fd)
{
	resize(fd, 2 * PAGE + 100);
	resize(fd, SIZE);
}

static void cut_and_allocate(int fd)
{
	resize(fd, PAGE);
	allocate(fd, 0, 0, SIZE);
}

static void cut_and_write(int fd)
{
	resize(fd, PAGE);
	put(fd, "w", 1, SIZE - 1);
}

static void cut_and_append(int fd)
{
	static const char zeros[SIZE];
	const size_t length = SIZE - 2 * PAGE - 100;
	int again = open_file(O_WRONLY | O_APPEND);

	resize(fd, 2 * PAGE + 100);
	if (write(again, zeros, length) != (ssize_t)length)
		die("write");
	close(again);
}

static void empty_by_open(int fd)
{
	close(open_file(O_RDWR | O_TRUNC));
	resize(fd, SIZE);
}

static void punch(int fd)
{
	allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2 * PAGE, 4 * PAGE);
}

static void punch_parts(int fd)
{
	allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2 * PAGE + 100, 2 * PAGE);
}

static void punch_and_allocate(int fd)
{
	punch(fd);
	allocate(fd, 0, 0, SIZE);
}

static void zero(int fd)
{
	allocate(fd, FALLOC_FL_ZERO_RANGE, 2 * PAGE, 4 * PAGE);
}

static void grow(int fd)
{
	resize(fd, 2 * SIZE);
}

static void grow_by_write(int fd)
{
	put(fd, "w", 1, 2 * SIZE - 1);
}

#define IN_PAGE (2 * PAGE + 150) /* behind the cut of cut_in_page() */
#define IN_HOLE (3 * PAGE + 200)

static const struct change {
	const char *name;
	void (*make)(int fd);
	long place; /* that reads as zero */
	long size;  /* of the file in the end */
} changes[] = {
	{ "cut-and-grow", cut_and_grow, IN_HOLE, SIZE },
	{ "cut-in-page", cut_in_page, IN_PAGE, SIZE },
	{ "cut-and-allocate", cut_and_allocate, IN_HOLE, SIZE },
	{ "cut-and-write", cut_and_write, IN_HOLE, SIZE },
	{ "cut-and-append", cut_and_append, IN_PAGE, SIZE },
	{ "empty-by-open", empty_by_open, IN_HOLE, SIZE },
	{ "punch", punch, IN_HOLE, SIZE },
	{ "punch-parts", punch_parts, IN_PAGE, SIZE },
	{ "punch-and-allocate", punch_and_allocate, IN_HOLE, SIZE },
	{ "zero-range", zero, IN_HOLE, SIZE },
	{ "grow", grow, SIZE + IN_HOLE, 2 * SIZE },
	{ "grow-by-write", grow_by_write, SIZE + IN_HOLE, 2 * SIZE },
};

/* ---- Processes ---------------------------------------------------------------------- */

static void by_mapper(int fd, const struct change *change)
{
	change->make(fd);
}

static void by_new_descriptor(int fd, const struct change *change)
{
	int again = open_file(O_RDWR);

	change->make(again);
	close(again);
}

static void await_child(pid_t child)
{
	int status;

	if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
		die("the process that makes the change");
}

static void by_child(int fd, const struct change *change)
{
	pid_t child = fork();

	if (child == 0) {
		by_new_descriptor(-1, change);
		_exit(0);
	}
	await_child(child);
}

/* A process that is not under softpmem run. */
static void by_stranger(int fd, const struct change *change)
{
	char *const environment[] = { NULL };
	pid_t child = fork();

	if (child == 0) {
		execle(program, program, "change", path, change->name, NULL, environment);
		_exit(1);
	}
	await_child(child);
}

static const struct actor {
	const char *name;
	void (*change)(int fd, const struct change *change);
} actors[] = {
	{ "mapper", by_mapper },
	{ "new-descriptor", by_new_descriptor },
	{ "child", by_child },
	{ "stranger", by_stranger },
};

/* ---- Forms of mappings --------------------------------------------------------------- */

static unsigned char *map_with(void *at, long length, int protection, int flags, int fd, long offset)
{
	unsigned char *map = mmap(at, (size_t)length, protection, flags, fd, offset);

	if (map == MAP_FAILED)
		die("mmap");
	return map;
}

static unsigned char *map_shared(int fd, long size)
{
	return map_with(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

static unsigned char *map_from_page_2(int fd, long size)
{
	return map_with(NULL, size - 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 2 * PAGE) - 2 * PAGE;
}

static unsigned char *map_past_end(int fd, long size)
{
	return map_shared(fd, 4 * SIZE);
}

static unsigned char *map_moved(int fd, long size)
{
	unsigned char *map = mremap(map_shared(fd, SIZE), SIZE, (size_t)(2 * SIZE), MREMAP_MAYMOVE);

	if (map == MAP_FAILED)
		die("mremap");
	return map;
}

static unsigned char *map_fixed(int fd, long size)
{
	unsigned char *room = map_with(NULL, 4 * SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return map_with(room + PAGE, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
}

static unsigned char *map_by_pmem(int fd, long size)
{
	size_t length;
	unsigned char *map = size > SIZE ? map_shared(fd, size) : pmem_map_file(path, 0, 0, 0, &length, NULL);

	if (!map)
		die("pmem_map_file");
	return map;
}

static unsigned char *map_read_only(int fd, long size)
{
	int again = open_file(O_RDONLY);
	unsigned char *map = map_with(NULL, size, PROT_READ, MAP_SHARED, again, 0);

	close(again);
	return map;
}

static unsigned char *map_private(int fd, long size)
{
	return map_with(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
}

static const struct form {
	const char *name;
	unsigned char *(*map)(int fd, long size);
	bool is_stored_to;
} forms[] = {
	{ "shared", map_shared, true },		{ "from-page-2", map_from_page_2, true },
	{ "past-end", map_past_end, true },	{ "moved", map_moved, true },
	{ "fixed", map_fixed, true },		{ "pmem-map-file", map_by_pmem, true },
	{ "read-only", map_read_only, false },	{ "private", map_private, false },
};

/* ---- Combinations -------------------------------------------------------------------- */

static unsigned char read_at(long offset)
{
	int fd = open_file(O_RDONLY);
	unsigned char byte = 0xff;

	if (pread(fd, &byte, 1, offset) < 0)
		die("pread");
	close(fd);
	return byte;
}

static void expect(const char *what, unsigned char byte, unsigned char wanted)
{
	if (byte == wanted)
		return;
	printf("%s: %s: %d and not %d\n", path, what, byte, wanted);
	failed++;
}

static void run(const struct form *form, const struct change *change, const struct actor *actor)
{
	int fd = open_file(O_RDWR | O_CREAT | O_EXCL);
	unsigned char *first, *map;

	allocate(fd, 0, 0, SIZE);
	first = map_shared(fd, SIZE);
	pmem_memset_persist(first, 'a', SIZE);
	map = form->map(fd, change->size);
	/* The file has a second mapping in half of the forms. */
	if ((form - forms) % 2)
		munmap(first, SIZE);
	actor->change(fd, change);
	expect("read after the change", read_at(change->place), 0);
	expect("mapping after the change", map[change->place], 0);
	if (form->is_stored_to) {
		/* The size of an append is durable after a sync. */
		if (fsync(fd) < 0)
			die("fsync");
		map[change->place] = 'Q';
		pmem_persist(map + change->place, 1);
		expect("read after the store", read_at(change->place), 'Q');
	}
	close(fd);
}

static void verify(const struct form *form, const struct change *change)
{
	if (form->is_stored_to)
		expect("after the power failure", read_at(change->place), 'Q');
}

static void each(bool verifies)
{
	for (size_t f = 0; f < COUNT(forms); f++)
		for (size_t c = 0; c < COUNT(changes); c++)
			for (size_t a = 0; a < COUNT(actors); a++) {
				snprintf(path, sizeof(path), "%s/%s.%s.%s", directory, forms[f].name,
					 changes[c].name, actors[a].name);
				combinations++;
				if (verifies)
					verify(&forms[f], &changes[c]);
				else
					run(&forms[f], &changes[c], &actors[a]);
			}
}

static int change_named(const char *name)
{
	for (size_t c = 0; c < COUNT(changes); c++)
		if (strcmp(changes[c].name, name) == 0) {
			by_new_descriptor(-1, &changes[c]);
			return 0;
		}
	return 2;
}

int main(int argc, char **argv)
{
	program = argv[0];
	if (argc == 4 && strcmp(argv[1], "change") == 0) {
		snprintf(path, sizeof(path), "%s", argv[2]);
		return change_named(argv[3]);
	}
	if (argc != 3)
		return 2;
	directory = argv[2];
	each(strcmp(argv[1], "verify") == 0);
	printf("%u combinations, %u failures\n", combinations, failed);
	return failed != 0;
}
