/* SPDX-License-Identifier: BSD-3-Clause */

/* Reading and writing. */

#include "pool/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/align.h"
#include "common/cleanup.h"
#include "pool/gate.h"
#include "pool/placement.h"
#include "pool/resize.h"
#include "pool/undo.h"
#include "pool/view_limits.h"
#include "pool/writeback.h"

/* ---- Reading --------------------------------------------------------------------- */

/* A pool without a view is read from the media: reading does not create a view. As view_pieces(). */
static int pieces(struct pool *pool, uint64_t offset, size_t length, struct iovec *iov, int max,
		  size_t *covered)
{
	static const unsigned char zeros[64 * PAGE_BYTES];
	int count = 0;

	if (pool->view)
		return view_pieces(pool->view, offset, length, iov, max, covered);
	*covered = 0;
	while (*covered < length && count < max) {
		uint64_t at = offset + *covered, in_page = at % PAGE_BYTES;
		struct placement place = pool_find_pages(pool, at / PAGE_BYTES, UINT32_MAX);
		uint64_t piece = min_u64(place.pages * PAGE_BYTES - in_page, length - *covered);
		const void *from = zeros;
		int error = 0;

		if (place.placed)
			error = media_borrow(pool->pools->region, place.media_offset + in_page, piece, &from);
		else
			piece = min_u64(piece, sizeof(zeros));
		if (error)
			return error;
		iov[count].iov_base = (void *)(uintptr_t)from;
		iov[count].iov_len = piece;
		*covered += piece;
		count++;
	}
	return count;
}

/* As view_load(). */
static int load(struct pool *pool, uint64_t offset, void *buffer, size_t length)
{
	const uint64_t end = offset + length;
	unsigned char *to = buffer;
	int error = 0;

	if (pool->view)
		return view_load(pool->view, offset, buffer, length);
	while (!error && offset < end) {
		uint64_t in_page = offset % PAGE_BYTES;
		struct placement place = pool_find_pages(pool, offset / PAGE_BYTES, UINT32_MAX);
		uint64_t piece = min_u64(place.pages * PAGE_BYTES - in_page, end - offset);

		if (place.placed)
			error = media_read(pool->pools->region, place.media_offset + in_page, to, piece);
		else
			memset(to, 0, piece);
		to += piece;
		offset += piece;
	}
	return error;
}

/* The kernel cannot read from these pieces, or there are too many of them: give it a copy. */
static int bounce(struct pool *pool, uint64_t offset, struct pool_read *read)
{
	int error;

	read->bounce = malloc(read->length);
	if (!read->bounce)
		return -ENOMEM;
	error = load(pool, offset, read->bounce, read->length);
	if (error)
		return error;
	read->iov = read->inline_iov;
	read->iov[0] = (struct iovec){ .iov_base = read->bounce, .iov_len = read->length };
	read->count = 1;
	return media_outcome(pool->pools, 0);
}

int pool_read_begin(struct pool_handle *handle, uint64_t offset, size_t length, struct pool_read *read)
{
	struct pool *pool = handle->pool;
	size_t covered = 0;
	int error = pool_gate_enter_handle(handle);

	if (error)
		return error;
	pthread_rwlock_rdlock(&pool->lock);
	*read = (struct pool_read){ .pool = pool };
	if (S_ISDIR(pool->mode))
		error = -EISDIR;
	else if (offset < pool->size)
		read->length = (size_t)min_u64(length, pool->size - offset);
	if (!error && read->length) {
		const int most = sizeof(read->inline_iov) / sizeof(read->inline_iov[0]);

		read->iov = read->inline_iov;
		read->count = pieces(pool, offset, read->length, read->iov, most, &covered);
		if (read->count < 0 && read->count != -EOPNOTSUPP)
			error = read->count;
		else if (read->count < 0 || covered < read->length)
			error = bounce(pool, offset, read);
	}
	if (error)
		pool_read_end(read);
	return error;
}

void pool_read_end(struct pool_read *read)
{
	struct pools *pools = read->pool->pools;

	free(read->bounce);
	pthread_rwlock_unlock(&read->pool->lock);
	pool_gate_leave(pools);
}

ssize_t pool_read(struct pool_handle *handle, void *buffer, size_t length, uint64_t offset)
{
	struct pool *pool = handle->pool;
	int error;

	HANDLE_SCOPE(handle);
	READ_SCOPE(&pool->lock);
	if (S_ISDIR(pool->mode))
		return -EISDIR;
	if (offset >= pool->size)
		return 0;
	length = (size_t)min_u64(length, pool->size - offset);
	error = media_outcome(pool->pools, load(pool, offset, buffer, length));
	return error ? error : (ssize_t)length;
}

/* ---- Writing --------------------------------------------------------------------- */

static int write_locked(struct pool *pool, const void *bytes, size_t length, uint64_t offset,
			enum pool_write_kind kind)
{
	uint64_t end = offset + length, first = offset / PAGE_BYTES;
	uint64_t pages = (end - 1) / PAGE_BYTES - first + 1, promised, absent;
	int error = pool_ensure_view(pool);

	if (error)
		return error;
	pool_activate(pool);
	promised = pool_absent_pages(pool, first, pages);
	error = pool_space_promise(&pool->pools->space, promised);
	if (error)
		return error;
	if (offset > pool->size)
		error = pool_extend(pool, offset);
	if (!error && end > pool->size)
		error = view_extend(pool->view, pool->size, end);
	if (!error)
		error = view_store(pool->view, offset, bytes, length,
				   kind == POOL_WRITE_MAPPED ? VIEW_STORE_MAPPED : VIEW_STORE_FILE);
	pool_account_view(pool);
	/* Pages that are still absent keep no promise: zeros were stored over a hole, or the store failed. */
	absent = pool_absent_pages(pool, first, pages);
	pool_space_unpromise(&pool->pools->space, absent);
	pool->promised += promised - absent;
	if (error)
		return error;
	if (end > pool->size)
		pool->size = end;
	pool->mtime = pool->ctime = pool_time_now();
	return 0;
}

static int write_once(struct pool *pool, const void *bytes, size_t length, uint64_t offset,
		      enum pool_write_kind kind)
{
	uint64_t size_before;
	int error;

	WRITE_SCOPE(&pool->lock);
	if (!S_ISREG(pool->mode))
		return S_ISDIR(pool->mode) ? -EISDIR : -EINVAL;
	size_before = pool->size;
	error = write_locked(pool, bytes, length, offset, kind);
	if (!error)
		pool_undo_add_write(pool, size_before);
	/* Under eADR a store is durable once it is visible, so it must be durable before the call returns. */
	if (!error && domain_persistence(pool->pools->domain) == PERSISTENCE_CPU_CACHE)
		error = pool_sync_locked(pool);
	return error;
}

/* About half of it, up to the start of a page. 0: it is within one page. */
static size_t first_half(uint64_t offset, size_t length)
{
	const uint64_t first = offset / PAGE_BYTES, pages = (offset + length - 1) / PAGE_BYTES - first + 1;

	return pages < 2 ? 0 : (size_t)((first + pages / 2) * PAGE_BYTES - offset);
}

/* There is no room for all of it. As POSIX has it, write(2) then writes as much as there is room for. */
static ssize_t write_what_fits(struct pool *pool, const unsigned char *bytes, size_t length, uint64_t offset)
{
	size_t done = 0, left = length, piece;
	int error = -ENOSPC;

	while ((piece = first_half(offset + done, left))) {
		error = write_once(pool, bytes + done, piece, offset + done, POOL_WRITE_FILE);
		if (error && error != -ENOSPC)
			break;
		if (!error)
			done += piece;
		left = error ? piece : left - piece;
	}
	return done ? (ssize_t)done : error;
}

ssize_t pool_write(struct pool_handle *handle, const void *bytes, size_t length, uint64_t offset,
		   enum pool_write_kind kind)
{
	struct pool *pool = handle->pool;
	int error;

	HANDLE_SCOPE(handle);
	if (pool->pools->read_only)
		return -EROFS;
	if (length > POOL_SIZE_MAX || offset > POOL_SIZE_MAX - length)
		return -EFBIG;
	if (length == 0)
		return 0;
	pools_limit_views(pool->pools);
	do
		error = write_once(pool, bytes, length, offset, kind);
	while (pool_make_room(pool, error));
	if (error == -ENOSPC && kind == POOL_WRITE_FILE)
		return write_what_fits(pool, bytes, length, offset);
	return error ? error : (ssize_t)length;
}
