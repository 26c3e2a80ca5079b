/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * From the media to memory, for opening and for checking: finds the superblock, reads every entry,
 * claims every block. Notes for recovery.c what has to be repaired.
 */

#include "pool/load.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/align.h"
#include "common/crc32c.h"
#include "pool/superblock.h"
#include "pool/table.h"
#include "pool/xattr.h"

void pool_load_problem(const struct load_report *report, enum pools_problem_kind kind, uint64_t offset,
		       const char *format, ...)
{
	struct pools_problem found = { .kind = kind, .offset = offset };
	va_list args;

	if (!report)
		return;
	va_start(args, format);
	vsnprintf(found.text, sizeof(found.text), format, args);
	va_end(args);
	switch (kind) {
	case POOLS_LEFTOVER:
		report->result->leftovers++;
		break;
	case POOLS_REDUNDANT:
		report->result->redundant++;
		break;
	case POOLS_DAMAGE:
		report->result->damaged++;
		break;
	}
	if (report->problem)
		report->problem(report->context, &found);
}

uint64_t pool_load_offset(const struct loader *loader, uint32_t index)
{
	return pool_table_slot_offset(&loader->pools->superblock, index, 0);
}

int pool_load_note_fix(struct pools *pools, enum fix_kind kind, uint32_t index)
{
	return vector_append(&pools->fixes, (struct fix){ .kind = kind, .index = index });
}

/* ---- The superblock -------------------------------------------------------------- */

static bool read_superblock(const struct region *region, uint64_t offset, struct superblock *superblock)
{
	return media_read(region, offset, superblock, sizeof(*superblock)) == 0 &&
	       pool_superblock_is_valid(superblock, region_size(region));
}

static int find_superblock(struct loader *loader, const struct region *region, struct message *message)
{
	struct superblock copies[2];
	uint64_t offsets[2] = { 0, region_size(region) - BLOCK_BYTES };
	bool valid[2];
	unsigned best;

	if (pool_superblock_cut(region)) {
		pool_load_problem(loader->report, POOLS_DAMAGE, 0,
				  "the superblock is of a larger region: its end is missing");
		return pools_explain_cut(region, message);
	}
	valid[0] = read_superblock(region, offsets[0], &copies[0]);
	if (valid[0])
		offsets[1] = copies[0].region_size - BLOCK_BYTES;
	valid[1] = read_superblock(region, offsets[1], &copies[1]);
	if (!valid[0] && !valid[1]) {
		if (pools_probe(region) == POOLS_PROBE_BLANK)
			return message_fail(message, -ENODATA,
					    "region %s: not formatted: run softpmem format %s",
					    region_spec(region), region_spec(region));
		pool_load_problem(
			loader->report, POOLS_DAMAGE, 0,
			"neither copy of the superblock is valid: the region is not formatted, or lost");
		return message_fail(
			message, -EUCLEAN,
			"region %s: neither copy of the superblock is valid: it is not formatted, "
			"or lost: restore it, or overwrite it with softpmem format --force %s",
			region_spec(region), region_spec(region));
	}
	best = !valid[0] || (valid[1] && copies[1].sequence > copies[0].sequence) ? 1 : 0;
	if (!valid[!best])
		pool_load_problem(loader->report, POOLS_REDUNDANT, offsets[!best],
				  "superblock copy %u is damaged; copy %u is whole", !best, best);
	else if (copies[0].sequence != copies[1].sequence)
		pool_load_problem(
			loader->report, POOLS_LEFTOVER, offsets[!best],
			"superblock copy %u is older: a crash fell between the writes of the two copies",
			!best);
	if (copies[best].version != FORMAT_VERSION || copies[best].features_incompat)
		return message_fail(message, -EPROTONOSUPPORT,
				    "region %s: its format (version %u, features %#llx) is newer than this "
				    "program: use a newer softpmem",
				    region_spec(region), copies[best].version,
				    (unsigned long long)copies[best].features_incompat);
	loader->pools->superblock = copies[best];
	return 0;
}

static int claim_fixed(struct loader *loader)
{
	struct pools *pools = loader->pools;
	const struct superblock *superblock = &pools->superblock;
	uint64_t blocks = superblock->region_size / BLOCK_BYTES;
	bool sound = superblock->region_size % BLOCK_BYTES == 0 &&
		     superblock->region_size >= REGION_MIN_SIZE && superblock->table_chunks > 0;

	if (!sound || pool_space_init(&pools->space, blocks) < 0)
		return -EUCLEAN;
	pool_space_claim(&pools->space, 0, 1);
	pool_space_claim(&pools->space, blocks - 1, 1);
	for (uint32_t i = 0; i < superblock->table_chunks; i++) {
		const struct table_chunk *chunk = &superblock->chunks[i];

		if (chunk->blocks == 0 || chunk->blocks & 1 ||
		    !pool_space_claim(&pools->space, chunk->block, chunk->blocks))
			return -EUCLEAN;
	}
	return pool_table_entries(superblock) <= UINT32_MAX ? 0 : -EUCLEAN;
}

/* ---- Entries --------------------------------------------------------------------- */

/* The entry's current slot: of its valid copies the one with the higher sequence. False: none is valid. */
static bool choose_slot(struct loader *loader, uint32_t index, union slot *slot)
{
	struct pools *pools = loader->pools;
	union slot copies[2];
	uint64_t offsets[2];
	bool valid[2];
	unsigned best;

	for (unsigned copy = 0; copy < 2; copy++) {
		offsets[copy] = pool_table_slot_offset(&pools->superblock, index, copy);
		valid[copy] = media_read(pools->region, offsets[copy], &copies[copy], SLOT_SIZE) == 0 &&
			      pool_slot_is_valid(pools->uuid_seed, &copies[copy], index);
	}
	if (!valid[0] && !valid[1]) {
		pool_load_problem(
			loader->report, POOLS_DAMAGE, offsets[0],
			"entry %u: both slots are damaged (at %#llx and %#llx): a file or a name is "
			"lost",
			index, (unsigned long long)offsets[0], (unsigned long long)offsets[1]);
		return false;
	}
	best = !valid[0] || (valid[1] && copies[1].head.sequence > copies[0].head.sequence) ? 1 : 0;
	*slot = copies[best];
	if (!valid[!best])
		pool_load_problem(
			loader->report, POOLS_REDUNDANT, offsets[!best],
			"entry %u: slot %u is damaged, or was being written when power failed; slot %u "
			"is whole",
			index, !best, best);
	else if (copies[0].head.sequence != copies[1].head.sequence)
		pool_load_problem(
			loader->report, POOLS_LEFTOVER, offsets[!best],
			"entry %u: slot %u is older: a crash fell between the writes of the two slots", index,
			!best);
	else if (memcmp(&copies[0], &copies[1], SLOT_SIZE) != 0)
		pool_load_problem(loader->report, POOLS_DAMAGE, offsets[0],
				  "entry %u: its two slots have one sequence and different contents", index);
	else
		return true;
	return pool_load_note_fix(pools, FIX_COPIES, index) == 0;
}

static bool file_is_sound(const struct file_slot *slot)
{
	if (slot->size > POOL_SIZE_MAX)
		return false;
	for (int i = 0; i < 4; i++)
		if (slot->nanoseconds[i] >= 1000000000)
			return false;
	switch (slot->pool_mode) {
	case POOL_MODE_FSDAX:
	case POOL_MODE_SECTOR_512:
	case POOL_MODE_SECTOR_4096:
		break;
	default:
		return false;
	}
	switch (slot->mode & S_IFMT) {
	case S_IFREG:
		return true;
	case S_IFLNK:
		return slot->size > 0 && slot->size <= POOL_SYMLINK_MAX;
	case S_IFDIR:
		if (slot->head.metadata > METADATA_STRICT + 1)
			return false;
		return slot->size == 0 && slot->extents == 0;
	case S_IFIFO:
	case S_IFSOCK:
		return slot->size == 0 && slot->extents == 0;
	default:
		return false;
	}
}

static int load_file(struct loader *loader, uint32_t index, const struct file_slot *slot)
{
	struct pools *pools = loader->pools;
	struct pool *pool;

	if (!file_is_sound(slot)) {
		pool_load_problem(loader->report, POOLS_DAMAGE, pool_load_offset(loader, index),
				  "entry %u: a file with invalid attributes", index);
		return 0;
	}
	pool = pool_inode_alloc(pools, index);
	if (!pool)
		return -ENOMEM;
	loader->files[index] = pool;
	pool_inode_decode(pool, slot);
	if (S_ISDIR(pool->mode)) {
		pool->directory = calloc(1, sizeof(*pool->directory));
		if (!pool->directory)
			return -ENOMEM;
		pools->directory_count++;
	} else {
		pools->file_count++;
	}
	if (!pool_load_map(pool, slot, loader->report))
		pool_load_problem(
			loader->report, POOLS_DAMAGE, pool_load_offset(loader, index),
			"entry %u: the file's extents are out of order, outside the region, or claimed "
			"by another file too",
			index);
	if (!pool_load_xattrs(pool, slot))
		pool_load_problem(
			loader->report, POOLS_DAMAGE,
			slot->xattrs < pools->space.blocks ? slot->xattrs * BLOCK_BYTES :
							     pool_load_offset(loader, index),
			"entry %u: the file's extended attributes are damaged, outside the region, or "
			"claimed by another file too",
			index);
	if (S_ISLNK(pool->mode) && pool_extmap_find(&pool->map, 0) == pool->map.count)
		pool_load_problem(loader->report, POOLS_DAMAGE, pool_load_offset(loader, index),
				  "entry %u: a symlink without its target", index);
	return 0;
}

static int load_entries(struct loader *loader)
{
	struct pools *pools = loader->pools;
	uint64_t entries = pool_table_entries(&pools->superblock);

	pools->sequences = calloc(entries, sizeof(uint64_t));
	pools->free_entries = calloc(entries, sizeof(uint32_t));
	loader->files = calloc(entries, sizeof(*loader->files));
	loader->name_at = calloc(entries, sizeof(uint32_t));
	if (!pools->sequences || !pools->free_entries || !loader->files || !loader->name_at)
		return -ENOMEM;
	pools->entries = (uint32_t)entries;
	for (uint32_t index = 0; index < entries; index++) {
		union slot slot;
		int error = 0;

		if (loader->report->progress && index % 65536 == 0)
			loader->report->progress(loader->report->context, "entries", index, entries);
		/* A damaged entry is neither used nor free. */
		if (!choose_slot(loader, index, &slot))
			continue;
		pools->sequences[index] = slot.head.sequence;
		/* In rising order they are a heap. */
		if (slot.head.kind == SLOT_FREE)
			pools->free_entries[pools->free_count++] = index;
		else if (slot.head.kind == SLOT_FILE)
			error = load_file(loader, index, &slot.file);
		else if (slot.head.kind == SLOT_NAME)
			error = pool_load_note_name(loader, index, &slot.name);
		if (error)
			return error;
	}
	return 0;
}

/* ---- All ------------------------------------------------------------------------- */

static int load_with(struct loader *loader, const struct region *region, struct message *message)
{
	struct pools *pools = loader->pools;
	struct pools_check_result *result = loader->report->result;
	int error = find_superblock(loader, region, message);

	if (error)
		return error;
	pools->uuid_seed = crc32c(0, pools->superblock.uuid, sizeof(pools->superblock.uuid));
	if (claim_fixed(loader) < 0) {
		pool_load_problem(loader->report, POOLS_DAMAGE, 0,
				  "a chunk of the table lies outside the region or overlaps another");
		return message_fail(message, -EUCLEAN, "region %s: its superblock is inconsistent",
				    region_spec(region));
	}
	error = load_entries(loader);
	if (!error)
		error = pool_load_names(loader);
	if (!error)
		error = pool_load_find_nameless(loader);
	if (error)
		return message_fail(message, error, "region %s: cannot load it: %s", region_spec(region),
				    strerror(-error));
	result->entries = pools->entries;
	result->files = pools->file_count;
	result->directories = pools->directory_count;
	result->used = (pools->space.blocks - pools->space.free) * BLOCK_BYTES;
	return 0;
}

int pool_load_all(const struct region *region, const struct load_report *report, struct pools **out,
		  struct message *message)
{
	struct loader loader = { .report = report, .pools = pools_alloc(region) };
	int error;

	if (!loader.pools)
		return message_fail(message, -ENOMEM, "region %s: out of memory", region_spec(region));
	error = load_with(&loader, region, message);
	loader.pools->files = loader.files;
	vector_free(&loader.names);
	free(loader.name_at);
	if (error)
		pools_free(loader.pools);
	else
		*out = loader.pools;
	return error;
}

int pools_check(const struct region *region, const struct pools_check_options *options,
		struct pools_check_result *result, struct message *message)
{
	struct load_report report = {
		.problem = options->problem,
		.progress = options->progress,
		.context = options->context,
		.result = result,
	};
	struct pools *pools = NULL;
	int error;

	memset(result, 0, sizeof(*result));
	error = pool_load_all(region, &report, &pools, message);
	if (error)
		return error;
	pools_free(pools);
	if (result->damaged)
		return message_fail(message, -EUCLEAN, "region %s: %llu damaged places", region_spec(region),
				    (unsigned long long)result->damaged);
	return 0;
}
