/* SPDX-License-Identifier: BSD-3-Clause */
#include "request_events.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "mount_context.h"
#include "request_path.h"

/* A client that starts a list and goes away must not fill the memory. */
#define EVENTS_MAX 1000000u

void fusefs_events_init(struct request_events *events)
{
	pthread_mutex_init(&events->lock, NULL);
}

void fusefs_event_list_free(struct fusefs_event_list *list)
{
	for (size_t i = 0; i < list->items.count; i++)
		free(list->items.items[i].path);
	vector_free(&list->items);
	*list = (struct fusefs_event_list){ 0 };
}

void fusefs_events_destroy(struct request_events *events)
{
	fusefs_event_list_free(&events->list);
	pthread_mutex_destroy(&events->lock);
}

void fusefs_events_note(struct fusefs *fs, const struct fuse_in_header *in)
{
	struct request_events *events = &fs->events;
	enum fusefs_request_kind kind;
	char path[sizeof(((struct fusefs_event *)NULL)->path)];
	struct fusefs_listed_event event;

	if (!atomic_load_explicit(&events->on, memory_order_acquire))
		return;
	kind = fusefs_request_kind(in);
	if (kind == FUSEFS_REQUEST_OTHER)
		return;
	fusefs_request_path(fs, in, 0, path, sizeof(path));
	event = (struct fusefs_listed_event){ .operation = fusefs_request_name(in),
					      .syncs = kind == FUSEFS_REQUEST_SYNC,
					      .path = strdup(path) };
	LOCK_SCOPE(&events->lock);
	if (!events->on || !event.path || events->list.items.count >= EVENTS_MAX ||
	    vector_append(&events->list.items, event) < 0) {
		free(event.path);
		events->list.omitted += events->on;
	}
}

void fusefs_events_start(struct fusefs *fs)
{
	LOCK_SCOPE(&fs->events.lock);

	fusefs_event_list_free(&fs->events.list);
	atomic_store(&fs->events.on, true);
}

uint64_t fusefs_events_listed(struct fusefs *fs)
{
	LOCK_SCOPE(&fs->events.lock);

	return fs->events.list.items.count + fs->events.list.omitted;
}

void fusefs_events_stop(struct fusefs *fs, struct fusefs_event_list *list)
{
	LOCK_SCOPE(&fs->events.lock);

	atomic_store(&fs->events.on, false);
	*list = fs->events.list;
	fs->events.list = (struct fusefs_event_list){ 0 };
}
