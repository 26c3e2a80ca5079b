/* SPDX-License-Identifier: BSD-3-Clause */
#include "set_id_bits.h"

#include <linux/fuse.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "recorder/recorded.h"

#define GROUPS_AT_FIRST 64

enum kernel_says { KERNEL_SAYS_NOTHING, KERNEL_SAYS_CLEAR, KERNEL_SAYS_KEEP };
static _Thread_local enum kernel_says kernel_says;

/* A 32-bit word of the request's body: false if it is not so long. */
static bool has_flag(const struct fuse_in_header *in, size_t offset, uint32_t flag)
{
	uint32_t word = 0;

	if (in->len >= sizeof(*in) + offset + sizeof(word))
		memcpy(&word, (const char *)(in + 1) + offset, sizeof(word));
	return word & flag;
}

static bool asks_to_clear(const struct fuse_in_header *in)
{
	switch (in->opcode) {
	case FUSE_WRITE:
		return has_flag(in, offsetof(struct fuse_write_in, write_flags), FUSE_WRITE_KILL_SUIDGID);
	case FUSE_OPEN:
		return has_flag(in, offsetof(struct fuse_open_in, open_flags), FUSE_OPEN_KILL_SUIDGID);
	case FUSE_CREATE:
		return has_flag(in, offsetof(struct fuse_create_in, open_flags), FUSE_OPEN_KILL_SUIDGID);
	default:
		return has_flag(in, offsetof(struct fuse_setattr_in, valid), FATTR_KILL_SUIDGID);
	}
}

void fusefs_set_id_note_request(const struct fusefs *fs, const struct fuse_in_header *in)
{
	kernel_says = KERNEL_SAYS_NOTHING;
	if (!fs->clears_set_id)
		return;
	switch (in->opcode) {
	case FUSE_WRITE:
	case FUSE_OPEN:
	case FUSE_CREATE:
	case FUSE_SETATTR:
		kernel_says = asks_to_clear(in) ? KERNEL_SAYS_CLEAR : KERNEL_SAYS_KEEP;
		break;
	default:
		break;
	}
}

bool fusefs_set_id_must_go(void)
{
	return kernel_says == KERNEL_SAYS_CLEAR;
}

static bool client_clears(fuse_req_t request)
{
	if (kernel_says == KERNEL_SAYS_NOTHING)
		return fuse_req_ctx(request)->uid != 0;
	return kernel_says == KERNEL_SAYS_CLEAR;
}

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

	if (fuse_req_ctx(request)->gid == group || fuse_req_ctx(request)->uid == 0)
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
	int error = recorded_drop_capability(fusefs_recorder(request), pool);

	/* Nearly every file has neither bit: this is on the way of every write. */
	if (error || !(pool_file_mode(pool) & (S_ISUID | S_ISGID)) || !client_clears(request))
		return error;
	error = pool_get_attributes(pool, &attributes);
	if (error)
		return error;
	mode = attributes.mode & ~(mode_t)S_ISUID;
	if ((mode & S_ISGID) && ((mode & S_IXGRP) || !is_in_group(request, attributes.gid)))
		mode &= ~(mode_t)S_ISGID;
	if (mode == attributes.mode)
		return 0;
	attributes.mode = mode;
	return recorded_set_attributes(fusefs_recorder(request), pool, POOL_SET_MODE, &attributes);
}
