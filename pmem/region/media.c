/* SPDX-License-Identifier: BSD-3-Clause */
#include "region/media.h"

#include <errno.h>
#include <libpmem.h>
#include <string.h>

#include "common/align.h"
#include "region/backend.h"

static bool is_inside(const struct region *region, uint64_t offset, uint64_t length)
{
	return offset <= region->size && length <= region->size - offset;
}

static int check_write(const struct region *region, uint64_t offset, uint64_t length)
{
	if (!is_inside(region, offset, length))
		return -EINVAL;
	return region_is_read_only(region) ? -EROFS : 0;
}

static inline void before_change(struct region *region, uint64_t offset, uint64_t length)
{
	if (__builtin_expect(region->snapshots != NULL, 0))
		snapshots_before_change(region, offset, length);
}

/*
 * The result of an access that was just made. If it faulted, the handler of SIGBUS ran in this thread,
 * and recorded the fault before the access continued.
 */
static inline int outcome(const struct region *region, uint64_t offset, uint64_t length)
{
	atomic_signal_fence(memory_order_seq_cst);
	if (__builtin_expect(!atomic_load_explicit(&region->has_faults, memory_order_acquire), 1))
		return 0;
	return failure_of_range(region, offset, length);
}

int media_read(const struct region *region, uint64_t offset, void *bytes, uint64_t length)
{
	if (!is_inside(region, offset, length))
		return -EINVAL;
	memcpy(bytes, region->media + offset, length);
	return outcome(region, offset, length);
}

int media_write(struct region *region, uint64_t offset, const void *bytes, uint64_t length)
{
	int error = check_write(region, offset, length);

	if (error)
		return error;
	before_change(region, offset, length);
	if (region->observer.wrote)
		region->observer.wrote(region->observer.context, offset, bytes, length);
	/*
	 * Whole lines are written past the caches, however few: then no line is read first, or flushed
	 * later.
	 */
	if (is_aligned(offset | length, LINE_SIZE))
		pmem_memcpy(region->media + offset, bytes, length,
			    PMEM_F_MEM_NODRAIN | PMEM_F_MEM_NONTEMPORAL);
	else
		pmem_memcpy_nodrain(region->media + offset, bytes, length);
	return outcome(region, offset, length);
}

int media_zero(struct region *region, uint64_t offset, uint64_t length)
{
	/* Below this size, storing zeros is cheaper than the system call that drops the pages. */
	const uint64_t worth_a_call = 64 * 1024;
	int error = check_write(region, offset, length);

	if (error || length == 0)
		return error;
	before_change(region, offset, length);
	if (region->observer.zeroed)
		region->observer.zeroed(region->observer.context, offset, length);
	if (length >= worth_a_call && is_aligned(offset | length, PAGE_BYTES) && region->backend->zero &&
	    !region_failed(region) && region->backend->zero(region, offset, length) == 0)
		return outcome(region, offset, length);
	pmem_memset_nodrain(region->media + offset, 0, length);
	return outcome(region, offset, length);
}

bool media_can_discard(const struct region *region)
{
	return region->backend->discard && !region_is_read_only(region);
}

int media_discard(struct region *region, uint64_t offset, uint64_t length)
{
	int error = check_write(region, offset, length);

	if (error)
		return error;
	if (!is_aligned(offset | length, PAGE_BYTES))
		return -EINVAL;
	if (region_failed(region))
		return -EIO;
	if (!region->backend->discard)
		return -EOPNOTSUPP;
	if (length == 0)
		return 0;
	before_change(region, offset, length);
	if (region->observer.zeroed)
		region->observer.zeroed(region->observer.context, offset, length);
	return region->backend->discard(region, offset, length);
}

void media_fence(struct region *region)
{
	pmem_drain();
	if (region->observer.fenced)
		region->observer.fenced(region->observer.context);
}

int media_compare(const struct region *region, uint64_t offset, const void *bytes, uint64_t length)
{
	bool differ;
	int error;

	if (!is_inside(region, offset, length))
		return -EINVAL;
	differ = memcmp(region->media + offset, bytes, length) != 0;
	error = outcome(region, offset, length);
	return error ? error : differ;
}

int media_compare_lines(const struct region *region, uint64_t offset, const void *bytes,
			uint64_t *differing)
{
	const unsigned char *media, *page = bytes;

	*differing = 0;
	if (!is_inside(region, offset, PAGE_BYTES))
		return -EINVAL;
	media = region->media + offset;
	/* Most pages are equal, which one comparison of the whole page finds. */
	if (memcmp(media, page, PAGE_BYTES) != 0)
		for (unsigned line = 0; line < LINES_PER_PAGE; line++)
			if (memcmp(media + line * LINE_SIZE, page + line * LINE_SIZE, LINE_SIZE) != 0)
				*differing |= (uint64_t)1 << line;
	return outcome(region, offset, PAGE_BYTES);
}

int media_is_zero(const struct region *region, uint64_t offset, uint64_t length)
{
	const unsigned char *media;
	bool zero;
	int error;

	if (!is_inside(region, offset, length))
		return -EINVAL;
	media = region->media + offset;
	zero = length == 0 || (media[0] == 0 && memcmp(media, media + 1, length - 1) == 0);
	error = outcome(region, offset, length);
	return error ? error : zero;
}

int media_borrow(const struct region *region, uint64_t offset, uint64_t length, const void **bytes)
{
	if (!is_inside(region, offset, length))
		return -EINVAL;
	if (!region->kernel_can_read)
		return -EOPNOTSUPP;
	*bytes = region->media + offset;
	return outcome(region, offset, length);
}

int media_probe(const struct region *region, uint64_t offset, uint64_t length)
{
	if (!is_inside(region, offset, length))
		return -EINVAL;
	for (uint64_t at = align_down(offset, PAGE_BYTES); at < offset + length; at += PAGE_BYTES)
		(void)*(const volatile unsigned char *)(region->media + at);
	return outcome(region, offset, length);
}

void media_observe(struct region *region, const struct media_observer *observer)
{
	region->observer = observer ? *observer : (struct media_observer){ 0 };
}
