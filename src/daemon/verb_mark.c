/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "daemon/verbs.h"

struct mark_request {
	const char *text;
};

static const struct request_field fields[] = {
	REQUEST_FIELD("text", REQUEST_STRING, struct mark_request, text, .required = true),
	REQUEST_FIELDS_END,
};

static int check(const void *request, struct message *message)
{
	const struct mark_request *mark = request;

	if (!*mark->text || strlen(mark->text) > REQUEST_MARK_MAX)
		return message_fail(message, -EINVAL, "mark: the text must have 1 to %d bytes",
				    REQUEST_MARK_MAX);
	return 0;
}

static int run(struct job *job)
{
	const struct mark_request *request = job->request;

	daemon_set_mark(job->daemon, job->peer->uid, request->text);
	return 0;
}

const struct verb verb_mark = {
	.name = "mark",
	.fields = fields,
	.request_bytes = sizeof(struct mark_request),
	.check = check,
	.run = run,
};
