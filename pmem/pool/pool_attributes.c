/* SPDX-License-Identifier: BSD-3-Clause */

/* Reading and setting attributes. */

#include "pool/pool.h"

#include <errno.h>
#include <string.h>

#include "common/align.h"
#include "common/cleanup.h"
#include "domain/domain.h"
#include "pool/directory_names.h"
#include "pool/gate.h"
#include "pool/own_modes.h"
#include "pool/undo.h"

/* Pages that clients have only read have memory too. If there are more, they count as stored to. */
#define PAGES_TO_COMPARE 4096u

/* What clients stored to holes of an attached pool gets its blocks later, and is data all the same. */
static bool has_stores_in_holes(const struct pool *pool)
{
	static const unsigned char zeros[PAGE_BYTES];
	const uint64_t end = pages_up(pool->size);
	const unsigned char *memory = pool->is_attached && pool->view ? view_memory(pool->view) : NULL;
	unsigned compared = 0;

	for (uint64_t page = 0; memory && (page = view_next_in_memory(pool->view, page, end)) < end; page++)
		if (compared++ == PAGES_TO_COMPARE ||
		    memcmp(memory + page * PAGE_BYTES, zeros, PAGE_BYTES) != 0)
			return true;
	return false;
}

/* pool->lock is held. */
static void get_attributes(const struct pool *pool, struct pool_attributes *attributes)
{
	*attributes = (struct pool_attributes){
		.ino = (uint64_t)pool->index + 1,
		.mode = pool->mode,
		.links = pool->links,
		.uid = pool->uid,
		.gid = pool->gid,
		.size = pool->size,
		.allocated = (pool_extmap_pages(&pool->map) + pool->promised) * BLOCK_BYTES,
		.atime = pool->atime,
		.mtime = pool->mtime,
		.ctime = pool->ctime,
		.btime = pool->btime,
		.pool_mode = pool->pool_mode,
		.metadata = pool_metadata(pool),
		.own_metadata = pool->directory && pool->metadata,
	};
	/* Programs take a file without blocks for a hole. */
	if (!attributes->allocated && has_stores_in_holes(pool))
		attributes->allocated = BLOCK_BYTES;
	memcpy(attributes->uuid, pool->uuid, sizeof(attributes->uuid));
	/* A directory's links, by convention: its name, its own ".", and a ".." in each subdirectory. */
	if (pool->directory)
		attributes->links = pool->removed ? 0 : 2 + pool->directory->subdirectories;
}

/*
 * The two functions below are not inside the gate: during an outage, both the state before it and the one
 * after it are valid answers.
 */

int pool_get_attributes(struct pool *pool, struct pool_attributes *attributes)
{
	READ_SCOPE(&pool->lock);
	if (pool->dead)
		return -ESTALE;
	get_attributes(pool, attributes);
	return 0;
}

int pool_get_last_attributes(struct pool *pool, struct pool_attributes *attributes)
{
	READ_SCOPE(&pool->lock);
	if (pool->dead && !pool->removed)
		return -ESTALE;
	get_attributes(pool, attributes);
	return 0;
}

mode_t pool_file_mode(const struct pool *pool)
{
	return atomic_load_explicit(&pool->mode, memory_order_relaxed);
}

static bool is_time(struct timespec time)
{
	return time.tv_nsec >= 0 && time.tv_nsec < 1000000000;
}

static void assign(struct pool *pool, unsigned which, const struct pool_attributes *attributes)
{
	if (which & POOL_SET_MODE)
		pool->mode = (pool->mode & S_IFMT) | (attributes->mode & 07777);
	if (which & POOL_SET_UID)
		pool->uid = attributes->uid;
	if (which & POOL_SET_GID)
		pool->gid = attributes->gid;
	if (which & POOL_SET_ATIME)
		pool->atime = attributes->atime;
	if (which & POOL_SET_MTIME)
		pool->mtime = pool->durable_mtime = attributes->mtime;
	if (which & POOL_SET_POOL_MODE)
		pool->pool_mode = attributes->pool_mode;
	pool->ctime = pool->durable_ctime = pool_time_now();
}

int pool_set_attributes(struct pool *pool, unsigned which, const struct pool_attributes *attributes)
{
	struct undo_attributes before;
	struct pool_attributes old;
	int error;

	/* On the media such a time would be damage. */
	if ((which & POOL_SET_ATIME && !is_time(attributes->atime)) ||
	    (which & POOL_SET_MTIME && !is_time(attributes->mtime)))
		return -EINVAL;
	/* What clients flushed before an mtime is set must not change it when it is drained. */
	if (which & POOL_SET_MTIME && pool_is_attached(pool))
		(void)!pools_drain(pool->pools);
	GATE_SCOPE(pool->pools);
	if (pool->pools->read_only)
		return -EROFS;
	WRITE_SCOPE(&pool->lock);
	if (pool->dead && pool->removed) {
		assign(pool, which, attributes);
		return 0;
	}
	if (pool->dead)
		return -ESTALE;
	get_attributes(pool, &old);
	before = (struct undo_attributes){
		.mode = pool->mode,
		.uid = pool->uid,
		.gid = pool->gid,
		.pool_mode = pool->pool_mode,
		.atime = pool->atime,
		.mtime = pool->durable_mtime,
		.ctime = pool->durable_ctime,
	};
	assign(pool, which, attributes);
	error = pool_inode_commit(pool);
	if (error)
		assign(pool, which, &old);
	else
		pool_undo_add_attributes(pool, &before);
	if (!error && which & POOL_SET_MTIME)
		pool_note_mtime(pool);
	return error;
}
