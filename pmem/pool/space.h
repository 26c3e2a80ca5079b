/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef POOL_SPACE_H
#define POOL_SPACE_H

/*
 * Private to pmem/pool: which blocks (of 4096 bytes) of a region are free. In memory
 * only; loading claims every block that metadata names.
 *
 * A promise sets free blocks aside without choosing them, so that a write that
 * was acknowledged cannot fail for want of space when it is synced.
 *
 * Thread safe, except for pool_space_init() and pool_space_destroy().
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "pool/extmap.h"

struct space {
	pthread_mutex_t lock;	/* guards all below; no other lock is taken under it */
	uint64_t blocks;	/* of the region */
	uint64_t free;		/* not claimed, promised ones included */
	uint64_t promised;	/* to volatile pages that have no block yet */
	uint64_t metadata_only; /* the last of the free blocks, which only metadata may take */
	uint64_t rover;		/* where the search for a file's first block starts */
	uint64_t *used;		/* a bit a block */
	uint16_t *group_free;	/* free blocks of each group of GROUP_BLOCKS */
	/*
	 * Blocks that were released and not discarded since: a bit a block, their number, and for each
	 * group the tick of its last release. NULL unless pool_space_note_released() was called.
	 */
	uint64_t *released;
	uint64_t released_count;
	uint32_t *group_tick;
	uint32_t tick; /* the number of calls of pool_space_discard() */
};

/* All blocks are free. 0 or -ENOMEM. */
int pool_space_init(struct space *space, uint64_t blocks);
void pool_space_destroy(struct space *space);

/* Mark [block, block+count) used. False: one of them is used already or outside; nothing was marked. */
bool pool_space_claim(struct space *space, uint64_t block, uint64_t count);
void pool_space_release(struct space *space, uint64_t block, uint64_t count);
/* Release the blocks of all extents of the map. */
void pool_space_release_extents(struct space *space, const struct extmap *map);
/* The same, but for blocks that `before` has at the same page. */
void pool_space_release_new(struct space *space, const struct extmap *map, const struct extmap *before);

/* Note from now on which blocks are released, for pool_space_discard(): 0 or -ENOMEM. */
int pool_space_note_released(struct space *space);
/*
 * Call `discard` for released blocks that are still free, in runs inside one group, with space->lock held:
 * no other thread can take the blocks meanwhile. A group in which blocks were released since the last
 * `rest` calls of this function is left alone, because blocks that are released often are taken again soon.
 * Stops after `most` blocks. Returns the number of blocks.
 */
uint64_t pool_space_discard(struct space *space, uint32_t rest, uint64_t most,
			    void (*discard)(void *context, uint64_t block, uint64_t count), void *context);

/* Set blocks aside for later: 0 or -ENOSPC. */
int pool_space_promise(struct space *space, uint64_t count);
void pool_space_unpromise(struct space *space, uint64_t count);
/*
 * Change the promise of one holder from `before` to `after` blocks, whether there is
 * room or not: to restore what a failed change took.
 */
void pool_space_promise_exactly(struct space *space, uint64_t before, uint64_t after);

enum space_purpose {
	SPACE_DATA,	/* leaves promised blocks and the metadata's reserve alone */
	SPACE_PROMISED, /* blocks that were promised; reduces the promise */
	SPACE_METADATA	/* may use the metadata's reserve */
};
/*
 * Take up to `want` blocks in one run: from `goal` on if that block is free (0: no
 * goal), else from a multiple of GROUP_BLOCKS if `align` and there is such a run.
 * Returns how many, with the first in *block; 0: there is no space for the purpose.
 */
uint64_t pool_space_take(struct space *space, enum space_purpose purpose, uint64_t goal, uint64_t want,
			 bool align, uint64_t *block);

/* Blocks that SPACE_DATA could take or a promise could set aside. */
uint64_t pool_space_free_for_data(struct space *space);

#endif
