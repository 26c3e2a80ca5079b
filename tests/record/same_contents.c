/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * same_contents TRACE PATH COPY [OFFSET]: do the events of a complete trace make the pool PATH what the
 * file COPY holds, byte for byte? And does each store to the 8 bytes at OFFSET store one more than the one
 * before, as locked increments do in memory order? Prints the first difference. PATH is as the trace has
 * it: of a pool that was there before or that was created in the root directory meanwhile.
 */

#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/message.h"
#include "trace/reader.h"
#include "trace/replay_contents.h"

static bool is_text(const struct trace_bytes *bytes, const char *text)
{
	return bytes->length == strlen(text) && memcmp(bytes->at, text, bytes->length) == 0;
}

/* The file that the event gives the path, or 0. */
static uint64_t named_by(const struct trace_event *event, const char *path)
{
	if (event->kind == TRACE_FILE && is_text(&event->node.path, path))
		return event->file;
	if (event->kind == TRACE_CREATE && is_text(&event->name.name, path + 1))
		return event->file;
	return 0;
}

/* A chain of values; `offset` UINT64_MAX: none is looked at. */
static struct {
	uint64_t offset, value, length;
} chain = { .offset = UINT64_MAX };

static void follow_chain(const struct trace_event *event)
{
	uint64_t value;

	if (event->kind != TRACE_STORE || event->store.offset != chain.offset ||
	    event->store.bytes.length != 8)
		return;
	memcpy(&value, event->store.bytes.at, sizeof(value));
	if (value != chain.value + 1)
		errx(1, "%llu was stored after %llu", (unsigned long long)value,
		     (unsigned long long)chain.value);
	chain.value = value;
	chain.length++;
}

static uint64_t replay(struct trace_reader *reader, struct trace_replay *contents, const char *path)
{
	struct message message;
	struct trace_event event;
	uint64_t file = 0, named;
	int got;

	while ((got = trace_reader_next(reader, &event, &message)) > 0) {
		if (event.kind == TRACE_LOST)
			errx(1, "events are lost: %.*s", (int)event.lost.reason.length,
			     (const char *)event.lost.reason.at);
		follow_chain(&event);
		if (trace_replay_apply(contents, &event) != 0)
			errx(1, "an event cannot be replayed");
		named = named_by(&event, path);
		file = named ? named : file;
	}
	if (got < 0)
		errx(1, "%s", message.text);
	return file;
}

static void compare(const struct trace_replay *contents, uint64_t file, const char *copy)
{
	unsigned char in_trace[4096], in_copy[4096];
	int fd = open(copy, O_RDONLY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		err(1, "%s", copy);
	if ((uint64_t)st.st_size != trace_replay_size(contents, file))
		errx(1, "%s has %lld bytes, and in the trace %llu", copy, (long long)st.st_size,
		     (unsigned long long)trace_replay_size(contents, file));
	for (off_t at = 0; at < st.st_size; at += (off_t)sizeof(in_copy)) {
		const ssize_t length = pread(fd, in_copy, sizeof(in_copy), at);

		if (length <= 0)
			err(1, "%s", copy);
		trace_replay_read(contents, file, (uint64_t)at, in_trace, (size_t)length);
		for (ssize_t i = 0; i < length; i++)
			if (in_trace[i] != in_copy[i])
				errx(1, "byte 0x%llx is 0x%02x, and 0x%02x in the trace",
				     (unsigned long long)(at + i), in_copy[i], in_trace[i]);
	}
	close(fd);
}

int main(int argc, char **argv)
{
	struct trace_replay *contents = trace_replay_create();
	struct trace_reader *reader;
	struct message message;
	uint64_t file;
	int fd;

	if (argc < 4 || argc > 5 || !contents)
		errx(2, "usage: same_contents TRACE PATH COPY [OFFSET]");
	if (argc == 5)
		chain.offset = strtoull(argv[4], NULL, 0);
	fd = open(argv[1], O_RDONLY);
	if (fd < 0)
		err(1, "%s", argv[1]);
	if (trace_reader_create(fd, argv[1], &reader, &message) != 0)
		errx(1, "%s", message.text);
	file = replay(reader, contents, argv[2]);
	if (!file)
		errx(1, "%s is not in the trace", argv[2]);
	compare(contents, file, argv[3]);
	if (argc == 5 && !chain.length)
		errx(1, "nothing was stored at %s", argv[4]);
	trace_reader_destroy(reader);
	trace_replay_destroy(contents);
	close(fd);
	return 0;
}
