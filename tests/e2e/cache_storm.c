/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cache_storm FILE SECONDS: requests that the mount answers only after the kernel has written back or dropped
 * pages: SEEK_DATA, SEEK_HOLE, utimens, and asynchronous direct writes beside cached reads, all while stores
 * of a mapping are dirty. Opens the file again when a power failure has ended its generation. Prints the
 * number of rounds.
 */
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SIZE = 1 << 20, PIECE = 65536 };

static sigjmp_buf fault;
static char written[PIECE] __attribute__((aligned(4096)));
static char back[PIECE];

static void on_bus_error(int number)
{
	siglongjmp(fault, 1);
}

struct access {
	int stored, direct, cached; /* descriptors of the file */
	unsigned char *pages;
};

static bool access_begin(struct access *access, const char *path)
{
	access->stored = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	access->direct = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	access->cached = open(path, O_RDONLY | O_CLOEXEC);
	access->pages = MAP_FAILED;
	if (access->stored < 0 || access->direct < 0 || access->cached < 0 || ftruncate(access->stored, SIZE))
		return false;
	access->pages = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, access->stored, 0);
	return access->pages != MAP_FAILED;
}

static void access_end(struct access *access)
{
	if (access->pages != MAP_FAILED)
		munmap(access->pages, SIZE);
	close(access->stored);
	close(access->direct);
	close(access->cached);
}

/* False if the file is of an older generation. */
static bool write_directly(aio_context_t context, int fd, int64_t offset)
{
	struct iocb block = { .aio_lio_opcode = IOCB_CMD_PWRITE,
			      .aio_fildes = (uint32_t)fd,
			      .aio_buf = (uintptr_t)written,
			      .aio_nbytes = PIECE,
			      .aio_offset = offset };
	struct iocb *blocks[1] = { &block };
	struct io_event event;

	return syscall(SYS_io_submit, context, 1, blocks) == 1 &&
	       syscall(SYS_io_getevents, context, 1, 1, &event, NULL) == 1 && event.res == PIECE;
}

static bool round_of(const struct access *access, aio_context_t context, unsigned number)
{
	static const struct timespec past[2] = { { .tv_sec = 7 }, { .tv_sec = 7 } };
	const off_t offset = number % (SIZE / PIECE) * PIECE;

	access->pages[number * 4097 % SIZE] = (unsigned char)number;
	return write_directly(context, access->direct, offset) &&
	       pread(access->cached, back, PIECE, offset) == PIECE &&
	       lseek(access->cached, 0, SEEK_DATA) >= 0 && lseek(access->cached, 0, SEEK_HOLE) >= 0 &&
	       !futimens(access->stored, past) &&
	       !fallocate(access->stored, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, PIECE);
}

int main(int argc, char **argv)
{
	const struct sigaction action = { .sa_handler = on_bus_error, .sa_flags = SA_NODEFER };
	const time_t end = argc == 3 ? time(NULL) + atoi(argv[2]) : 0;
	static struct access access;
	static aio_context_t context;
	static unsigned rounds;

	if (!end || syscall(SYS_io_setup, 8, &context) || sigaction(SIGBUS, &action, NULL)) {
		fprintf(stderr, "usage: cache_storm FILE SECONDS\n");
		return 2;
	}
	while (time(NULL) < end) {
		if (access_begin(&access, argv[1]) && !sigsetjmp(fault, 1))
			while (time(NULL) < end && round_of(&access, context, rounds))
				rounds++;
		access_end(&access);
	}
	printf("%u\n", rounds);
	return 0;
}
