/* SPDX-License-Identifier: BSD-3-Clause */
#include "trace/event_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "trace/file_format.h"
#include "trace/reader.h"
#include "trace/text_form.h"

struct trace_events {
	int fd;
	struct trace_reader *reader; /* one of the two */
	struct trace_text *text;
	FILE *in; /* of the text */
};

void trace_events_close(struct trace_events *events)
{
	if (!events)
		return;
	trace_reader_destroy(events->reader);
	trace_text_destroy(events->text);
	if (events->in)
		fclose(events->in);
	cleanup_fd_fn(&events->fd);
	free(events);
}

/* A trace file begins with its magic; anything else may be a text. */
static int open_either(struct trace_events *events, const char *path, struct message *message)
{
	char magic[sizeof(TRACE_MAGIC) - 1];
	const ssize_t length = pread(events->fd, magic, sizeof(magic), 0);

	if (length < 0)
		return message_fail(message, -errno, "%s: %s", path,
				    errno == ESPIPE ? "a trace is read from a file" : strerror(errno));
	if (length == (ssize_t)sizeof(magic) && memcmp(magic, TRACE_MAGIC, sizeof(magic)) == 0)
		return trace_reader_create(events->fd, path, &events->reader, message);
	events->in = fdopen(events->fd, "r");
	if (!events->in)
		return message_fail(message, -errno, "%s: %s", path, strerror(errno));
	events->fd = -1; /* the stream's */
	return trace_text_create(events->in, path, &events->text, message);
}

int trace_events_open(const char *path, struct trace_events **out, struct message *message)
{
	struct trace_events *events = calloc(1, sizeof(*events));
	int error;

	if (!events)
		return message_fail(message, -ENOMEM, "%s: out of memory", path);
	/* A fifo is refused, and not waited for. */
	events->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	error = events->fd < 0 ? message_fail(message, -errno, "%s: %s", path, strerror(errno)) :
				 open_either(events, path, message);
	if (error)
		trace_events_close(events);
	else
		*out = events;
	return error;
}

int trace_events_next(struct trace_events *events, struct trace_event *event, struct message *message)
{
	return events->reader ? trace_reader_next(events->reader, event, message) :
				trace_text_next(events->text, event, message);
}

const struct trace_catalog *trace_events_catalog(const struct trace_events *events)
{
	return events->reader ? trace_reader_catalog(events->reader) : trace_text_catalog(events->text);
}

const unsigned char *trace_events_uuid(const struct trace_events *events)
{
	return events->reader ? trace_reader_uuid(events->reader) : trace_text_uuid(events->text);
}

uint64_t trace_events_created(const struct trace_events *events)
{
	return events->reader ? trace_reader_created(events->reader) : trace_text_created(events->text);
}

bool trace_events_are_text(const struct trace_events *events)
{
	return !events->reader;
}
