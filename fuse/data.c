/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "common/align.h"
#include "common/cleanup.h"
#include "private.h"

static struct open_file *file_of(const struct fuse_file_info *fi)
{
	return (struct open_file *)(uintptr_t)fi->fh;
}

struct pool_handle *handle_of(const struct fuse_file_info *fi)
{
	return file_of(fi)->handle;
}

/* What the kernel would do itself if it sent the truncation apart from the open. */
static int drop_privileges(fuse_req_t request, struct pool *pool)
{
	const struct fuse_ctx *client = fuse_req_ctx(request);
	struct pool_attributes attributes;
	mode_t mode;
	int error;

	if (client->uid == 0)
		return 0;
	error = pool_get_attributes(pool, &attributes);
	if (error)
		return error;
	mode = attributes.mode & ~(mode_t)S_ISUID;
	if ((mode & S_IXGRP) || client->gid != attributes.gid)
		mode &= ~(mode_t)S_ISGID;
	if (mode == attributes.mode)
		return 0;
	attributes.mode = mode;
	return pool_set_attributes(pool, POOL_SET_MODE, &attributes);
}

static int truncate_at_open(fuse_req_t request, struct pool *pool, struct pool_handle *handle)
{
	int error = pool_truncate(pool, handle, 0);

	return error ? error : drop_privileges(request, pool);
}

int file_open(fuse_req_t request, struct pool *pool, struct fuse_file_info *fi)
{
	struct fusefs *fs = fs_of(request);
	struct open_file *file = calloc(1, sizeof(*file));
	int error;

	if (!file)
		return -ENOMEM;
	error = pool_open(pool, &file->handle);
	if (error) {
		free(file);
		return error;
	}
	if (fi->flags & O_TRUNC)
		error = truncate_at_open(request, pool, file->handle);
	if (error) {
		pool_close(file->handle);
		free(file);
		return error;
	}
	pthread_mutex_lock(&fs->files_lock);
	file->next = fs->files;
	if (file->next)
		file->next->prev = file;
	fs->files = file;
	pthread_mutex_unlock(&fs->files_lock);
	fi->fh = (uintptr_t)file;
	/* CPUs store to an attached pool behind the kernel's back: what it cached would be old at once. */
	fi->direct_io = pool_is_attached(pool);
	fi->keep_cache = !fi->direct_io;
	file->direct = fi->direct_io;
	fi->noflush = 1;
	return 0;
}

void file_close(struct fusefs *fs, struct open_file *file)
{
	pthread_mutex_lock(&fs->files_lock);
	if (file->prev)
		file->prev->next = file->next;
	else
		fs->files = file->next;
	if (file->next)
		file->next->prev = file->prev;
	pthread_mutex_unlock(&fs->files_lock);
	pool_close(file->handle);
	free(file);
}

void op_open(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fusefs *fs = fs_of(request);
	struct node *node = node_of(fs, ino);
	/* ESTALE: look the name up again, and find the new generation. */
	int error = node->dead ? -ESTALE : file_open(request, node->pool, fi);

	if (error)
		fuse_reply_err(request, -error);
	else if (fuse_reply_open(request, fi))
		file_close(fs, file_of(fi));
}

void op_release(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *fi)
{
	file_close(fs_of(request), file_of(fi));
	fuse_reply_err(request, 0);
}

/* The kernel may make a page of its cache of what it gets, and send that back one day. */
static void read_attached(fuse_req_t request, struct node *node, size_t size, uint64_t offset,
			  struct pool_handle *handle)
{
	CLEANUP_FREE char *bytes = malloc(size);
	ssize_t got = bytes ? pool_read(handle, bytes, size, offset) : -ENOMEM;

	if (got < 0) {
		fuse_reply_err(request, (int)-got);
		return;
	}
	if (is_aligned(offset, PAGE_BYTES) && is_aligned(size, PAGE_BYTES))
		shadow_note(fs_of(request), node, offset, bytes, (size_t)got);
	fuse_reply_buf(request, bytes, (size_t)got);
}

void op_read(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct node *node = node_of(fs_of(request), ino);
	struct pool_read read;
	int error;

	if (pool_is_attached(node->pool)) {
		read_attached(request, node, size, (uint64_t)offset, handle_of(fi));
		return;
	}
	error = pool_read_begin(handle_of(fi), (uint64_t)offset, size, &read);
	if (error) {
		fuse_reply_err(request, -error);
		return;
	}
	fuse_reply_iov(request, read.iov, read.count);
	pool_read_end(&read);
}

/*
 * The kernel writes back what was stored through a mapping. It never learns
 * what becomes of a page that the pool cannot take but by one error at the next
 * sync; so that nobody goes on reading bytes that are nowhere, it must drop it.
 */
static void write_back(fuse_req_t request, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
		       struct pool_handle *handle)
{
	struct fusefs *fs = fs_of(request);
	struct node *node = node_of(fs, ino);
	ssize_t written;

	if (node->dead) {
		/* Stores of before the power failure. */
		fuse_reply_write(request, size);
		return;
	}
	if (pool_is_attached(node->pool))
		written = shadow_write_back(fs, node, handle, bytes, size, (uint64_t)offset);
	else
		written = pool_write(handle, bytes, size, (uint64_t)offset, POOL_WRITE_MAPPED);
	if (written >= 0) {
		fuse_reply_write(request, (size_t)written);
		return;
	}
	stale_later(fs, ino, offset, (off_t)size);
	fuse_reply_err(request, (int)-written);
}

void op_write(fuse_req_t request, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
	      struct fuse_file_info *fi)
{
	struct pool_handle *handle = handle_of(fi);
	ssize_t written;
	int error = 0;

	if (fi->writepage) {
		write_back(request, ino, bytes, size, offset, handle);
		return;
	}
	written = pool_write(handle, bytes, size, (uint64_t)offset, POOL_WRITE_FILE);
	if (written > 0 && !file_of(fi)->direct)
		shadow_overlay(fs_of(request), node_of(fs_of(request), ino), (uint64_t)offset, bytes,
			       (size_t)written);
	/* The kernel sends an FSYNC of its own after a synchronous write, but not after an asynchronous. */
	if (written >= 0 && (fi->flags & O_DSYNC))
		error = pool_sync(handle);
	if (written < 0)
		error = (int)written;
	if (error)
		fuse_reply_err(request, -error);
	else
		fuse_reply_write(request, (size_t)written);
}

void op_fsync(fuse_req_t request, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	fuse_reply_err(request, -pool_sync(handle_of(fi)));
}

void op_fallocate(fuse_req_t request, fuse_ino_t ino, int mode, off_t offset, off_t length,
		  struct fuse_file_info *fi)
{
	if (offset < 0 || length <= 0)
		fuse_reply_err(request, EINVAL);
	else
		fuse_reply_err(request,
			       -pool_fallocate(handle_of(fi), mode, (uint64_t)offset, (uint64_t)length));
}

void op_lseek(fuse_req_t request, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *fi)
{
	int64_t found = offset < 0 ? -ENXIO : pool_seek(handle_of(fi), (uint64_t)offset, whence);

	if (found < 0)
		fuse_reply_err(request, (int)-found);
	else
		fuse_reply_lseek(request, found);
}
