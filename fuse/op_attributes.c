/* SPDX-License-Identifier: BSD-3-Clause */
#include "op_attributes.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/align.h"
#include "invalidate.h"
#include "late_request.h"
#include "op_open.h"
#include "recorder/recorded.h"
#include "regions_root.h"
#include "reply_entry.h"
#include "set_id_bits.h"

static void reply_attributes(fuse_req_t request, struct node *node)
{
	struct pool_attributes attributes;
	struct stat st;
	int error = pool_get_last_attributes(node->pool, &attributes);

	if (error) {
		fuse_reply_err(request, -error);
		return;
	}
	fusefs_attributes_to_stat(node->tree, &attributes, &st);
	fuse_reply_attr(request, &st, fusefs_attributes_timeout(&attributes));
}

/* What the kernel has of the file is written back first. */
struct late_getattr {
	struct late_request late;
	struct node *node;
};

static void write_back_and_reply(struct fusefs *fs, struct late_work *work, bool kernel_answers)
{
	struct late_getattr *get = (struct late_getattr *)work;

	if (kernel_answers)
		fusefs_invalidate_whole(fs, fusefs_node_ino(fs, get->node));
	reply_attributes(get->late.request, get->node);
	fusefs_late_request_end(&get->late);
}

static void reply_after_write_back(fuse_req_t request, struct node *node)
{
	struct late_getattr *get = fusefs_late_request(request, sizeof(*get), write_back_and_reply);

	if (!get)
		return;
	get->node = node;
	fusefs_late_add(fusefs_of(request), &get->late.work);
}

/* May the kernel have the only data of the file? */
static bool may_have_only_stores(struct node *node)
{
	struct pool_attributes attributes;

	return fusefs_node_may_have_stores(node) && pool_get_attributes(node->pool, &attributes) == 0 &&
	       fusefs_has_no_blocks(&attributes);
}

void fusefs_op_getattr(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct node *node = fusefs_node_of(request, ino);
	struct stat st;

	if (fusefs_is_regions_root(fusefs_of(request), ino)) {
		fusefs_regions_root_attributes(fusefs_of(request), &st);
		fuse_reply_attr(request, &st, FUSEFS_CACHE_TIMEOUT);
		return;
	}
	/*
	 * A handle is dead for good. By name, ESTALE has the kernel look the name up
	 * again, and it finds the new generation.
	 */
	if (node->dead)
		fuse_reply_err(request, fi ? EIO : ESTALE);
	else if (may_have_only_stores(node))
		reply_after_write_back(request, node);
	else
		reply_attributes(request, node);
}

/* As for every file system, root may do all but execute a file that nobody may execute. */
static int root_access(struct node *node, int mask)
{
	struct pool_attributes attributes;
	int error;

	if (node->dead)
		return -ESTALE;
	if (!(mask & X_OK))
		return 0;
	error = pool_get_attributes(node->pool, &attributes);
	if (error)
		return error;
	return S_ISREG(attributes.mode) && !(attributes.mode & 0111) ? -EACCES : 0;
}

void fusefs_op_access(fuse_req_t request, fuse_ino_t ino, int mask)
{
	int error = 0;

	if (!fusefs_is_regions_root(fusefs_of(request), ino))
		error = root_access(fusefs_node_of(request, ino), mask);
	fuse_reply_err(request, -error);
}

static int set_attributes(struct recorder *recorder, struct pool *pool, const struct stat *st, int which)
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
	/* A truncation sets mtime to now itself: a second commit would be in vain. */
	if ((which & FUSE_SET_ATTR_MTIME) &&
	    !((which & FUSE_SET_ATTR_SIZE) && (which & FUSE_SET_ATTR_MTIME_NOW)))
		set |= POOL_SET_MTIME;
	if (which & FUSE_SET_ATTR_MTIME_NOW)
		attributes.mtime = now;
	return set ? recorded_set_attributes(recorder, pool, set, &attributes) : 0;
}

/*
 * Not of libfuse: a change of the owner of a file that is no directory clears the bits, and so does a request
 * that changes nothing, which the kernel sends before it writes to a file with such bits or capabilities.
 */
#define CLEAR_SET_ID (1 << 30)

static void set_and_reply(fuse_req_t request, struct node *node, struct pool_handle *handle,
			  const struct stat *st, int which)
{
	int error = 0;

	if (handle)
		error = pool_handle_check(handle);
	else if (node->dead)
		error = -ESTALE;
	if (!error && (which & FUSE_SET_ATTR_SIZE))
		error = st->st_size < 0 ? -EINVAL :
					  recorded_truncate(fusefs_recorder(request), node->pool, handle,
							    (uint64_t)st->st_size);
	/* While the file has its old group. */
	if (!error && (which & (FUSE_SET_ATTR_SIZE | CLEAR_SET_ID)))
		error = fusefs_drop_set_id_bits(request, node->pool);
	if (!error)
		error = set_attributes(fusefs_recorder(request), node->pool, st, which);
	if (error)
		fuse_reply_err(request, -error);
	else
		reply_attributes(request, node);
}

/*
 * Stores through a mapping set the mtime when the kernel writes them back. Those
 * that were made before an mtime is set must not change it later, so they are
 * written back first.
 */
struct late_setattr {
	struct late_request late;
	struct node *node;
	struct pool_handle *handle; /* may be NULL */
	struct stat st;
	int which;
};

static void write_back_and_set(struct fusefs *fs, struct late_work *work, bool kernel_answers)
{
	struct late_setattr *set = (struct late_setattr *)work;

	if (kernel_answers)
		fusefs_invalidate_whole(fs, fusefs_node_ino(fs, set->node));
	set_and_reply(set->late.request, set->node, set->handle, &set->st, set->which);
	fusefs_late_request_end(&set->late);
}

static void set_after_write_back(fuse_req_t request, struct node *node, struct pool_handle *handle,
				 const struct stat *st, int which)
{
	struct late_setattr *set = fusefs_late_request(request, sizeof(*set), write_back_and_set);

	if (!set)
		return;
	set->node = node;
	set->handle = handle;
	set->st = *st;
	set->which = which;
	fusefs_late_add(fusefs_of(request), &set->late.work);
}

void fusefs_op_setattr(fuse_req_t request, fuse_ino_t ino, struct stat *st, int which,
		       struct fuse_file_info *fi)
{
	struct node *node = fusefs_node_of(request, ino);
	struct pool_handle *handle = fi ? fusefs_handle_of(fi) : NULL;

	if (which == 0 || fusefs_set_id_must_go())
		which |= CLEAR_SET_ID;
	/* While the kernel waits for a change of size, it writes nothing back. */
	if ((which & FUSE_SET_ATTR_MTIME) && !(which & FUSE_SET_ATTR_SIZE) &&
	    fusefs_node_may_have_stores(node))
		set_after_write_back(request, node, handle, st, which);
	else
		set_and_reply(request, node, handle, st, which);
}

static void add_space(struct statvfs *st, struct pools *pools)
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

void fusefs_op_statfs(fuse_req_t request, fuse_ino_t ino)
{
	const struct fusefs *fs = fusefs_of(request);
	struct statvfs st = { .f_bsize = PAGE_BYTES, .f_frsize = PAGE_BYTES, .f_namemax = POOL_NAME_MAX };

	if (!fusefs_is_regions_root(fs, ino))
		add_space(&st, fusefs_node_of(request, ino)->tree->pools);
	else
		for (unsigned i = 0; i < fs->tree_count; i++)
			if (!fusefs_tree_is_lost(&fs->trees[i]))
				add_space(&st, fs->trees[i].pools);
	fuse_reply_statfs(request, &st);
}
