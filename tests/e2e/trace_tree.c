/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Make the tree that a trace leaves, from nothing but the trace.
 *
 *	trace_tree TRACE DIRECTORY	DIRECTORY is new
 *
 * Names, types, permissions, links, sizes and bytes are those of the mount when the recording ended.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/vector.h"
#include "trace/reader.h"
#include "trace/replay_contents.h"

#define EXCHANGE 2u /* RENAME_EXCHANGE */

struct file {
	uint64_t id;
	uint32_t mode;
	char target[4096];
	char made[4096]; /* its first path in the tree that is made; "" before that */
};
struct entry {
	uint64_t parent, file;
	char name[256];
};
static VECTOR(struct file) files;
static VECTOR(struct entry) entries;
static struct trace_replay *replay;

static void copy(char *to, size_t size, const struct trace_bytes *from)
{
	snprintf(to, size, "%.*s", (int)from->length, from->at ? (const char *)from->at : "");
}

static struct file *find_file(uint64_t id)
{
	for (size_t i = 0; i < files.count; i++)
		if (files.items[i].id == id)
			return &files.items[i];
	errx(1, "file %llu is not defined", (unsigned long long)id);
}

static struct entry *find_entry(uint64_t parent, const struct trace_bytes *name)
{
	char text[256];

	copy(text, sizeof(text), name);
	for (size_t i = 0; i < entries.count; i++)
		if (entries.items[i].parent == parent && strcmp(entries.items[i].name, text) == 0)
			return &entries.items[i];
	return NULL;
}

static void add_file(uint64_t id, uint32_t mode, const struct trace_bytes *target)
{
	struct file file = { .id = id, .mode = mode };

	copy(file.target, sizeof(file.target), target);
	if (vector_append(&files, file) < 0)
		err(1, "memory");
}

static void add_entry(uint64_t parent, const struct trace_bytes *name, uint64_t id)
{
	struct entry entry = { .parent = parent, .file = id };

	if (!name->length)
		return;
	if (find_entry(parent, name))
		errx(1, "the name %.*s is there twice", (int)name->length, (const char *)name->at);
	copy(entry.name, sizeof(entry.name), name);
	if (vector_append(&entries, entry) < 0)
		err(1, "memory");
}

static void remove_entry(uint64_t parent, const struct trace_bytes *name, uint64_t id)
{
	struct entry *entry = find_entry(parent, name);

	if (!entry || entry->file != id)
		errx(1, "the name %.*s is of another file", (int)name->length, (const char *)name->at);
	*entry = entries.items[--entries.count];
}

static void apply_rename(const struct trace_event *event)
{
	const struct trace_bytes *name = &event->rename.name, *new_name = &event->rename.new_name;

	remove_entry(event->rename.parent, name, event->file);
	if (event->rename.replaced)
		remove_entry(event->rename.new_parent, new_name, event->rename.replaced);
	add_entry(event->rename.new_parent, new_name, event->file);
	if (event->op & EXCHANGE)
		add_entry(event->rename.parent, name, event->rename.replaced);
}

static void apply(const struct trace_event *event)
{
	switch (event->kind) {
	case TRACE_FILE:
		add_file(event->file, event->node.attributes.mode, &event->node.target);
		break;
	case TRACE_CREATE:
	case TRACE_MKDIR:
	case TRACE_MKFIFO:
	case TRACE_SYMLINK:
		add_file(event->file, event->name.attributes.mode, &event->name.target);
		add_entry(event->name.parent, &event->name.name, event->file);
		break;
	case TRACE_NAME:
	case TRACE_LINK:
		add_entry(event->name.parent, &event->name.name, event->file);
		break;
	case TRACE_UNLINK:
	case TRACE_RMDIR:
		remove_entry(event->name.parent, &event->name.name, event->file);
		break;
	case TRACE_RENAME:
		apply_rename(event);
		break;
	case TRACE_SETATTR:
		find_file(event->file)->mode = event->attributes.mode;
		break;
	default:
		break;
	}
	if (trace_replay_apply(replay, event) < 0)
		errx(1, "the contents cannot be replayed");
}

static void make(struct file *file, const char *path);

static void make_entries(uint64_t directory, const char *path)
{
	for (size_t i = 0; i < entries.count; i++) {
		CLEANUP_FREE char *child = NULL;

		if (entries.items[i].parent != directory)
			continue;
		if (asprintf(&child, "%s/%s", path, entries.items[i].name) < 0)
			err(1, "memory");
		make(find_file(entries.items[i].file), child);
	}
}

static void make_regular(const struct file *file, const char *path)
{
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || trace_replay_save(replay, file->id, fd) < 0)
		err(1, "%s", path);
}

static void make(struct file *file, const char *path)
{
	const mode_t permissions = file->mode & 07777;
	int result = 0;

	if (*file->made) {
		if (link(file->made, path) < 0)
			err(1, "%s", path);
		return;
	}
	snprintf(file->made, sizeof(file->made), "%s", path);
	if (S_ISDIR(file->mode)) {
		result = mkdir(path, 0700);
		make_entries(file->id, path);
	} else if (S_ISLNK(file->mode)) {
		if (symlink(file->target, path) < 0)
			err(1, "%s", path);
		return;
	} else if (S_ISREG(file->mode)) {
		make_regular(file, path);
	} else {
		result = mknod(path, (file->mode & S_IFMT) | 0600, 0);
	}
	if (result < 0 || chmod(path, permissions) < 0)
		err(1, "%s", path);
}

int main(int argc, char **argv)
{
	CLEANUP_FD int fd = argc == 3 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	struct message message = { "" };
	struct trace_reader *reader;
	struct trace_event event;
	int result;

	if (fd < 0)
		err(2, "usage: trace_tree TRACE DIRECTORY");
	umask(0);
	replay = trace_replay_create();
	if (!replay || trace_reader_create(fd, argv[1], &reader, &message) < 0)
		errx(1, "%s", message.text);
	while ((result = trace_reader_next(reader, &event, &message)) == 1)
		apply(&event);
	if (result < 0)
		warnx("%s", message.text);
	/* The first directory is the root of the mount. */
	if (files.count)
		make(&files.items[0], argv[2]);
	trace_reader_destroy(reader);
	trace_replay_destroy(replay);
	vector_free(&files);
	vector_free(&entries);
	return result < 0;
}
