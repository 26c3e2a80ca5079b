/* SPDX-License-Identifier: BSD-3-Clause */
#include "op_data.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "common/align.h"
#include "common/cleanup.h"
#include "invalidate.h"
#include "late_request.h"
#include "op_open.h"
#include "recorder/recorded.h"
#include "set_id_bits.h"

/*
 * Is this READ or WRITE between the pool and a process's own buffer? Only such requests name the owner of
 * POSIX locks (FUSE_READ_LOCKOWNER, FUSE_WRITE_LOCKOWNER). Neither O_DIRECT nor FOPEN_DIRECT_IO tells: pages
 * of a mapping of such a file are cached all the same, and the kernel may write through its cache when it
 * could not write directly.
 */
static bool is_direct(const struct fuse_file_info *fi)
{
	return fi->lock_owner != 0;
}

/* The kernel may cache these bytes, and write the page that has them back later. */
static void read_attached(fuse_req_t request, struct node *node, size_t size, uint64_t offset,
			  struct pool_handle *handle)
{
	struct fusefs *fs = fusefs_of(request);
	CLEANUP_FREE char *bytes = malloc(size);
	ssize_t got = bytes ? pool_read(handle, bytes, size, offset) : -ENOMEM;

	if (got < 0) {
		fuse_reply_err(request, (int)-got);
		return;
	}
	if (is_aligned(offset, PAGE_BYTES) && is_aligned(size, PAGE_BYTES) &&
	    fusefs_shadow_note(&fs->shadows, node, offset, bytes, (size_t)got))
		fusefs_invalidate_later(fs, fusefs_node_ino(fs, node), 0, 0);
	fuse_reply_buf(request, bytes, (size_t)got);
}

void fusefs_op_read(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct node *node = fusefs_node_of(request, ino);
	struct pool_read read;
	int error;

	if (!is_direct(fi))
		fusefs_cached_add(&node->cached, (uint64_t)offset, size);
	if (pool_is_attached(node->pool)) {
		read_attached(request, node, size, (uint64_t)offset, fusefs_handle_of(fi));
		return;
	}
	error = pool_read_begin(fusefs_handle_of(fi), (uint64_t)offset, size, &read);
	if (error) {
		fuse_reply_err(request, -error);
		return;
	}
	fuse_reply_iov(request, read.iov, read.count);
	pool_read_end(&read);
}

/*
 * The kernel writes back what was stored through a mapping. If the pool cannot
 * take a page, the kernel reports that at the next sync, once, and keeps the page
 * as if it were clean. It is told to drop the page, so that no process goes on
 * reading bytes that exist only there.
 */
static void write_back(fuse_req_t request, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
		       struct pool_handle *handle)
{
	struct fusefs *fs = fusefs_of(request);
	struct node *node = fusefs_node(fs, ino);
	bool drop = false;
	ssize_t written;

	if (node->dead) {
		/* Stores of before the outage. */
		fuse_reply_write(request, size);
		return;
	}
	if (pool_is_attached(node->pool))
		written = fusefs_shadow_write_back(&fs->shadows, node, handle, bytes, size, (uint64_t)offset,
						   &drop);
	else
		written = recorded_write(fs->options.recorder, handle, bytes, size, (uint64_t)offset,
					 POOL_WRITE_MAPPED);
	if (drop)
		fusefs_invalidate_later(fs, ino, 0, 0);
	if (written >= 0) {
		fuse_reply_write(request, (size_t)written);
		return;
	}
	fusefs_invalidate_later(fs, ino, offset, (off_t)size);
	fuse_reply_err(request, (int)-written);
}

/* ---- Direct writes beside cached pages ----------------------------------------- */

/*
 * Before a direct write the kernel drops the pages that it caches of the range, and
 * after it once more, in case somebody read the old bytes meanwhile. The second
 * is left out for asynchronous writes (generic_file_direct_write() of
 * mm/filemap.c, which leaves it to a completion that FUSE does not have): a page
 * that was read in between would stay, with bytes that the file no longer has.
 * So if anybody may have read such a page, the kernel is told to drop it before
 * the write is answered.
 */
struct late_write {
	struct late_request late;
	struct node *node;
	uint64_t offset;
	size_t size;
};

static void drop_and_reply(struct fusefs *fs, struct late_work *work, bool kernel_answers)
{
	struct late_write *write = (struct late_write *)work;
	struct cached_pages *cached = &write->node->cached;
	uint64_t from, end;

	if (kernel_answers && fusefs_cached_begin_drop(cached, write->offset, write->size, &from, &end)) {
		fusefs_invalidate_range(fs, fusefs_node_ino(fs, write->node), from, end);
		fusefs_cached_end_drop(cached);
	}
	fuse_reply_write(write->late.request, write->size);
	fusefs_late_request_end(&write->late);
}

static void reply_after_drop(fuse_req_t request, struct node *node, uint64_t offset, size_t size)
{
	struct late_write *write = fusefs_late_request(request, sizeof(*write), drop_and_reply);

	if (!write)
		return;
	write->node = node;
	write->offset = offset;
	write->size = size;
	fusefs_late_add(fusefs_of(request), &write->late.work);
}

/* How many bytes were written, or a negative errno. */
static ssize_t write_through(fuse_req_t request, struct node *node, const char *bytes, size_t size,
			     uint64_t offset, struct fuse_file_info *fi)
{
	struct pool_handle *handle = fusefs_handle_of(fi);
	int error = fusefs_drop_set_id_bits(request, pool_of(handle));
	/* From a short direct write the kernel makes EIO (fuse_get_res_by_io() of fs/fuse/file.c). */
	enum pool_write_kind kind = is_direct(fi) ? POOL_WRITE_WHOLE : POOL_WRITE_FILE;
	ssize_t written;

	if (error)
		return error;
	if (!is_direct(fi))
		fusefs_cached_add(&node->cached, offset, size);
	written = recorded_write(fusefs_recorder(request), handle, bytes, size, offset, kind);
	if (written < 0)
		return written;
	if (!fusefs_file_of(fi)->direct)
		fusefs_shadow_overlay(&fusefs_of(request)->shadows, node, offset, bytes, (size_t)written);
	/*
	 * The kernel sends an FSYNC after a synchronous write, before which power can fail, but not after all
	 * direct writes: not after an asynchronous one, for instance.
	 */
	if (fi->flags & O_DSYNC && is_direct(fi))
		error = recorded_sync(fusefs_recorder(request), handle, (fi->flags & O_SYNC) != O_SYNC);
	return error ? error : written;
}

void fusefs_op_write(fuse_req_t request, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
		     struct fuse_file_info *fi)
{
	struct node *node = fusefs_node_of(request, ino);
	ssize_t written;

	if (fi->writepage) {
		write_back(request, ino, bytes, size, offset, fusefs_handle_of(fi));
		return;
	}
	written = write_through(request, node, bytes, size, (uint64_t)offset, fi);
	if (written < 0)
		fuse_reply_err(request, (int)-written);
	else if (is_direct(fi) && fusefs_cached_overlaps(&node->cached, (uint64_t)offset, (size_t)written))
		reply_after_drop(request, node, (uint64_t)offset, (size_t)written);
	else
		fuse_reply_write(request, (size_t)written);
}

/* ---- Other requests -------------------------------------------------------------- */

void fusefs_op_fsync(fuse_req_t request, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct pool_handle *handle = fusefs_handle_of(fi);
	int error = recorded_sync(fusefs_recorder(request), handle, datasync);

	/* Stores of clients that become durable by it change the times. */
	if (pool_is_attached(pool_of(handle)))
		fusefs_invalidate_attributes(fusefs_of(request), ino);
	fuse_reply_err(request, -error);
}

void fusefs_op_fallocate(fuse_req_t request, fuse_ino_t ino, int mode, off_t offset, off_t length,
		  struct fuse_file_info *fi)
{
	struct pool_handle *handle = fusefs_handle_of(fi);
	int error = offset < 0 || length <= 0 ? -EINVAL : fusefs_drop_set_id_bits(request, pool_of(handle));

	if (!error)
		error = recorded_fallocate(fusefs_recorder(request), handle, mode, (uint64_t)offset,
					   (uint64_t)length);
	fuse_reply_err(request, -error);
}
