/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "trace/text_form.h"
#include "trace/writer.h"

/* How a text begins; a trace file begins otherwise. */
static const char text_start[] = "softpmem-trace";

static bool is_text(int fd)
{
	char start[sizeof(text_start) - 1];

	return pread(fd, start, sizeof(start), 0) == (ssize_t)sizeof(start) &&
	       memcmp(start, text_start, sizeof(start)) == 0;
}

static int copy_events(struct trace_text *text, struct trace_writer *writer, struct message *message)
{
	struct trace_event event;
	bool ended = false;
	int more, error = 0;

	while (!error && (more = trace_text_next(text, &event, message)) > 0) {
		ended = event.kind == TRACE_END;
		error = ended ? trace_writer_end(writer, message) : trace_writer_put(writer, &event, message);
	}
	if (error || more < 0)
		return error ? error : more;
	return ended ? 0 : trace_writer_end(writer, message);
}

static int convert(const char *path, int text_fd, int trace_fd, struct message *message)
{
	const struct trace_writer_options options = { .level = 0, .uuid = { 1 } };
	struct trace_writer *writer = NULL;
	struct trace_text *text = NULL;
	FILE *in = fdopen(dup(text_fd), "r");
	int error = in ? trace_text_create(in, path, &text, message) :
			 message_fail(message, -errno, "%s: %s", path, strerror(errno));

	if (!error)
		error = trace_writer_create(trace_fd, path, &options, &writer, message);
	if (!error)
		error = copy_events(text, writer, message);
	if (writer)
		trace_writer_destroy(writer);
	if (text)
		trace_text_destroy(text);
	if (in)
		fclose(in);
	return error;
}

int explore_input_open(const char *path, int *fd, struct message *message)
{
	CLEANUP_FD int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	CLEANUP_FD int memory = -1;
	struct stat st;
	int error;

	if (file < 0 || fstat(file, &st) < 0)
		return message_fail(message, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return message_fail(message, -EINVAL, "%s: not a regular file: a trace is read several times",
				    path);
	if (!is_text(file)) {
		*fd = steal_fd(&file);
		return 0;
	}
	memory = memfd_create("softpmem-trace", MFD_CLOEXEC);
	error = memory < 0 ? message_fail(message, -errno, "%s: %s", path, strerror(errno)) :
			     convert(path, file, memory, message);
	if (!error)
		*fd = steal_fd(&memory);
	return error;
}
