/* SPDX-License-Identifier: BSD-3-Clause */
#include "set_id_bits.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "common/cleanup.h"

#define GROUPS_AT_FIRST 64

static bool is_listed(const gid_t *groups, int count, gid_t group)
{
	for (int i = 0; i < count; i++)
		if (groups[i] == group)
			return true;
	return false;
}

/* False also if the client's supplementary groups cannot be read: then a bit is cleared, which is safe. */
static bool is_in_group(fuse_req_t request, gid_t group)
{
	gid_t few[GROUPS_AT_FIRST];
	CLEANUP_FREE gid_t *many = NULL;
	int count, all;

	if (fuse_req_ctx(request)->gid == group)
		return true;
	count = fuse_req_getgroups(request, GROUPS_AT_FIRST, few);
	if (count <= GROUPS_AT_FIRST)
		return is_listed(few, count, group);
	many = calloc((size_t)count, sizeof(*many));
	all = many ? fuse_req_getgroups(request, count, many) : 0;
	return is_listed(many, all < count ? all : count, group);
}

int fusefs_drop_set_id_bits(fuse_req_t request, struct pool *pool)
{
	struct pool_attributes attributes;
	mode_t mode;
	int error;

	/* Nearly every file has neither bit: this is on the way of every write. */
	if (!(pool_file_mode(pool) & (S_ISUID | S_ISGID)) || fuse_req_ctx(request)->uid == 0)
		return 0;
	error = pool_get_attributes(pool, &attributes);
	if (error)
		return error;
	mode = attributes.mode & ~(mode_t)S_ISUID;
	if ((mode & S_ISGID) && ((mode & S_IXGRP) || !is_in_group(request, attributes.gid)))
		mode &= ~(mode_t)S_ISGID;
	if (mode == attributes.mode)
		return 0;
	attributes.mode = mode;
	return pool_set_attributes(pool, POOL_SET_MODE, &attributes);
}
