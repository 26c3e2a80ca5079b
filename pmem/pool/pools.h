/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef POOL_POOLS_H
#define POOL_POOLS_H

/*
 * Private to pmem/pool: all pools of one region, in memory.
 *
 * Locks, in the order in which they are taken:
 *   pools->power       shared by every call, exclusive while an outage is under way
 *   pools->drain_lock  one drain at a time
 *   pools->tree        names, links, directories; exclusive to change them
 *   pools->opens_lock  pool->opens, and with it whether a pool may be destroyed
 *   pool->lock         one pool's bytes, map, size, attributes; exclusive to change them.
 *                      A thread holds one of them, but for a drain, which holds those of
 *                      all attached pools, and for a directory's beside its new entry's
 *   undo->lock         the undo list (undo.h)
 *   pools->table_lock  the free entries, growth of the table, the superblock
 *   space.lock         the free blocks
 *   pools->list_lock   the lists of pools; the last
 */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "common/vector.h"
#include "pool/format.h"
#include "pool/pool.h"
#include "pool/space.h"

struct name;
struct undo;
LIST_HEAD(pool_list, pool);
TAILQ_HEAD(pool_queue, pool);

/* What loading found unfinished after a crash; recovery.c finishes it. */
enum fix_kind {
	FIX_COPIES,    /* the entry's slots differ: write the current one over the other */
	FIX_FREE,      /* a name that a rename replaced: free the entry */
	FIX_RENAMED,   /* a name whose file an exchange changed: write the entry */
	FIX_FREE_FILE, /* a file without a name: destroy it */
};
struct fix {
	enum fix_kind kind;
	uint32_t index; /* of the entry */
};
struct fixes {
	VECTOR_FIELDS(struct fix);
};

struct pools {
	struct region *region;
	struct domain *domain;
	struct pools_options options;
	bool read_only;

	/* The gate (gate.h). */
	pthread_rwlock_t power;
	pthread_mutex_t gate_lock; /* for `gate`, on which calls wait for the end of an outage */
	pthread_cond_t gate;
	_Atomic bool power_off;
	_Atomic uint64_t generation;

	pthread_rwlock_t tree; /* guards the names and all of the following five */
	struct name **hash;    /* of all names */
	uint64_t hash_size, name_count;
	_Atomic uint64_t file_count, directory_count;
	struct pool *root;
	struct pool **files; /* by entry; NULL where the entry is no file */
	struct fixes fixes;  /* used while opening only */

	pthread_mutex_t opens_lock;
	pthread_mutex_t drain_lock;

	pthread_mutex_t list_lock;	/* guards the lists */
	struct pool_queue active;	/* may have volatile state, or a view with memory */
	struct pool_list destroyed;	/* have no entry any more, and are still referred to */
	struct pool_list nameless;	/* have no name, and are still open */
	struct pool_list attached;	/* client processes store to their views */
	_Atomic uint64_t attached_count; /* written with the lock */
	struct pool_list once_attached; /* were attached since the region was opened */
	_Atomic uint64_t attachments;	/* pools_attachments() */

	/* Memory in views (view_limits.h). */
	_Atomic uint64_t populated;	/* views that have a memfd and a mapping */
	_Atomic uint64_t present_pages; /* in all views */
	_Atomic uint64_t dirty_pages;	/* the same, but for stores of CPUs to attached views */
	uint64_t present_max;		/* above it, closed pools that are clean give their memory back */
	uint64_t populated_max;		/* above it, closed pools are synced, and give their memory back */

	/* The table (table.h). */
	pthread_mutex_t table_lock;
	struct superblock superblock; /* as last written */
	uint32_t uuid_seed;	      /* CRC-32C of the region's UUID, with which checksums of slots start */
	uint32_t entries;
	uint64_t *sequences;	/* of each entry, as on the media */
	uint32_t *free_entries; /* a heap, the lowest first */
	uint32_t free_count;
	uint32_t shrink_tried;	/* free_count when the table could not shrink; 0: it was not tried */
	uint64_t new_sequence;	/* of entries of a new chunk: see "The table" in docs/format.md */

	uint64_t told_outside; /* clock_ms() of the last line of take_back(); pools_trim()'s thread */

	struct space space;
	/*
	 * NULL: names, sizes and attributes are durable at once. It is there for good when a directory gets
	 * a metadata mode of its own, with pools->tree held exclusively.
	 */
	struct undo *_Atomic undo;
	_Atomic bool mixed; /* some directory has, or had, a metadata mode of its own */
};

/* An empty struct pools without a domain; NULL if there is no memory. */
struct pools *pools_alloc(const struct region *region);
/* Free all memory; writes nothing. No reference to any pool may be left. */
void pools_free(struct pools *pools);
/*
 * There was no space: take what is kept for an outage that might take operations back, as
 * pools_undo_make_room() does, and what the table does not need. True if there was any, so that it is worth
 * another try. Inside the gate, with no lock held.
 */
bool pools_make_room(struct pools *pools);

/* `result`; but -EIO if it is no error and the media were lost, because then nothing was done. */
static inline int media_outcome(const struct pools *pools, int result)
{
	return result >= 0 && region_failed(pools->region) ? -EIO : result;
}

#endif
