/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/trace_walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "trace/catalog.h"
#include "explore/walk_names.h"
#include "trace/idmap.h"

/* A file's bytes have the addresses from its number shifted by this on. Offsets in a trace are smaller. */
#define ADDRESS_SHIFT 48
#define FILES_MAX 32768u

struct mapping {
	uint64_t start, end; /* addresses in a process */
	uint64_t address;    /* of the first byte in the line model */
};

struct explore_walk {
	struct trace_reader *reader;
	struct lines *lines;
	struct trace_event event;
	uint64_t count;
	bool guaranteed;
	int failed; /* of a commit() during an event */
	struct message cut;
	VECTOR(struct explore_file *) files;
	struct idmap by_id;   /* struct explore_file */
	struct idmap threads; /* the model's thread number + 1 */
	uint32_t thread_count;
	VECTOR(struct mapping) mappings;
	VECTOR(struct explore_mark) marks;
	struct walk_names *names;
};

/* The model's callback: bytes that are guaranteed from now on. */
static void commit(void *context, uint64_t address, const void *bytes, size_t length)
{
	struct explore_walk *walk = context;
	uint64_t offset = 0;
	struct explore_file *file = explore_walk_locate(walk, address, &offset);
	int error = explore_image_write(file->image, offset, bytes, length);

	if (error)
		walk->failed = error;
	walk->guaranteed = true;
}

int explore_walk_create(int fd, const char *name, const struct explore_walk_options *options,
			struct explore_walk **out, struct message *message)
{
	struct explore_walk *walk = calloc(1, sizeof(*walk));
	struct lines_options lines = {
		.mode = options->mode,
		.domain = options->domain,
		.commit = commit,
		.context = walk,
	};
	int error;

	if (!walk)
		return message_fail(message, -ENOMEM, "%s: out of memory", name);
	if (lseek(fd, 0, SEEK_SET) < 0) {
		error = message_fail(message, -errno, "%s: %s", name, strerror(errno));
		free(walk);
		return error;
	}
	error = lines_create(&lines, &walk->lines);
	walk->names = explore_walk_names_create();
	if (!error && !walk->names)
		error = -ENOMEM;
	if (error)
		message_fail(message, error, "%s: cannot create the models: %s", name, strerror(-error));
	else
		error = trace_reader_create(fd, name, &walk->reader, message);
	if (error)
		explore_walk_destroy(walk);
	else
		*out = walk;
	return error;
}

static void file_destroy(struct explore_file *file)
{
	explore_image_destroy(file->image);
	vector_free(&file->sizes);
	free(file->path);
	free(file);
}

void explore_walk_destroy(struct explore_walk *walk)
{
	if (!walk)
		return;
	for (size_t i = 0; i < walk->files.count; i++)
		file_destroy(walk->files.items[i]);
	for (size_t i = 0; i < walk->marks.count; i++)
		free(walk->marks.items[i].text);
	explore_walk_names_destroy(walk->names);
	vector_free(&walk->files);
	vector_free(&walk->marks);
	vector_free(&walk->mappings);
	idmap_clear(&walk->by_id, NULL);
	idmap_clear(&walk->threads, NULL);
	lines_destroy(walk->lines);
	trace_reader_destroy(walk->reader);
	free(walk);
}

/* ---- Files --------------------------------------------------------------------- */

static int file_add(struct explore_walk *walk, uint64_t id, uint64_t size, struct explore_file **out)
{
	char path[TRACE_PATH_MAX + 1];
	struct explore_file *file;
	int error;

	if (walk->files.count == FILES_MAX)
		return -EMFILE;
	file = calloc(1, sizeof(*file));
	if (!file)
		return -ENOMEM;
	file->id = id;
	file->address = (uint64_t)walk->files.count << ADDRESS_SHIFT;
	file->path = strdup(trace_catalog_path(trace_reader_catalog(walk->reader), id, path, sizeof(path)));
	error = file->path ? explore_image_create(file->address, size, &file->image) : -ENOMEM;
	if (!error)
		error = vector_append(&file->sizes, size);
	if (!error)
		error = idmap_set(&walk->by_id, id, file);
	if (!error)
		error = vector_append(&walk->files, file);
	if (error)
		file_destroy(file);
	else
		*out = file;
	return error;
}

/* The regular file of an event; NULL: it is none, for instance a directory that is synced. */
static struct explore_file *file_of(const struct explore_walk *walk, uint64_t id)
{
	return idmap_get(&walk->by_id, id);
}

struct explore_file *explore_walk_locate(const struct explore_walk *walk, uint64_t address, uint64_t *offset)
{
	size_t index = (size_t)(address >> ADDRESS_SHIFT);

	if (index >= walk->files.count)
		return NULL;
	*offset = address - walk->files.items[index]->address;
	return walk->files.items[index];
}

static uint64_t newest_size(const struct explore_file *file)
{
	return file->sizes.items[file->sizes.count - 1];
}

/* The newest size is guaranteed. */
static int commit_size(struct explore_walk *walk, struct explore_file *file)
{
	uint64_t size = newest_size(file);

	if (file->sizes.count > 1)
		walk->guaranteed = true;
	file->sizes.items[0] = size;
	file->sizes.count = 1;
	return explore_image_resize(file->image, size);
}

/* ---- Events about bytes ---------------------------------------------------------- */

/* The model numbers threads without gaps. */
static int thread_of(struct explore_walk *walk, uint32_t id, uint32_t *thread)
{
	void *known = idmap_get(&walk->threads, id);

	if (!known) {
		known = (void *)(uintptr_t)(walk->thread_count + 1);
		if (walk->thread_count == LINES_THREADS || idmap_set(&walk->threads, id, known))
			return -ENOMEM;
		walk->thread_count++;
	}
	*thread = (uint32_t)(uintptr_t)known - 1;
	return 0;
}

static int feed_store(struct explore_walk *walk, const struct explore_file *file, uint64_t offset,
		      const void *bytes, uint64_t length, uint64_t mask, bool nontemporal)
{
	struct lines_store store = {
		.address = file->address + offset,
		.length = length,
		.bytes = bytes,
		.mask = mask,
		.nontemporal = nontemporal,
		.id = walk->count,
	};
	int error = thread_of(walk, walk->event.thread, &store.thread);

	return error ? error : lines_store(walk->lines, &store);
}

static int on_store(struct explore_walk *walk, struct explore_file *file)
{
	const struct trace_event *event = &walk->event;
	uint32_t thread;
	int error = 0;

	if (event->flags & TRACE_LOCKED) {
		error = thread_of(walk, event->thread, &thread);
		if (!error)
			error = lines_fence(walk->lines, thread);
	}
	return error ? error :
		       feed_store(walk, file, event->store.offset, event->store.bytes.at,
				  event->store.bytes.length, event->store.mask,
				  event->flags & TRACE_NONTEMPORAL);
}

static int on_flush(struct explore_walk *walk, struct explore_file *file)
{
	const struct trace_event *event = &walk->event;
	uint64_t line = align_down(event->flush.offset, LINE_SIZE);
	uint32_t thread;
	int error = thread_of(walk, event->thread, &thread);

	for (; !error && line < event->flush.offset + event->flush.length; line += LINE_SIZE)
		error = event->op == TRACE_CLFLUSH ? lines_clflush(walk->lines, file->address + line) :
						     lines_clwb(walk->lines, thread, file->address + line);
	return error;
}

static int on_fence(struct explore_walk *walk)
{
	uint32_t thread;
	int error = thread_of(walk, walk->event.thread, &thread);

	return error ? error : lines_fence(walk->lines, thread);
}

/* Guarantee what is undetermined in a range of the file, whichever thread stored it. */
static int sync_range(struct explore_walk *walk, const struct explore_file *file, uint64_t offset,
		      uint64_t length)
{
	uint64_t first = file->address + align_down(offset, LINE_SIZE);
	uint64_t last = file->address + offset + length;
	size_t count = lines_undetermined(walk->lines, NULL, 0);
	uint64_t *places = count ? calloc(count, sizeof(*places)) : NULL;
	int error = count && !places ? -ENOMEM : on_fence(walk);

	if (!error)
		count = lines_undetermined(walk->lines, places, count);
	for (size_t i = 0; !error && i < count; i++)
		if (places[i] >= first && places[i] < last)
			error = lines_clflush(walk->lines, places[i]);
	free(places);
	return error;
}

static int sync_file(struct explore_walk *walk, struct explore_file *file)
{
	int error = sync_range(walk, file, 0, TRACE_STORE_END);

	return error ? error : commit_size(walk, file);
}

static int on_write(struct explore_walk *walk, struct explore_file *file)
{
	const struct trace_event *event = &walk->event;
	uint64_t end = event->store.offset + event->store.bytes.length;
	int error = feed_store(walk, file, event->store.offset, event->store.bytes.at,
			       event->store.bytes.length, 0, false);

	if (!error && end > newest_size(file))
		error = vector_append(&file->sizes, end);
	if (!error && event->flags & (TRACE_WRITE_SYNC | TRACE_WRITE_DSYNC))
		error = sync_file(walk, file);
	return error;
}

/* Make [offset, end) zero, durably: the lines that hold stores that are undetermined, and the image. */
static int make_zero(struct explore_walk *walk, struct explore_file *file, uint64_t offset, uint64_t end)
{
	static const unsigned char zeros[PAGE_BYTES];
	uint64_t page = offset / PAGE_BYTES;
	int error = sync_range(walk, file, offset, end - offset);

	for (; !error &&
	       (page = explore_image_next_page(file->image, page)) < align_up(end, PAGE_BYTES) / PAGE_BYTES;
	     page++) {
		uint64_t from = max_u64(page * PAGE_BYTES, offset);
		uint64_t to = min_u64((page + 1) * PAGE_BYTES, end);

		error = explore_image_write(file->image, from, zeros, to - from);
	}
	walk->guaranteed = true;
	return error;
}

static int on_truncate(struct explore_walk *walk, struct explore_file *file)
{
	uint64_t size = walk->event.range.length, before = newest_size(file);
	int error = 0;

	if (size < before)
		error = make_zero(walk, file, size, align_up(before, PAGE_BYTES));
	if (!error)
		error = vector_append(&file->sizes, size);
	return error ? error : commit_size(walk, file);
}

static int on_fallocate(struct explore_walk *walk, struct explore_file *file)
{
	/* The values of fallocate(2), which a trace has. */
	enum { KEEP_SIZE = 1, PUNCH_HOLE = 2, ZERO_RANGE = 16 };
	const struct trace_event *event = &walk->event;
	uint64_t end = event->range.offset + event->range.length;
	int error = 0;

	if (event->op & ~(uint32_t)(KEEP_SIZE | PUNCH_HOLE | ZERO_RANGE))
		return -EOPNOTSUPP;
	if (event->op & (PUNCH_HOLE | ZERO_RANGE))
		error = make_zero(walk, file, event->range.offset, end);
	if (!error && !(event->op & KEEP_SIZE) && end > newest_size(file)) {
		error = vector_append(&file->sizes, end);
		if (!error)
			error = commit_size(walk, file);
	}
	return error;
}

/* ---- Other events ------------------------------------------------------------------ */

static int on_map(struct explore_walk *walk, const struct explore_file *file)
{
	const struct trace_event *event = &walk->event;
	struct mapping mapping = {
		.start = event->map.address,
		.end = event->map.address + event->map.length,
		.address = file->address + event->map.offset,
	};

	return mapping.end > mapping.start ? vector_append(&walk->mappings, mapping) : 0;
}

static int on_mark(struct explore_walk *walk)
{
	const struct trace_event *event = &walk->event;
	const struct trace_bytes *text = &event->mark.text;
	struct explore_mark mark = { .event = walk->count,
				     .source = event->mark.source,
				     .length = text->length };
	int error;

	mark.text = malloc((size_t)text->length + 1);
	if (!mark.text)
		return -ENOMEM;
	memcpy(mark.text, text->at, text->length);
	mark.text[text->length] = '\0';
	for (uint32_t i = 0; i < text->length; i++)
		if (!mark.text[i])
			mark.text[i] = ' ';
	error = vector_append(&walk->marks, mark);
	if (error)
		free(mark.text);
	return error;
}

static int on_image(struct explore_walk *walk, struct explore_file *file)
{
	const struct trace_event *event = &walk->event;

	return explore_image_write(file->image, event->store.offset, event->store.bytes.at,
				   event->store.bytes.length);
}

/*
 * Without a root directory in the trace nothing is known of other names, and a file has one until it is
 * unlinked.
 */
static int on_name(struct explore_walk *walk)
{
	const struct trace_event *event = &walk->event;
	struct explore_file *file = file_of(walk, event->file);
	int error = 0;

	if (event->kind == TRACE_CREATE)
		error = file_add(walk, event->file, 0, &file);
	else if (file && (event->kind == TRACE_UNLINK || event->kind == TRACE_LINK))
		file->removed = event->kind == TRACE_UNLINK;
	walk->guaranteed = true;
	return error;
}

static int settle_file(void *context, const char *path, uint64_t id)
{
	struct explore_walk *walk = context;
	struct explore_file *file = file_of(walk, id);
	char *copy;

	/* A file with several names has the first of them. */
	if (!file || !file->removed)
		return 0;
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	free(file->path);
	file->path = copy;
	file->removed = false;
	return 0;
}

int explore_walk_settle_names(struct explore_walk *walk)
{
	if (!explore_walk_names_changed(walk->names))
		return 0;
	for (size_t i = 0; i < walk->files.count; i++)
		walk->files.items[i]->removed = true;
	return explore_walk_names_settle(walk->names, walk, settle_file);
}

/* Of an event about the bytes of a file that is known. */
static int on_bytes(struct explore_walk *walk, struct explore_file *file)
{
	switch (walk->event.kind) {
	case TRACE_STORE:
		return on_store(walk, file);
	case TRACE_FLUSH:
		return on_flush(walk, file);
	case TRACE_MSYNC:
		return sync_range(walk, file, walk->event.range.offset, walk->event.range.length);
	case TRACE_WRITE:
		return on_write(walk, file);
	case TRACE_TRUNCATE:
		return on_truncate(walk, file);
	case TRACE_FALLOCATE:
		return on_fallocate(walk, file);
	case TRACE_FSYNC:
	case TRACE_FDATASYNC:
		return sync_file(walk, file);
	case TRACE_MAP:
		return on_map(walk, file);
	case TRACE_IMAGE:
		return on_image(walk, file);
	default:
		return 0;
	}
}

static int sync_all(struct explore_walk *walk)
{
	int error = 0;

	for (size_t i = 0; !error && i < walk->files.count; i++)
		error = sync_file(walk, walk->files.items[i]);
	return error;
}

static int apply(struct explore_walk *walk)
{
	const struct trace_event *event = &walk->event;
	struct explore_file *file = NULL;
	int error = explore_walk_names_take(walk->names, event);

	if (error)
		return error;
	switch (event->kind) {
	case TRACE_FILE:
		/* Type bits of st_mode, as stat(2) has them: only regular files and pools have bytes. */
		if ((event->node.attributes.mode & 0170000) != 0100000 && event->node.attributes.mode)
			return 0;
		return file_add(walk, event->file, event->node.size, &file);
	case TRACE_FENCE:
		return on_fence(walk);
	case TRACE_MARK:
		return on_mark(walk);
	case TRACE_SYNC:
		return sync_all(walk);
	case TRACE_CREATE:
	case TRACE_MKDIR:
	case TRACE_MKFIFO:
	case TRACE_SYMLINK:
	case TRACE_LINK:
	case TRACE_UNLINK:
	case TRACE_RMDIR:
	case TRACE_RENAME:
		return on_name(walk);
	default:
		file = file_of(walk, event->file);
		return file ? on_bytes(walk, file) : 0;
	}
}

int explore_walk_next(struct explore_walk *walk, struct message *message)
{
	int error = trace_reader_next(walk->reader, &walk->event, message);

	if (error == 0)
		return 0;
	/* What was read before the place where the trace was cut or damaged is explored all the same. */
	if (error == -ENODATA || error == -EBADMSG) {
		walk->cut = *message;
		return 0;
	}
	if (error < 0)
		return error;
	walk->count++;
	walk->guaranteed = false;
	walk->failed = 0;
	error = apply(walk);
	if (!error)
		error = walk->failed;
	if (error)
		return message_fail(message, error, "event %llu (%s): %s", (unsigned long long)walk->count,
				    trace_event_name(&walk->event), strerror(-error));
	return 1;
}

/* ---- What is known ------------------------------------------------------------------ */

const struct trace_event *explore_walk_event(const struct explore_walk *walk)
{
	return &walk->event;
}

uint64_t explore_walk_count(const struct explore_walk *walk)
{
	return walk->count;
}

bool explore_walk_guaranteed(const struct explore_walk *walk)
{
	return walk->guaranteed;
}

const char *explore_walk_cut(const struct explore_walk *walk)
{
	return walk->cut.text[0] ? walk->cut.text : NULL;
}

const struct trace_catalog *explore_walk_catalog(const struct explore_walk *walk)
{
	return trace_reader_catalog(walk->reader);
}

const struct walk_names *explore_walk_names(const struct explore_walk *walk)
{
	return walk->names;
}

size_t explore_walk_files(const struct explore_walk *walk)
{
	return walk->files.count;
}

struct explore_file *explore_walk_file(const struct explore_walk *walk, size_t index)
{
	return walk->files.items[index];
}

const struct lines *explore_walk_lines(const struct explore_walk *walk)
{
	return walk->lines;
}

bool explore_walk_points_to(const struct explore_walk *walk, const struct explore_file *file, uint64_t value,
			    uint64_t *address)
{
	if (value < LINE_SIZE)
		return false;
	for (size_t i = walk->mappings.count; i--;) {
		const struct mapping *mapping = &walk->mappings.items[i];

		if (value >= mapping->start && value < mapping->end) {
			*address = mapping->address + (value - mapping->start);
			return true;
		}
	}
	if (value >= newest_size(file))
		return false;
	*address = file->address + value;
	return true;
}

size_t explore_walk_marks(const struct explore_walk *walk)
{
	return walk->marks.count;
}

const struct explore_mark *explore_walk_mark(const struct explore_walk *walk, size_t index)
{
	return &walk->marks.items[index];
}
