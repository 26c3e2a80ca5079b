/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * mmap(2) and its relatives in libc's place: a mapping of a pool's file becomes a mapping of the pool's view.
 * An address leaves the table before the kernel may give it to another mapping, and enters it after the
 * kernel has mapped the view there.
 */

#include "client/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "abi/rawcall.h"
#include "client/connection.h"
#include "client/courier.h"
#include "client/inline.h"
#include "client/ranges.h"
#include "client/recording.h"
#include "client/settings.h"
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

/* What mmap(2) checks of the file's descriptor: the view's descriptor would allow everything. */
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

/* Forget the ranges in [start, end), whose mappings are about to be replaced. */
static void erase(uintptr_t start, uintptr_t end)
{
	client_recording_unmap(start, end);
	ranges_erase(start, end);
}

/* See ranges_release(). Of the program's own descriptor, so that also its locks of flock(2) are held. */
static long map_keeper(int fd)
{
	return plain_mmap(NULL, PAGE_BYTES, PROT_NONE, MAP_PRIVATE, fd, 0);
}

static uint16_t flags_of(int flags, int fd)
{
	const long mode = RAW3(fcntl, fd, F_GETFL, 0) & O_ACCMODE;

	if (!is_shared(flags))
		return RANGE_PRIVATE;
	return mode == O_RDWR ? RANGE_POOL : RANGE_POOL | RANGE_READ_ONLY;
}

/* Are stores to the mapping recorded? */
static bool is_traced(const struct attached_view *view, const struct range *range)
{
	return client_recording() && view->is_traced && range->flags == RANGE_POOL;
}

/* The mapping of the view and its range. `range` has all but the addresses. */
static long map_range(void *address, size_t length, int prot, int flags, const struct attached_view *view,
		      struct range *range)
{
	const size_t pages = align_up(length, PAGE_BYTES);
	const bool traced = is_traced(view, range);
	uint64_t signals = ranges_lock();
	long result;

	/* A fixed mapping ends what was there even if it then fails: so does the kernel's. */
	if (replaces(flags))
		erase((uintptr_t)address, (uintptr_t)address + pages);
	/* The view is no DAX file to the kernel; what MAP_SYNC promises, the WPQ keeps. */
	result = courier_mmap(address, length, traced ? client_recording_protection(prot) : prot,
			      flags & ~MAP_SYNC, view->fd, (off_t)range->offset);
	if (!raw_failed(result)) {
		range->start = (uintptr_t)result;
		range->end = range->start + pages;
		if ((traced && client_recording_map(range, prot, view->trace_pool) != 0) ||
		    ranges_insert(range) != 0) {
			RAW2(munmap, result, length);
			result = -ENOMEM;
		}
	}
	if (raw_failed(result))
		ranges_release(range->keeper);
	ranges_unlock(signals);
	return result;
}

static long map_view(void *address, size_t length, int prot, int flags, int fd,
		     const struct attached_view *view, off_t offset)
{
	struct range range = { .offset = (uint64_t)offset,
			       .view = view->view,
			       .region = (uint16_t)view->region,
			       .flags = flags_of(flags, fd) };
	long keeper = map_keeper(fd);

	if (raw_failed(keeper))
		return keeper;
	range.keeper = (uintptr_t)keeper;
	return map_range(address, length, prot, flags, view, &range);
}

/* A mapping of something that is not a pool. */
static long map_other(void *address, size_t length, int prot, int flags, int fd, off_t offset)
{
	uint64_t signals;
	long result;

	if (!replaces(flags))
		return plain_mmap(address, length, prot, flags, fd, offset);
	signals = ranges_lock();
	erase((uintptr_t)address, (uintptr_t)address + align_up(length, PAGE_BYTES));
	result = plain_mmap(address, length, prot, flags, fd, offset);
	ranges_unlock(signals);
	return result;
}

static bool arguments_valid(const void *address, size_t length, int flags, off_t offset)
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

	if (!arguments_valid(address, length, flags, offset))
		return plain_mmap(address, length, prot, flags, fd, offset);
	if ((flags & MAP_ANONYMOUS) || fd < 0 || !connection_serves(fd))
		return map_other(address, length, prot, flags, fd, offset);
	error = check_access(prot, flags, fd);
	if (error)
		return error;
	error = connection_attach(fd, &view);
	/*
	 * A process that may not write to the pool maps the file on the mount, as without this library. So
	 * does one that maps an empty pool: it has no view yet.
	 */
	if (error == -EACCES || error == -EROFS || error == -EINVAL)
		return map_other(address, length, prot, flags, fd, offset);
	if (error)
		return error;
	/* Before the program can store to the pool. */
	if (is_shared(flags) || client_settings()->record)
		client_inline_start();
	result = map_view(address, length, prot, flags, fd, &view, offset);
	courier_close(view.fd);
	return result;
}

/* munmap(2), mremap(2) and their like fail with ENOMEM if they concern more ranges than this. */
#define COPIES_MOST 32

/* Enter copies of ranges again, `by` bytes further. */
static void insert_copies(const struct range *copies, int count, uintptr_t by)
{
	for (int i = 0; i < count; i++) {
		struct range moved = copies[i];

		moved.start += by;
		moved.end += by;
		/* Without it these addresses would be taken for ordinary memory, and flushes be lost. */
		if (ranges_insert(&moved) != 0)
			__builtin_trap();
	}
}

long client_mmap_for(const void *caller, void *address, size_t length, int prot, int flags, int fd,
		     off_t offset)
{
	const bool sync = (flags & MAP_TYPE) == MAP_SHARED_VALIDATE && (flags & MAP_SYNC);

	/* A file that is no pool may be on a real DAX file system: the kernel decides. */
	if (sync && fd >= 0 && connection_serves(fd) && connection_domain() != PERSISTENCE_CPU_CACHE) {
		client_inline_start();
		if (!client_inline_sees(caller))
			return -EOPNOTSUPP;
	}
	return client_mmap(address, length, prot, flags, fd, offset);
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
	/* It fails only if a hole in the middle of one mapping would make one mapping too many. */
	kept = ranges_find(start);
	kept.end = min_u64(kept.end, end);
	client_recording_unmap(start, end);
	ranges_take(kept.start, kept.end);
	ranges_erase(kept.end, end);
	result = RAW2(munmap, address, length);
	if (result && client_recording())
		record_stop("munmap() failed");
	if (result && kept.flags)
		insert_copies(&kept, 1, 0);
	else if (kept.flags)
		ranges_release(kept.keeper);
	ranges_unlock(signals);
	return result;
}

/* ---- mremap ---------------------------------------------------------------------- */

/* One call, its sizes in whole pages, and copies of the ranges that it concerns. */
struct remapping {
	uintptr_t from, old_length, new_length;
	bool keeps_old; /* MREMAP_DONTUNMAP, or a second mapping of the same pages (old_length 0) */
	int count;
	struct range copies[COPIES_MOST];
};

static void release_copies(const struct remapping *call)
{
	for (int i = 0; i < call->count; i++)
		ranges_release(call->copies[i].keeper);
}

/* Moved, or mapped a second time. A mapping that grows continues by bytes of the same file. */
static void follow_to(const struct remapping *call, uintptr_t to)
{
	const uintptr_t end = call->from + call->new_length;

	ranges_take(to, to + call->new_length);
	for (int i = 0; i < call->count && call->copies[i].start < end; i++) {
		struct range copy = call->copies[i];

		/* The kernel makes only one mapping larger, never several. */
		if (copy.end > end || call->new_length > call->old_length)
			copy.end = end;
		insert_copies(&copy, 1, to - call->from);
	}
}

/* Other threads may flush to the mapping meanwhile, so what stays mapped is not taken from the table. */
static void follow_in_place(const struct remapping *call)
{
	const uintptr_t old_end = call->from + call->old_length;
	struct range tail;

	if (call->new_length <= call->old_length || !call->count)
		return;
	tail = call->copies[call->count - 1];
	tail.offset += old_end - tail.start;
	tail.start = old_end;
	tail.end = call->from + call->new_length;
	insert_copies(&tail, 1, 0);
}

/* ---- ... and the aliases that a recorder has ---- */

/* Before the call. What it unmaps loses its alias. */
static void prepare_aliases(struct remapping *call, int flags, uintptr_t to)
{
	if (call->count > 1)
		record_stop("mremap() of several mappings of pools at once");
	if (flags & MREMAP_FIXED)
		client_recording_unmap(to, to + call->new_length);
	if (!call->keeps_old && call->new_length < call->old_length)
		client_recording_unmap(call->from + call->new_length, call->from + call->old_length);
}

/* After it. Of the one range that is concerned the copy has its new alias then. */
static void move_alias(struct remapping *call, uintptr_t to)
{
	struct range *range = &call->copies[0], whole;
	const size_t old_length = min_u64(call->old_length, call->new_length);

	if (!call->count || !range->alias || (to == call->from && call->new_length <= call->old_length))
		return;
	if (range->start != call->from || (!call->keeps_old && range->end < call->from + old_length))
		record_stop("mremap() of a pool's mapping and of other memory at once");
	if (!call->keeps_old)
		range->end = call->from + old_length;
	range->alias = client_recording_remap(range, to, call->new_length, call->keeps_old);
	if (to != call->from)
		return;
	/* It grew in place, and all of it has another alias. */
	whole = *range;
	whole.end = to + call->new_length;
	insert_copies(&whole, 1, 0);
}

static long remap(struct remapping *call, int flags, void *new_address)
{
	const bool in_place = !(flags & MREMAP_MAYMOVE);
	const uintptr_t end = call->from + call->old_length;
	const uintptr_t to = (uintptr_t)new_address;
	struct range there[COPIES_MOST];
	int there_count = 0;
	long result;

	if (flags & MREMAP_FIXED)
		there_count = ranges_copy(to, to + call->new_length, there, COPIES_MOST);
	if (there_count < 0)
		return there_count;
	if (client_recording())
		prepare_aliases(call, flags, to);
	if (!call->keeps_old)
		ranges_take(in_place ? min_u64(call->from + call->new_length, end) : call->from, end);
	result = RAW5(mremap, call->from, call->old_length, call->new_length, flags, new_address);
	if (raw_failed(result)) {
		insert_copies(call->copies, call->count, 0);
		return result;
	}
	if (client_recording())
		move_alias(call, (uintptr_t)result);
	if (in_place)
		follow_in_place(call);
	else
		follow_to(call, (uintptr_t)result);
	release_copies(call);
	for (int i = 0; i < there_count; i++)
		ranges_release(there[i].keeper);
	return result;
}

long client_mremap(void *address, size_t old_size, size_t new_size, int flags, void *new_address)
{
	struct remapping call = { .from = (uintptr_t)address,
				  .old_length = align_up(old_size, PAGE_BYTES),
				  .new_length = align_up(new_size, PAGE_BYTES),
				  .keeps_old = (flags & MREMAP_DONTUNMAP) || old_size == 0 };
	const uintptr_t looked_at = call.old_length ? call.old_length : PAGE_BYTES;
	uint64_t signals;
	long result;

	if (!is_aligned(call.from, PAGE_BYTES) || call.from + looked_at < call.from ||
	    ((flags & MREMAP_FIXED) && !is_aligned((uintptr_t)new_address, PAGE_BYTES)))
		return RAW5(mremap, address, old_size, new_size, flags, new_address);
	signals = ranges_lock();
	call.count = ranges_copy(call.from, call.from + looked_at, call.copies, COPIES_MOST);
	result = call.count < 0 ? call.count : remap(&call, flags, new_address);
	ranges_unlock(signals);
	return result;
}

long client_remap_file_pages(void *address, size_t size, int prot, size_t page, int flags)
{
	/* As the kernel rounds them. */
	const uintptr_t start = align_down((uintptr_t)address, PAGE_BYTES);
	const uintptr_t end = start + align_down(size, PAGE_BYTES);
	uint64_t signals = ranges_lock();
	struct range range = ranges_find(start);
	long result;

	if (client_recording() && range.flags)
		record_stop("remap_file_pages() of a pool");
	result = RAW5(remap_file_pages, address, size, prot, page, flags);

	if (!result && range.flags) {
		range.end = end;
		range.offset = (uint64_t)page * PAGE_BYTES;
		insert_copies(&range, 1, 0);
	}
	ranges_unlock(signals);
	return result;
}

/* ---- mprotect and madvise -------------------------------------------------------------- */

static long protect_recorded(uintptr_t start, size_t length, int prot, int key)
{
	uint64_t signals;
	long result;

	if (!is_aligned(start, PAGE_BYTES))
		return -EINVAL;
	signals = ranges_lock();
	result = client_recording_protect(start, start + length, prot, key);
	ranges_unlock(signals);
	return result;
}

long client_mprotect(void *address, size_t length, int prot, int key)
{
	if ((prot & PROT_WRITE) &&
	    ranges_any((uintptr_t)address, align_up(length, PAGE_BYTES), RANGE_READ_ONLY))
		return -EACCES;
	if (client_recording() && ranges_any((uintptr_t)address, align_up(length, PAGE_BYTES), RANGE_POOL))
		return protect_recorded((uintptr_t)address, align_up(length, PAGE_BYTES), prot, key);
	return key < 0 ? RAW3(mprotect, address, length, prot) :
			 RAW4(pkey_mprotect, address, length, prot, key);
}

long client_madvise(void *address, size_t length, int advice)
{
	const uintptr_t start = (uintptr_t)address, end = start + align_up(length, PAGE_BYTES);
	uint64_t signals;
	long result;

	if (advice == MADV_REMOVE && ranges_any(start, end - start, RANGE_POOL))
		return -EOPNOTSUPP;
	if (advice == MADV_POPULATE_WRITE && client_recording()) {
		signals = ranges_lock();
		result = client_recording_populate(start, end);
		ranges_unlock(signals);
		return result;
	}
	if (advice != MADV_DONTFORK && advice != MADV_DOFORK)
		return RAW3(madvise, address, length, advice);
	/* fork() takes the lock too. */
	signals = ranges_lock();
	result = RAW3(madvise, address, length, advice);
	if (!result && client_recording())
		client_recording_advise(start, end, advice);
	if (!result && advice == MADV_DONTFORK)
		ranges_mark(start, end, RANGE_DONTFORK, 0);
	else if (!result)
		ranges_mark(start, end, 0, RANGE_DONTFORK);
	ranges_unlock(signals);
	return result;
}
