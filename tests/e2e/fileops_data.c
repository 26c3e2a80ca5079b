/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fileops.h"

#define PAGE 4096

static int fresh(const char *name)
{
	return open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
}

static bool zeros(const unsigned char *bytes, size_t length)
{
	while (length && !*bytes) {
		bytes++;
		length--;
	}
	return !length;
}

static bool zeros_at(int fd, off_t offset, size_t length)
{
	unsigned char bytes[8192];

	return pread(fd, bytes, length, offset) == (ssize_t)length && zeros(bytes, length);
}

static off_t size_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? -1 : st.st_size;
}

static void check_copies(void)
{
	char bytes[16] = "";
	int from = open("data", O_RDONLY | O_CLOEXEC), to = fresh("copy");

	OK(copy_file_range(from, NULL, to, NULL, 5, 0) == 5 && pread(to, bytes, 16, 0) == 5 &&
		   !memcmp(bytes, "hello", 5),
	   "copy_file_range");
	close(from);
	close(to);
}

void check_data(void)
{
	static unsigned char big[1 << 20] __attribute__((aligned(PAGE)));
	static unsigned char back[1 << 20] __attribute__((aligned(PAGE)));
	struct iovec parts[2] = { { "he", 2 }, { "llo", 3 } };
	char bytes[16];
	size_t i;
	int fd = fresh("data"), append, direct;

	OK(writev(fd, parts, 2) == 5 && pread(fd, bytes, 16, 0) == 5 && !memcmp(bytes, "hello", 5),
	   "writev, pread");
	OK(pread(fd, bytes, 16, 5) == 0 && pread(fd, bytes, 16, 1000) == 0, "nothing at the end and past it");
	append = open("data", O_WRONLY | O_APPEND | O_CLOEXEC);
	OK(write(append, "!", 1) == 1 && size_of(fd) == 6, "O_APPEND");
	close(append);
	check_copies();
	for (i = 0; i < sizeof(big); i++)
		big[i] = (unsigned char)(i * 2654435761u >> 13);
	OK(pwrite(fd, big, sizeof(big), 3) == sizeof(big) &&
		   pread(fd, back, sizeof(back), 3) == sizeof(back) && !memcmp(big, back, sizeof(big)),
	   "1 MiB, unaligned");
	direct = open("data", O_RDWR | O_DIRECT | O_CLOEXEC);
	OK(pwrite(direct, big, 65536, PAGE) == 65536 && pread(fd, back, 65536, PAGE) == 65536 &&
		   !memcmp(big, back, 65536),
	   "O_DIRECT write, cached read");
	OK(pwrite(fd, back + 100, PAGE, PAGE) == PAGE && pread(direct, big, PAGE, PAGE) == PAGE &&
		   !memcmp(big, back + 100, PAGE),
	   "cached write, O_DIRECT read");
	OK(pread(direct, back, sizeof(back), 3 + sizeof(big) - 10) == 10, "O_DIRECT read across the end");
	close(direct);
	direct = open("data", O_WRONLY | O_SYNC | O_CLOEXEC);
	OK(pwrite(direct, "sync", 4, 0) == 4, "O_SYNC");
	close(direct);
	OK(fdatasync(fd) == 0 && fsync(fd) == 0 && close(fd) == 0, "fdatasync, fsync, close");
	fd = open("data", O_RDONLY | O_CLOEXEC);
	FAILS(write(fd, "x", 1), EBADF, "write to what was opened for reading");
	FAILS(ftruncate(fd, 0), EINVAL, "truncate it");
	close(fd);
	FAILS(open(".", O_RDWR), EISDIR, "open a directory for writing");
	OK(!close(open("data", O_WRONLY | O_TRUNC | O_CLOEXEC)) && holds("data", ""), "O_TRUNC");
}

void check_sizes(void)
{
	const off_t most = (off_t)1 << 43;
	char byte = 1;
	int fd = fresh("size");

	OK(size_of(fd) == 0 && !ftruncate(fd, 1) && size_of(fd) == 1 && zeros_at(fd, 0, 1), "sizes 0 and 1");
	FAILS(ftruncate(fd, -1), EINVAL, "a negative size");
	FAILS(ftruncate(fd, INT64_MAX), EFBIG, "size 2^63-1");
	OK(size_of(fd) == 1, "and nothing happened");
	OK(!ftruncate(fd, most) && size_of(fd) == most && zeros_at(fd, most - PAGE, PAGE), "8 TiB of hole");
	OK(pwrite(fd, "end", 3, most) == 3 && size_of(fd) == most + 3, "and bytes behind it");
	FAILS(pwrite(fd, "x", 1, INT64_MAX - 1), EFBIG, "a write at 2^63-2");
	FAILS(pwrite(fd, "x", 1, (off_t)1 << 45), EFBIG, "a write at 32 TiB");
	OK(lseek(fd, 0, SEEK_DATA) >= most - PAGE && lseek(fd, 0, SEEK_DATA) <= most,
	   "SEEK_DATA crosses the hole");
	OK(lseek(fd, most, SEEK_HOLE) == most + 3, "SEEK_HOLE finds the end");
	FAILS(lseek(fd, most + 3, SEEK_DATA), ENXIO, "SEEK_DATA at the end");
	OK(!ftruncate(fd, 2) && !ftruncate(fd, PAGE) && zeros_at(fd, 0, PAGE), "cut and grown again: zeros");
	OK(pwrite(fd, "abc", 3, 0) == 3 && !ftruncate(fd, 1) && !ftruncate(fd, 3) &&
		   pread(fd, &byte, 1, 0) == 1 && byte == 'a' && zeros_at(fd, 1, 2),
	   "to the byte");
	close(fd);
}

static blkcnt_t blocks_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? -1 : st.st_blocks;
}

void check_allocation(void)
{
	static unsigned char full[8 * PAGE];
	int fd = fresh("alloc");

	memset(full, 'f', sizeof(full));
	OK(!fallocate(fd, 0, 0, 8 * PAGE) && size_of(fd) == 8 * PAGE && blocks_of(fd) >= 64, "fallocate");
	OK(zeros_at(fd, 0, 2 * PAGE), "reads as zeros");
	OK(!fallocate(fd, FALLOC_FL_KEEP_SIZE, 8 * PAGE, PAGE) && size_of(fd) == 8 * PAGE,
	   "and keeps the size");
	OK(pwrite(fd, full, sizeof(full), 0) == sizeof(full) && !fsync(fd), "filled");
	OK(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, 2 * PAGE) &&
		   zeros_at(fd, PAGE, 2 * PAGE) && blocks_of(fd) <= 56,
	   "punch hole gives space back");
	OK(lseek(fd, 0, SEEK_HOLE) == PAGE && lseek(fd, PAGE, SEEK_DATA) == 3 * PAGE,
	   "which SEEK_HOLE finds");
	OK(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4 * PAGE + 10, 20) &&
		   zeros_at(fd, 4 * PAGE + 10, 20) && !zeros_at(fd, 4 * PAGE + 9, 1) &&
		   !zeros_at(fd, 4 * PAGE + 30, 1),
	   "to the byte");
	OK(!fallocate(fd, FALLOC_FL_ZERO_RANGE, 7 * PAGE, 2 * PAGE) && size_of(fd) == 9 * PAGE &&
		   zeros_at(fd, 7 * PAGE, 2 * PAGE),
	   "zero range grows");
	OK(!fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 8 * PAGE, 4 * PAGE) &&
		   size_of(fd) == 9 * PAGE,
	   "unless told to keep the size");
	FAILS(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, PAGE), EOPNOTSUPP, "collapse range");
	FAILS(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, PAGE), EOPNOTSUPP, "punch hole that changes the size");
	FAILS(fallocate(fd, 0, 0, 0), EINVAL, "no length");
	FAILS(fallocate(fd, 0, -1, PAGE), EINVAL, "a negative offset");
	close(fd);
}

static sigjmp_buf fault;

static void on_bus_error(int number)
{
	siglongjmp(fault, 1);
}

static bool load_faults(const volatile unsigned char *byte)
{
	struct sigaction action = { .sa_handler = on_bus_error }, before;
	volatile bool faulted = true;

	sigaction(SIGBUS, &action, &before);
	if (!sigsetjmp(fault, 1)) {
		(void)*byte;
		faulted = false;
	}
	sigaction(SIGBUS, &before, NULL);
	return faulted;
}

void check_mappings(void)
{
	int fd = fresh("map"), other = open("map", O_RDWR | O_CLOEXEC);
	unsigned char *shared, *again, *private;
	char bytes[8];

	OK(!ftruncate(fd, 3 * PAGE), "three pages");
	shared = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	again = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, other, 0);
	private = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	OK(shared != MAP_FAILED && again != MAP_FAILED && private != MAP_FAILED, "mapped");
	memcpy(shared + PAGE, "store", 5);
	OK(!memcmp(again + PAGE, "store", 5), "a store is seen in another mapping");
	OK(pread(other, bytes, 5, PAGE) == 5 && !memcmp(bytes, "store", 5), "and by read(2)");
	OK(!msync(shared + PAGE, PAGE, MS_SYNC) && !msync(shared, 3 * PAGE, MS_ASYNC), "msync");
	OK(pwrite(fd, "write", 5, PAGE) == 5 && !memcmp(shared + PAGE, "write", 5),
	   "write(2) is seen in mappings");
	memcpy(private, "mine", 4);
	OK(zeros(shared, 4) && zeros_at(fd, 0, 4), "a private store is nobody else's");
	OK(load_faults(shared + 3 * PAGE), "past the end: SIGBUS");
	OK(!load_faults(shared + 2 * PAGE), "and not before");
	OK(!ftruncate(fd, PAGE) && load_faults(shared + 2 * PAGE), "truncate takes pages away");
	memcpy(shared, "last", 4);
	munmap(shared, 4 * PAGE);
	munmap(again, 4 * PAGE);
	munmap(private, 4 * PAGE);
	close(fd);
	close(other);
	OK(holds("map", "") == false && (fd = open("map", O_RDONLY | O_DIRECT | O_CLOEXEC)) >= 0 &&
		   pread(fd, bytes, 4, 0) == 4 && !memcmp(bytes, "last", 4),
	   "munmap and close write back");
	close(fd);
}

static int lock_elsewhere(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 5, .l_len = 1 };
	int fd = open("lock", O_RDWR | O_CLOEXEC);

	return fd < 0 || fcntl(fd, F_SETLK, &lock) == 0 || (errno != EAGAIN && errno != EACCES);
}

static int in_child(int (*what)(void))
{
	int status;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0)
		_exit(what());
	return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

void check_locks(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10 };
	int fd = fresh("lock"), other = open("lock", O_RDWR | O_CLOEXEC);

	OK(!flock(fd, LOCK_EX), "flock");
	FAILS(flock(other, LOCK_SH | LOCK_NB), EWOULDBLOCK, "is exclusive");
	OK(!flock(fd, LOCK_UN) && !flock(other, LOCK_SH | LOCK_NB), "until given up");
	OK(!fcntl(fd, F_SETLK, &lock) && !in_child(lock_elsewhere),
	   "POSIX locks hold against other processes");
	OK(!fcntl(other, F_SETLK, &lock), "and not within one");
	lock.l_type = F_UNLCK;
	OK(!fcntl(fd, F_SETLK, &lock) && in_child(lock_elsewhere), "until given up");
	lock.l_type = F_WRLCK;
	OK(!fcntl(fd, F_OFD_SETLK, &lock), "open file description locks");
	FAILS(fcntl(other, F_OFD_SETLK, &lock), EAGAIN, "hold within a process too");
	close(fd);
	close(other);
}

static fsblkcnt_t free_blocks(void)
{
	struct statvfs st;

	return statvfs(".", &st) ? 0 : st.f_bfree;
}

/* A store into a hole of a full region: it is lost, and whoever looks must see that it is. */
static void check_store_without_space(int hole)
{
	volatile unsigned char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, hole, 0);
	int patience = 2000;

	*page = 's';
	OK(msync((void *)page, PAGE, MS_SYNC) < 0 && (errno == EIO || errno == ENOSPC),
	   "a store that finds no room is an error of msync");
	while (*page && patience--)
		usleep(5000);
	OK(*page == 0 && zeros_at(hole, 0, PAGE), "and is not seen for long");
	munmap((void *)page, PAGE);
	OK(fsync(hole) == 0 || errno == EIO || errno == ENOSPC, "fsync may tell of it once more");
	OK(!fsync(hole), "and then all is well");
}

void check_space(void)
{
	static unsigned char chunk[1 << 20];
	int hole = fresh("hole");
	fsblkcnt_t before = free_blocks(), full;
	struct statvfs st;
	ssize_t got;
	int fd = fresh("space");

	OK(!ftruncate(hole, PAGE), "a file that is a hole");
	OK(!statvfs(".", &st) && st.f_namemax == 255 && st.f_bfree <= st.f_blocks && st.f_bfree > 0,
	   "statvfs");
	FAILS(fallocate(fd, 0, 0, (off_t)(st.f_blocks + 1) * PAGE), ENOSPC, "more than there is");
	OK(size_of(fd) == 0 && blocks_of(fd) == 0 && free_blocks() == before, "and nothing half made");
	memset(chunk, 's', sizeof(chunk));
	while ((got = write(fd, chunk, sizeof(chunk))) > 0)
		;
	while (got < 0 && errno == ENOSPC && write(fd, chunk, PAGE) == PAGE)
		errno = ENOSPC;
	OK(got < 0 && errno == ENOSPC, "written until it is full: ENOSPC");
	full = free_blocks();
	OK(full < 1024, "then nothing much is free");
	OK(!fsync(fd), "what was written can be synced");
	OK(pread(fd, chunk, 16, size_of(fd) - 16) == 16 && chunk[0] == 's' && chunk[15] == 's', "and read");
	FAILS(pwrite(fd, chunk, sizeof(chunk), (off_t)1 << 40), ENOSPC, "and no more");
	OK(pwrite(fd, "over", 4, 0) == 4 && !fsync(fd), "but written over");
	close(fd);
	check_store_without_space(hole);
	close(hole);
	OK(!unlink("space") && free_blocks() + 64 >= before, "unlink gives it back");
}
