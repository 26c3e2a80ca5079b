/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef POOL_INODE_H
#define POOL_INODE_H

/*
 * Private to pmem/pool: one file, directory, symlink, fifo or socket in memory, and
 * its entry and extent map on the media.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>
#include <time.h>

#include "common/align.h"
#include "model/names.h"
#include "pool/extmap.h"
#include "pool/format.h"
#include "pool/pool.h"

struct directory;
struct name;
struct space;

/* No page of a pool has this number, or a larger one. */
#define POOL_PAGES_MAX (POOL_SIZE_MAX / PAGE_BYTES + 1)

/* How many pages hold so many bytes. */
static inline uint64_t pages_up(uint64_t bytes)
{
	return align_up(bytes, PAGE_BYTES) / PAGE_BYTES;
}

struct pool {
	struct pools *pools;
	uint32_t index; /* of its entry */
	_Atomic uint64_t references;
	_Atomic uint32_t opens; /* handles; decided upon under pools->opens_lock */
	_Atomic bool dead;	/* destroyed, or about to be: its entry is free */
	/* On the undo list (undo.h): all notes that keep it, those of names, and those of its size. */
	_Atomic uint32_t undo_notes, undo_names, undo_resizes;
	_Atomic uint64_t truncations, allocated; /* da_alloc.h */
	_Atomic bool removed;	/* a call removed its last name; false if an outage destroyed it */
	_Atomic uint64_t tag;	/* pool_tag() */
	_Atomic uint32_t metadata; /* its metadata mode: own_modes.h */

	/* pools->tree guards these three. */
	_Atomic uint32_t links;
	struct name *names;
	struct directory *directory; /* NULL unless it is one */

	pthread_rwlock_t lock; /* guards all down to `has_capability` */
	_Atomic mode_t mode; /* pool_file_mode() reads it without the lock */
	uid_t uid;
	gid_t gid;
	enum pool_mode pool_mode;
	uint8_t uuid[16];
	struct timespec atime, btime;
	/* As a reader sees them, and as the media have them. */
	uint64_t size, durable_size;
	struct timespec mtime, durable_mtime;
	struct timespec ctime, durable_ctime;
	bool mtime_is_newer; /* than stores of clients that are volatile still: pool_note_stores() */
	struct view *view;	/* NULL until it is first written */
	_Atomic bool counted;	/* in pools->populated; read without the lock: see attach.c */
	uint64_t counted_pages; /* in pools->present_pages */
	uint64_t counted_dirty; /* in pools->dirty_pages */
	struct extmap map;
	enum names_size undo_size; /* while an outage decides: what the choice of names lets the size be */
	uint64_t undo_held;    /* blocks that pools->undo counts as free: the list alone keeps them */
	uint64_t undo_written; /* the newest operation of the region that its last write came after */
	bool map_changed;      /* since it was committed */
	struct extmap retired; /* blocks that the media's map still has: free after the next commit */
	uint64_t promised;     /* blocks set aside for pages that are present and have none */
	uint64_t *chain;       /* map blocks on the media, copies 0 and 1 alternating */
	uint32_t chain_count;
	/* Extended attributes (xattr.c): the records of their area on the media, and its first block. */
	unsigned char *xattrs;
	size_t xattrs_length; /* bytes */
	uint64_t xattrs_block;
	bool xattrs_damaged;
	_Atomic bool has_capability; /* pool_has_capability() reads it without the lock */

	/* Memory in holes: holes.c, by the thread that looks at it. */
	uint64_t memory_seen; /* pages of memory when it was counted last */
	uint64_t hole_stored, hole_read;

	/* pools->list_lock guards all below. */
	TAILQ_ENTRY(pool) active;
	LIST_ENTRY(pool) destroyed, nameless, attached, once_attached;
	bool is_active, is_destroyed, is_nameless, is_attached, was_attached;
};

struct pool_handle {
	struct pool *pool;
	uint64_t generation; /* of the region when it was opened */
	_Atomic uint64_t flushed; /* pool->truncations at its last pool_flush() that did something */
};

/* A pool that refers to entry `index`, with nothing in it: NULL if there is no memory. */
struct pool *pool_inode_alloc(struct pools *pools, uint32_t index);
/* Free it and all it owns in memory. */
void pool_inode_free(struct pool *pool);

/* Attributes from a slot; pool_load_map() loads the extent map. */
void pool_inode_decode(struct pool *pool, const struct file_slot *slot);
/*
 * Write the entry with the durable size and times, and the map if it changed: 0, -ENOMEM, -EIO or, if
 * there is no room for map blocks, -ENOSPC. On an error the entry on the media is as it was. Durable
 * on return. pool->lock is held exclusively.
 */
int pool_inode_commit(struct pool *pool);

/* Release the map blocks of `chain`. */
void pool_chain_release(struct space *space, const uint64_t *chain, uint32_t count);

/* CLOCK_REALTIME. */
struct timespec pool_time_now(void);
/*
 * Clients store to an attached pool unseen. When some of that became durable, its times are now, but if an
 * mtime was set after the stores. pool->lock is held exclusively.
 */
void pool_note_stores(struct pool *pool);
/* The mtime is set: stores that clients made before that must not change it. */
void pool_note_mtime(struct pool *pool);
/* A random UUID of version 4. */
void pool_make_uuid(uint8_t uuid[16]);

/* Would an outage with policy `lose` change it? pool->lock is held. */
bool pool_is_volatile(const struct pool *pool);

#endif
