/* SPDX-License-Identifier: BSD-3-Clause */
#include "region/backend.h"

#include <assert.h>
#include <libpmem.h>

#include "common/align.h"

static void assert_inside(const struct region *region, uint64_t offset, uint64_t length)
{
	assert(!region_is_read_only(region));
	assert(offset <= region->size && length <= region->size - offset);
}

void media_write(struct region *region, uint64_t offset, const void *bytes, uint64_t length)
{
	assert_inside(region, offset, length);
	if (region->observer.wrote)
		region->observer.wrote(region->observer.context, offset, bytes, length);
	/* Whole lines go past the caches, however few: nothing is to be read for them, or to be flushed. */
	if (is_aligned(offset | length, LINE_SIZE))
		pmem_memcpy(region->media + offset, bytes, length,
			    PMEM_F_MEM_NODRAIN | PMEM_F_MEM_NONTEMPORAL);
	else
		pmem_memcpy_nodrain(region->media + offset, bytes, length);
}

void media_zero(struct region *region, uint64_t offset, uint64_t length)
{
	/* Below this, storing zeros is cheaper than the system call that drops the pages. */
	const uint64_t worth_a_call = 64 * 1024;

	assert_inside(region, offset, length);
	if (length == 0)
		return;
	if (region->observer.zeroed)
		region->observer.zeroed(region->observer.context, offset, length);
	if (length >= worth_a_call && is_aligned(offset | length, PAGE_BYTES) && region->backend->zero &&
	    !region_failed(region) && region->backend->zero(region, offset, length) == 0)
		return;
	pmem_memset_nodrain(region->media + offset, 0, length);
}

void media_fence(struct region *region)
{
	pmem_drain();
	if (region->observer.fenced)
		region->observer.fenced(region->observer.context);
}

void region_observe(struct region *region, const struct media_observer *observer)
{
	region->observer = observer ? *observer : (struct media_observer){ 0 };
}
