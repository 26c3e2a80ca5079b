/* SPDX-License-Identifier: BSD-3-Clause */

/* What a mapping or a direct write changed, as other ways of access see it. */

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fileops.h"

#define PAGE 4096

/* ---- Stores that are in the kernel's cache alone ------------------------------- */

static void check_stores_are_data(const char *name, bool reserve, const char *kind)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), reader;
	char what[120];
	char *pages;
	off_t first;

	OK(fd >= 0 && !ftruncate(fd, 64 * PAGE) && (!reserve || !posix_fallocate(fd, 0, 64 * PAGE)),
	   "a file of 64 pages is created");
	pages = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	reader = open(name, O_RDONLY | O_CLOEXEC);
	memset(pages + 9 * PAGE, 'x', 2 * PAGE);
	snprintf(what, sizeof(what), "SEEK_DATA finds a store of a mapping in a %s before msync(2)", kind);
	first = lseek(reader, 0, SEEK_DATA);
	OK(first >= 0 && first <= 9 * PAGE && lseek(reader, 9 * PAGE, SEEK_DATA) == 9 * PAGE, what);
	pages[20 * PAGE] = 'y';
	snprintf(what, sizeof(what), "SEEK_HOLE ends behind a store of a mapping in a %s before msync(2)",
		 kind);
	OK(lseek(reader, 9 * PAGE, SEEK_HOLE) >= 11 * PAGE &&
		   lseek(reader, 20 * PAGE, SEEK_HOLE) >= 21 * PAGE,
	   what);
	pages[63 * PAGE] = 'z';
	snprintf(what, sizeof(what), "SEEK_DATA finds a store in the last page of a %s", kind);
	first = lseek(reader, 21 * PAGE, SEEK_DATA);
	OK(first >= 21 * PAGE && first <= 63 * PAGE, what);
	if (!reserve)
		OK(lseek(reader, 12 * PAGE, SEEK_DATA) == 20 * PAGE && lseek(reader, 0, SEEK_HOLE) == 0 &&
			   lseek(reader, 21 * PAGE, SEEK_HOLE) == 21 * PAGE,
		   "pages that were not stored to remain holes");
	OK(pages[9 * PAGE] == 'x' && pages[20 * PAGE] == 'y' && pages[63 * PAGE] == 'z',
	   "the mapping has its stores after the seeks");
	munmap(pages, 64 * PAGE);
	close(reader);
}

/* tar(1) and others do not look for data in a file without blocks. */
static void check_stores_take_blocks(void)
{
	int fd = open("blocks", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	struct stat st;
	struct statx stx;
	char *pages;

	OK(!ftruncate(fd, 64 * PAGE) && !fstat(fd, &st) && st.st_blocks == 0,
	   "a new sparse file has no blocks");
	pages = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	OK(!fstat(fd, &st) && st.st_blocks == 0, "a mapping takes no blocks");
	pages[40 * PAGE] = 'x';
	OK(!statx(fd, "", AT_EMPTY_PATH, STATX_BLOCKS | STATX_BTIME, &stx) && stx.stx_blocks > 0,
	   "statx(2) shows blocks of a file with nothing but a store of a mapping");
	OK(!stat("blocks", &st) && st.st_blocks > 0,
	   "stat(2) shows blocks of a file with nothing but a store of a mapping");
	OK(pages[40 * PAGE] == 'x', "the mapping has its store after that");
	munmap(pages, 64 * PAGE);
	close(fd);
}

static void check_mtime_of_stores(void)
{
	const struct timespec past[2] = { { .tv_sec = 7 }, { .tv_sec = 7 } };
	int fd = open("times", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	struct stat st;
	char *page;

	OK(!ftruncate(fd, PAGE), "a file of one page is created");
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	page[0] = 'a';
	OK(!futimens(fd, past) && !msync(page, PAGE, MS_SYNC) && !fstat(fd, &st) && st.st_mtim.tv_sec == 7,
	   "msync(2) of a store keeps an mtime that was set after the store");
	page[0] = 'b';
	OK(!msync(page, PAGE, MS_SYNC) && !fstat(fd, &st) && st.st_mtim.tv_sec > 7,
	   "msync(2) of a store moves an mtime that was set before the store");
	munmap(page, PAGE);
	close(fd);
}

/* ---- Asynchronous direct writes beside cached reads ----------------------------- */

enum { SHARED_BYTES = 640 * 1024, ROUNDS = 150 };

static atomic_bool readers_stop;

static void *read_cached(void *unused)
{
	char *bytes = malloc(SHARED_BYTES);
	int fd = open("aio", O_RDONLY | O_CLOEXEC);

	while (bytes && !atomic_load(&readers_stop) && pread(fd, bytes, SHARED_BYTES, 0) == SHARED_BYTES)
		;
	close(fd);
	free(bytes);
	return NULL;
}

/* Write all bytes of the file asynchronously, as one request, and wait for its end. */
static bool write_asynchronously(aio_context_t context, int fd, const void *bytes)
{
	struct iocb block = { .aio_lio_opcode = IOCB_CMD_PWRITE,
			      .aio_fildes = (uint32_t)fd,
			      .aio_buf = (uintptr_t)bytes,
			      .aio_nbytes = SHARED_BYTES };
	struct iocb *blocks[1] = { &block };
	struct io_event event;

	return syscall(SYS_io_submit, context, 1, blocks) == 1 &&
	       syscall(SYS_io_getevents, context, 1, 1, &event, NULL) == 1 && event.res == SHARED_BYTES;
}

static void check_asynchronous_writes(void)
{
	int direct = open("aio", O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0644);
	int cached = open("aio", O_RDONLY | O_CLOEXEC), again;
	char *written = aligned_alloc(PAGE, SHARED_BYTES), *back = malloc(SHARED_BYTES);
	unsigned stale = 0, round = 0;
	aio_context_t context = 0;
	pthread_t readers[2];

	memset(written, 0, SHARED_BYTES);
	OK(pwrite(direct, written, SHARED_BYTES, 0) == SHARED_BYTES && !syscall(SYS_io_setup, 1, &context),
	   "a file is written directly");
	for (int i = 0; i < 2; i++)
		pthread_create(&readers[i], NULL, read_cached, NULL);
	while (round < ROUNDS) {
		memset(written, (int)(++round & 255), SHARED_BYTES);
		if (!write_asynchronously(context, direct, written))
			break;
		stale += pread(cached, back, SHARED_BYTES, 0) != SHARED_BYTES ||
			 memcmp(back, written, SHARED_BYTES);
	}
	atomic_store(&readers_stop, true);
	for (int i = 0; i < 2; i++)
		pthread_join(readers[i], NULL);
	OK(round == ROUNDS, "asynchronous O_DIRECT writes succeed while others read the file");
	OK(stale == 0, "a cached read sees an asynchronous O_DIRECT write that has ended");
	again = open("aio", O_RDONLY | O_CLOEXEC);
	OK(pread(again, back, SHARED_BYTES, 0) == SHARED_BYTES && !memcmp(back, written, SHARED_BYTES),
	   "a later open(2) reads what the last asynchronous O_DIRECT write wrote");
	syscall(SYS_io_destroy, context);
	free(written);
	free(back);
	close(again);
	close(cached);
	close(direct);
}

void check_cache(void)
{
	check_stores_are_data("sparse", false, "sparse file");
	check_stores_are_data("reserved", true, "file with reserved blocks");
	check_stores_take_blocks();
	check_mtime_of_stores();
	check_asynchronous_writes();
}
