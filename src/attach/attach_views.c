/* SPDX-License-Identifier: BSD-3-Clause */
#include "attach/attach_views.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "attach/attach_context.h"
#include "attach/attach_mappers.h"
#include "common/align.h"
#include "common/cleanup.h"

#define VIEWS_MAX 65536
/* Looking for those that nobody uses reads the maps of all processes. */
#define LOOK_AT_LEAST 4096

unsigned attach_region_of(const struct attach_server *attach, const struct pool *pool)
{
	unsigned region = 0;

	while (attach->served.pools[region] != pool_pools(pool))
		region++;
	return region;
}

/* ---- Forgetting ------------------------------------------------------------------ */

/* Of a region and its view, one number. */
struct numbers {
	VECTOR_FIELDS(uint64_t);
	unsigned region;
	int error;
};

static uint64_t number_of(unsigned region, uint32_t view)
{
	return (uint64_t)region << 32 | view;
}

static void add_number(void *context, struct pool *pool)
{
	struct numbers *numbers = context;
	uint32_t view;

	if (pool_attached_view(pool, &view) && vector_append(numbers, number_of(numbers->region, view)) != 0)
		numbers->error = -ENOMEM;
}

static int compare_numbers(const void *a, const void *b)
{
	const uint64_t *first = a, *second = b;

	return *first < *second ? -1 : *first > *second;
}

static bool has_number(const struct numbers *numbers, uint64_t number)
{
	return numbers->count &&
	       bsearch(&number, numbers->items, numbers->count, sizeof(number), compare_numbers);
}

static int list_attached(struct attach_server *attach, struct numbers *numbers)
{
	for (unsigned i = 0; i < attach->served.regions; i++) {
		numbers->region = i;
		pools_for_attached(attach->served.pools[i], add_number, numbers);
	}
	if (numbers->count)
		qsort(numbers->items, numbers->count, sizeof(uint64_t), compare_numbers);
	return numbers->error;
}

/* A pool may have had several memory files: the inodes of those that are not used. */
static int list_unused(struct attach_server *attach, struct numbers *unused)
{
	CLEANUP_VECTOR struct numbers attached = { 0 };
	CLEANUP_FREE struct view_memory *views = NULL;
	CLEANUP_FREE bool *mapped = NULL;
	size_t count;
	int error;

	views = attach_views_copy(attach, &count);
	mapped = calloc(count + 1, sizeof(bool));
	if (!views || !mapped)
		return -ENOMEM;
	error = list_attached(attach, &attached);
	if (!error)
		error = mappers_mark(views, count, mapped);
	for (size_t i = 0; !error && i < count; i++)
		if (!mapped[i] && !has_number(&attached, number_of(views[i].region, views[i].id)))
			error = vector_append(unused, views[i].ino);
	if (unused->count)
		qsort(unused->items, unused->count, sizeof(uint64_t), compare_numbers);
	return error;
}

/* views->adding is held, so no view that is listed as unused is given to a client now. */
static void forget_unused(struct attach_server *attach)
{
	CLEANUP_VECTOR struct numbers unused = { 0 };
	struct attach_views *views = &attach->views;
	size_t kept = 0;

	if (list_unused(attach, &unused) != 0)
		unused.count = 0;
	LOCK_SCOPE(&attach->lock);
	for (size_t i = 0; i < views->count; i++)
		if (!has_number(&unused, views->items[i].ino))
			views->items[kept++] = views->items[i];
	views->count = kept;
	views->look_at = max_u64(2 * kept, LOOK_AT_LEAST);
}

static bool is_time_to_look(struct attach_server *attach)
{
	LOCK_SCOPE(&attach->lock);
	return attach->views.count >= max_u64(attach->views.look_at, LOOK_AT_LEAST) ||
	       attach->views.count == VIEWS_MAX;
}

/* ---- The limit -------------------------------------------------------------------- */

/*
 * A view takes a descriptor and a mapping. A quarter of the descriptors, and what WPQs have of the 65,530
 * mappings that a process may have, is left to others.
 */
#define MAPPINGS_OF_VIEWS 16384u

void attach_views_set_limit(struct attach_views *views)
{
	struct rlimit limit;

	views->most = MAPPINGS_OF_VIEWS;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
		views->most = min_u64(views->most, limit.rlim_cur - limit.rlim_cur / 4);
}

/* The lock is held. */
static bool may_have_view(const struct attach_views *views, const struct peer *peer)
{
	const size_t all = views->count + views->reserved.count;
	size_t of_user = 0;

	if (all >= views->most)
		return false;
	if (server_trusts(peer))
		return true;
	for (size_t i = 0; i < views->count; i++)
		of_user += views->items[i].uid == peer->uid;
	for (size_t i = 0; i < views->reserved.count; i++)
		of_user += views->reserved.items[i] == peer->uid;
	return of_user < views->most - all;
}

static int reserve(struct attach_server *attach, struct pool *pool, const struct peer *peer)
{
	const bool has_one = pool_is_attached(pool);
	LOCK_SCOPE(&attach->lock);

	return has_one || may_have_view(&attach->views, peer) ?
		       vector_append(&attach->views.reserved, peer->uid) :
		       -EMFILE;
}

static size_t count_listed(struct attach_server *attach)
{
	LOCK_SCOPE(&attach->lock);
	return attach->views.count;
}

/* Detach pools that no process maps, and forget their views. False: there are none. */
static bool release_some(struct attach_server *attach)
{
	CLEANUP_VECTOR struct numbers attached = { 0 };
	const size_t before = count_listed(attach);

	for (unsigned i = 0; i < attach->served.regions; i++) {
		/* What is published and not drained keeps a view: its bytes are not on the media yet. */
		pools_drain(attach->served.pools[i]);
		pools_release_attached(attach->served.pools[i]);
	}
	if (list_attached(attach, &attached) != 0 || attached.count >= before)
		return false;
	LOCK_SCOPE(&attach->views.adding);
	forget_unused(attach);
	return count_listed(attach) < before;
}

int attach_views_reserve(struct attach_server *attach, struct pool *pool, const struct peer *peer)
{
	int error;

	do
		error = reserve(attach, pool, peer);
	while (error == -EMFILE && release_some(attach));
	return error;
}

void attach_views_unreserve(struct attach_server *attach, uid_t uid)
{
	struct attach_views *views = &attach->views;
	size_t i = 0;
	LOCK_SCOPE(&attach->lock);

	while (views->reserved.items[i] != uid)
		i++;
	views->reserved.items[i] = views->reserved.items[--views->reserved.count];
}

/* ---- Adding ---------------------------------------------------------------------- */

int attach_views_add(struct attach_server *attach, const struct pool *pool,
		     const struct pool_attachment *attachment, uid_t uid)
{
	struct attach_views *views = &attach->views;
	struct stat st;

	if (fstat(attachment->fd, &st) < 0)
		return -errno;
	LOCK_SCOPE(&views->adding);
	if (is_time_to_look(attach))
		forget_unused(attach);
	LOCK_SCOPE(&attach->lock);
	for (size_t i = 0; i < views->count; i++)
		if (views->items[i].ino == st.st_ino && views->items[i].dev == st.st_dev)
			return 0;
	if (views->count == VIEWS_MAX)
		return -ENOMEM;
	if (!views->count)
		pthread_cond_signal(&attach->holes.soon);
	return vector_append(views, (struct view_memory){ .dev = st.st_dev,
							  .ino = st.st_ino,
							  .region = attach_region_of(attach, pool),
							  .id = attachment->view,
							  .uid = uid });
}

size_t attach_views_partition(struct attach_server *attach, unsigned region)
{
	struct attach_views *views = &attach->views;
	size_t first = views->count;

	for (size_t i = 0; i < first;) {
		struct view_memory view = views->items[i];

		if (view.region != region) {
			i++;
			continue;
		}
		views->items[i] = views->items[--first];
		views->items[first] = view;
	}
	return first;
}

struct view_memory *attach_views_copy(struct attach_server *attach, size_t *count)
{
	struct view_memory *copy;
	LOCK_SCOPE(&attach->lock);

	*count = attach->views.count;
	copy = calloc(*count + 1, sizeof(*copy));
	if (copy && *count)
		memcpy(copy, attach->views.items, *count * sizeof(*copy));
	return copy;
}
