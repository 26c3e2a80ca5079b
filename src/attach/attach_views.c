/* SPDX-License-Identifier: BSD-3-Clause */
#include "attach/attach_views.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "attach/attach_context.h"
#include "common/cleanup.h"

#define VIEWS_MAX 65536

unsigned attach_region_of(const struct attach_server *attach, const struct pool *pool)
{
	unsigned region = 0;

	while (attach->served.pools[region] != pool_pools(pool))
		region++;
	return region;
}

int attach_views_add(struct attach_server *attach, const struct pool *pool,
		     const struct pool_attachment *attachment)
{
	struct attach_views *views = &attach->views;
	struct stat st;

	if (fstat(attachment->fd, &st) < 0)
		return -errno;
	LOCK_SCOPE(&attach->lock);
	for (size_t i = 0; i < views->count; i++)
		if (views->items[i].ino == st.st_ino && views->items[i].dev == st.st_dev)
			return 0;
	if (views->count == VIEWS_MAX)
		return -ENOMEM;
	return vector_append(views, (struct view_memory){ .dev = st.st_dev,
							  .ino = st.st_ino,
							  .region = attach_region_of(attach, pool),
							  .id = attachment->view });
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
