/* SPDX-License-Identifier: BSD-3-Clause */

/* A region's pools as a whole: format, open, close, status. */

#include "pool/private.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/crc32c.h"

/* What is looked at, at both ends of a region, before it is called blank. */
#define PROBE_BYTES (64u * 1024)

/* ---- Format ------------------------------------------------------------------- */

static bool all_zero(const unsigned char *bytes, size_t length)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0;
}

enum pools_probe pools_probe(const struct region *region)
{
	const unsigned char *media = region_media(region);
	uint64_t size = region_size(region);

	if (region_is_new(region))
		return all_zero(media, BLOCK_BYTES) ? POOLS_PROBE_BLANK : POOLS_PROBE_FORMATTED;
	for (unsigned copy = 0; copy < 2; copy++) {
		struct superblock superblock;

		memcpy(&superblock, media + copy * (size - BLOCK_BYTES), sizeof(superblock));
		if (superblock_is_valid(&superblock, size))
			return POOLS_PROBE_FORMATTED;
	}
	return all_zero(media, PROBE_BYTES) && all_zero(media + size - PROBE_BYTES, PROBE_BYTES) ?
		       POOLS_PROBE_BLANK :
		       POOLS_PROBE_FOREIGN;
}

bool pools_find(const struct region *region, uint64_t *offset, uint64_t *size)
{
	const unsigned char *media = region_media(region);

	for (uint64_t at = align_up(*offset, BLOCK_BYTES); at < region_size(region); at += BLOCK_BYTES) {
		struct superblock superblock;

		/* Most pages are none, and are not read for long. */
		if (memcmp(media + at, SUPERBLOCK_MAGIC, sizeof(superblock.magic)) != 0)
			continue;
		memcpy(&superblock, media + at, sizeof(superblock));
		if (!superblock_is_valid(&superblock, UINT64_MAX))
			continue;
		*offset = at;
		*size = superblock.region_size;
		return true;
	}
	return false;
}

static void root_slot(const struct superblock *superblock, const struct pools_format_options *options,
		      union slot *slot)
{
	struct timespec time = now();
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
	root->head.checksum = slot_checksum(crc32c(0, superblock->uuid, sizeof(superblock->uuid)), slot,
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
	superblock->created = now().tv_sec;
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
	make_uuid(superblock->uuid);
	return 0;
}

int pools_format(struct region *region, const struct pools_format_options *options, struct message *message)
{
	static const unsigned char nothing[BLOCK_BYTES];
	struct superblock superblock;
	union slot slot;
	int error;

	if (region_is_read_only(region))
		return message_fail(message, -EROFS, "region %s: opened read-only", region_spec(region));
	if (!options->force && pools_probe(region) != POOLS_PROBE_BLANK)
		return message_fail(message, -EEXIST,
				    "region %s: holds %s: to lose that and format it, use softpmem format "
				    "--force",
				    region_spec(region),
				    pools_probe(region) == POOLS_PROBE_FORMATTED ?
					    "softpmem pools already" :
					    "bytes that are not softpmem's");
	error = new_superblock(region, options, &superblock, message);
	if (error)
		return error;
	/* The old superblocks go first: a crash from here on leaves no region, not half of an old one. */
	media_write(region, 0, nothing, sizeof(nothing));
	media_write(region, superblock.region_size - BLOCK_BYTES, nothing, sizeof(nothing));
	media_fence(region);
	table_init_chunk(region, crc32c(0, superblock.uuid, sizeof(superblock.uuid)),
			 &superblock.chunks[0], 0);
	root_slot(&superblock, options, &slot);
	for (unsigned copy = 0; copy < 2; copy++)
		media_write(region, table_slot_offset(&superblock, 0, copy), &slot, sizeof(slot));
	media_fence(region);
	superblock_write(region, &superblock);
	return 0;
}

/* ---- Open: finish what a crash left ----------------------------------------------- */

/* Copy the current slot of an entry over the other one. */
static void mend_copies(struct pools *pools, uint32_t index)
{
	union slot copies[2];
	uint64_t offsets[2];
	unsigned best;

	for (unsigned copy = 0; copy < 2; copy++) {
		offsets[copy] = table_slot_offset(&pools->superblock, index, copy);
		memcpy(&copies[copy], region_media(pools->region) + offsets[copy], SLOT_SIZE);
	}
	best = slot_is_valid(pools->uuid_seed, &copies[0], index) &&
			       copies[0].head.sequence == pools->sequences[index]
		       ? 0
		       : 1;
	media_write(pools->region, offsets[!best], &copies[best], SLOT_SIZE);
	media_fence(pools->region);
}

static struct name *name_of_entry(struct pools *pools, uint32_t index)
{
	for (uint64_t i = 0; i < pools->hash_size; i++)
		for (struct name *name = pools->hash[i]; name; name = name->hash_next)
			if (name->index == index)
				return name;
	return NULL;
}

static void rewrite_name(struct pools *pools, uint32_t index)
{
	const struct name *name = name_of_entry(pools, index);
	union slot slot;

	if (!name)
		return;
	name_encode(name, &slot);
	table_write(pools, index, &slot);
}

static void free_nameless(struct pools *pools, struct pool *pool)
{
	if (!pool)
		return;
	pool_ref(pool, 1);
	file_destroy_if_unused(pool);
	pool_unref(pool, 1);
}

static void finish_crash(struct pools *pools)
{
	for (size_t i = 0; i < pools->fixes.count; i++) {
		const struct fix *fix = &pools->fixes.items[i];

		switch (fix->kind) {
		case FIX_COPIES:
			mend_copies(pools, fix->index);
			break;
		case FIX_FREE:
			table_free(pools, fix->index);
			break;
		case FIX_RENAMED:
			rewrite_name(pools, fix->index);
			break;
		case FIX_FREE_FILE:
			free_nameless(pools, pools->files[fix->index]);
			break;
		}
	}
	/* Maps of which one copy was damaged. */
	for (uint32_t index = 0; index < pools->entries; index++)
		if (pools->files[index] && pools->files[index]->map_changed &&
		    file_commit(pools->files[index]) < 0)
			log_sink_print(&pools->options.log,
				       "entry %u: no room to write its map anew: it keeps one good copy",
				       index);
}

/*
 * What a sync that was cut had brought to the media behind a size that it did
 * not come to commit. Read before written: most tails are zero.
 */
static void blank_tails(struct pools *pools)
{
	for (uint32_t index = 1; index < pools->entries; index++) {
		struct pool *pool = pools->files[index];
		struct placement place;
		uint64_t in_page;

		if (!pool || !S_ISREG(pool->mode) || pool->size % PAGE_BYTES == 0)
			continue;
		in_page = pool->size % PAGE_BYTES;
		place = pool_view_ops.find(pool, pool->size / PAGE_BYTES, 1);
		if (place.placed && !all_zero(region_media(pools->region) + place.media_offset + in_page,
					      PAGE_BYTES - in_page))
			pool_blank_tail(pool);
	}
}

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

static void count_power_cycle(struct pools *pools)
{
	struct superblock *superblock = &pools->superblock;

	superblock->generation++;
	if (superblock->state != STATE_CLEAN) {
		superblock->dirty_shutdowns++;
		log_sink_print(&pools->options.log,
			       "the region was not stopped cleanly: dirty shutdown %llu",
			       (unsigned long long)superblock->dirty_shutdowns);
	}
	superblock->state = STATE_IN_USE;
	superblock_write(pools->region, superblock);
}

/*
 * Views take a descriptor and two mappings each; half of what the process may
 * have, so that nothing else starves.
 */
static uint64_t views_limit(void)
{
	const uint64_t mappings = 30000; /* vm.max_map_count is 65530 by default */
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return mappings;
	return min_u64(mappings, max_u64(limit.rlim_cur / 2, 64));
}

/* An eighth of the machine's memory. */
static uint64_t pages_limit(void)
{
	long pages = sysconf(_SC_PHYS_PAGES);

	return pages > 0 ? (uint64_t)pages / 8 : 0;
}

static int refuse_damaged(const struct region *region, const struct pools_options *options,
			  const struct pools_check_result *result, struct message *message)
{
	if (!result->damaged || options->read_only)
		return 0;
	return message_fail(message, -EUCLEAN,
			    "region %s: %llu places of its metadata are damaged beyond repair (softpmem "
			    "check %s names them); open it read-only to save what is there",
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
	error = load_all(region, &report, &pools, message);
	if (error)
		return error;
	error = refuse_damaged(region, &effective, &result, message);
	if (!error && !pools->root)
		error = message_fail(message, -EUCLEAN, "region %s: its root directory is lost",
				     region_spec(region));
	if (!error && pools->superblock.features_ro_compat && !effective.read_only)
		error = message_fail(message, -EROFS,
				     "region %s: its format has features this program can only read: open it "
				     "read-only",
				     region_spec(region));
	if (!error)
		error = domain_create(region, options->domain, &pools->domain);
	if (error) {
		pools_free_memory(pools);
		return error;
	}
	pools->region = region;
	pools->options = effective;
	pools->read_only = effective.read_only;
	pools->populated_max = views_limit();
	pools->present_max = pages_limit();
	if (!pools->read_only) {
		finish_crash(pools);
		if (pools->superblock.state != STATE_CLEAN)
			blank_tails(pools);
		count_power_cycle(pools);
	}
	atomic_store(&pools->generation, pools->superblock.generation);
	*out = pools;
	return 0;
}

/* ---- Close -------------------------------------------------------------------------- */

int pools_close(struct pools *pools, struct message *message)
{
	int error = pools_sync(pools);

	if (error)
		message_fail(message, error, "region %s: not everything could be made durable: %s",
			     region_spec(pools->region), strerror(-error));
	if (!pools->read_only) {
		for (uint32_t index = 1; index < pools->entries; index++)
			if (pools->files[index] && pools->files[index]->links == 0)
				free_nameless(pools, pools->files[index]);
		if (!error)
			pools->superblock.state = STATE_CLEAN;
		superblock_write(pools->region, &pools->superblock);
	}
	if (region_failed(pools->region))
		error = message_fail(message, -EIO,
				     "region %s: not stopped in good order: its memory is gone",
				     region_spec(pools->region));
	pools_free_memory(pools);
	return error;
}

void pools_abandon(struct pools *pools)
{
	pools_free_memory(pools);
}

/* ---- Status --------------------------------------------------------------------------- */

static uint64_t volatile_bytes(struct pools *pools)
{
	uint64_t pages = 0;
	struct pool *pool;

	LOCK_SCOPE(&pools->list_lock);
	LIST_FOREACH(pool, &pools->active, active) {
		/* list_lock is the last: the pool's own is only tried, and a busy pool is left out. */
		if (pthread_rwlock_tryrdlock(&pool->lock) != 0)
			continue;
		pages += pool->view ? view_dirty_pages(pool->view) : 0;
		pthread_rwlock_unlock(&pool->lock);
	}
	return pages * PAGE_BYTES;
}

void pools_info(struct pools *pools, struct pools_info *info)
{
	*info = (struct pools_info){
		.size = pools->superblock.region_size,
		.free = space_free_for_data(&pools->space) * BLOCK_BYTES,
		.volatile_bytes = volatile_bytes(pools),
		.generation = atomic_load(&pools->generation),
		.pools = pools->file_count,
		.directories = pools->directory_count,
		.domain = domain_persistence(pools->domain),
		.mode = pools->root->pool_mode,
		.read_only = pools->read_only,
	};
	LOCK_SCOPE(&pools->table_lock);
	memcpy(info->uuid, pools->superblock.uuid, sizeof(info->uuid));
	memcpy(info->label, pools->superblock.label, POOL_LABEL_MAX);
	info->dirty_shutdowns = pools->superblock.dirty_shutdowns;
	info->created = (time_t)pools->superblock.created;
}
