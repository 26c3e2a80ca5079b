/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "common/align.h"
#include "private.h"

void attributes_to_stat(const struct tree *tree, const struct pool_attributes *attributes, struct stat *st)
{
	*st = (struct stat){
		.st_ino = tree->ino_base | attributes->ino,
		.st_mode = attributes->mode,
		.st_nlink = attributes->links,
		.st_uid = attributes->uid,
		.st_gid = attributes->gid,
		.st_size = (off_t)attributes->size,
		.st_blocks = (blkcnt_t)(attributes->allocated / 512),
		.st_blksize = PAGE_BYTES,
		.st_atim = attributes->atime,
		.st_mtim = attributes->mtime,
		.st_ctim = attributes->ctime,
	};
}

int entry_fill(struct fusefs *fs, struct tree *tree, struct pool *pool, struct fuse_entry_param *entry)
{
	struct pool_attributes attributes;
	struct node *node = NULL;
	int error = pool_get_attributes(pool, &attributes);

	if (!error) {
		node = node_take(tree, pool, S_ISREG(attributes.mode));
		if (!node)
			error = -ENOMEM;
	}
	if (error) {
		pool_unref(pool, 1);
		return error;
	}
	*entry = (struct fuse_entry_param){
		.ino = node_ino(fs, node),
		/* Addresses come back, numbers do not: the pair names one inode. */
		.generation = attributes.ino,
		.attr_timeout = CACHE_TIMEOUT,
		.entry_timeout = CACHE_TIMEOUT,
	};
	attributes_to_stat(tree, &attributes, &entry->attr);
	return 0;
}

void reply_entry(fuse_req_t request, struct tree *tree, struct pool *pool)
{
	struct fusefs *fs = fs_of(request);
	struct fuse_entry_param entry;
	int error = entry_fill(fs, tree, pool, &entry);

	if (error)
		fuse_reply_err(request, -error);
	else if (fuse_reply_entry(request, &entry))
		node_forget(fs, entry.ino, 1);
}

static void reply_attributes(fuse_req_t request, struct node *node)
{
	struct pool_attributes attributes;
	struct stat st;
	int error = pool_get_attributes(node->pool, &attributes);

	if (error) {
		fuse_reply_err(request, -error);
		return;
	}
	attributes_to_stat(node->tree, &attributes, &st);
	fuse_reply_attr(request, &st, CACHE_TIMEOUT);
}

void op_getattr(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct node *node = node_of(fs_of(request), ino);
	struct stat st;

	if (is_top(fs_of(request), ino)) {
		top_attributes(fs_of(request), &st);
		fuse_reply_attr(request, &st, CACHE_TIMEOUT);
		return;
	}
	/*
	 * On behalf of a handle the answer is the handle's. By name, the kernel takes
	 * ESTALE as word to look it up again, and then finds the new generation.
	 */
	if (node->dead)
		fuse_reply_err(request, fi ? EIO : ESTALE);
	else
		reply_attributes(request, node);
}

static int set_attributes(struct pool *pool, const struct stat *st, int which)
{
	struct pool_attributes attributes = {
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.atime = st->st_atim,
		.mtime = st->st_mtim,
	};
	struct timespec now;
	unsigned set = 0;

	clock_gettime(CLOCK_REALTIME, &now);
	if (which & FUSE_SET_ATTR_MODE)
		set |= POOL_SET_MODE;
	if (which & FUSE_SET_ATTR_UID)
		set |= POOL_SET_UID;
	if (which & FUSE_SET_ATTR_GID)
		set |= POOL_SET_GID;
	if (which & FUSE_SET_ATTR_ATIME)
		set |= POOL_SET_ATIME;
	if (which & FUSE_SET_ATTR_ATIME_NOW)
		attributes.atime = now;
	/* A truncation moves mtime by itself: no second commit for that. */
	if ((which & FUSE_SET_ATTR_MTIME) &&
	    !((which & FUSE_SET_ATTR_SIZE) && (which & FUSE_SET_ATTR_MTIME_NOW)))
		set |= POOL_SET_MTIME;
	if (which & FUSE_SET_ATTR_MTIME_NOW)
		attributes.mtime = now;
	return set ? pool_set_attributes(pool, set, &attributes) : 0;
}

void op_setattr(fuse_req_t request, fuse_ino_t ino, struct stat *st, int which, struct fuse_file_info *fi)
{
	struct node *node = node_of(fs_of(request), ino);
	struct pool_handle *handle = fi ? handle_of(fi) : NULL;
	int error = 0;

	if (handle)
		error = pool_handle_check(handle);
	else if (node->dead)
		error = -ESTALE;
	if (!error && (which & FUSE_SET_ATTR_SIZE))
		error = st->st_size < 0 ? -EINVAL : pool_truncate(node->pool, handle, (uint64_t)st->st_size);
	if (!error)
		error = set_attributes(node->pool, st, which);
	if (error)
		fuse_reply_err(request, -error);
	else
		reply_attributes(request, node);
}

void statfs_add(struct statvfs *st, struct pools *pools)
{
	struct pools_info info;

	pools_info(pools, &info);
	st->f_blocks += info.size / PAGE_BYTES;
	st->f_bfree += info.free / PAGE_BYTES;
	st->f_bavail += info.free / PAGE_BYTES;
	/* The table of entries grows into free space: at most one page a file. */
	st->f_files += info.pools + info.directories + info.free / PAGE_BYTES;
	st->f_ffree += info.free / PAGE_BYTES;
	st->f_favail += info.free / PAGE_BYTES;
}

void op_statfs(fuse_req_t request, fuse_ino_t ino)
{
	struct fusefs *fs = fs_of(request);
	struct statvfs st = { .f_bsize = PAGE_BYTES, .f_frsize = PAGE_BYTES, .f_namemax = POOL_NAME_MAX };

	if (is_top(fs, ino))
		top_statfs(fs, &st);
	else
		statfs_add(&st, node_of(fs, ino)->tree->pools);
	fuse_reply_statfs(request, &st);
}
