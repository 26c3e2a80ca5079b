/* SPDX-License-Identifier: BSD-3-Clause */
#include "op_xattr.h"

#include <errno.h>

#include "common/align.h"
#include "recorder/recorded.h"
#include "regions_root.h"

/*
 * ENOSYS must never be the answer: the kernel would take it for all extended attributes of the mount.
 * ESTALE has it look the name up again, and it finds the new generation.
 */
static int find_pool(fuse_req_t request, fuse_ino_t ino, struct pool **pool)
{
	struct node *node = fusefs_node_of(request, ino);

	if (fusefs_is_regions_root(fusefs_of(request), ino))
		return -EOPNOTSUPP;
	*pool = node->pool;
	return node->dead ? -ESTALE : 0;
}

/* With size 0 the process asks for the length alone. */
static void reply(fuse_req_t request, size_t size, const char *bytes, ssize_t length)
{
	if (length < 0)
		fuse_reply_err(request, (int)-length);
	else if (size == 0)
		fuse_reply_xattr(request, (size_t)length);
	else
		fuse_reply_buf(request, bytes, (size_t)length);
}

void fusefs_op_getxattr(fuse_req_t request, fuse_ino_t ino, const char *name, size_t size)
{
	char value[POOL_XATTRS_MAX];
	struct pool *pool;
	ssize_t length = find_pool(request, ino, &pool);

	if (!length)
		length = pool_xattr_get(pool, name, value, min_u64(size, sizeof(value)));
	reply(request, size, value, length);
}

void fusefs_op_listxattr(fuse_req_t request, fuse_ino_t ino, size_t size)
{
	char list[POOL_XATTRS_MAX];
	const bool privileged = fuse_req_ctx(request)->uid == 0;
	struct pool *pool;
	ssize_t length = find_pool(request, ino, &pool);

	if (!length)
		length = pool_xattr_list(pool, privileged, list, min_u64(size, sizeof(list)));
	else if (length == -EOPNOTSUPP)
		length = 0;
	reply(request, size, list, length);
}

void fusefs_op_setxattr(fuse_req_t request, fuse_ino_t ino, const char *name, const char *value, size_t size,
			int flags)
{
	struct pool *pool;
	int error = find_pool(request, ino, &pool);

	if (!error)
		error = recorded_xattr_set(fusefs_recorder(request), pool, name, value, size, flags);
	fuse_reply_err(request, -error);
}

void fusefs_op_removexattr(fuse_req_t request, fuse_ino_t ino, const char *name)
{
	struct pool *pool;
	int error = find_pool(request, ino, &pool);

	if (!error)
		error = recorded_xattr_remove(fusefs_recorder(request), pool, name);
	fuse_reply_err(request, -error);
}
