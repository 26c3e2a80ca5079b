/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * mmap and its family, in libc's place, and fsync: a mapping of a pool's file
 * becomes a mapping of the pool's view. An address leaves the table before the kernel may
 * give it to somebody else, and enters it after the kernel gave it to us.
 */

#include "client/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "abi/rawcall.h"
#include "client/connection.h"
#include "client/ranges.h"
#include "common/align.h"

static long plain_mmap(void *address, size_t length, int prot, int flags, int fd, off_t offset)
{
	return RAW6(mmap, address, length, prot, flags, fd, offset);
}

static bool is_shared(int flags)
{
	return (flags & MAP_TYPE) == MAP_SHARED || (flags & MAP_TYPE) == MAP_SHARED_VALIDATE;
}

static bool replaces(int flags)
{
	return (flags & MAP_FIXED) && !(flags & MAP_FIXED_NOREPLACE);
}

/* What mmap(2) says of the file's own descriptor; the view's would allow all. */
static int check_access(int prot, int flags, int fd)
{
	long mode = RAW3(fcntl, fd, F_GETFL, 0);

	if (mode < 0)
		return (int)mode;
	if (mode & O_PATH)
		return -EBADF;
	if ((mode & O_ACCMODE) == O_WRONLY)
		return -EACCES;
	if (is_shared(flags) && (prot & PROT_WRITE) && (mode & O_ACCMODE) != O_RDWR)
		return -EACCES;
	return 0;
}

/* A fixed mapping ends what was there, even if it then fails: so does the kernel's. */
static long map_view(void *address, size_t length, int prot, int flags, const struct attached_view *view,
		     off_t offset)
{
	uint64_t signals = ranges_lock();
	size_t pages = align_up(length, PAGE_BYTES);
	struct range range;
	long result;

	if (replaces(flags))
		ranges_erase((uintptr_t)address, (uintptr_t)address + pages);
	/* The view is no DAX file to the kernel; what MAP_SYNC promises, the WPQ keeps. */
	result = plain_mmap(address, length, prot, flags & ~MAP_SYNC, view->fd, offset);
	if (!raw_failed(result) && is_shared(flags)) {
		range = (struct range){ .start = (uintptr_t)result,
					.end = (uintptr_t)result + pages,
					.offset = (uint64_t)offset,
					.view = view->view,
					.region = (uint16_t)view->region,
					.flags = RANGE_POOL };
		if (ranges_insert(&range) != 0) {
			RAW2(munmap, result, length);
			result = -ENOMEM;
		}
	}
	ranges_unlock(signals);
	return result;
}

/* Not of a pool. */
static long map_other(void *address, size_t length, int prot, int flags, int fd, off_t offset)
{
	uint64_t signals;
	long result;

	if (!replaces(flags))
		return plain_mmap(address, length, prot, flags, fd, offset);
	signals = ranges_lock();
	ranges_erase((uintptr_t)address, (uintptr_t)address + align_up(length, PAGE_BYTES));
	result = plain_mmap(address, length, prot, flags, fd, offset);
	ranges_unlock(signals);
	return result;
}

static bool words_are_right(const void *address, size_t length, int flags, off_t offset)
{
	if (length == 0 || length > SIZE_MAX - PAGE_BYTES || !is_aligned((uint64_t)offset, PAGE_BYTES))
		return false;
	return !(flags & MAP_FIXED) || is_aligned((uintptr_t)address, PAGE_BYTES);
}

long client_mmap(void *address, size_t length, int prot, int flags, int fd, off_t offset)
{
	struct attached_view view = { .fd = -1 };
	long result;
	int error;

	if (!words_are_right(address, length, flags, offset))
		return plain_mmap(address, length, prot, flags, fd, offset);
	if ((flags & MAP_ANONYMOUS) || fd < 0 || !connection_serves(fd))
		return map_other(address, length, prot, flags, fd, offset);
	error = check_access(prot, flags, fd);
	if (error)
		return error;
	error = connection_attach(fd, &view);
	/*
	 * Whoever may not write to a pool sees it as others see files, and so does
	 * who maps an empty one: there is no view of it to share yet.
	 */
	if (error == -EACCES || error == -EROFS || error == -EINVAL)
		return map_other(address, length, prot, flags, fd, offset);
	if (error)
		return error;
	result = map_view(address, length, prot, flags, &view, offset);
	RAW1(close, view.fd);
	return result;
}

long client_munmap(void *address, size_t length)
{
	uintptr_t start = (uintptr_t)address, end = start + align_up(length, PAGE_BYTES);
	struct range kept = { 0 };
	uint64_t signals;
	long result;

	if (!is_aligned(start, PAGE_BYTES) || length == 0 || end <= start)
		return RAW2(munmap, address, length);
	signals = ranges_lock();
	/* It fails only when a hole in the midst of one mapping would make one too many. */
	kept = ranges_find(start);
	ranges_erase(start, end);
	result = RAW2(munmap, address, length);
	if (result && kept.flags) {
		kept.end = min_u64(kept.end, end);
		ranges_insert(&kept);
	}
	ranges_unlock(signals);
	return result;
}

/* Its ranges in the table follow a mapping that the kernel has moved, grown or cut. */
static void follow(uintptr_t from, size_t old_length, uintptr_t to, size_t new_length)
{
	struct range moved = ranges_find(from);
	bool copied = old_length == 0;

	if (!copied)
		ranges_erase(from, from + old_length);
	if (from != to || copied)
		ranges_erase(to, to + new_length);
	if (!moved.flags)
		return;
	moved.start = to;
	moved.end = to + new_length;
	/* Without it these addresses would be taken for ordinary memory. */
	if (ranges_insert(&moved) != 0)
		__builtin_trap();
}

long client_mremap(void *address, size_t old_size, size_t new_size, int flags, void *new_address)
{
	uint64_t signals = ranges_lock();
	long result = RAW5(mremap, address, old_size, new_size, flags, new_address);

	if (!raw_failed(result) && !(flags & MREMAP_DONTUNMAP))
		follow((uintptr_t)address, align_up(old_size, PAGE_BYTES), (uintptr_t)result,
		       align_up(new_size, PAGE_BYTES));
	ranges_unlock(signals);
	return result;
}
