/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Snapshots of a region's tree. pmem/region keeps the bytes; here the pools in memory are replaced by those
 * that the restored media have, as if the region were closed and opened again.
 */

#include "pool/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "pool/lifetime.h"
#include "pool/load.h"
#include "pool/own_modes.h"
#include "pool/recovery.h"
#include "pool/superblock.h"
#include "pool/undo.h"
#include "region/snapshot.h"

int pools_snapshot(struct pools *pools, struct region_snapshot **out)
{
	int error;

	if (pools->read_only)
		return -EROFS;
	error = pools_sync(pools);
	if (error)
		return error;
	/* No call is inside, so every operation is on the media as a whole or not at all. */
	WRITE_SCOPE(&pools->power);
	return region_snapshot_take(pools->region, out);
}

void pools_drop_snapshot(struct pools *pools, struct region_snapshot *snapshot)
{
	WRITE_SCOPE(&pools->power);
	region_snapshot_drop(snapshot);
}

/* ---- Back to a snapshot -------------------------------------------------------------------- */

/* The pools of before: who still refers to one gets -ESTALE. */
static void retire_all(struct pools *pools)
{
	pools_undo_close(pools);
	for (uint64_t i = 0; i < pools->hash_size; i++)
		while (pools->hash[i]) {
			struct name *name = pools->hash[i];

			pools->hash[i] = name->hash_next;
			free(name);
		}
	for (uint32_t index = 0; index < pools->entries; index++) {
		struct pool *pool = pools->files[index];

		if (!pool)
			continue;
		pool_ref(pool, 1);
		{
			WRITE_SCOPE(&pool->lock);
			pool_retire(pool);
		}
		pool_unref(pool, 1);
	}
}

/* Take over what was loaded. What is left of `fresh` is for pools_free(). */
static void take_over(struct pools *pools, struct pools *fresh)
{
	free(pools->hash);
	free(pools->files);
	vector_free(&pools->fixes);
	free(pools->sequences);
	free(pools->free_entries);
	pool_space_destroy(&pools->space);
	pools->hash = steal_pointer(&fresh->hash);
	pools->hash_size = fresh->hash_size;
	pools->name_count = fresh->name_count;
	fresh->hash_size = 0;
	pools->files = steal_pointer(&fresh->files);
	atomic_store(&pools->file_count, fresh->file_count);
	atomic_store(&pools->directory_count, fresh->directory_count);
	{
		LOCK_SCOPE(&pools->list_lock);
		pools->root = fresh->root;
	}
	memcpy(&pools->fixes, &fresh->fixes, sizeof(pools->fixes));
	memset(&fresh->fixes, 0, sizeof(fresh->fixes));
	pools->superblock = fresh->superblock;
	pools->uuid_seed = fresh->uuid_seed;
	pools->entries = fresh->entries;
	pools->sequences = steal_pointer(&fresh->sequences);
	pools->free_entries = steal_pointer(&fresh->free_entries);
	pools->free_count = fresh->free_count;
	pools->shrink_tried = 0;
	pools->new_sequence = fresh->new_sequence;
	/* Nobody uses either, so the lock in it is free. */
	pools->space = fresh->space;
	memset(&fresh->space, 0, sizeof(fresh->space));
	for (uint32_t index = 0; index < pools->entries; index++)
		if (pools->files[index])
			pools->files[index]->pools = pools;
}

static void drop_problem(void *context, const struct pools_problem *problem)
{
	struct pools *pools = context;

	/* Such as a file that had no name any more when the snapshot was taken: recovery removes it. */
	if (problem->kind == POOLS_DAMAGE)
		log_sink_print(&pools->options.log, "restore: %s", problem->text);
}

static int load(struct pools *pools, struct pools **fresh)
{
	struct pools_check_result result = { 0 };
	const struct load_report report = { .problem = drop_problem, .context = pools, .result = &result };
	struct message message;
	int error = pool_load_all(pools->region, &report, fresh, &message);

	if (!error && (result.damaged || !(*fresh)->root)) {
		pools_free(*fresh);
		return -EUCLEAN;
	}
	return error;
}

/* The power cycles are counted on. */
static int go_on(struct pools *pools, uint64_t dirty_shutdowns)
{
	int error;

	if (media_can_discard(pools->region))
		(void)!pool_space_note_released(&pools->space);
	error = pools_finish_crash(pools);
	pools_zero_tails(pools);
	pools->superblock.generation = atomic_load(&pools->generation);
	pools->superblock.dirty_shutdowns = dirty_shutdowns;
	pools->superblock.state = STATE_IN_USE;
	if (!error)
		error = pool_superblock_write(pools->region, &pools->superblock);
	pools_settle_metadata(pools);
	return error ? error : pools_undo_open(pools);
}

int pools_restore(struct pools *pools, struct region_snapshot *snapshot)
{
	const uint64_t dirty_shutdowns = pools->superblock.dirty_shutdowns;
	const struct chooser lose = { .policy = CHOOSER_LOSE };
	struct pool *root = pool_root(pools);
	struct pools *fresh;
	int error;

	/* Before anything changes. */
	if (!region_snapshot_is_whole(snapshot)) {
		pool_unref(root, 1);
		return -ENOMEM;
	}
	/* Records of processes that have ended are of the old views. */
	domain_settle(pools->domain, &lose);
	retire_all(pools);
	error = region_snapshot_restore(snapshot);
	if (!error)
		error = load(pools, &fresh);
	if (error) {
		/* The media have a tree that nobody could load: no file may be served by the old one. */
		region_give_up(pools->region, "its snapshot could not be restored");
		pool_unref(root, 1);
		return error;
	}
	take_over(pools, fresh);
	pool_unref(root, 1);
	pools_free(fresh);
	error = go_on(pools, dirty_shutdowns);
	if (error)
		region_give_up(pools->region, "its restored metadata could not be written");
	return error;
}
