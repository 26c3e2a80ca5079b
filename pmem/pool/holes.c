/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The kernel gives a page of a view memory when a CPU first stores to it or reads it. In a hole the page has
 * no block, and nothing but the size of the pool bounds how many there are.
 */

#include "pool/holes.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "domain/domain.h"
#include "pool/gate.h"
#include "pool/placement.h"
#include "pool/pools.h"
#include "pool/view_limits.h"

/* What is looked at with the lock held at once: some ten milliseconds. */
#define PAGES_A_CALL 65536u
/* Less is not worth a look. */
#define PAGES_LEAST 256u

/* Pages of a hole that have memory: the next run at or after `page` that has no block. */
struct run {
	uint64_t page, end;
};

static bool next_run(const struct pool *pool, uint64_t page, struct run *run)
{
	const uint64_t end = pages_up(pool->size);
	uint64_t stop;

	while (page < end) {
		if (pool_extmap_at(&pool->map, page, end, &stop)) {
			page = stop;
			continue;
		}
		run->page = view_next_memory(pool->view, page, stop, &run->end);
		if (run->page < stop)
			return true;
		page = stop;
	}
	return false;
}

/* Written by a call: it was promised a block. */
static bool is_promised(const struct pool *pool, uint64_t page)
{
	return view_page_present(pool->view, page);
}

static bool is_zero(const struct pool *pool, uint64_t page)
{
	static const unsigned char zeros[PAGE_BYTES];

	return memcmp(view_memory(pool->view) + page * PAGE_BYTES, zeros, PAGE_BYTES) == 0;
}

static bool is_attached(const struct pool *pool)
{
	return !pool->dead && pool->view && view_memory(pool->view);
}

/* ---- Counting ---------------------------------------------------------------------- */

struct counts {
	uint64_t stored, read;
};

/* Count from *page on, and advance it. False: that was the last part. */
static bool count_part(struct pool *pool, uint64_t *page, struct counts *counts)
{
	uint64_t left = PAGES_A_CALL;
	struct run run;
	READ_SCOPE(&pool->lock);

	if (!is_attached(pool))
		return false;
	while (left && next_run(pool, *page, &run)) {
		run.end = min_u64(run.end, run.page + left);
		left -= run.end - run.page;
		for (*page = run.page; *page < run.end; ++*page) {
			if (is_promised(pool, *page))
				continue;
			if (is_zero(pool, *page))
				counts->read++;
			else
				counts->stored++;
		}
	}
	return left == 0;
}

static uint64_t memory_of(struct pool *pool)
{
	READ_SCOPE(&pool->lock);
	return is_attached(pool) ? view_memory_pages(pool->view) : 0;
}

/* How many pages were touched since they were counted. */
static uint64_t touched(struct pool *pool)
{
	const uint64_t now = memory_of(pool);

	/* It has lost memory: what is there now may have been touched since. */
	if (now < pool->memory_seen)
		pool->memory_seen = pool->hole_stored = pool->hole_read = 0;
	return now - pool->memory_seen;
}

static void count_pool(struct pool *pool)
{
	const uint64_t memory = memory_of(pool);
	struct counts counts = { 0 };
	uint64_t page = 0;

	while (count_part(pool, &page, &counts))
		continue;
	pool->memory_seen = memory;
	pool->hole_stored = counts.stored;
	pool->hole_read = counts.read;
}

static uint64_t stored_max(const struct pools *pools)
{
	return pools->space.blocks;
}

static uint64_t read_max(const struct pools *pools)
{
	return max_u64(pools->space.blocks, pools->present_max);
}

static void sum_up(struct pool **attached, size_t count, struct pools_holes *holes)
{
	holes->stored = holes->read = 0;
	for (size_t i = 0; i < count; i++) {
		holes->stored += attached[i]->hole_stored;
		holes->read += attached[i]->hole_read;
	}
}

/* What the pools of one user have. */
struct owner {
	uid_t uid;
	uint64_t pages;
};
struct owners {
	VECTOR_FIELDS(struct owner);
};

static uint64_t pages_of(const struct pool *pool, bool stored)
{
	return stored ? pool->hole_stored : pool->hole_read;
}

static uid_t owner_of(struct pool *pool)
{
	READ_SCOPE(&pool->lock);
	return pool->uid;
}

static void add_owner(struct owners *owners, uid_t uid, uint64_t pages)
{
	size_t i = 0;

	while (i < owners->count && owners->items[i].uid != uid)
		i++;
	if (i == owners->count && vector_append(owners, (struct owner){ .uid = uid }) != 0)
		return;
	owners->items[i].pages += pages;
}

/*
 * The pool with most pages of the user whose pools have most of them: otherwise a user could have many small
 * pools, and the large one of another user would be over. NULL: none has any.
 */
static struct pool *find_largest(struct pool **attached, size_t count, bool stored)
{
	CLEANUP_VECTOR struct owners owners = { 0 };
	struct owner most = { 0 };
	struct pool *largest = NULL;

	for (size_t i = 0; i < count; i++)
		if (pages_of(attached[i], stored))
			add_owner(&owners, owner_of(attached[i]), pages_of(attached[i], stored));
	for (size_t i = 0; i < owners.count; i++)
		if (owners.items[i].pages > most.pages)
			most = owners.items[i];
	for (size_t i = 0; most.pages && i < count; i++)
		if (pages_of(attached[i], stored) > (largest ? pages_of(largest, stored) : 0) &&
		    owner_of(attached[i]) == most.uid)
			largest = attached[i];
	return largest;
}

static void find_over(const struct pools *pools, struct pool **attached, size_t count,
		      struct pools_holes *holes)
{
	uint64_t others;

	holes->over_stored = holes->stored > stored_max(pools);
	if (holes->over_stored || holes->read > read_max(pools))
		holes->over = find_largest(attached, count, holes->over_stored);
	if (!holes->over)
		return;
	pool_ref(holes->over, 1);
	others = holes->stored - holes->over->hole_stored;
	holes->keep = stored_max(pools) - min_u64(others, stored_max(pools));
}

/*
 * So many pages may be touched until they are counted: a part of what is left, and not much less than what
 * is looked at then.
 */
static uint64_t next_count(const struct pools *pools, const struct pools_holes *holes)
{
	const uint64_t left = stored_max(pools) - min_u64(holes->stored, stored_max(pools));

	return max_u64(max_u64(left / 4, holes->read / 4), PAGES_LEAST);
}

void pools_count_holes(struct pools *pools, struct pools_holes *holes)
{
	uint64_t sum = 0, most;
	struct pool **attached;
	size_t count;

	*holes = (struct pools_holes){ 0 };
	GATE_SCOPE(pools);
	attached = pools_copy_attached(pools, &count);
	if (!attached)
		count = 0;
	for (size_t i = 0; i < count; i++)
		sum += touched(attached[i]);
	sum_up(attached, count, holes);
	most = next_count(pools, holes);
	if (sum > most || holes->stored > stored_max(pools) || holes->read > read_max(pools)) {
		for (size_t i = 0; i < count; i++)
			if (touched(attached[i]) || attached[i]->hole_stored || attached[i]->hole_read)
				count_pool(attached[i]);
		sum_up(attached, count, holes);
		sum = 0;
		most = next_count(pools, holes);
	}
	holes->left = count ? most - min_u64(sum, most) : UINT64_MAX;
	find_over(pools, attached, count, holes);
	for (size_t i = 0; i < count; i++)
		pool_unref(attached[i], 1);
	free(attached);
}

/* ---- Taking back --------------------------------------------------------------------- */

/* Does the page stay? Of those that were stored to the first *keep do. */
static bool stays(const struct pool *pool, uint64_t page, uint64_t *keep)
{
	if (is_promised(pool, page))
		return true;
	if (*keep == 0 || is_zero(pool, page))
		return false;
	--*keep;
	return true;
}

static void take_run(struct pool *pool, const struct run *run, uint64_t *keep)
{
	uint64_t from = run->page;

	for (uint64_t page = run->page; page < run->end; page++) {
		if (!stays(pool, page, keep))
			continue;
		if (page > from)
			view_discard(pool->view, from, page - from);
		from = page + 1;
	}
	if (run->end > from)
		view_discard(pool->view, from, run->end - from);
}

static bool take_part(struct pool *pool, uint64_t *page, uint64_t *keep)
{
	uint64_t left = PAGES_A_CALL;
	struct run run;
	WRITE_SCOPE(&pool->lock);

	if (!is_attached(pool))
		return false;
	while (left && next_run(pool, *page, &run)) {
		run.end = min_u64(run.end, run.page + left);
		left -= run.end - run.page;
		*page = run.end;
		take_run(pool, &run, keep);
	}
	return left == 0;
}

void pool_discard_holes(struct pool *pool, uint64_t keep)
{
	uint64_t page = 0;

	GATE_SCOPE(pool->pools);
	while (take_part(pool, &page, &keep))
		continue;
	count_pool(pool);
}
