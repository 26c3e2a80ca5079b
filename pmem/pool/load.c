/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * From the media to memory, for the daemon and for the check alike: finds the
 * superblock, reads every entry, claims every block, ties names to files.
 * Writes nothing; what is to be mended is noted for pools_open().
 */

#include "pool/private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/crc32c.h"

struct loader {
	const struct load_report *report;
	struct pools *pools;
	struct pool **files; /* by entry; NULL where it is none */
	struct name_slot *names; /* in the order of entries */
	size_t names_count, names_room;
	uint32_t *name_at; /* by entry: 1 + its place in names; 0: no name */
};

void load_problem(const struct load_report *report, enum pools_problem_kind kind, uint64_t offset,
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

static int note_fix(struct pools *pools, enum fix_kind kind, uint32_t index)
{
	struct fixes *fixes = &pools->fixes;

	if (fixes->count == fixes->room) {
		size_t room = fixes->room ? 2 * fixes->room : 16;
		struct fix *grown = realloc(fixes->items, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		fixes->items = grown;
		fixes->room = room;
	}
	fixes->items[fixes->count++] = (struct fix){ .kind = kind, .index = index };
	return 0;
}

/* ---- Superblock -------------------------------------------------------------- */

static bool read_superblock(const struct region *region, uint64_t offset, struct superblock *superblock)
{
	memcpy(superblock, region_media(region) + offset, sizeof(*superblock));
	return superblock_is_valid(superblock, region_size(region));
}

static int find_superblock(struct loader *loader, const struct region *region, struct message *message)
{
	struct superblock copies[2];
	uint64_t offsets[2] = { 0, region_size(region) - BLOCK_BYTES };
	bool valid[2];
	unsigned best;

	valid[0] = read_superblock(region, offsets[0], &copies[0]);
	if (valid[0])
		offsets[1] = copies[0].region_size - BLOCK_BYTES;
	valid[1] = read_superblock(region, offsets[1], &copies[1]);
	if (!valid[0] && !valid[1]) {
		if (pools_probe(region) == POOLS_PROBE_BLANK)
			return message_fail(message, -ENODATA,
					    "region %s: not formatted: run softpmem format %s",
					    region_spec(region), region_spec(region));
		load_problem(loader->report, POOLS_DAMAGE, 0,
			     "neither copy of the superblock is valid: no softpmem region, or a lost one");
		return message_fail(message, -EUCLEAN,
				    "region %s: neither copy of the superblock is valid: it is no softpmem "
				    "region, or lost; softpmem format --force %s makes a new one and loses "
				    "what is there",
				    region_spec(region), region_spec(region));
	}
	best = !valid[0] || (valid[1] && copies[1].sequence > copies[0].sequence) ? 1 : 0;
	if (!valid[!best])
		load_problem(loader->report, POOLS_REDUNDANT, offsets[!best],
			"superblock copy %u is damaged; copy %u holds all of it", !best, best);
	else if (copies[0].sequence != copies[1].sequence)
		load_problem(loader->report, POOLS_LEFTOVER, offsets[!best],
			     "superblock copy %u is older: a crash came between the two", !best);
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

	if (!sound || space_init(&pools->space, blocks) < 0)
		return -EUCLEAN;
	space_claim(&pools->space, 0, 1);
	space_claim(&pools->space, blocks - 1, 1);
	for (uint32_t i = 0; i < superblock->table_chunks; i++) {
		const struct table_chunk *chunk = &superblock->chunks[i];

		if (chunk->blocks == 0 || chunk->blocks & 1 ||
		    !space_claim(&pools->space, chunk->block, chunk->blocks))
			return -EUCLEAN;
	}
	return table_entries(superblock) <= UINT32_MAX ? 0 : -EUCLEAN;
}

/* ---- Entries ------------------------------------------------------------------- */

/* The valid copy with the higher sequence; false if there is none. */
static bool choose_slot(struct loader *loader, uint32_t index, union slot *slot)
{
	struct pools *pools = loader->pools;
	union slot copies[2];
	uint64_t offsets[2];
	bool valid[2];
	unsigned best;

	for (unsigned copy = 0; copy < 2; copy++) {
		offsets[copy] = table_slot_offset(&pools->superblock, index, copy);
		memcpy(&copies[copy], region_media(pools->region) + offsets[copy], SLOT_SIZE);
		valid[copy] = slot_is_valid(pools->uuid_seed, &copies[copy], index);
	}
	if (!valid[0] && !valid[1]) {
		load_problem(loader->report, POOLS_DAMAGE, offsets[0],
			     "entry %u: both slots are damaged (at %#llx and %#llx): a file or a name is "
			     "lost",
			     index, (unsigned long long)offsets[0], (unsigned long long)offsets[1]);
		return false;
	}
	best = !valid[0] || (valid[1] && copies[1].head.sequence > copies[0].head.sequence) ? 1 : 0;
	*slot = copies[best];
	if (!valid[!best])
		load_problem(loader->report, POOLS_REDUNDANT, offsets[!best],
			     "entry %u: slot %u is damaged, or was being written when power failed; slot %u "
			     "holds all of it",
			     index, !best, best);
	else if (copies[0].head.sequence != copies[1].head.sequence)
		load_problem(loader->report, POOLS_LEFTOVER, offsets[!best],
			     "entry %u: slot %u is older: a crash came between the two", index, !best);
	else if (memcmp(&copies[0], &copies[1], SLOT_SIZE) != 0)
		load_problem(loader->report, POOLS_DAMAGE, offsets[0],
			     "entry %u: its two slots contradict each other", index);
	else
		return true;
	return note_fix(pools, FIX_COPIES, index) == 0;
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
		load_problem(loader->report, POOLS_DAMAGE, table_slot_offset(&pools->superblock, index, 0),
			"entry %u: a file with impossible attributes", index);
		return 0;
	}
	pool = pool_alloc(pools, index);
	if (!pool)
		return -ENOMEM;
	loader->files[index] = pool;
	file_decode(pool, slot);
	if (S_ISDIR(pool->mode)) {
		pool->directory = calloc(1, sizeof(*pool->directory));
		if (!pool->directory)
			return -ENOMEM;
		pools->directory_count++;
	} else {
		pools->file_count++;
	}
	if (!file_load_map(pool, slot, true, loader->report))
		load_problem(loader->report, POOLS_DAMAGE, table_slot_offset(&pools->superblock, index, 0),
			     "entry %u: the file's extents are out of order, outside the region, or claimed "
			     "by another too",
			     index);
	if (S_ISLNK(pool->mode) && extmap_find(&pool->map, 0) == pool->map.count)
		load_problem(loader->report, POOLS_DAMAGE, table_slot_offset(&pools->superblock, index, 0),
			"entry %u: a symlink without its target", index);
	return 0;
}

static int note_name(struct loader *loader, uint32_t index, const struct name_slot *slot)
{
	if (name_check(slot->name, slot->length) != 0) {
		load_problem(loader->report, POOLS_DAMAGE,
			     table_slot_offset(&loader->pools->superblock, index, 0),
			     "entry %u: a name that cannot be", index);
		return 0;
	}
	if (loader->names_count == loader->names_room) {
		size_t room = loader->names_room ? 2 * loader->names_room : 256;
		struct name_slot *grown = realloc(loader->names, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		loader->names = grown;
		loader->names_room = room;
	}
	loader->names[loader->names_count++] = *slot;
	loader->name_at[index] = (uint32_t)loader->names_count;
	return 0;
}

static int load_entries(struct loader *loader)
{
	struct pools *pools = loader->pools;
	uint64_t entries = table_entries(&pools->superblock);

	pools->sequences = calloc(entries, sizeof(uint64_t));
	pools->kinds = calloc(entries, 1);
	pools->free_entries = calloc(entries, sizeof(uint32_t));
	loader->files = calloc(entries, sizeof(*loader->files));
	loader->name_at = calloc(entries, sizeof(uint32_t));
	if (!pools->sequences || !pools->kinds || !pools->free_entries || !loader->files || !loader->name_at)
		return -ENOMEM;
	pools->entries = (uint32_t)entries;
	for (uint32_t index = 0; index < entries; index++) {
		union slot slot;
		int error = 0;

		if (loader->report->progress && index % 65536 == 0)
			loader->report->progress(loader->report->context, "entries", index, entries);
		/* A damaged entry stays out of use: its kind is 0. */
		if (!choose_slot(loader, index, &slot))
			continue;
		pools->sequences[index] = slot.head.sequence;
		pools->kinds[index] = (uint8_t)slot.head.kind;
		if (slot.head.kind == SLOT_FILE)
			error = load_file(loader, index, &slot.file);
		else if (slot.head.kind == SLOT_NAME)
			error = note_name(loader, index, &slot.name);
		if (error)
			return error;
	}
	/* The stack gives low entries first. */
	for (uint64_t index = entries; index-- > 0;)
		if (pools->kinds[index] == SLOT_FREE)
			pools->free_entries[pools->free_count++] = (uint32_t)index;
	return 0;
}

/* ---- Names ---------------------------------------------------------------------- */

/* A rename that became valid while its peer still says what was before: the peer follows now. */
static int apply_peer(struct loader *loader, const struct name_slot *slot)
{
	struct pools *pools = loader->pools;
	struct name_slot *peer;
	uint64_t offset;

	if (slot->action == NAME_ALONE || slot->peer >= pools->entries ||
	    pools->kinds[slot->peer] != SLOT_NAME || pools->sequences[slot->peer] != slot->peer_sequence ||
	    !loader->name_at[slot->peer])
		return 0;
	offset = table_slot_offset(&pools->superblock, slot->peer, 0);
	peer = &loader->names[loader->name_at[slot->peer] - 1];
	if (slot->action == NAME_EXCHANGES) {
		load_problem(loader->report, POOLS_LEFTOVER, offset,
			     "entry %u: an exchange of names was cut before its second half", slot->peer);
		peer->file = slot->peer_file;
		return note_fix(pools, FIX_RENAMED, slot->peer);
	}
	load_problem(loader->report, POOLS_LEFTOVER, offset,
		     "entry %u: a name that a rename replaced was not freed yet", slot->peer);
	loader->name_at[slot->peer] = 0;
	return note_fix(pools, FIX_FREE, slot->peer);
}

static int link_name(struct loader *loader, const struct name_slot *slot)
{
	struct pools *pools = loader->pools;
	uint64_t offset = table_slot_offset(&pools->superblock, slot->head.index, 0);
	uint32_t index = slot->head.index;
	struct pool *parent, *file;
	struct name *name;

	parent = slot->parent < pools->entries ? loader->files[slot->parent] : NULL;
	file = slot->file < pools->entries ? loader->files[slot->file] : NULL;
	if (!parent || !parent->directory || !file || file->index == 0) {
		load_problem(loader->report, POOLS_DAMAGE, offset, "entry %u: the name '%.*s' has no %s",
			     index, slot->length, slot->name, file && file->index ? "directory" : "file");
		return 0;
	}
	if (names_find(pools, parent, slot->name, slot->length) || (file->directory && file->names)) {
		load_problem(loader->report, POOLS_DAMAGE, offset, "entry %u: the name '%.*s' is there twice",
			     index, slot->length, slot->name);
		return 0;
	}
	name = name_alloc(slot->name, slot->length);
	if (!name)
		return -ENOMEM;
	name->index = index;
	if (names_link(pools, name, parent, file) < 0) {
		free(name);
		return -ENOMEM;
	}
	return 0;
}

/* Directories below the root, counted once each; one in a ring of its own is not reached. */
static uint64_t reachable_directories(struct pools *pools)
{
	CLEANUP_FREE struct pool **queue = calloc(pools->directory_count + 1, sizeof(*queue));
	uint64_t count = 0;

	if (!queue || !pools->root)
		return 0;
	queue[count++] = pools->root;
	for (uint64_t at = 0; at < count; at++) {
		const struct directory *directory = queue[at]->directory;

		for (size_t i = 0; i < directory->count; i++)
			if (directory->items[i].name && directory->items[i].name->file->directory)
				queue[count++] = directory->items[i].name->file;
	}
	return count;
}

static int link_names(struct loader *loader)
{
	struct pools *pools = loader->pools;
	int error = 0;

	for (size_t i = 0; !error && i < loader->names_count; i++)
		if (loader->name_at[loader->names[i].head.index])
			error = apply_peer(loader, &loader->names[i]);
	for (size_t i = 0; !error && i < loader->names_count; i++)
		if (loader->name_at[loader->names[i].head.index])
			error = link_name(loader, &loader->names[i]);
	loader->report->result->names = pools->name_count;
	return error;
}

static int find_nameless(struct loader *loader)
{
	struct pools *pools = loader->pools;
	uint64_t nameless = 0;
	int error = 0;

	pools->root = loader->files[0];
	if (!pools->root || !pools->root->directory) {
		load_problem(loader->report, POOLS_DAMAGE, table_slot_offset(&pools->superblock, 0, 0),
			     "entry 0: the root directory is lost");
		pools->root = NULL;
	}
	for (uint32_t index = 1; !error && index < pools->entries; index++) {
		struct pool *pool = loader->files[index];

		if (!pool || pool->links)
			continue;
		nameless += pool->directory ? 1 : 0;
		/* No crash does that: a directory is made before what is in it, and removed after it. */
		if (pool->directory && pool->directory->count > pool->directory->holes) {
			load_problem(loader->report, POOLS_DAMAGE,
				     table_slot_offset(&pools->superblock, index, 0),
				     "entry %u: a directory lost its name, with %zu names in it", index,
				     pool->directory->count - pool->directory->holes);
			continue;
		}
		load_problem(loader->report, POOLS_LEFTOVER, table_slot_offset(&pools->superblock, index, 0),
			     "entry %u: a file without a name (%llu bytes): it was being made, or removed, "
			     "when power failed",
			     index, (unsigned long long)pool->size);
		error = note_fix(pools, FIX_FREE_FILE, index);
	}
	if (pools->root && reachable_directories(pools) + nameless != pools->directory_count)
		load_problem(loader->report, POOLS_DAMAGE, 0,
			     "some directories cannot be reached from the root");
	return error;
}

void pools_free_memory(struct pools *pools)
{
	for (uint64_t i = 0; i < pools->hash_size; i++) {
		while (pools->hash[i]) {
			struct name *name = pools->hash[i];

			pools->hash[i] = name->hash_next;
			free(name);
		}
	}
	for (uint32_t index = 0; pools->files && index < pools->entries; index++)
		if (pools->files[index])
			pool_free_memory(pools->files[index]);
	while (!LIST_EMPTY(&pools->husks)) {
		struct pool *husk = LIST_FIRST(&pools->husks);

		LIST_REMOVE(husk, husk);
		pool_free_memory(husk);
	}
	free(pools->hash);
	free(pools->files);
	free(pools->fixes.items);
	free(pools->sequences);
	free(pools->kinds);
	free(pools->free_entries);
	space_destroy(&pools->space);
	domain_destroy(pools->domain);
	pthread_rwlock_destroy(&pools->power);
	pthread_rwlock_destroy(&pools->tree);
	free(pools);
}

static struct pools *pools_alloc(const struct region *region)
{
	struct pools *pools = calloc(1, sizeof(*pools));

	if (!pools)
		return NULL;
	/* Loading writes nothing; pools_open() has a region it may write to and sets it again. */
	pools->region = (struct region *)(uintptr_t)region;
	pthread_rwlock_init(&pools->power, NULL);
	pthread_rwlock_init(&pools->tree, NULL);
	pthread_mutex_init(&pools->gate_lock, NULL);
	pthread_cond_init(&pools->gate, NULL);
	pthread_mutex_init(&pools->opens_lock, NULL);
	pthread_mutex_init(&pools->list_lock, NULL);
	pthread_mutex_init(&pools->drain_lock, NULL);
	pthread_mutex_init(&pools->table_lock, NULL);
	return pools;
}

static int load_with(struct loader *loader, const struct region *region, struct message *message)
{
	struct pools *pools = loader->pools;
	struct pools_check_result *result = loader->report->result;
	int error = find_superblock(loader, region, message);

	if (error)
		return error;
	pools->uuid_seed = crc32c(0, pools->superblock.uuid, sizeof(pools->superblock.uuid));
	if (claim_fixed(loader) < 0) {
		load_problem(loader->report, POOLS_DAMAGE, 0,
			     "the superblock's table lies outside the region or over itself");
		return message_fail(message, -EUCLEAN, "region %s: its superblock contradicts itself",
				    region_spec(region));
	}
	error = load_entries(loader);
	if (!error)
		error = link_names(loader);
	if (!error)
		error = find_nameless(loader);
	if (error)
		return message_fail(message, error, "region %s: cannot load it: %s", region_spec(region),
				    strerror(-error));
	result->entries = pools->entries;
	result->files = pools->file_count;
	result->directories = pools->directory_count;
	result->used = (pools->space.blocks - pools->space.free) * BLOCK_BYTES;
	return 0;
}

int load_all(const struct region *region, const struct load_report *report, struct pools **out,
	     struct message *message)
{
	struct loader loader = { .report = report, .pools = pools_alloc(region) };
	int error;

	if (!loader.pools)
		return message_fail(message, -ENOMEM, "region %s: out of memory", region_spec(region));
	error = load_with(&loader, region, message);
	loader.pools->files = loader.files;
	free(loader.names);
	free(loader.name_at);
	if (error)
		pools_free_memory(loader.pools);
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
	error = load_all(region, &report, &pools, message);
	if (error)
		return error;
	pools_free_memory(pools);
	if (result->damaged)
		return message_fail(message, -EUCLEAN, "region %s: %llu damaged", region_spec(region),
				    (unsigned long long)result->damaged);
	return 0;
}
