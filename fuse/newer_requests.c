/* SPDX-License-Identifier: BSD-3-Clause */
#include "newer_requests.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stddef.h>
#include <sys/stat.h>

#include "common/align.h"
#include "dispatch.h"
#include "regions_root.h"
#include "reply_entry.h"

void fusefs_newer_translate(struct fuse_in_header *in)
{
	if (in->opcode == FUSE_TMPFILE)
		in->opcode = FUSE_CREATE;
}

/* As in <linux/fuse.h> since version 7.39. */
struct statx_request {
	uint32_t getattr_flags; /* FUSE_GETATTR_FH: `handle` is given */
	uint32_t reserved;
	uint64_t handle;
	uint32_t flags;
	uint32_t mask;
};

struct statx_time {
	int64_t seconds;
	uint32_t nanoseconds;
	int32_t reserved;
};

struct statx_reply {
	uint64_t valid_seconds;
	uint32_t valid_nanoseconds;
	uint32_t flags;
	uint64_t reserved[2];
	uint32_t mask;
	uint32_t block_size;
	uint64_t attributes;
	uint32_t links;
	uint32_t uid;
	uint32_t gid;
	uint16_t mode;
	uint16_t reserved_mode;
	uint64_t ino;
	uint64_t size;
	uint64_t blocks;
	uint64_t attributes_mask;
	struct statx_time atime, btime, ctime, mtime;
	uint32_t special_major, special_minor;
	uint32_t device_major, device_minor;
	uint64_t reserved_end[14];
};
_Static_assert(sizeof(struct statx_request) == 24, "struct fuse_statx_in");
_Static_assert(sizeof(struct statx_reply) == 288, "struct fuse_statx_out");
_Static_assert(offsetof(struct statx_reply, mask) == 32, "struct fuse_statx_out.stat");
_Static_assert(offsetof(struct statx_reply, ino) == 32 + 32, "struct fuse_statx.ino");
_Static_assert(offsetof(struct statx_reply, btime) == 32 + 80, "struct fuse_statx.btime");

static struct statx_time time_of(struct timespec time)
{
	return (struct statx_time){ .seconds = time.tv_sec, .nanoseconds = (uint32_t)time.tv_nsec };
}

static void fill(struct statx_reply *reply, const struct stat *st)
{
	*reply = (struct statx_reply){
		.valid_seconds = (uint64_t)FUSEFS_CACHE_TIMEOUT,
		.mask = STATX_BASIC_STATS,
		.block_size = (uint32_t)st->st_blksize,
		.links = (uint32_t)st->st_nlink,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.mode = (uint16_t)st->st_mode,
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.blocks = (uint64_t)st->st_blocks,
		.atime = time_of(st->st_atim),
		.mtime = time_of(st->st_mtim),
		.ctime = time_of(st->st_ctim),
	};
}

static int statx_of(const struct fusefs *fs, const struct fuse_in_header *in, struct statx_reply *reply)
{
	const struct statx_request *request = (const void *)(in + 1);
	const struct node *node = fusefs_node((struct fusefs *)fs, in->nodeid);
	struct pool_attributes attributes;
	struct stat st;
	int error;

	if (in->len < sizeof(*in) + sizeof(*request))
		return -EINVAL;
	if (fusefs_is_regions_root(fs, in->nodeid)) {
		fusefs_regions_root_attributes(fs, &st);
		fill(reply, &st);
		return 0;
	}
	/* As for GETATTR: by name, ESTALE has the kernel look the name up again. */
	if (node->dead)
		return request->getattr_flags & FUSE_GETATTR_FH ? -EIO : -ESTALE;
	error = pool_get_last_attributes(node->pool, &attributes);
	if (error)
		return error;
	fusefs_attributes_to_stat(node->tree, &attributes, &st);
	/* There is no late answer to this request. */
	if (fusefs_has_no_blocks(&attributes) && fusefs_node_may_have_stores(node))
		st.st_blocks = PAGE_BYTES / 512;
	fill(reply, &st);
	reply->valid_seconds = (uint64_t)fusefs_attributes_timeout(&attributes);
	reply->mask |= STATX_BTIME;
	reply->btime = time_of(attributes.btime);
	return 0;
}

bool fusefs_newer_answer(struct fusefs *fs, const struct fuse_in_header *in)
{
	struct statx_reply reply;
	int error;

	if (in->opcode != FUSEFS_STATX)
		return false;
	error = statx_of(fs, in, &reply);
	fusefs_answer(fs, in, error, &reply, error ? 0 : sizeof(reply));
	return true;
}
