/* SPDX-License-Identifier: BSD-3-Clause */

/* The pools of a region as a whole: open, close, status. */

#include "pool/pools.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "pool/directory_names.h"
#include "pool/gate.h"
#include "pool/inode.h"
#include "pool/lifetime.h"
#include "pool/load.h"
#include "pool/own_modes.h"
#include "pool/recovery.h"
#include "pool/superblock.h"
#include "pool/view_limits.h"
#include "pool/undo.h"

/* ---- In memory ------------------------------------------------------------------- */

struct pools *pools_alloc(const struct region *region)
{
	struct pools *pools = calloc(1, sizeof(*pools));

	if (!pools)
		return NULL;
	/* Loading writes nothing, so dropping `const` is safe. pools_open() sets the region again. */
	pools->region = (struct region *)(uintptr_t)region;
	pthread_rwlock_init(&pools->power, NULL);
	pthread_rwlock_init(&pools->tree, NULL);
	pthread_mutex_init(&pools->gate_lock, NULL);
	pthread_cond_init(&pools->gate, NULL);
	pthread_mutex_init(&pools->opens_lock, NULL);
	pthread_mutex_init(&pools->list_lock, NULL);
	pthread_mutex_init(&pools->drain_lock, NULL);
	pthread_mutex_init(&pools->table_lock, NULL);
	TAILQ_INIT(&pools->active);
	pools->new_sequence = 1;
	return pools;
}

void pools_free(struct pools *pools)
{
	pools_undo_close(pools);
	for (uint64_t i = 0; i < pools->hash_size; i++) {
		while (pools->hash[i]) {
			struct name *name = pools->hash[i];

			pools->hash[i] = name->hash_next;
			free(name);
		}
	}
	for (uint32_t index = 0; pools->files && index < pools->entries; index++)
		if (pools->files[index])
			pool_inode_free(pools->files[index]);
	while (!LIST_EMPTY(&pools->destroyed)) {
		struct pool *pool = LIST_FIRST(&pools->destroyed);

		LIST_REMOVE(pool, destroyed);
		pool_inode_free(pool);
	}
	free(pools->hash);
	free(pools->files);
	vector_free(&pools->fixes);
	free(pools->sequences);
	free(pools->free_entries);
	pool_space_destroy(&pools->space);
	domain_destroy(pools->domain);
	pthread_rwlock_destroy(&pools->power);
	pthread_rwlock_destroy(&pools->tree);
	free(pools);
}

/* ---- Open ------------------------------------------------------------------------ */

static void log_problem(void *context, const struct pools_problem *problem)
{
	const struct pools_options *options = context;

	log_sink_print(&options->log, "%s", problem->text);
}

static void pass_progress(void *context, const char *what, uint64_t done, uint64_t total)
{
	const struct pools_options *options = context;

	if (options->progress)
		options->progress(options->progress_context, what, done, total);
}

static int count_power_cycle(struct pools *pools)
{
	struct superblock *superblock = &pools->superblock;

	superblock->generation++;
	if (superblock->state != STATE_CLEAN) {
		superblock->dirty_shutdowns++;
		log_sink_print(&pools->options.log, "the region was not stopped cleanly: dirty shutdown %llu",
			       (unsigned long long)superblock->dirty_shutdowns);
	}
	superblock->state = STATE_IN_USE;
	return pool_superblock_write(pools->region, superblock);
}

static int refuse_damaged(const struct region *region, const struct pools_options *options,
			  const struct pools_check_result *result, struct message *message)
{
	if (!result->damaged || options->read_only)
		return 0;
	return message_fail(message, -EUCLEAN,
			    "region %s: %llu places of its metadata are damaged beyond repair (softpmem "
			    "check %s lists them); open it read-only to save what is left",
			    region_spec(region), (unsigned long long)result->damaged, region_spec(region));
}

int pools_open(struct region *region, const struct pools_options *options, struct pools **out,
	       struct message *message)
{
	struct pools_check_result result = { 0 };
	struct pools_options effective = *options;
	const struct load_report report = {
		.problem = log_problem,
		.progress = pass_progress,
		.context = &effective,
		.result = &result,
	};
	struct pools *pools = NULL;
	int error;

	effective.read_only = options->read_only || region_is_read_only(region);
	error = pool_load_all(region, &report, &pools, message);
	if (error)
		return error;
	error = refuse_damaged(region, &effective, &result, message);
	if (!error && !pools->root)
		error = message_fail(message, -EUCLEAN, "region %s: its root directory is lost",
				     region_spec(region));
	if (!error && !effective.read_only &&
	    (pools->superblock.features_ro_compat & ~(uint64_t)FEATURE_XATTRS))
		error = message_fail(
			message, -EROFS,
			"region %s: its format has features that this program can only read: open "
			"it read-only",
			region_spec(region));
	if (!error)
		error = domain_create(region, options->domain, &pools->domain);
	if (error) {
		pools_free(pools);
		return error;
	}
	pools->region = region;
	pools->options = effective;
	pools->read_only = effective.read_only;
	pools_set_limits(pools);
	/* Without memory for it, free blocks keep their memory. */
	if (!pools->read_only && media_can_discard(region))
		(void)!pool_space_note_released(&pools->space);
	if (!pools->read_only) {
		error = pools_finish_crash(pools);
		if (pools->superblock.state != STATE_CLEAN)
			pools_zero_tails(pools);
		if (!error)
			error = count_power_cycle(pools);
	}
	if (error) {
		pools_free(pools);
		return message_fail(message, error,
				    "region %s: cannot write its metadata: %s: its memory is bad, or gone; "
				    "open it read-only to save what is there",
				    region_spec(region), strerror(-error));
	}
	pools_settle_metadata(pools);
	if (!pools->read_only)
		error = pools_undo_open(pools);
	if (error) {
		pools_free(pools);
		return message_fail(message, error, "region %s: out of memory", region_spec(region));
	}
	atomic_store(&pools->generation, pools->superblock.generation);
	*out = pools;
	return 0;
}

/* ---- Close ----------------------------------------------------------------------- */

int pools_close(struct pools *pools, struct message *message)
{
	int error = pools_sync(pools);

	if (error)
		message_fail(message, error, "region %s: not everything could be made durable: %s",
			     region_spec(pools->region), strerror(-error));
	if (!pools->read_only) {
		pools_destroy_nameless(pools);
		if (!error)
			pools->superblock.state = STATE_CLEAN;
		if (pool_superblock_write(pools->region, &pools->superblock) < 0)
			error = message_fail(message, -EIO,
					     "region %s: not stopped in good order: neither copy of its "
					     "superblock can be written",
					     region_spec(pools->region));
	}
	if (region_failed(pools->region))
		error = message_fail(message, -EIO, "region %s: not stopped cleanly: its memory is gone",
				     region_spec(pools->region));
	pools_free(pools);
	return error;
}

void pools_abandon(struct pools *pools)
{
	pools_free(pools);
}

/* ---- Status ---------------------------------------------------------------------- */

/* Files without a name or handle: they are there for the undo list alone. */
static uint64_t count_kept(struct pools *pools)
{
	const struct pool *pool;
	uint64_t count = 0;

	LOCK_SCOPE(&pools->list_lock);
	LIST_FOREACH (pool, &pools->nameless, nameless)
		count += pool->opens == 0 && !pool->directory;
	return count;
}

void pools_info(struct pools *pools, struct pools_info *info)
{
	struct pool *root = pool_root(pools);

	*info = (struct pools_info){
		.size = pools->superblock.region_size,
		.free = (pool_space_free_for_data(&pools->space) + pools_undo_held(pools)) * BLOCK_BYTES,
		.volatile_bytes = atomic_load(&pools->dirty_pages) * PAGE_BYTES,
		.generation = atomic_load(&pools->generation),
		.pools = pools->file_count - count_kept(pools),
		.directories = pools->directory_count,
		.domain = domain_persistence(pools->domain),
		.mode = root->pool_mode,
		.metadata = pools->options.metadata,
		.auto_da_alloc = pools->options.auto_da_alloc,
		.read_only = pools->read_only,
	};
	pool_unref(root, 1);
	info->weakest_metadata = pools_weakest_metadata(pools, &info->own_metadata);
	LOCK_SCOPE(&pools->table_lock);
	memcpy(info->uuid, pools->superblock.uuid, sizeof(info->uuid));
	memcpy(info->label, pools->superblock.label, POOL_LABEL_MAX);
	info->dirty_shutdowns = pools->superblock.dirty_shutdowns;
	info->created = (time_t)pools->superblock.created;
}
