/* SPDX-License-Identifier: BSD-3-Clause */
#include "request_path.h"

#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>

bool fusefs_changes_entry(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_SETATTR:
	case FUSE_SETXATTR:
	case FUSE_REMOVEXATTR:
	case FUSE_SYMLINK:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_CREATE:
	case FUSE_LINK:
	case FUSE_UNLINK:
	case FUSE_RMDIR:
	case FUSE_RENAME:
	case FUSE_RENAME2:
		return true;
	default:
		return false;
	}
}

enum fusefs_request_kind fusefs_request_kind(const struct fuse_in_header *in)
{
	const struct fuse_write_in *write = (const void *)(in + 1);

	if (fusefs_changes_entry(in->opcode))
		return FUSEFS_REQUEST_CHANGE;
	switch (in->opcode) {
	case FUSE_WRITE:
		if (in->len >= sizeof(*in) + sizeof(*write) && write->write_flags & FUSE_WRITE_CACHE)
			return FUSEFS_REQUEST_OTHER;
		return FUSEFS_REQUEST_CHANGE;
	case FUSE_FALLOCATE:
	case FUSE_COPY_FILE_RANGE:
		return FUSEFS_REQUEST_CHANGE;
	case FUSE_FSYNC:
	case FUSE_FSYNCDIR:
		return FUSEFS_REQUEST_SYNC;
	default:
		return FUSEFS_REQUEST_OTHER;
	}
}

static const char *setattr_name(const struct fuse_in_header *in)
{
	const struct fuse_setattr_in *setattr = (const void *)(in + 1);

	if (in->len < sizeof(*in) + sizeof(*setattr))
		return "setattr";
	if (setattr->valid & FATTR_SIZE)
		return "truncate";
	if (setattr->valid & FATTR_MODE)
		return "chmod";
	return setattr->valid & (FATTR_UID | FATTR_GID) ? "chown" : "utimens";
}

const char *fusefs_request_name(const struct fuse_in_header *in)
{
	static const char *const names[] = {
		[FUSE_WRITE] = "write",
		[FUSE_SYMLINK] = "symlink",
		[FUSE_MKNOD] = "mknod",
		[FUSE_MKDIR] = "mkdir",
		[FUSE_CREATE] = "create",
		[FUSE_LINK] = "link",
		[FUSE_UNLINK] = "unlink",
		[FUSE_RMDIR] = "rmdir",
		[FUSE_RENAME] = "rename",
		[FUSE_RENAME2] = "rename",
		[FUSE_FALLOCATE] = "fallocate",
		[FUSE_FSYNC] = "fsync",
		[FUSE_FSYNCDIR] = "fsync",
		[FUSE_SETXATTR] = "setxattr",
		[FUSE_REMOVEXATTR] = "removexattr",
		[FUSE_COPY_FILE_RANGE] = "copy_file_range",
	};
	const struct fuse_fsync_in *fsync = (const void *)(in + 1);

	if (in->opcode == FUSE_SETATTR)
		return setattr_name(in);
	if ((in->opcode == FUSE_FSYNC || in->opcode == FUSE_FSYNCDIR) &&
	    in->len >= sizeof(*in) + sizeof(*fsync) && fsync->fsync_flags & FUSE_FSYNC_FDATASYNC)
		return "fdatasync";
	if (in->opcode < sizeof(names) / sizeof(names[0]) && names[in->opcode])
		return names[in->opcode];
	return "request";
}

/* How many bytes are before the name in a request on a name; -1: it concerns the node itself. */
static ptrdiff_t bytes_before_name(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_UNLINK:
	case FUSE_RMDIR:
	case FUSE_SYMLINK:
		return 0;
	case FUSE_MKNOD:
		return sizeof(struct fuse_mknod_in);
	case FUSE_MKDIR:
		return sizeof(struct fuse_mkdir_in);
	case FUSE_CREATE:
		return sizeof(struct fuse_create_in);
	case FUSE_LINK:
		return sizeof(struct fuse_link_in);
	case FUSE_RENAME:
		return sizeof(struct fuse_rename_in);
	case FUSE_RENAME2:
		return sizeof(struct fuse_rename2_in);
	default:
		return -1;
	}
}

/* The name after so many bytes of the body, or after the first name there; NULL: the request is too short. */
static const char *name_in(const struct fuse_in_header *in, size_t before, unsigned index)
{
	const char *at = (const char *)(in + 1) + before, *end = (const char *)in + in->len;

	for (;; index--) {
		const char *nul = at < end ? memchr(at, '\0', (size_t)(end - at)) : NULL;

		if (!nul)
			return NULL;
		if (index == 0)
			return at;
		at = nul + 1;
	}
}

static uint64_t second_directory(const struct fuse_in_header *in)
{
	/* Both structures of a rename begin with the directory. */
	const struct fuse_rename_in *rename = (const void *)(in + 1);

	return rename->newdir;
}

void fusefs_request_path(struct fusefs *fs, const struct fuse_in_header *in, unsigned index, char *path,
			 size_t size)
{
	const bool is_rename = in->opcode == FUSE_RENAME || in->opcode == FUSE_RENAME2;
	const ptrdiff_t before = bytes_before_name(in->opcode);
	const char *name = before < 0 ? "" : name_in(in, (size_t)before, index);
	const struct node *node;
	size_t used;

	path[0] = '\0';
	if (!name || !in->nodeid || (index && !is_rename))
		return;
	node = fusefs_node(fs, index ? second_directory(in) : in->nodeid);
	if (!node->tree)
		return;
	used = fs->tree_count > 1 ? (size_t)snprintf(path, size, "/%s", node->tree->name) : 0;
	if (used >= size || pool_path(node->pool, path + used, size - used) < 0) {
		path[0] = '\0';
		return;
	}
	if (before < 0)
		return;
	/* The root's path is "/". */
	used = strlen(path);
	snprintf(path + used, size - used, "%s%s", used && path[used - 1] == '/' ? "" : "/", name);
}
