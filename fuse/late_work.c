/* SPDX-License-Identifier: BSD-3-Clause */
#include "late_work.h"

#include "common/cleanup.h"
#include "mount_context.h"

void fusefs_late_init(struct late_queue *queue)
{
	pthread_mutex_init(&queue->lock, NULL);
	STAILQ_INIT(&queue->items);
	queue->closed = false;
}

void fusefs_late_destroy(struct late_queue *queue)
{
	pthread_mutex_destroy(&queue->lock);
}

static bool enqueue(struct late_queue *queue, struct late_work *work)
{
	LOCK_SCOPE(&queue->lock);

	if (queue->closed)
		return false;
	STAILQ_INSERT_TAIL(&queue->items, work, next);
	return true;
}

void fusefs_late_add(struct fusefs *fs, struct late_work *work)
{
	if (enqueue(&fs->late, work))
		sem_post(&fs->wake);
	else
		work->run(fs, work, false);
}

static struct late_work *take(struct late_queue *queue)
{
	LOCK_SCOPE(&queue->lock);
	struct late_work *work = STAILQ_FIRST(&queue->items);

	if (work)
		STAILQ_REMOVE_HEAD(&queue->items, next);
	return work;
}

void fusefs_late_run(struct fusefs *fs)
{
	struct late_work *work;

	while ((work = take(&fs->late)))
		work->run(fs, work, true);
}

void fusefs_late_close(struct fusefs *fs)
{
	{
		LOCK_SCOPE(&fs->late.lock);
		fs->late.closed = true;
	}
	fusefs_late_run(fs);
}
