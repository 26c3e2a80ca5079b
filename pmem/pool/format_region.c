/* SPDX-License-Identifier: BSD-3-Clause */

/* Formatting a region with an empty tree, and detecting whether it is formatted. */

#include "pool/pool.h"

#include <errno.h>
#include <string.h>

#include "common/align.h"
#include "common/crc32c.h"
#include "pool/inode.h"
#include "pool/superblock.h"
#include "pool/table.h"

/* A region is called blank if so many bytes at each of its ends are zero. */
#define PROBE_BYTES (64u * 1024)

static bool read_superblock(const struct region *region, uint64_t offset, uint64_t region_size_max,
			    struct superblock *superblock)
{
	return media_read(region, offset, superblock, sizeof(*superblock)) == 0 &&
	       pool_superblock_is_valid(superblock, region_size_max);
}

/* Memory that cannot be read is not blank: something may be in it. */
enum pools_probe pools_probe(const struct region *region)
{
	uint64_t size = region_size(region);

	if (region_is_new(region))
		return media_is_zero(region, 0, BLOCK_BYTES) == 1 ? POOLS_PROBE_BLANK : POOLS_PROBE_FORMATTED;
	if (pool_superblock_cut(region))
		return POOLS_PROBE_CUT;
	for (unsigned copy = 0; copy < 2; copy++) {
		struct superblock superblock;

		if (read_superblock(region, copy * (size - BLOCK_BYTES), size, &superblock))
			return POOLS_PROBE_FORMATTED;
	}
	if (media_is_zero(region, 0, PROBE_BYTES) == 1 &&
	    media_is_zero(region, size - PROBE_BYTES, PROBE_BYTES) == 1)
		return POOLS_PROBE_BLANK;
	return POOLS_PROBE_FOREIGN;
}

int pools_explain_cut(const struct region *region, struct message *message)
{
	const unsigned long long whole = pool_superblock_cut(region), here = region_size(region);

	return message_fail(message, -EUCLEAN,
			    "region %s: the region has %llu bytes, and only %llu of them are here: if its "
			    "file was cut short, extend the file with truncate -s %llu, or restore it",
			    region_spec(region), whole, here, whole);
}

bool pools_find(const struct region *region, uint64_t *offset, uint64_t *size)
{
	for (uint64_t at = align_up(*offset, BLOCK_BYTES); at < region_size(region); at += BLOCK_BYTES) {
		struct superblock superblock;

		/* Most pages are no superblock; the comparison of the magic reads little of them. */
		if (media_compare(region, at, SUPERBLOCK_MAGIC, sizeof(superblock.magic)) != 0)
			continue;
		if (!read_superblock(region, at, UINT64_MAX, &superblock))
			continue;
		*offset = at;
		*size = superblock.region_size;
		return true;
	}
	return false;
}

/* ---- Formatting ------------------------------------------------------------------ */

static void root_slot(const struct superblock *superblock, const struct pools_format_options *options,
		      union slot *slot)
{
	struct timespec time = pool_time_now();
	struct file_slot *root = &slot->file;

	memset(slot, 0, sizeof(*slot));
	root->head.kind = SLOT_FILE;
	root->head.sequence = 2;
	root->mode = S_IFDIR | 0755;
	root->uid = options->uid;
	root->gid = options->gid;
	root->pool_mode = options->mode == POOL_MODE_INHERIT ? POOL_MODE_FSDAX : options->mode;
	memcpy(root->uuid, superblock->uuid, sizeof(root->uuid));
	for (int i = 0; i < 4; i++) {
		root->seconds[i] = time.tv_sec;
		root->nanoseconds[i] = (uint32_t)time.tv_nsec;
	}
	root->head.checksum = pool_slot_checksum(crc32c(0, superblock->uuid, sizeof(superblock->uuid)), slot,
						 SLOT_SIZE);
}

static int new_superblock(struct region *region, const struct pools_format_options *options,
			  struct superblock *superblock, struct message *message)
{
	uint64_t blocks = region_size(region) / BLOCK_BYTES;

	memset(superblock, 0, sizeof(*superblock));
	memcpy(superblock->magic, SUPERBLOCK_MAGIC, sizeof(superblock->magic));
	superblock->version = FORMAT_VERSION;
	superblock->size = sizeof(*superblock);
	superblock->region_size = region_size(region);
	superblock->block_size = BLOCK_BYTES;
	superblock->slot_size = SLOT_SIZE;
	superblock->created = pool_time_now().tv_sec;
	superblock->state = STATE_CLEAN;
	superblock->table_chunks = 1;
	superblock->chunks[0] = (struct table_chunk){
		.block = 1,
		.blocks = align_down(max_u64(8, min_u64(64, blocks / 64)), 2),
	};
	if (options->label) {
		if (strlen(options->label) > POOL_LABEL_MAX)
			return message_fail(message, -EINVAL, "label '%s': longer than %d bytes",
					    options->label, POOL_LABEL_MAX);
		memcpy(superblock->label, options->label, strlen(options->label));
	}
	pool_make_uuid(superblock->uuid);
	return 0;
}

/* A new region takes no bad page: every write must succeed. */
static int write_format(struct region *region, struct superblock *superblock, const union slot *root)
{
	static const unsigned char nothing[BLOCK_BYTES];
	/*
	 * Zero the old superblocks first: a crash from here on leaves an unformatted region, not one
	 * whose old superblock refers to overwritten entries.
	 */
	int error = media_write(region, 0, nothing, sizeof(nothing));

	if (!error)
		error = media_write(region, superblock->region_size - BLOCK_BYTES, nothing, sizeof(nothing));
	media_fence(region);
	if (!error)
		error = pool_table_init_chunk(region, crc32c(0, superblock->uuid, sizeof(superblock->uuid)),
					      &superblock->chunks[0], 0, 1);
	for (unsigned copy = 0; !error && copy < 2; copy++)
		error = media_write(region, pool_table_slot_offset(superblock, 0, copy), root, sizeof(*root));
	media_fence(region);
	return error ? error : pool_superblock_write(region, superblock);
}

/* NULL: nothing. */
static const char *contents(const struct region *region)
{
	switch (pools_probe(region)) {
	case POOLS_PROBE_BLANK:
		return NULL;
	case POOLS_PROBE_FORMATTED:
		return "softpmem pools already";
	case POOLS_PROBE_CUT:
		return "a part of a larger region of softpmem";
	case POOLS_PROBE_FOREIGN:
		break;
	}
	return "bytes that softpmem did not write";
}

int pools_format(struct region *region, const struct pools_format_options *options, struct message *message)
{
	const char *holds = options->force ? NULL : contents(region);
	struct superblock superblock;
	union slot slot;
	int error;

	if (region_is_read_only(region))
		return message_fail(message, -EROFS, "region %s: opened read-only", region_spec(region));
	if (holds)
		return message_fail(
			message, -EEXIST, "region %s: holds %s: to overwrite it, use softpmem format --force",
			region_spec(region), holds);
	error = new_superblock(region, options, &superblock, message);
	if (error)
		return error;
	root_slot(&superblock, options, &slot);
	error = write_format(region, &superblock, &slot);
	if (error)
		return message_fail(message, error,
				    "region %s: cannot write to it: %s: its memory is bad, or gone",
				    region_spec(region), strerror(-error));
	return 0;
}
