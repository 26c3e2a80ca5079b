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
	   "copy_file_range(2) copies bytes");
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
	   "pread(2) returns what writev(2) wrote");
	OK(pread(fd, bytes, 16, 5) == 0 && pread(fd, bytes, 16, 1000) == 0,
	   "pread(2) at the end and past it returns 0");
	append = open("data", O_WRONLY | O_APPEND | O_CLOEXEC);
	OK(write(append, "!", 1) == 1 && size_of(fd) == 6, "a write with O_APPEND goes to the end");
	close(append);
	check_copies();
	for (i = 0; i < sizeof(big); i++)
		big[i] = (unsigned char)(i * 2654435761u >> 13);
	OK(pwrite(fd, big, sizeof(big), 3) == sizeof(big) &&
		   pread(fd, back, sizeof(back), 3) == sizeof(back) && !memcmp(big, back, sizeof(big)),
	   "1 MiB at an unaligned offset is read back");
	direct = open("data", O_RDWR | O_DIRECT | O_CLOEXEC);
	OK(pwrite(direct, big, 65536, PAGE) == 65536 && pread(fd, back, 65536, PAGE) == 65536 &&
		   !memcmp(big, back, 65536),
	   "a cached read returns what an O_DIRECT write wrote");
	OK(pwrite(fd, back + 100, PAGE, PAGE) == PAGE && pread(direct, big, PAGE, PAGE) == PAGE &&
		   !memcmp(big, back + 100, PAGE),
	   "an O_DIRECT read returns what a cached write wrote");
	OK(pread(direct, back, sizeof(back), 3 + sizeof(big) - 10) == 10,
	   "an O_DIRECT read across the end is short");
	close(direct);
	direct = open("data", O_WRONLY | O_SYNC | O_CLOEXEC);
	OK(pwrite(direct, "sync", 4, 0) == 4, "a write with O_SYNC succeeds");
	close(direct);
	OK(fdatasync(fd) == 0 && fsync(fd) == 0 && close(fd) == 0,
	   "fdatasync(2), fsync(2) and close(2) succeed");
	fd = open("data", O_RDONLY | O_CLOEXEC);
	FAILS(write(fd, "x", 1), EBADF, "write(2) through a read-only descriptor is EBADF");
	FAILS(ftruncate(fd, 0), EINVAL, "ftruncate(2) through a read-only descriptor is EINVAL");
	close(fd);
	FAILS(open(".", O_RDWR), EISDIR, "opening a directory for writing is EISDIR");
	OK(!close(open("data", O_WRONLY | O_TRUNC | O_CLOEXEC)) && holds("data", ""),
	   "O_TRUNC empties a file");
}

void check_sizes(void)
{
	const off_t most = (off_t)1 << 43;
	char byte = 1;
	int fd = fresh("size");

	OK(size_of(fd) == 0 && !ftruncate(fd, 1) && size_of(fd) == 1 && zeros_at(fd, 0, 1),
	   "a new file has size 0, and grown to 1 its byte is zero");
	FAILS(ftruncate(fd, -1), EINVAL, "ftruncate(2) to a negative size is EINVAL");
	FAILS(ftruncate(fd, INT64_MAX), EFBIG, "ftruncate(2) to 2^63-1 is EFBIG");
	OK(size_of(fd) == 1, "a failed ftruncate(2) leaves the size");
	OK(!ftruncate(fd, most) && size_of(fd) == most && zeros_at(fd, most - PAGE, PAGE),
	   "a file can be a hole of 8 TiB that reads as zeros");
	OK(pwrite(fd, "end", 3, most) == 3 && size_of(fd) == most + 3,
	   "bytes can be written behind a hole of 8 TiB");
	FAILS(pwrite(fd, "x", 1, INT64_MAX - 1), EFBIG, "a write at 2^63-2 is EFBIG");
	FAILS(pwrite(fd, "x", 1, (off_t)1 << 45), EFBIG, "a write at 32 TiB is EFBIG");
	OK(lseek(fd, 0, SEEK_DATA) >= most - PAGE && lseek(fd, 0, SEEK_DATA) <= most,
	   "SEEK_DATA finds the data behind the hole");
	OK(lseek(fd, most, SEEK_HOLE) == most + 3, "SEEK_HOLE behind the last data finds the end");
	FAILS(lseek(fd, most + 3, SEEK_DATA), ENXIO, "SEEK_DATA at the end is ENXIO");
	OK(!ftruncate(fd, 2) && !ftruncate(fd, PAGE) && zeros_at(fd, 0, PAGE),
	   "a file that is cut and grown again reads as zeros");
	OK(pwrite(fd, "abc", 3, 0) == 3 && !ftruncate(fd, 1) && !ftruncate(fd, 3) &&
		   pread(fd, &byte, 1, 0) == 1 && byte == 'a' && zeros_at(fd, 1, 2),
	   "a file that is cut within a page and grown again has zeros from the byte of the cut on");
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
	OK(!fallocate(fd, 0, 0, 8 * PAGE) && size_of(fd) == 8 * PAGE && blocks_of(fd) >= 64,
	   "fallocate(2) sets the size and takes blocks");
	OK(zeros_at(fd, 0, 2 * PAGE), "allocated bytes read as zeros");
	OK(!fallocate(fd, FALLOC_FL_KEEP_SIZE, 8 * PAGE, PAGE) && size_of(fd) == 8 * PAGE,
	   "fallocate(2) with KEEP_SIZE keeps the size");
	OK(pwrite(fd, full, sizeof(full), 0) == sizeof(full) && !fsync(fd),
	   "allocated blocks can be written and synced");
	OK(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, 2 * PAGE) &&
		   zeros_at(fd, PAGE, 2 * PAGE) && blocks_of(fd) <= 56,
	   "PUNCH_HOLE makes zeros and gives the blocks back");
	OK(lseek(fd, 0, SEEK_HOLE) == PAGE && lseek(fd, PAGE, SEEK_DATA) == 3 * PAGE,
	   "SEEK_HOLE and SEEK_DATA find a punched hole");
	OK(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4 * PAGE + 10, 20) &&
		   zeros_at(fd, 4 * PAGE + 10, 20) && !zeros_at(fd, 4 * PAGE + 9, 1) &&
		   !zeros_at(fd, 4 * PAGE + 30, 1),
	   "PUNCH_HOLE within a page makes zeros to the byte");
	OK(!fallocate(fd, FALLOC_FL_ZERO_RANGE, 7 * PAGE, 2 * PAGE) && size_of(fd) == 9 * PAGE &&
		   zeros_at(fd, 7 * PAGE, 2 * PAGE),
	   "ZERO_RANGE makes zeros and grows the file");
	OK(!fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 8 * PAGE, 4 * PAGE) &&
		   size_of(fd) == 9 * PAGE,
	   "ZERO_RANGE with KEEP_SIZE keeps the size");
	FAILS(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, PAGE), EOPNOTSUPP, "COLLAPSE_RANGE is EOPNOTSUPP");
	FAILS(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, PAGE), EOPNOTSUPP,
	      "PUNCH_HOLE without KEEP_SIZE is EOPNOTSUPP");
	FAILS(fallocate(fd, 0, 0, 0), EINVAL, "fallocate(2) of length 0 is EINVAL");
	FAILS(fallocate(fd, 0, -1, PAGE), EINVAL, "fallocate(2) at a negative offset is EINVAL");
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

	OK(!ftruncate(fd, 3 * PAGE), "ftruncate(2) makes a file of three pages");
	shared = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	again = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, other, 0);
	private = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	OK(shared != MAP_FAILED && again != MAP_FAILED && private != MAP_FAILED,
	   "a file is mapped twice shared and once private");
	memcpy(shared + PAGE, "store", 5);
	OK(!memcmp(again + PAGE, "store", 5), "a store is seen in another mapping");
	OK(pread(other, bytes, 5, PAGE) == 5 && !memcmp(bytes, "store", 5), "a store is seen by read(2)");
	OK(!msync(shared + PAGE, PAGE, MS_SYNC) && !msync(shared, 3 * PAGE, MS_ASYNC),
	   "msync(2) succeeds with MS_SYNC and MS_ASYNC");
	OK(pwrite(fd, "write", 5, PAGE) == 5 && !memcmp(shared + PAGE, "write", 5),
	   "a write(2) is seen in mappings");
	memcpy(private, "mine", 4);
	OK(zeros(shared, 4) && zeros_at(fd, 0, 4), "a store to a private mapping is seen nowhere else");
	OK(load_faults(shared + 3 * PAGE), "a load from a page past the end is SIGBUS");
	OK(!load_faults(shared + 2 * PAGE), "a load from the last page succeeds");
	OK(!ftruncate(fd, PAGE) && load_faults(shared + 2 * PAGE),
	   "a load from a page that ftruncate(2) cut off is SIGBUS");
	memcpy(shared, "last", 4);
	munmap(shared, 4 * PAGE);
	munmap(again, 4 * PAGE);
	munmap(private, 4 * PAGE);
	close(fd);
	close(other);
	OK(holds("map", "") == false && (fd = open("map", O_RDONLY | O_DIRECT | O_CLOEXEC)) >= 0 &&
		   pread(fd, bytes, 4, 0) == 4 && !memcmp(bytes, "last", 4),
	   "a store is in the file after munmap(2) and close(2)");
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

	OK(!flock(fd, LOCK_EX), "flock(2) locks a file");
	FAILS(flock(other, LOCK_SH | LOCK_NB), EWOULDBLOCK, "an exclusive flock(2) keeps others out");
	OK(!flock(fd, LOCK_UN) && !flock(other, LOCK_SH | LOCK_NB),
	   "a lock given up by flock(2) is free for others");
	OK(!fcntl(fd, F_SETLK, &lock) && !in_child(lock_elsewhere),
	   "a POSIX lock keeps other processes out");
	OK(!fcntl(other, F_SETLK, &lock), "a POSIX lock does not keep its own process out");
	lock.l_type = F_UNLCK;
	OK(!fcntl(fd, F_SETLK, &lock) && in_child(lock_elsewhere),
	   "a POSIX lock given up is free for other processes");
	lock.l_type = F_WRLCK;
	OK(!fcntl(fd, F_OFD_SETLK, &lock), "an open file description lock is granted");
	FAILS(fcntl(other, F_OFD_SETLK, &lock), EAGAIN,
	      "an open file description lock keeps another description of the process out");
	close(fd);
	close(other);
}

static fsblkcnt_t free_blocks(void)
{
	struct statvfs st;

	return statvfs(".", &st) ? 0 : st.f_bfree;
}

/*
 * A store into a hole of a full region is lost: msync(2) reports it, and the page must not show it
 * afterwards.
 */
static void check_store_without_space(int hole)
{
	volatile unsigned char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, hole, 0);
	int patience = 2000;

	*page = 's';
	OK(msync((void *)page, PAGE, MS_SYNC) < 0 && (errno == EIO || errno == ENOSPC),
	   "msync(2) of a store that finds no space is EIO or ENOSPC");
	while (*page && patience--)
		usleep(5000);
	OK(*page == 0 && zeros_at(hole, 0, PAGE), "a store that found no space disappears");
	munmap((void *)page, PAGE);
	OK(fsync(hole) == 0 || errno == EIO || errno == ENOSPC,
	   "the next fsync(2) succeeds or reports the lost store once more");
	OK(!fsync(hole), "the fsync(2) after that succeeds");
}

/* The region is full. */
static void check_short_write(int fd)
{
	static _Alignas(PAGE) unsigned char chunk[1 << 20];
	const off_t end = size_of(fd), fits = 8 * PAGE;
	int direct = open("space", O_RDWR | O_DIRECT);

	memset(chunk, 't', sizeof(chunk));
	OK(!ftruncate(fd, end - fits) && !fsync(fd), "eight pages are free");
	FAILS(pwrite(direct, chunk, sizeof(chunk), end - fits), ENOSPC,
	      "a direct write(2) of more than fits writes nothing");
	OK(size_of(fd) == end - fits, "a direct write(2) that failed leaves the size");
	OK(pwrite(fd, chunk, sizeof(chunk), end - fits) == fits,
	   "a write(2) of more than fits writes as many bytes as fit");
	OK(size_of(fd) == end && pread(fd, chunk, PAGE, end - PAGE) == PAGE && chunk[0] == 't' &&
		   chunk[PAGE - 1] == 't',
	   "what a short write(2) wrote is read back");
	close(direct);
}

void check_space(void)
{
	static unsigned char chunk[1 << 20];
	int hole = fresh("hole");
	fsblkcnt_t before = free_blocks(), full;
	struct statvfs st;
	ssize_t got;
	int fd = fresh("space");

	OK(!ftruncate(hole, PAGE), "a file of one page without blocks is made");
	OK(!statvfs(".", &st) && st.f_namemax == 255 && st.f_bfree <= st.f_blocks && st.f_bfree > 0,
	   "statvfs(2) tells free space and the length of names");
	FAILS(fallocate(fd, 0, 0, (off_t)(st.f_blocks + 1) * PAGE), ENOSPC,
	      "fallocate(2) of more than the region is ENOSPC");
	OK(size_of(fd) == 0 && blocks_of(fd) == 0 && free_blocks() == before,
	   "a failed fallocate(2) takes no space and leaves the size");
	memset(chunk, 's', sizeof(chunk));
	while ((got = write(fd, chunk, sizeof(chunk))) > 0)
		;
	OK(got < 0 && errno == ENOSPC, "writing until the region is full ends with ENOSPC");
	full = free_blocks();
	OK(full < 1024, "a full region has less than 4 MiB free");
	OK(!fsync(fd), "fsync(2) succeeds in a full region");
	OK(pread(fd, chunk, 16, size_of(fd) - 16) == 16 && chunk[0] == 's' && chunk[15] == 's',
	   "the last bytes of a full region are read back");
	FAILS(pwrite(fd, chunk, sizeof(chunk), (off_t)1 << 40), ENOSPC, "a further write is ENOSPC");
	check_short_write(fd);
	OK(pwrite(fd, "over", 4, 0) == 4 && !fsync(fd),
	   "bytes of a full region can be overwritten and synced");
	close(fd);
	check_store_without_space(hole);
	close(hole);
	OK(!unlink("space") && free_blocks() + 64 >= before, "unlink(2) gives the space back");
}
