/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Mappings of pools that a program moves, copies, protects, advises and outlives.
 *
 *   mappings move POOL     moves mappings and persists through them; prints what the kernel could not do
 *   mappings moved POOL    after a power failure: the pool has what was persisted
 *   mappings rules POOL    what is refused, and what a mapping keeps
 */

#include <fcntl.h>
#include <libpmem.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../e2e/tap.h"

#define PAGE 4096
#define PAGES 64

unsigned tap_run, tap_failed;
static const char *pool;

/* One page of the pool for each way; it holds its own number if that way persists. */
enum way {
	COPIED = 1,
	LEFT_BEHIND = 2,
	MAPPED_TWICE = 5,
	FIRST_OF_TWO = 8,
	SECOND_OF_TWO = 17,
	AFTER_SHRINK = 21,
	GROWN = 33,
	MOVED_GROWN = 37,
	REMAPPED = 40,
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static unsigned char *map_at(void *at, unsigned page, unsigned count)
{
	int fd = open(pool, O_RDWR | O_CLOEXEC);
	void *address = mmap(at, count * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | (at ? MAP_FIXED : 0), fd,
			     page * PAGE);

	if (fd < 0 || address == MAP_FAILED)
		die(pool);
	close(fd);
	return address;
}

static unsigned char *room(unsigned count)
{
	void *address = mmap(NULL, count * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (address == MAP_FAILED)
		die("mmap");
	return address;
}

static void put(unsigned char *at, enum way way)
{
	*at = (unsigned char)way;
	pmem_persist(at, 1);
}

/* ---- move ------------------------------------------------------------------------- */

static void copy_and_keep(void)
{
	unsigned char *old = map_at(NULL, 0, 4), *copy;

	copy = mremap(old, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	if (copy == MAP_FAILED) {
		printf("MREMAP_DONTUNMAP: %s\n", strerror(errno));
		copy = old;
	}
	put(copy + COPIED * PAGE, COPIED);
	put(old + LEFT_BEHIND * PAGE, LEFT_BEHIND);
}

static void map_twice(void)
{
	unsigned char *old = map_at(NULL, 4, 4);
	unsigned char *second = mremap(old + PAGE, 0, 2 * PAGE, MREMAP_MAYMOVE);

	if (second == MAP_FAILED)
		die("mremap of size 0");
	put(second, MAPPED_TWICE);
}

static void move_two(void)
{
	unsigned char *from = room(4), *to = room(4);

	map_at(from, 8, 2);
	map_at(from + 2 * PAGE, 16, 2);
	if (mremap(from, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to) {
		printf("mremap of two mappings: %s\n", strerror(errno));
		to = from;
	}
	put(to, FIRST_OF_TWO);
	put(to + 3 * PAGE, SECOND_OF_TWO);
}

static void shrink_two(void)
{
	unsigned char *at = room(4);

	map_at(at, 12, 2);
	map_at(at + 2 * PAGE, AFTER_SHRINK, 2);
	if (mremap(at, 4 * PAGE, 3 * PAGE, 0) != at)
		die("mremap to shrink");
	put(at + 2 * PAGE, AFTER_SHRINK);
}

static void grow(void)
{
	unsigned char *at = room(8), *moved;

	munmap(at + 4 * PAGE, 4 * PAGE);
	map_at(at, 32, 1);
	munmap(at + PAGE, 3 * PAGE);
	if (mremap(at, PAGE, 2 * PAGE, 0) != at)
		die("mremap to grow");
	put(at + PAGE, GROWN);
	moved = mremap(map_at(NULL, 36, 1), PAGE, 2 * PAGE, MREMAP_MAYMOVE);
	if (moved == MAP_FAILED)
		die("mremap to grow and move");
	put(moved + PAGE, MOVED_GROWN);
}

static void remap_pages(void)
{
	unsigned char *at = map_at(NULL, 44, 2);

	if (remap_file_pages(at, PAGE, 0, REMAPPED, 0) != 0) {
		printf("remap_file_pages: %s\n", strerror(errno));
		at = map_at(NULL, REMAPPED, 1);
	}
	put(at, REMAPPED);
}

static int move(void)
{
	copy_and_keep();
	map_twice();
	move_two();
	shrink_two();
	grow();
	remap_pages();
	return 0;
}

static int moved(void)
{
	static const struct {
		enum way way;
		const char *name;
	} ways[] = {
		{ COPIED, "the new address of MREMAP_DONTUNMAP" },
		{ LEFT_BEHIND, "the old address of MREMAP_DONTUNMAP" },
		{ MAPPED_TWICE, "a second mapping by mremap() of size 0" },
		{ FIRST_OF_TWO, "the first of two mappings that were moved together" },
		{ SECOND_OF_TWO, "the second of two mappings that were moved together" },
		{ AFTER_SHRINK, "the second of two mappings that were shrunk together" },
		{ GROWN, "a mapping that has grown in place" },
		{ MOVED_GROWN, "a mapping that has grown and moved" },
		{ REMAPPED, "a page that remap_file_pages() mapped" },
	};
	unsigned char bytes[PAGES * PAGE];
	int fd = open(pool, O_RDONLY | O_CLOEXEC);
	unsigned marked = 0;
	char name[120];

	if (fd < 0 || pread(fd, bytes, sizeof(bytes), 0) != sizeof(bytes))
		die(pool);
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		snprintf(name, sizeof(name), "what was persisted through %s survives", ways[i].name);
		OK(bytes[ways[i].way * PAGE] == ways[i].way, name);
	}
	for (unsigned page = 0; page < PAGES; page++)
		marked += bytes[page * PAGE] != 0;
	OK(marked == sizeof(ways) / sizeof(*ways), "no other page was stored to");
	return tap_done();
}

/* ---- rules -------------------------------------------------------------------------- */

static void check_protection(void)
{
	int fd = open(pool, O_RDONLY | O_CLOEXEC);
	unsigned char *at = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	unsigned char *own = map_at(NULL, 0, 1);

	FAILS(mprotect(at, PAGE, PROT_READ | PROT_WRITE), EACCES,
	      "a mapping of a read-only descriptor cannot be made writable by mprotect()");
	FAILS(pkey_mprotect(at, PAGE, PROT_READ | PROT_WRITE, -1), EACCES,
	      "a mapping of a read-only descriptor cannot be made writable by pkey_mprotect()");
	OK(mprotect(at, PAGE, PROT_NONE) == 0 && mprotect(at, PAGE, PROT_READ) == 0,
	   "other protection can be changed");
	OK(mprotect(own, PAGE, PROT_READ) == 0 && mprotect(own, PAGE, PROT_READ | PROT_WRITE) == 0,
	   "negative control: a mapping of a writable descriptor can be made writable again");
	munmap(at, PAGE);
	munmap(own, PAGE);
	close(fd);
}

/* MAP_SYNC promises that the program's own flush instructions persist: with --no-inline they do not. */
static void check_sync(void)
{
	int fd = open(pool, O_RDWR | O_CLOEXEC);
	void *at;

	errno = 0;
	at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);
	OK(at == MAP_FAILED && errno == EOPNOTSUPP, "mmap() with MAP_SYNC by a program is refused");
	at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE, fd, 0);
	OK(at != MAP_FAILED, "negative control: mmap() with MAP_SHARED_VALIDATE succeeds");
	munmap(at, PAGE);
	close(fd);
}

static void check_advice(void)
{
	unsigned char *at = map_at(NULL, 0, 2), *private;
	int fd = open(pool, O_RDWR | O_CLOEXEC);

	at[0] = 'a';
	FAILS(madvise(at, PAGE, MADV_REMOVE), EOPNOTSUPP, "MADV_REMOVE on a pool is refused");
	OK(at[0] == 'a', "the bytes are still there");
	OK(madvise(at, PAGE, MADV_DONTNEED) == 0 && at[0] == 'a', "MADV_DONTNEED loses no bytes of a pool");
	FAILS(madvise(at, PAGE, MADV_FREE), EINVAL, "MADV_FREE on a pool is refused");
	FAILS(madvise(at, PAGE, MADV_WIPEONFORK), EINVAL, "MADV_WIPEONFORK on a pool is refused");
	OK(madvise(at, PAGE, MADV_WILLNEED) == 0, "MADV_WILLNEED on a pool succeeds");
	private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	private[0] = 'p';
	OK(madvise(private, PAGE, MADV_DONTNEED) == 0 && private[0] == 0,
	   "negative control: MADV_DONTNEED loses the bytes of anonymous memory");
	munmap(at, 2 * PAGE);
	close(fd);
}

/* The child maps ordinary memory where the parent has a pool, and flushes it. */
static int child_without_pool(unsigned char *at, unsigned char *inherited)
{
	unsigned char *here = mmap(at, PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (here != at)
		return 1;
	here[0] = 'c';
	pmem_persist(here, 1);
	/* It still may write to the pool. */
	put(inherited, 'i');
	return 0;
}

static void check_fork(void)
{
	unsigned char *at = map_at(NULL, 50, 1), *other = map_at(NULL, 51, 1);
	int status = -1;
	pid_t child;

	put(at, 'p');
	/* Drained before the child flushes: what it flushes is newer. */
	pmem_deep_persist(at, 1);
	OK(madvise(at, PAGE, MADV_DONTFORK) == 0, "MADV_DONTFORK on a pool succeeds");
	child = fork();
	if (child == 0)
		_exit(child_without_pool(at, other));
	OK(waitpid(child, &status, 0) == child && status == 0, "the child does not have the mapping");
	OK(madvise(at, PAGE, MADV_DOFORK) == 0, "MADV_DOFORK on a pool succeeds");
	child = fork();
	if (child == 0)
		_exit(child_without_pool(at, other));
	OK(waitpid(child, &status, 0) == child && status != 0, "negative control: then the child has it");
	munmap(at, PAGE);
	munmap(other, PAGE);
}

static bool is_locked(void)
{
	int fd = open(pool, O_RDWR | O_CLOEXEC);
	bool locked = flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;

	close(fd);
	return locked;
}

static unsigned char *map_locked(int flags)
{
	int fd = open(pool, O_RDWR | O_CLOEXEC);
	unsigned char *at = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (flock(fd, LOCK_EX | LOCK_NB) != 0 || at == MAP_FAILED)
		die("flock");
	close(fd);
	return at;
}

static void check_lock(void)
{
	unsigned char *at = map_locked(MAP_SHARED), *moved;

	OK(is_locked(), "after close() a mapping keeps the lock of its descriptor");
	munmap(at + PAGE, PAGE);
	OK(is_locked(), "a mapping with a hole keeps it");
	munmap(at, PAGE);
	munmap(at + 3 * PAGE, PAGE);
	OK(is_locked(), "the last page keeps it");
	moved = mremap(at + 2 * PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE);
	OK(moved != MAP_FAILED && is_locked(), "a page that has moved keeps it");
	munmap(moved, 2 * PAGE);
	OK(!is_locked(), "with the last page the lock is released");
	at = map_locked(MAP_PRIVATE);
	OK(is_locked(), "a private mapping keeps the lock");
	map_at(at, 0, 4);
	OK(!is_locked(), "a mapping that replaces it releases the lock");
	munmap(at, 4 * PAGE);
}

static void check_unlinked(void)
{
	struct stat st;
	unsigned char *at;
	size_t length;

	at = pmem_map_file("unlinked", 2 * PAGE, PMEM_FILE_CREATE | PMEM_FILE_EXCL, 0600, &length, NULL);
	if (!at)
		die("pmem_map_file");
	memset(at, 'u', length);
	pmem_persist(at, length);
	OK(unlink("unlinked") == 0 && stat("unlinked", &st) != 0, "a file is unlinked while it is mapped");
	OK(at[0] == 'u' && at[length - 1] == 'u', "the mapping still has the bytes of the unlinked file");
	at[0] = 'v';
	pmem_persist(at, 1);
	OK(at[0] == 'v', "the mapping of the unlinked file can be stored to and persisted");
	OK(pmem_unmap(at, length) == 0, "the mapping of the unlinked file is unmapped");
	at = pmem_map_file(".", PAGE, PMEM_FILE_CREATE | PMEM_FILE_TMPFILE, 0600, &length, NULL);
	OK(at != NULL, "pmem_map_file() maps a file without a name");
	if (!at)
		return;
	at[0] = 't';
	pmem_persist(at, 1);
	OK(at[0] == 't' && pmem_unmap(at, length) == 0, "it can be stored to, persisted and unmapped");
}

/* tar(1) and others do not look for data in a file without blocks. */
static void check_blocks(void)
{
	int fd = open("sparse", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	unsigned char *at;
	struct stat st;

	if (fd < 0 || ftruncate(fd, 8 * PAGE) < 0)
		die("sparse");
	at = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	OK(fstat(fd, &st) == 0 && st.st_blocks == 0, "a sparse file that is mapped has no blocks");
	at[5 * PAGE] = 'x';
	OK(fstat(fd, &st) == 0 && st.st_blocks > 0, "a sparse file that was stored to has blocks");
	munmap(at, 8 * PAGE);
	close(fd);
	unlink("sparse");
}

static long mtime_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? st.st_mtim.tv_sec : -1;
}

/* The mount hears of what is drained a moment later. */
static bool mtime_moves(int fd)
{
	for (int i = 0; i < 600 && mtime_of(fd) == 7; i++)
		usleep(50000);
	return mtime_of(fd) > 7;
}

static void check_mtime(void)
{
	const struct timespec past[2] = { { .tv_sec = 7 }, { .tv_sec = 7 } };
	int fd = open(pool, O_RDWR | O_CLOEXEC);
	unsigned char *at = map_at(NULL, 60, 1);

	OK(futimens(fd, past) == 0 && msync(at, PAGE, MS_SYNC) == 0 && mtime_of(fd) == 7,
	   "negative control: msync() without a store keeps the mtime");
	put(at, 'a');
	OK(mtime_moves(fd), "what is persisted moves the mtime");
	put(at, 'b');
	OK(futimens(fd, past) == 0 && (pmem_deep_drain(at, 1), usleep(400000), mtime_of(fd) == 7),
	   "an mtime that is set after pmem_persist() is kept");
	at[1] = 'c';
	OK(futimens(fd, past) == 0 && msync(at, PAGE, MS_SYNC) == 0 && mtime_of(fd) == 7,
	   "msync() of a store keeps an mtime that was set after the store");
	at[1] = 'd';
	OK(msync(at, PAGE, MS_SYNC) == 0 && mtime_of(fd) > 7,
	   "msync() of a store moves an mtime that was set before the store");
	futimens(fd, past);
	at[1] = 'e';
	OK(fsync(fd) == 0 && mtime_of(fd) > 7,
	   "fsync() of a mapped pool moves an mtime that was set before the store");
	munmap(at, PAGE);
	close(fd);
}

static int rules(void)
{
	check_mtime();
	check_blocks();
	check_protection();
	check_sync();
	check_advice();
	check_fork();
	check_lock();
	check_unlinked();
	return tap_done();
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	pool = argv[2];
	if (strcmp(argv[1], "move") == 0)
		return move();
	if (strcmp(argv[1], "moved") == 0)
		return moved();
	if (strcmp(argv[1], "rules") == 0)
		return rules();
	return 2;
}
