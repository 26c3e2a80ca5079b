/* SPDX-License-Identifier: BSD-3-Clause */
#include "op_seek.h"

#include <errno.h>
#include <unistd.h>

#include "common/align.h"
#include "invalidate.h"
#include "late_request.h"
#include "op_open.h"

/*
 * A page that was stored through a mapping is in the kernel's cache alone until
 * it is written back, and the pool may have a hole there. A program that copies
 * a file must not take it for one. So before a range is called a hole, the
 * kernel writes back what it has of it.
 */

/* If this many holes turn out to have been stored to, all that follows is called data, which is legal. */
#define ROUNDS_MAX 8

struct range {
	uint64_t from, end;
};

struct late_seek {
	struct late_request late;
	fuse_ino_t ino;
	struct pool_handle *handle;
	uint64_t offset;
	int whence;
};

static void reply(fuse_req_t request, int64_t found)
{
	if (found < 0)
		fuse_reply_err(request, (int)-found);
	else
		fuse_reply_lseek(request, found);
}

/* Where the hole ends that begins at `hole` or contains it; UINT64_MAX: with the file. */
static uint64_t hole_end(struct pool_handle *handle, uint64_t hole)
{
	int64_t data = pool_seek(handle, hole, SEEK_DATA);

	return data < 0 ? UINT64_MAX : (uint64_t)data;
}

/* The hole that an answer speaks of; empty if it speaks of none. */
static struct range hole_of(struct pool_handle *handle, uint64_t offset, int whence, int64_t found)
{
	if (whence == SEEK_HOLE)
		return found < 0 ? (struct range){ 0 } :
				   (struct range){ (uint64_t)found, hole_end(handle, (uint64_t)found) };
	if (found < 0 && found != -ENXIO)
		return (struct range){ 0 };
	return (struct range){ offset, found < 0 ? UINT64_MAX : (uint64_t)found };
}

/* The answer when everything from the offset on counts as data. */
static int64_t all_is_data(const struct late_seek *seek)
{
	struct pool_attributes attributes;
	int error = pool_get_attributes(pool_of(seek->handle), &attributes);

	if (error)
		return error;
	if (seek->offset >= attributes.size)
		return -ENXIO;
	return (int64_t)(seek->whence == SEEK_HOLE ? attributes.size : seek->offset);
}

static int64_t seek_written_back(struct fusefs *fs, const struct late_seek *seek)
{
	struct range clean = { 0 };

	for (unsigned round = 0; round < ROUNDS_MAX; round++) {
		int64_t found = pool_seek(seek->handle, seek->offset, seek->whence);
		struct range hole = hole_of(seek->handle, seek->offset, seek->whence, found);

		if (hole.from >= hole.end || (clean.from <= hole.from && hole.end <= clean.end))
			return found;
		fusefs_invalidate_range(fs, seek->ino, hole.from, hole.end);
		clean = hole;
	}
	return all_is_data(seek);
}

static void run(struct fusefs *fs, struct late_work *work, bool kernel_answers)
{
	struct late_seek *seek = (struct late_seek *)work;

	reply(seek->late.request, kernel_answers ? seek_written_back(fs, seek) : all_is_data(seek));
	fusefs_late_request_end(&seek->late);
}

void fusefs_op_lseek(fuse_req_t request, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *fi)
{
	struct fusefs *fs = fusefs_of(request);
	struct pool_handle *handle = fusefs_handle_of(fi);
	int64_t found = offset < 0 ? -ENXIO : pool_seek(handle, (uint64_t)offset, whence);
	struct range hole = hole_of(handle, (uint64_t)offset, whence, found);
	struct late_seek *seek;

	if (offset < 0 || hole.from >= hole.end || !fusefs_node_may_have_stores(fusefs_node(fs, ino))) {
		reply(request, found);
		return;
	}
	seek = fusefs_late_request(request, sizeof(*seek), run);
	if (!seek)
		return;
	seek->ino = ino;
	seek->handle = handle;
	seek->offset = (uint64_t)offset;
	seek->whence = whence;
	fusefs_late_add(fs, &seek->late.work);
}
