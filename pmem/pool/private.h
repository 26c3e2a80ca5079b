/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef POOL_PRIVATE_H
#define POOL_PRIVATE_H

/*
 * Private to pmem/pool.
 *
 * Locks, in the order in which they are taken:
 *   pools->power   shared by every call, exclusive while the power is off
 *   pools->tree    names, links, directories; exclusive to change them
 *   pool->lock     one pool's bytes, map, size, attributes; exclusive to change
 *   pools->table_lock  which entries are free, table growth, the superblock
 *   pools->space.lock  which blocks are free
 * pools->opens_lock is taken after tree and before pool->lock; pools->list_lock last of all.
 */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "common/align.h"
#include "common/cleanup.h"
#include "pool/format.h"
#include "pool/pool.h"

/* ---- Free space (space.c) --------------------------------------------------- */

struct space {
	pthread_mutex_t lock;
	uint64_t blocks;	/* of the region */
	uint64_t free;		/* not claimed, promised ones included */
	uint64_t promised;	/* to volatile pages that have no block yet */
	uint64_t metadata_only; /* the last of the free blocks, which only metadata may take */
	uint64_t rover;		/* where a file without neighbours starts looking */
	uint64_t *used;		/* a bit a block */
	uint16_t *group_free;	/* a count a group */
};

int space_init(struct space *space, uint64_t blocks);
void space_destroy(struct space *space);
/* Mark [block, block+count) used; false if any is used already or outside (then nothing is marked). */
bool space_claim(struct space *space, uint64_t block, uint64_t count);
void space_release(struct space *space, uint64_t block, uint64_t count);
/* Set blocks aside for later: -ENOSPC. */
int space_promise(struct space *space, uint64_t count);
void space_unpromise(struct space *space, uint64_t count);
/* One holder's promise changes, whether there is room or not: to put back what a failed change took. */
void space_promise_exactly(struct space *space, uint64_t before, uint64_t after);

enum space_purpose {
	SPACE_DATA,	/* -ENOSPC when only promised blocks and the metadata's own are left */
	SPACE_PROMISED, /* blocks promised before: takes them off the promise */
	SPACE_METADATA
};
/*
 * Take up to `want` blocks in one run: from `goal` on if it is free (0: no
 * goal); `align` to GROUP_BLOCKS if such a run is there. Returns how many, with
 * the first in *block; 0: none.
 */
uint64_t space_take(struct space *space, enum space_purpose purpose, uint64_t goal, uint64_t want, bool align,
		    uint64_t *block);
uint64_t space_free_for_data(struct space *space);

/* ---- Extent maps (extmap.c) -------------------------------------------------- */

struct extmap {
	struct extent *extents; /* sorted by page, not overlapping */
	uint32_t count, room;
};

static inline uint32_t extent_pages(const struct extent *extent)
{
	return extent->pages & ~EXTENT_UNWRITTEN;
}
static inline bool extent_unwritten(const struct extent *extent)
{
	return extent->pages & EXTENT_UNWRITTEN;
}
static inline uint64_t extent_end(const struct extent *extent)
{
	return (uint64_t)extent->page + extent_pages(extent);
}

void extmap_free(struct extmap *map);
int extmap_copy(const struct extmap *map, struct extmap *copy);
/* The index of the first extent that ends after `page`; count if none does. */
uint32_t extmap_find(const struct extmap *map, uint64_t page);
/* The block that would continue what lies before `page`; 0 if nothing does. */
uint64_t extmap_goal(const struct extmap *map, uint64_t page);
/* Make room for `more` extents, so that as many changes cannot fail. */
int extmap_reserve(struct extmap *map, uint32_t more);
/* Add a run where there is none; merges with its neighbours. Needs room for 1. */
void extmap_insert(struct extmap *map, uint64_t page, uint64_t pages, uint64_t block, bool unwritten);
/* Take pages out; what is in their place goes to `removed` (may be NULL). Needs room for 1. */
int extmap_remove(struct extmap *map, uint64_t page, uint64_t pages, struct extmap *removed);
/* Flag the pages that are mapped as written or unwritten. Needs room for 2. */
void extmap_flag(struct extmap *map, uint64_t page, uint64_t pages, bool unwritten);
uint64_t extmap_pages(const struct extmap *map);

/* ---- In memory ------------------------------------------------------------------ */

struct name {
	struct name *hash_next;
	struct pool *parent, *file;
	struct name *same_file; /* the file's further names */
	uint64_t cookie;
	uint32_t index; /* its entry */
	uint8_t length;
	char text[];
};

/* A directory's names in cookie order; a removed one leaves a NULL until the next tidying. */
struct directory {
	struct directory_item {
		uint64_t cookie;
		struct name *name;
	} *items;
	size_t count, room, holes;
	uint64_t next_cookie;
	uint32_t subdirectories;
};

struct pool {
	struct pools *pools;
	uint32_t index; /* its entry */
	_Atomic uint64_t references;
	/* Guarded by pools->tree. */
	_Atomic uint32_t links;
	_Atomic uint32_t opens; /* changed under pools->opens_lock */
	struct name *names;
	struct directory *directory; /* NULL unless it is one */
	_Atomic bool dead;	     /* its entry is free */

	pthread_rwlock_t lock; /* guards all below */
	mode_t mode;
	uid_t uid;
	gid_t gid;
	enum pool_mode pool_mode;
	uint8_t uuid[16];
	struct timespec atime, btime;
	/* As a reader sees them, and as the media has them. */
	uint64_t size, durable_size;
	struct timespec mtime, durable_mtime;
	struct timespec ctime, durable_ctime;
	struct view *view; /* NULL until first written */
	bool counted;	   /* in pools->populated */
	uint64_t counted_pages; /* in pools->present_pages */
	struct extmap map;
	bool map_changed; /* since it was committed */
	struct extmap retired; /* blocks that the media's map still has: free after the next commit */
	uint64_t promised; /* blocks set aside for pages that are present and have none */
	uint64_t *chain;   /* map blocks on the media, copy 0 and 1 alternating */
	uint32_t chain_count;

	/*
	 * pools->list_lock. Active: it has, or may have had since power-up, volatile
	 * state. Husk: dead, and still referred to. Attached: CPUs store to its view.
	 */
	LIST_ENTRY(pool) active, husk, attached;
	bool is_active, is_husk, is_attached, was_attached;
};
LIST_HEAD(pool_list, pool);

struct pool_handle {
	struct pool *pool;
	uint64_t generation;
};

/* What a crash left to be finished, found by load.c and done by pools_open(). */
enum fix_kind {
	FIX_COPIES,    /* make an entry's copies equal again */
	FIX_FREE,      /* a name that was replaced */
	FIX_RENAMED,   /* a name whose file an exchange changed */
	FIX_FREE_FILE, /* a file without a name */
};
struct fixes {
	struct fix {
		enum fix_kind kind;
		uint32_t index;
	} *items;
	size_t count, room;
};

struct pools {
	struct region *region;
	struct domain *domain;
	struct pools_options options;
	struct superblock superblock; /* as last written; table_lock */
	uint32_t uuid_seed;	      /* the checksum of the uuid, where slot checksums start */
	bool read_only;

	pthread_rwlock_t power;
	pthread_mutex_t gate_lock; /* guards waiting for power */
	pthread_cond_t gate;
	_Atomic bool power_off;
	_Atomic uint64_t generation;

	pthread_rwlock_t tree;
	struct name **hash;
	uint64_t hash_size, name_count;
	_Atomic uint64_t file_count, directory_count;
	struct pool *root;
	struct pool **files; /* by entry; tree */
	struct fixes fixes;

	pthread_mutex_t opens_lock; /* pool->opens; taken after tree */
	pthread_mutex_t drain_lock; /* one drain at a time; taken before any pool->lock */
	pthread_mutex_t list_lock;  /* the lists; taken last */
	struct pool_list active, husks, attached;
	_Atomic uint64_t populated; /* views that hold a memfd and a mapping */
	_Atomic uint64_t present_pages; /* in all views */
	uint64_t present_max;	    /* beyond it, closed pools that are clean give theirs back */
	uint64_t populated_max;	    /* beyond it, closed pools are written back to make room */

	pthread_mutex_t table_lock;
	uint32_t entries;
	uint64_t *sequences; /* of each entry, as on the media */
	uint8_t *kinds;
	uint32_t *free_entries; /* a stack */
	uint32_t free_count;

	struct space space;
};

/* ---- Calls that power may cut (gate.c) -------------------------------------------- */

/* `result`, or -EIO: what was done to media that were taken away meanwhile was not done. */
static inline int media_outcome(const struct pools *pools, int result)
{
	return result >= 0 && region_failed(pools->region) ? -EIO : result;
}

/* Wait until the power is on and keep it on until gate_leave(). */
void gate_enter(struct pools *pools);
/* The same for a handle, without waiting: -EIO if it is of an older generation, or the media are gone. */
int gate_enter_handle(struct pool_handle *handle);
/* The same without waiting: false if the power is off, or going. */
bool gate_try_enter(struct pools *pools);
void gate_leave(struct pools *pools);
static inline void gate_cleanup(struct pools **pools)
{
	if (*pools)
		gate_leave(*pools);
}
#define GATE_SCOPE(which)                                                                          \
	struct pools *scope_gate __attribute__((cleanup(gate_cleanup), unused)) =                  \
		(gate_enter(which), (which))
#define HANDLE_SCOPE(handle)                                                                       \
	struct pools *scope_gate __attribute__((cleanup(gate_cleanup), unused)) =                  \
		(handle)->pool->pools;                                                             \
	do {                                                                                       \
		int scope_error = gate_enter_handle(handle);                                       \
		if (scope_error) {                                                                 \
			scope_gate = NULL;                                                         \
			return scope_error;                                                        \
		}                                                                                  \
	} while (0)

/* ---- The table (table.c) -------------------------------------------------------- */

/* Where slot `copy` of the entry is in the region. */
uint64_t table_slot_offset(const struct superblock *superblock, uint32_t index, unsigned copy);
uint64_t table_entries(const struct superblock *superblock);
uint32_t slot_checksum(uint32_t uuid_seed, const void *slot, size_t size);
bool slot_is_valid(uint32_t uuid_seed, const union slot *slot, uint32_t index);
/* A free entry, taken off the stack; grows the table: -ENOSPC. */
int table_take(struct pools *pools, uint32_t *index);
/* Put back an entry that was taken and not written. */
void table_put_back(struct pools *pools, uint32_t index);
/* Write both copies, one after the other: at any moment the entry is the old or the new. Then durable. */
void table_write(struct pools *pools, uint32_t index, union slot *slot);
/* Make the entry free, on the media and here. */
void table_free(struct pools *pools, uint32_t index);
/* The current content, from the media. */
void table_read(struct pools *pools, uint32_t index, union slot *slot);
/* Write both superblock copies, one after the other, from pools->superblock. */
void superblock_write(struct region *region, struct superblock *superblock);
bool superblock_is_valid(const struct superblock *superblock, uint64_t region_size);
/* Lay out a chunk of free entries: slots with sequence 1. Durable after the next fence. */
void table_init_chunk(struct region *region, uint32_t uuid_seed, const struct table_chunk *chunk,
		      uint32_t first_index);

/* ---- Files (file.c) ----------------------------------------------------------------- */

struct pool *pool_alloc(struct pools *pools, uint32_t index);
void pool_free_memory(struct pool *pool);
/* In memory from a slot; the map is loaded by file_load_map(). */
void file_decode(struct pool *pool, const struct file_slot *slot);
/*
 * Write the file's entry with its durable size and times, and its map if that
 * changed (-ENOSPC when there is no room for map blocks: nothing changed on the
 * media). pool->lock is held exclusively.
 */
int file_commit(struct pool *pool);
/* Reserve, unwritten, what the pages lack. -ENOSPC: the map is as it was. file_commit() makes it durable. */
int file_reserve(struct pool *pool, uint64_t page, uint64_t pages);
/* Give the blocks and the entry back; the pool is dead. Nobody uses it any more. */
void file_destroy(struct pool *pool);
/* Free it if nothing names or holds it: true. pools->tree is held, and the caller has a reference. */
bool file_destroy_if_unused(struct pool *pool);
struct timespec now(void);
void make_uuid(uint8_t uuid[16]);

/* ---- Bytes (bytes.c, sync.c) ------------------------------------------------------------ */

extern const struct view_owner_ops pool_view_ops;
/* The view, made if there is none. pool->lock is held exclusively. */
int pool_need_view(struct pool *pool);
/*
 * pool->lock held exclusively: the dirty pages of the range are on the media;
 * file_commit() makes them the file's, if the map changed.
 */
int pool_persist(struct pool *pool, uint64_t page, uint64_t pages);
/* pool->lock held exclusively: persist and commit everything of it. */
int pool_sync_locked(struct pool *pool);
/* Grow the size a reader sees; bytes between read as zero. */
int pool_extend(struct pool *pool, uint64_t size);
/* The pool goes to the list of those a power failure must look at. */
void pool_activate(struct pool *pool);
/* Have populated views reached their limit? Then write closed pools back. No pool->lock is held. */
void pools_relieve(struct pools *pools);
/* After whatever may have given the view its memory, or taken it. */
void pool_count_view(struct pool *pool);
/*
 * Is more memory in views than there should be? Then those of closed, clean
 * pools are dropped. No pool->lock is held.
 */
void pools_trim(struct pools *pools);
/* pool->lock held exclusively: give the memory of a view without volatile bytes back. */
void pool_drop_clean_view(struct pool *pool);
/* Pages of the range that have no block and are not present: each takes one when it is stored to. */
uint64_t pool_absent_pages(const struct pool *pool, uint64_t page, uint64_t pages);
/* Make zero on the media what lies behind the durable size in its page. */
void pool_blank_tail(struct pool *pool);
/* Pages of the range that are present and have no block yet: each was promised one. */
uint64_t pool_promised_pages(const struct pool *pool, uint64_t page, uint64_t pages);
/* Discard volatile pages and give back what was promised to them (counted before the map lost any block). */
void pool_discard_pages(struct pool *pool, uint64_t page, uint64_t pages, uint64_t promised);
static inline bool pool_is_volatile(const struct pool *pool)
{
	return pool->size != pool->durable_size || pool->map_changed ||
	       (pool->view && view_is_dirty(pool->view)) ||
	       pool->mtime.tv_sec != pool->durable_mtime.tv_sec ||
	       pool->mtime.tv_nsec != pool->durable_mtime.tv_nsec ||
	       pool->ctime.tv_sec != pool->durable_ctime.tv_sec ||
	       pool->ctime.tv_nsec != pool->durable_ctime.tv_nsec;
}
void extents_release(struct space *space, const struct extmap *map);

/* ---- Names (names.c) ----------------------------------------------------------------------- */

struct name *names_find(struct pools *pools, const struct pool *directory, const char *text, size_t length);
struct name *name_alloc(const char *text, size_t length);
/* Add to the hash, the directory and the file. -ENOMEM: nothing was added. */
int names_link(struct pools *pools, struct name *name, struct pool *directory, struct pool *file);
void names_unlink(struct pools *pools, struct name *name);
/* 0, or -EINVAL, -ENAMETOOLONG, -EEXIST (for "." and ".."). */
int name_check(const char *text, size_t length);
void name_encode(const struct name *name, union slot *slot);

/* ---- Names on the media (namei.c, rename.c) -------------------------------------------------- */

/* pools->tree is held by whoever calls these, exclusively if they change anything. */

/* The directory takes a new name of this text? */
int name_may_add(struct pool *directory, const char *text);
/* 0, or -ENOENT, -ENOTDIR, -ENAMETOOLONG. */
int name_find_existing(struct pool *directory, const char *text, struct name **out);
/* Write the name's entry; `peer` and what follows as name_slot has them. */
void name_write(struct pools *pools, const struct name *name, enum name_action action,
		const struct name *peer);
/* Take the name away, and the file with it if nothing else holds that. */
void name_remove(struct pools *pools, struct name *name);
bool directory_is_empty(const struct pool *pool);
/* What names it, or what it names, has changed. */
void directory_touch(struct pool *directory);
void file_touch(struct pool *pool);

/* ---- Loading (load.c) ------------------------------------------------------------------------ */

struct load_report {
	void (*problem)(void *context, const struct pools_problem *problem);
	void (*progress)(void *context, const char *what, uint64_t done, uint64_t total);
	void *context;
	struct pools_check_result *result;
};
/* Report and count. A NULL report drops it. */
void load_problem(const struct load_report *report, enum pools_problem_kind kind, uint64_t offset,
		  const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Build everything in memory from the media, reporting what is wrong; writes nothing. */
int load_all(const struct region *region, const struct load_report *report, struct pools **out,
	     struct message *message);
void pools_free_memory(struct pools *pools);
/* The chain and extents of a file from the media into the pool; claims blocks if `claim`. False: damaged. */
bool file_load_map(struct pool *pool, const struct file_slot *slot, bool claim,
		   const struct load_report *report);

#endif
