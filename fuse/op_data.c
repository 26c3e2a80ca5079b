/* SPDX-License-Identifier: BSD-3-Clause */
#include "op_data.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "common/align.h"
#include "common/cleanup.h"
#include "invalidate.h"
#include "op_open.h"
#include "set_id_bits.h"

/* The kernel may put what it gets into its cache, and write it back one day. */
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
 * take a page, the next sync fails once, and the page would stay in the cache as
 * if it were clean: the kernel is told to drop it, so that no process goes on
 * reading bytes that are nowhere else.
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
		written = pool_write(handle, bytes, size, (uint64_t)offset, POOL_WRITE_MAPPED);
	if (drop)
		fusefs_invalidate_later(fs, ino, 0, 0);
	if (written >= 0) {
		fuse_reply_write(request, (size_t)written);
		return;
	}
	fusefs_invalidate_later(fs, ino, offset, (off_t)size);
	fuse_reply_err(request, (int)-written);
}

void fusefs_op_write(fuse_req_t request, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
	      struct fuse_file_info *fi)
{
	struct pool_handle *handle = fusefs_handle_of(fi);
	ssize_t written;
	int error;

	if (fi->writepage) {
		write_back(request, ino, bytes, size, offset, handle);
		return;
	}
	error = fusefs_drop_set_id_bits(request, pool_of(handle));
	if (error) {
		fuse_reply_err(request, -error);
		return;
	}
	written = pool_write(handle, bytes, size, (uint64_t)offset, POOL_WRITE_FILE);
	if (written > 0 && !fusefs_file_of(fi)->direct)
		fusefs_shadow_overlay(&fusefs_of(request)->shadows, fusefs_node_of(request, ino),
				      (uint64_t)offset, bytes, (size_t)written);
	/* The kernel sends an FSYNC after a synchronous write, but not after an asynchronous one. */
	if (written >= 0 && (fi->flags & O_DSYNC))
		error = pool_sync(handle);
	if (written < 0)
		error = (int)written;
	if (error)
		fuse_reply_err(request, -error);
	else
		fuse_reply_write(request, (size_t)written);
}

void fusefs_op_fsync(fuse_req_t request, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	fuse_reply_err(request, -pool_sync(fusefs_handle_of(fi)));
}

void fusefs_op_fallocate(fuse_req_t request, fuse_ino_t ino, int mode, off_t offset, off_t length,
		  struct fuse_file_info *fi)
{
	struct pool_handle *handle = fusefs_handle_of(fi);
	int error = offset < 0 || length <= 0 ? -EINVAL : fusefs_drop_set_id_bits(request, pool_of(handle));

	if (!error)
		error = pool_fallocate(handle, mode, (uint64_t)offset, (uint64_t)length);
	fuse_reply_err(request, -error);
}

void fusefs_op_lseek(fuse_req_t request, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *fi)
{
	int64_t found = offset < 0 ? -ENXIO : pool_seek(fusefs_handle_of(fi), (uint64_t)offset, whence);

	if (found < 0)
		fuse_reply_err(request, (int)-found);
	else
		fuse_reply_lseek(request, found);
}
