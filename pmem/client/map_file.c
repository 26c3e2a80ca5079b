/* SPDX-License-Identifier: BSD-3-Clause */

/* pmem_map_file(3), pmem_unmap(3) and pmem_is_pmem(3). */

#include <errno.h>
#include <fcntl.h>
#include <libpmem.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "abi/rawcall.h"
#include "client/connection.h"
#include "client/errormsg.h"
#include "client/mapping.h"
#include "client/ranges.h"
#include "client/settings.h"
#include "common/align.h"
#include "common/cleanup.h"

#define MEBI ((size_t)1 << 20)
#define GIBI ((size_t)1 << 30)
#define ALL_FILE_FLAGS (PMEM_FILE_CREATE | PMEM_FILE_EXCL | PMEM_FILE_SPARSE | PMEM_FILE_TMPFILE)

/* ---- The file ----------------------------------------------------------------- */

static bool arguments_valid(size_t length, int flags)
{
	if (flags & ~ALL_FILE_FLAGS)
		client_set_errormsg(0, "invalid flag specified %x", (unsigned)flags);
	else if ((flags & PMEM_FILE_CREATE) && (off_t)length < 0)
		client_set_errormsg(0, "invalid file length %zu", length);
	else if ((flags & PMEM_FILE_CREATE) && length == 0)
		client_set_errormsg(0, "zero 'len' not allowed with PMEM_FILE_CREATE");
	else if (!(flags & PMEM_FILE_CREATE) && length != 0)
		client_set_errormsg(0, "non-zero 'len' not allowed without PMEM_FILE_CREATE");
	else if (!(flags & PMEM_FILE_CREATE) && (flags & PMEM_FILE_TMPFILE))
		client_set_errormsg(0, "PMEM_FILE_TMPFILE not allowed without PMEM_FILE_CREATE");
	else
		return true;
	errno = EINVAL;
	return false;
}

static int open_nameless(const char *directory, int flags)
{
	int how = O_RDWR | O_CLOEXEC | O_TMPFILE | (flags & PMEM_FILE_EXCL ? O_EXCL : 0);
	char path[PATH_MAX];
	int fd = open(directory, how, 0600);

	if (fd >= 0)
		return fd;
	/* Not every file system makes files without a name. */
	if (snprintf(path, sizeof(path), "%s/pmem.XXXXXX", directory) >= (int)sizeof(path)) {
		client_set_errormsg(ENAMETOOLONG, "mkstemp");
		return -1;
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		client_set_errormsg(errno, "mkstemp");
	else
		unlink(path);
	return fd;
}

static int open_named(const char *path, int flags, mode_t mode)
{
	int how = O_RDWR | O_CLOEXEC;
	int fd;

	if (flags & PMEM_FILE_CREATE)
		how |= O_CREAT;
	if (flags & PMEM_FILE_EXCL)
		how |= O_EXCL;
	fd = open(path, how, mode);
	if (fd < 0)
		client_set_errormsg(errno, "open %s", path);
	return fd;
}

static int give_length(int fd, size_t length, int flags)
{
	int error;

	if (ftruncate(fd, (off_t)length) != 0) {
		client_set_errormsg(errno, "ftruncate");
		return -1;
	}
	if (flags & PMEM_FILE_SPARSE)
		return 0;
	error = posix_fallocate(fd, 0, (off_t)length);
	if (error)
		client_set_errormsg(error, "posix_fallocate");
	return error ? -1 : 0;
}

static int take_length(int fd, const char *path, size_t *length)
{
	struct stat stat;

	if (fstat(fd, &stat) != 0) {
		client_set_errormsg(errno, "fstat %s", path);
		return -1;
	}
	if (!S_ISREG(stat.st_mode)) {
		client_set_errormsg(0, "%s is not a regular file", path);
		errno = EINVAL;
		return -1;
	}
	*length = (size_t)stat.st_size;
	return 0;
}

/* ---- The address -------------------------------------------------------------- */

static size_t alignment(size_t length)
{
	return length >= 2 * GIBI ? GIBI : 2 * MEBI;
}

static long reserve(uintptr_t address, size_t length, int flags)
{
	return RAW6(mmap, address, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1,
		    0);
}

/* Address space at a multiple of `align`. */
static long reserve_aligned(size_t length, size_t align)
{
	long room = reserve(0, length + align, 0);
	uintptr_t start, at, end;

	if (raw_failed(room))
		return room;
	start = (uintptr_t)room;
	at = align_up(start, align);
	end = start + length + align;
	if (at > start)
		RAW2(munmap, start, at - start);
	if (end > at + length)
		RAW2(munmap, at + length, end - at - length);
	return (long)at;
}

/* PMEM_MMAP_HINT: address space there, or at the first free place above it. */
static long reserve_above(uintptr_t hint, size_t length, size_t align)
{
	long result;

	for (uintptr_t at = align_up(hint, align);; at += align) {
		result = reserve(at, length, MAP_FIXED_NOREPLACE);
		if (result != -EEXIST || at + align < at)
			return result;
	}
}

static void *map_fd(int fd, size_t length, bool *is_sync)
{
	size_t pages = align_up(length, PAGE_BYTES), align = alignment(length);
	long at = client_settings()->has_hint ? reserve_above(client_settings()->hint, pages, align) :
					 reserve_aligned(pages, align);
	long result = at;

	*is_sync = true;
	if (length && !raw_failed(at)) {
		result = client_mmap((void *)at, length, PROT_READ | PROT_WRITE,
				     MAP_SHARED_VALIDATE | MAP_SYNC | MAP_FIXED, fd, 0);
		if (result == -EOPNOTSUPP || result == -EINVAL) {
			*is_sync = false;
			result = client_mmap((void *)at, length, PROT_READ | PROT_WRITE,
					     MAP_SHARED | MAP_FIXED, fd, 0);
		}
	}
	if (!length)
		result = -EINVAL;
	if (!raw_failed(result))
		return (void *)result;
	if (!raw_failed(at))
		RAW2(munmap, at, pages);
	client_set_errormsg((int)-result, "mmap %zu bytes", length);
	return NULL;
}

/* ---- Is it persistent? ------------------------------------------------------------ */

/* The value of PMEM_IS_PMEM_FORCE at the first call; -1 if it is not set to 0 or 1. */
static int forced(void)
{
	static atomic_int known = -2;
	int value = known;
	const char *text;

	if (value != -2)
		return value;
	text = getenv("PMEM_IS_PMEM_FORCE");
	value = text ? atoi(text) : -1;
	if (value != 0 && value != 1)
		value = -1;
	known = value;
	return value;
}

PUBLIC int pmem_is_pmem(const void *addr, size_t len)
{
	uintptr_t at = (uintptr_t)addr, end = at + len;
	int value = forced();

	if (len == 0 || end < at)
		return 0;
	if (value >= 0)
		return value;
	while (at < end) {
		struct range range = ranges_find(at);

		if (!(range.flags & RANGE_REGISTERED))
			return 0;
		at = range.end;
	}
	return 1;
}

static void register_mapping(void *address, size_t length)
{
	uintptr_t start = (uintptr_t)address, end = start + align_up(length, PAGE_BYTES);
	struct range foreign = { .start = start, .end = end, .flags = RANGE_REGISTERED };
	uint64_t signals = ranges_lock();

	/* If the kernel granted MAP_SYNC for another file, that is real persistent memory. */
	if (ranges_find(start).flags & RANGE_POOL)
		ranges_mark(start, end, RANGE_REGISTERED, 0);
	else
		ranges_insert(&foreign);
	ranges_unlock(signals);
}

/* ---- Map and unmap ------------------------------------------------------------------------ */

PUBLIC void *pmem_map_file(const char *path, size_t len, int flags, mode_t mode, size_t *mapped_lenp,
			   int *is_pmemp)
{
	CLEANUP_FD int fd = -1;
	void *address = NULL;
	bool is_sync;

	if (!arguments_valid(len, flags))
		return NULL;
	fd = flags & PMEM_FILE_TMPFILE ? open_nameless(path, flags) : open_named(path, flags, mode);
	if (fd < 0)
		return NULL;
	if ((flags & PMEM_FILE_CREATE ? give_length(fd, len, flags) : take_length(fd, path, &len)) == 0)
		address = map_fd(fd, len, &is_sync);
	if (!address) {
		int error = errno;

		if ((flags & PMEM_FILE_CREATE) && (flags & PMEM_FILE_EXCL) && !(flags & PMEM_FILE_TMPFILE))
			unlink(path);
		errno = error;
		return NULL;
	}
	if (is_sync)
		register_mapping(address, len);
	if (mapped_lenp)
		*mapped_lenp = len;
	if (is_pmemp)
		*is_pmemp = pmem_is_pmem(address, len);
	return address;
}

PUBLIC int pmem_unmap(void *addr, size_t len)
{
	long error = client_munmap(addr, len);

	if (!error)
		return 0;
	client_set_errormsg((int)-error, "munmap");
	return -1;
}
