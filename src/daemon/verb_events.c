/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Lists the operations on the mount and the fences of programs that could be the moment of a power failure:
 * one request starts the list, a second one ends and prints it. For softpmem torture, which cuts there later.
 */

#include <errno.h>

#include "daemon/verbs.h"
#include "wire/frame.h"

struct events_request {
	bool start; /* else the list is ended */
};

static const struct request_field fields[] = {
	REQUEST_FIELD("start", REQUEST_BOOL, struct events_request, start),
	REQUEST_FIELDS_END,
};

static void send_events(struct job *job, const struct fusefs_event_list *list)
{
	for (size_t i = 0; i < list->items.count; i++) {
		const struct fusefs_listed_event *event = &list->items.items[i];
		struct json_object *item = json_object_new_object();

		if (item) {
			control_put_string(item, "operation", event->operation);
			control_put_string(item, "path", event->path);
			control_put_bool(item, "syncs", event->syncs);
		}
		reply_item(job->reply, item);
	}
}

/* They come after the operations; each tells after how many of these it falls. */
static void send_fences(struct job *job, const struct moment_fence_runs *runs)
{
	for (size_t i = 0; i < runs->count; i++) {
		struct json_object *item = json_object_new_object();

		if (item) {
			control_put_u64(item, "fences", runs->items[i].fences);
			control_put_u64(item, "after", runs->items[i].operations);
		}
		reply_item(job->reply, item);
	}
}

static int run(struct job *job)
{
	const struct events_request *request = job->request;
	struct moment_fence_runs runs;
	struct fusefs_event_list list;
	bool full;

	if (!job->daemon->fusefs)
		return message_fail(&job->message, -EINVAL,
				    "events: the daemon has no mount whose requests could be listed: "
				    "start it with --mount");
	if (request->start) {
		fusefs_events_start(job->daemon->fusefs);
		moment_list_fences(job->daemon);
		return 0;
	}
	full = moment_take_fences(job->daemon, &runs);
	fusefs_events_stop(job->daemon->fusefs, &list);
	send_events(job, &list);
	send_fences(job, &runs);
	vector_free(&runs);
	job->result = json_object_new_object();
	if (job->result)
		control_put_u64(job->result, "omitted", list.omitted);
	if (job->result)
		control_put_bool(job->result, "fences_omitted", full);
	fusefs_event_list_free(&list);
	return 0;
}

const struct verb verb_events = {
	.name = "events",
	.fields = fields,
	.request_bytes = sizeof(struct events_request),
	.run = run,
};
