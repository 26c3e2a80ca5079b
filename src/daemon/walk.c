/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int add_to_batch(void *context, const char *name, struct pool *pool, uint64_t next)
{
	struct batch *batch = context;

	if (batch->count == BATCH)
		return 1;
	strcpy(batch->entries[batch->count].name, name);
	batch->entries[batch->count].pool = pool;
	batch->count++;
	batch->cookie = next;
	return 0;
}

int batch_read(struct pool *directory, uint64_t cookie, struct batch *batch)
{
	int error;

	batch->count = 0;
	batch->cookie = cookie;
	error = pool_readdir(directory, cookie, add_to_batch, batch);
	if (error >= 0)
		return batch->count;
	batch_drop(batch);
	return error;
}

void batch_drop(struct batch *batch)
{
	while (batch->count)
		pool_unref(batch->entries[--batch->count].pool, 1);
}

int visit_push(struct visit **stack, struct pool *directory, const char *path)
{
	struct visit *visit = malloc(sizeof(*visit));

	if (!visit)
		return -ENOMEM;
	visit->path = strdup(path);
	if (!visit->path) {
		free(visit);
		return -ENOMEM;
	}
	pool_ref(directory, 1);
	visit->directory = directory;
	visit->next = *stack;
	*stack = visit;
	return 0;
}

struct visit *visit_take(struct visit **stack)
{
	struct visit *visit = *stack;

	*stack = visit->next;
	return visit;
}

void visit_free(struct visit *visit)
{
	pool_unref(visit->directory, 1);
	free(visit->path);
	free(visit);
}
