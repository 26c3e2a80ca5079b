/* SPDX-License-Identifier: BSD-3-Clause */

/* Where a file has data and where it has holes. */

#include "pool/pool.h"

#include <errno.h>

#include "common/align.h"
#include "common/cleanup.h"
#include "pool/gate.h"
#include "pool/placement.h"

/* Is the page data? The answer holds for the pages up to *stop. */
static bool data_run(const struct pool *pool, uint64_t page, uint64_t end, uint64_t *stop)
{
	struct placement place = pool_find_pages(pool, page, end - page);
	uint64_t present;

	*stop = page + place.pages;
	if (place.placed || !pool->view)
		return place.placed;
	present = view_next_in_memory(pool->view, page, *stop);
	if (present > page) {
		*stop = present;
		return false;
	}
	*stop = page + 1;
	return true;
}

int64_t pool_seek(struct pool_handle *handle, uint64_t offset, int whence)
{
	struct pool *pool = handle->pool;
	uint64_t page = offset / PAGE_BYTES, end, stop;

	HANDLE_SCOPE(handle);
	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	READ_SCOPE(&pool->lock);
	if (offset >= pool->size)
		return -ENXIO;
	for (end = pages_up(pool->size); page < end; page = stop)
		if (data_run(pool, page, end, &stop) == (whence == SEEK_DATA))
			return (int64_t)max_u64(offset, page * PAGE_BYTES);
	return whence == SEEK_HOLE ? (int64_t)pool->size : -ENXIO;
}
