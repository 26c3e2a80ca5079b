/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Extended attributes. All attributes of a file are in one area of the media, which is never overwritten: a
 * change writes a new area, and the file's entry moves to it.
 */

#include "pool/xattr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "common/cleanup.h"
#include "pool/gate.h"
#include "pool/pools.h"
#include "pool/superblock.h"
#include "pool/table.h"
#include "pool/undo.h"

/* ---- Records --------------------------------------------------------------------- */

/* The attributes of a file: the records of the area, one behind the other, in the order of their names. */
struct records {
	const unsigned char *bytes;
	size_t length;
};

static const struct xattr_record *record_at(const struct records *records, size_t at)
{
	return (const void *)(records->bytes + at);
}

static size_t record_size(const struct xattr_record *record)
{
	return sizeof(*record) + record->name_length + record->value_length;
}

/* As memcmp() of two names; a name that begins with the other is the greater one. */
static int compare_names(const struct xattr_record *record, const char *name, size_t length)
{
	const size_t shorter = record->name_length < length ? record->name_length : length;
	int order = memcmp(record->name, name, shorter);

	return order ? order : (int)record->name_length - (int)length;
}

/* The place of the record with this name; if there is none, *found is false, and it is where it belongs. */
static size_t find_record(const struct records *records, const char *name, bool *found)
{
	const size_t length = strlen(name);
	size_t at = 0;

	*found = false;
	while (at < records->length) {
		int order = compare_names(record_at(records, at), name, length);

		*found = order == 0;
		if (order >= 0)
			break;
		at += record_size(record_at(records, at));
	}
	return at;
}

static struct records records_of(const struct pool *pool)
{
	return (struct records){ .bytes = pool->xattrs, .length = pool->xattrs_length };
}

/* ---- The area on the media -------------------------------------------------------- */

/* Is the record, with at most `room` bytes to the end of all, whole and in order after `previous`? */
static bool record_is_sound(const struct xattr_record *record, size_t room,
			    const struct xattr_record *previous)
{
	if (room < sizeof(*record) || record->name_length == 0 || record_size(record) > room)
		return false;
	if (memchr(record->name, 0, record->name_length))
		return false;
	return !previous ||
	       compare_names(previous, (const char *)record->name, record->name_length) < 0;
}

static bool area_is_sound(const struct pool *pool, const struct xattr_area *area)
{
	const struct records records = { .bytes = area->records, .length = area->length };
	const struct xattr_record *previous = NULL;
	uint32_t count = 0;
	size_t at = 0;

	if (area->magic != XATTR_MAGIC || area->owner != pool->index || area->length == 0 ||
	    area->length > sizeof(area->records) ||
	    area->checksum != pool_slot_checksum(pool->pools->uuid_seed, area, sizeof(*area)))
		return false;
	for (; at < records.length; at += record_size(previous), count++) {
		const struct xattr_record *record = record_at(&records, at);

		if (!record_is_sound(record, records.length - at, previous))
			return false;
		previous = record;
	}
	return count == area->count;
}

static void note_capability(struct pool *pool)
{
	const struct records records = records_of(pool);
	bool found = false;

	find_record(&records, POOL_CAPABILITY, &found);
	atomic_store(&pool->has_capability, found);
}

bool pool_load_xattrs(struct pool *pool, const struct file_slot *slot)
{
	struct pools *pools = pool->pools;
	CLEANUP_FREE struct xattr_area *area = NULL;

	/* Without the feature the bytes of the slot are reserved. */
	if (!(pools->superblock.features_ro_compat & FEATURE_XATTRS) || slot->xattrs == 0)
		return true;
	pool->xattrs_damaged = true;
	if (!pool_space_claim(&pools->space, slot->xattrs, XATTR_BLOCKS))
		return false;
	pool->xattrs_block = slot->xattrs;
	area = malloc(sizeof(*area));
	if (!area || media_read(pools->region, slot->xattrs * BLOCK_BYTES, area, sizeof(*area)) < 0 ||
	    !area_is_sound(pool, area))
		return false;
	pool->xattrs = malloc(area->length);
	if (!pool->xattrs)
		return false;
	memcpy(pool->xattrs, area->records, area->length);
	pool->xattrs_length = area->length;
	pool->xattrs_damaged = false;
	note_capability(pool);
	return true;
}

void pool_xattrs_release(struct pool *pool)
{
	if (pool->xattrs_block)
		pool_space_release(&pool->pools->space, pool->xattrs_block, XATTR_BLOCKS);
	pool->xattrs_block = 0;
	pool->xattrs_length = 0;
}

static int take_blocks(struct space *space, uint64_t *block)
{
	uint64_t got = pool_space_take(space, SPACE_DATA, 0, XATTR_BLOCKS, false, block);

	if (got == XATTR_BLOCKS)
		return 0;
	if (got)
		pool_space_release(space, *block, got);
	return -ENOSPC;
}

/* From here on older programs open the region only for reading. */
static int announce(struct pools *pools)
{
	struct superblock *superblock = &pools->superblock;
	int error;

	LOCK_SCOPE(&pools->table_lock);
	if (superblock->features_ro_compat & FEATURE_XATTRS)
		return 0;
	superblock->features_ro_compat |= FEATURE_XATTRS;
	error = pool_superblock_write(pools->region, superblock);
	if (error)
		superblock->features_ro_compat &= ~(uint64_t)FEATURE_XATTRS;
	return error;
}

/* Write the records to new blocks, durably; *block is 0 if there are none. */
static int write_area(struct pool *pool, const struct records *records, uint64_t *block)
{
	struct pools *pools = pool->pools;
	CLEANUP_FREE struct xattr_area *area = NULL;
	int error;

	*block = 0;
	if (records->length == 0)
		return 0;
	area = calloc(1, sizeof(*area));
	if (!area)
		return -ENOMEM;
	area->magic = XATTR_MAGIC;
	area->owner = pool->index;
	area->length = (uint32_t)records->length;
	for (size_t at = 0; at < records->length; at += record_size(record_at(records, at)))
		area->count++;
	memcpy(area->records, records->bytes, records->length);
	area->checksum = pool_slot_checksum(pools->uuid_seed, area, sizeof(*area));
	error = announce(pools);
	if (!error)
		error = take_blocks(&pools->space, block);
	if (error)
		return error;
	/* Blocks that the media does not take stay taken: the next try gets others. */
	error = media_write(pools->region, *block * BLOCK_BYTES, area, sizeof(*area));
	media_fence(pools->region);
	return error;
}

/* ---- Changing --------------------------------------------------------------------- */

/* Make `records`, whose memory the pool takes over, the attributes. On an error nothing has changed. */
static int replace_records(struct pool *pool, const struct records *records)
{
	const struct timespec ctime = pool->ctime, durable_ctime = pool->durable_ctime;
	const uint64_t old_block = pool->xattrs_block;
	struct undo_xattrs replaced;
	uint64_t block;
	int error = write_area(pool, records, &block);

	if (error)
		return error;
	pool->xattrs_block = block;
	pool->ctime = pool->durable_ctime = pool_time_now();
	error = pool_inode_commit(pool);
	/* -EIO after the media were lost: the entry refers to the new blocks in memory. */
	if (error && !region_failed(pool->pools->region)) {
		pool->xattrs_block = old_block;
		pool->ctime = ctime;
		pool->durable_ctime = durable_ctime;
		if (block)
			pool_space_release(&pool->pools->space, block, XATTR_BLOCKS);
		return error;
	}
	replaced = (struct undo_xattrs){
		.records = pool->xattrs,
		.length = pool->xattrs_length,
		.block = old_block,
		.ctime = durable_ctime,
	};
	pool->xattrs = (unsigned char *)(uintptr_t)records->bytes;
	pool->xattrs_length = records->length;
	note_capability(pool);
	if (pool_undo_is_needed(pool)) {
		pool_undo_add_xattrs(pool, &replaced);
	} else {
		if (old_block)
			pool_space_release(&pool->pools->space, old_block, XATTR_BLOCKS);
		free(replaced.records);
		pool_undo_add_unseen(pool, NAMES_SETATTR);
	}
	return error;
}

int pool_xattrs_restore(struct pool *pool, struct undo_xattrs *before)
{
	const uint64_t block = pool->xattrs_block;
	int error;

	WRITE_SCOPE(&pool->lock);
	pool->xattrs_block = before->block;
	pool->ctime = pool->durable_ctime = before->ctime;
	error = pool_inode_commit(pool);
	if (error) {
		pool->xattrs_block = block;
		return error;
	}
	if (block)
		pool_space_release(&pool->pools->space, block, XATTR_BLOCKS);
	free(pool->xattrs);
	pool->xattrs = before->records;
	pool->xattrs_length = before->length;
	before->records = NULL;
	before->block = 0;
	note_capability(pool);
	return 0;
}

/* A copy of the pool's records without the one at `at` (if `found`), and with `fresh` there (if not NULL). */
static int edit_records(struct pool *pool, size_t at, bool found, const struct xattr_record *fresh)
{
	const struct records old = records_of(pool);
	const size_t removed = found ? record_size(record_at(&old, at)) : 0;
	const size_t added = fresh ? record_size(fresh) : 0;
	struct records records = { .length = old.length - removed + added };
	CLEANUP_FREE unsigned char *bytes = NULL;
	int error;

	if (records.length > POOL_XATTRS_MAX)
		return -ENOSPC;
	bytes = malloc(records.length + 1);
	if (!bytes)
		return -ENOMEM;
	if (at)
		memcpy(bytes, old.bytes, at);
	if (fresh)
		memcpy(bytes + at, fresh, added);
	if (old.length > at + removed)
		memcpy(bytes + at + added, old.bytes + at + removed, old.length - at - removed);
	records.bytes = bytes;
	error = replace_records(pool, &records);
	if (pool->xattrs == bytes)
		bytes = NULL;
	return error;
}

static int check_name(const char *name)
{
	static const char *const prefixes[] = { "user.", "trusted.", "security." };
	const size_t length = strlen(name);

	if (length > POOL_NAME_MAX)
		return -ERANGE;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return name[strlen(prefixes[i])] ? 0 : -EINVAL;
	return -EOPNOTSUPP;
}

/* pool->lock is held. */
static int may_use(const struct pool *pool)
{
	if (pool->dead)
		return pool->removed ? -ENOENT : -ESTALE;
	return pool->xattrs_damaged ? -EIO : 0;
}

static struct xattr_record *make_record(const char *name, const void *value, size_t size)
{
	struct xattr_record *record = malloc(sizeof(*record) + strlen(name) + size);

	if (!record)
		return NULL;
	*record = (struct xattr_record){
		.name_length = (uint8_t)strlen(name),
		.value_length = (uint16_t)size,
	};
	memcpy(record->name, name, record->name_length);
	if (size)
		memcpy(record->name + record->name_length, value, size);
	return record;
}

static int replace_record_once(struct pool *pool, const char *name, const struct xattr_record *record,
			       int flags)
{
	struct records records;
	size_t at;
	bool found;
	int error;

	WRITE_SCOPE(&pool->lock);
	error = may_use(pool);
	if (error)
		return error;
	records = records_of(pool);
	at = find_record(&records, name, &found);
	if (found && (flags & XATTR_CREATE))
		return -EEXIST;
	if (!found && (flags & XATTR_REPLACE))
		return -ENODATA;
	return edit_records(pool, at, found, record);
}

/* Put `record` (NULL: nothing) in place of the attribute `name`. `flags` as of setxattr(2). */
static int replace_record(struct pool *pool, const char *name, const struct xattr_record *record, int flags)
{
	int error;

	GATE_SCOPE(pool->pools);
	if (pool->pools->read_only)
		return -EROFS;
	do
		error = replace_record_once(pool, name, record, flags);
	while (error == -ENOSPC && pools_make_room(pool->pools));
	return error;
}

int pool_xattr_set(struct pool *pool, const char *name, const void *value, size_t size, int flags)
{
	CLEANUP_FREE struct xattr_record *record = NULL;
	int error = check_name(name);

	if (error)
		return error;
	if (flags & ~(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	if (size > POOL_XATTRS_MAX)
		return -ENOSPC;
	record = make_record(name, value, size);
	return record ? replace_record(pool, name, record, flags) : -ENOMEM;
}

int pool_xattr_remove(struct pool *pool, const char *name)
{
	int error = check_name(name);

	return error ? error : replace_record(pool, name, NULL, XATTR_REPLACE);
}

/* ---- Reading ---------------------------------------------------------------------- */

ssize_t pool_xattr_get(struct pool *pool, const char *name, void *value, size_t size)
{
	const struct xattr_record *record;
	struct records records;
	size_t at;
	bool found;
	int error = check_name(name);

	if (error)
		return error;
	READ_SCOPE(&pool->lock);
	error = may_use(pool);
	if (error)
		return error == -ENOENT ? -ENODATA : error;
	records = records_of(pool);
	at = find_record(&records, name, &found);
	if (!found)
		return -ENODATA;
	record = record_at(&records, at);
	if (size && size < record->value_length)
		return -ERANGE;
	if (size)
		memcpy(value, record->name + record->name_length, record->value_length);
	return record->value_length;
}

ssize_t pool_xattr_list(struct pool *pool, bool trusted, char *list, size_t size)
{
	struct records records;
	size_t length = 0;
	int error;

	READ_SCOPE(&pool->lock);
	error = may_use(pool);
	if (error)
		return error == -ENOENT ? 0 : error;
	records = records_of(pool);
	for (size_t at = 0; at < records.length; at += record_size(record_at(&records, at))) {
		const struct xattr_record *record = record_at(&records, at);

		if (!trusted && record->name_length >= 8 && memcmp(record->name, "trusted.", 8) == 0)
			continue;
		if (size && length + record->name_length + 1 > size)
			return -ERANGE;
		if (size) {
			memcpy(list + length, record->name, record->name_length);
			list[length + record->name_length] = '\0';
		}
		length += (size_t)record->name_length + 1;
	}
	return (ssize_t)length;
}

bool pool_has_capability(const struct pool *pool)
{
	return atomic_load_explicit(&pool->has_capability, memory_order_relaxed);
}
