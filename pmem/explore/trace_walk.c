/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/trace_walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "explore/walk_state.h"
#include "trace/catalog.h"

/* A file's bytes have the addresses from its number shifted by this on. Offsets in a trace are smaller. */
#define ADDRESS_SHIFT 48
#define FILES_MAX 32768u
#define EVENTS_A_PAGE 64u

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

/* The model's callback: an operation on a size is guaranteed from now on, or one on names. */
static void commit_operation(void *context, const struct names_op *op)
{
	struct explore_walk *walk = context;

	if (op->kind == NAMES_RESIZE || op->kind == NAMES_APPEND)
		explore_walk_commit_size(walk, op);
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
	const struct walk_names_options names = {
		.mode = options->metadata, .commit = commit_operation, .context = walk
	};
	int error;

	if (!walk)
		return message_fail(message, -ENOMEM, "%s: out of memory", name);
	if (lseek(fd, 0, SEEK_SET) < 0) {
		error = message_fail(message, -errno, "%s: %s", name, strerror(errno));
		free(walk);
		return error;
	}
	walk->name = strdup(name);
	error = walk->name ? lines_create(&lines, &walk->lines) : -ENOMEM;
	if (!error)
		error = explore_walk_names_create(&names, &walk->names);
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
	for (size_t i = 0; i < walk->cuts.count; i++)
		explore_cut_destroy(walk->cuts.items[i]);
	explore_walk_names_destroy(walk->names);
	vector_free(&walk->cuts);
	vector_free(&walk->files);
	vector_free(&walk->marks);
	vector_free(&walk->mappings);
	idmap_clear(&walk->by_id, NULL);
	idmap_clear(&walk->threads, NULL);
	lines_destroy(walk->lines);
	free(walk->name);
	trace_reader_destroy(walk->reader);
	free(walk);
}

int explore_walk_own(struct explore_walk *walk)
{
	int error = 0;

	for (size_t i = 0; !error && i < walk->files.count; i++)
		error = explore_image_own(walk->files.items[i]->image);
	return error;
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
	file->index = walk->files.count;
	file->size = file->newest = size;
	file->address = (uint64_t)walk->files.count << ADDRESS_SHIFT;
	file->path = strdup(trace_catalog_path(trace_reader_catalog(walk->reader), id, path, sizeof(path)));
	error = file->path ? explore_image_create(file->address, size, &file->image) : -ENOMEM;
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

struct explore_file *explore_walk_locate(const struct explore_walk *walk, uint64_t address, uint64_t *offset)
{
	size_t index = (size_t)(address >> ADDRESS_SHIFT);

	if (index >= walk->files.count)
		return NULL;
	*offset = address - walk->files.items[index]->address;
	return walk->files.items[index];
}

/* ---- Other events ------------------------------------------------------------------ */

static int on_map(struct explore_walk *walk, struct explore_file *file)
{
	const struct trace_event *event = &walk->event;
	struct walk_mapping mapping = {
		.start = event->map.address,
		.end = event->map.address + event->map.length,
		.address = file->address + event->map.offset,
	};

	/* Its names and size are committed then: what is fenced later would be lost with them. */
	file->mapped = true;
	names_fsync(explore_walk_names_model(walk->names), file->id);
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

/* Without a root directory nothing is known of other names, and a file has one until it is unlinked. */
static int on_name(struct explore_walk *walk)
{
	const struct trace_event *event = &walk->event;
	struct explore_file *file = walk_file_of(walk, event->file);
	int error = 0;

	if (event->kind == TRACE_CREATE)
		error = file_add(walk, event->file, 0, &file);
	else if (file && (event->kind == TRACE_UNLINK || event->kind == TRACE_LINK))
		file->removed = event->kind == TRACE_UNLINK;
	walk->guaranteed = walk->guaranteed || !explore_walk_names_has_root(walk->names);
	return error;
}

static int settle_file(void *context, const struct walk_names_entry *entry)
{
	struct explore_walk *walk = context;
	struct explore_file *file = walk_file_of(walk, entry->inode);
	char *copy;

	/* A file with several names has the first of them. */
	if (!file || !file->removed)
		return 0;
	copy = strdup(entry->path);
	if (!copy)
		return -ENOMEM;
	free(file->path);
	file->path = copy;
	file->removed = false;
	return 0;
}

int explore_walk_settle_names(struct explore_walk *walk)
{
	const uint64_t generation = explore_walk_names_generation(walk->names);

	if (walk->settled == generation || !explore_walk_names_has_root(walk->names))
		return 0;
	walk->settled = generation;
	for (size_t i = 0; i < walk->files.count; i++)
		walk->files.items[i]->removed = true;
	return explore_walk_names_list(walk->names, explore_walk_names_now(walk->names), walk, settle_file);
}

/* As ext4: the bytes of the file are durable no later than that it replaces another one. */
static int allocate(struct explore_walk *walk, struct explore_file *file)
{
	if (!file || file->mapped || !explore_walk_names_allocates(walk->names, file->id))
		return 0;
	return explore_walk_sync_bytes(walk, file);
}

/* Before the rename enters the log. */
static int before_rename(struct explore_walk *walk)
{
	const struct trace_event *event = &walk->event;

	return event->rename.replaced && !event->op ? allocate(walk, walk_file_of(walk, event->file)) : 0;
}

/* A close matters if the file was truncated to 0. */
static int on_close(struct explore_walk *walk, struct explore_file *file)
{
	const bool last = walk->event.op == TRACE_CLOSE_LAST;
	int error = file->truncated ? allocate(walk, file) : 0;

	file->truncated = file->truncated && !last;
	return error ? error : explore_walk_names_close(walk->names, file->id, walk->count, last);
}

/* Of an event about the bytes of a file that is known. */
static int on_bytes(struct explore_walk *walk, struct explore_file *file)
{
	switch (walk->event.kind) {
	case TRACE_STORE:
		return explore_walk_store(walk, file);
	case TRACE_FLUSH:
		return explore_walk_flush(walk, file);
	case TRACE_MSYNC:
		return explore_walk_msync(walk, file);
	case TRACE_WRITE:
		return explore_walk_write(walk, file);
	case TRACE_TRUNCATE:
		return explore_walk_truncate(walk, file);
	case TRACE_FALLOCATE:
		return explore_walk_fallocate(walk, file);
	case TRACE_MAP:
		return on_map(walk, file);
	case TRACE_IMAGE:
		return on_image(walk, file);
	case TRACE_RULES:
		file->sector = walk->event.rules.sector;
		return 0;
	case TRACE_CLOSE:
		return on_close(walk, file);
	default:
		return 0;
	}
}

/* fsync or fdatasync of a file or a directory. */
static int on_sync(struct explore_walk *walk)
{
	const struct explore_file *file = walk_file_of(walk, walk->event.file);
	struct names *model = explore_walk_names_model(walk->names);
	int error = file ? explore_walk_sync_bytes(walk, file) : 0;

	if (walk->event.kind == TRACE_FSYNC)
		names_fsync(model, walk->event.file);
	else
		names_fdatasync(model, walk->event.file, !file);
	return error;
}

static int sync_all(struct explore_walk *walk)
{
	int error = 0;

	for (size_t i = 0; !error && i < walk->files.count; i++)
		error = explore_walk_sync_bytes(walk, walk->files.items[i]);
	names_commit_all(explore_walk_names_model(walk->names));
	return error;
}

static int apply(struct explore_walk *walk)
{
	const struct trace_event *event = &walk->event;
	struct explore_file *file = NULL;
	int error = event->kind == TRACE_RENAME ? before_rename(walk) : 0;

	if (!error)
		error = explore_walk_names_take(walk->names, event, walk->count);
	if (error)
		return error;
	switch (event->kind) {
	case TRACE_FILE:
		/* Type bits of st_mode, as stat(2) has them: only regular files and pools have bytes. */
		if ((event->node.attributes.mode & 0170000) != 0100000 && event->node.attributes.mode)
			return 0;
		return file_add(walk, event->file, event->node.size, &file);
	case TRACE_FENCE:
		return explore_walk_fence(walk);
	case TRACE_MARK:
		return on_mark(walk);
	case TRACE_FSYNC:
	case TRACE_FDATASYNC:
		return on_sync(walk);
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
		file = walk_file_of(walk, event->file);
		return file ? on_bytes(walk, file) : 0;
	}
}

/* The sync that is a part of the write before: power may fail between the two. */
static int take_sync(struct explore_walk *walk)
{
	trace_event_start(&walk->event,
			  walk->to_sync & TRACE_WRITE_SYNC ? TRACE_FSYNC : TRACE_FDATASYNC,
			  walk->event.thread);
	walk->event.file = walk->synced;
	walk->to_sync = 0;
	return on_sync(walk);
}

/* 1, 0 at the end, or a negative errno with a message. */
static int take_event(struct explore_walk *walk, struct message *message)
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
	/* What an outage has taken back of names is not in the trace. */
	if (walk->event.kind == TRACE_OUTAGE) {
		message_fail(&walk->cut, 0,
			     "event %llu is a power failure of the run itself: what follows is not explored",
			     (unsigned long long)walk->count + 1);
		return 0;
	}
	if (walk->event.kind == TRACE_LOST && !walk->cut.text[0])
		message_fail(&walk->cut, 0,
			     "event %llu says that events are missing (%.*s): findings after it may not be "
			     "real",
			     (unsigned long long)walk->count + 1,
			     (int)min_u64(walk->event.lost.reason.length, 200),
			     (const char *)walk->event.lost.reason.at);
	return 1;
}

int explore_walk_next(struct explore_walk *walk, struct message *message)
{
	int error = 1;

	walk->is_sync_step = walk->to_sync;
	if (!walk->is_sync_step)
		error = take_event(walk, message);
	if (error <= 0)
		return error;
	walk->guaranteed = false;
	walk->failed = 0;
	walk->count += !walk->is_sync_step;
	error = walk->is_sync_step ? take_sync(walk) : apply(walk);
	if (!error)
		error = walk->failed;
	if (error)
		return message_fail(message, error, "%s: event %llu (%s): %s", walk->name,
				    (unsigned long long)walk->count, trace_event_name(&walk->event),
				    strerror(-error));
	return 1;
}

/* Over so many events the digests of files, which nobody asks for on the way, cost more than new ones. */
static void leave_digests(struct explore_walk *walk, uint64_t events)
{
	const uint64_t pages = events / EVENTS_A_PAGE;
	uint64_t sum = 0;

	for (size_t i = 0; sum < pages && i < walk->files.count; i++)
		sum += explore_image_pages(walk->files.items[i]->image) + 1;
	for (size_t i = 0; sum < pages && i < walk->files.count; i++)
		explore_image_leave_digest(walk->files.items[i]->image);
}

int explore_walk_to(struct explore_walk *walk, uint64_t after, struct message *message)
{
	const uint64_t event = after & ~EXPLORE_BEFORE_SYNC;
	int step = 1;

	if (event > walk->count)
		leave_digests(walk, event - walk->count);
	while (step > 0 && (walk->count < event || (walk->to_sync && event == after)))
		step = explore_walk_next(walk, message);
	return step;
}

bool explore_walk_is_sync_step(const struct explore_walk *walk)
{
	return walk->is_sync_step;
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
	if (walk->cut.text[0])
		return walk->cut.text;
	if (explore_walk_names_is_unrooted(walk->names))
		return "the trace has names of files, and no directory of the path \"/\" before them: no "
		       "name changes in the states";
	return explore_walk_names_joins_regions(walk->names) ?
		       "the trace is of several regions: a sync in one is taken to commit what came before "
		       "in all; --metadata strict finds what that hides" :
		       NULL;
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

enum metadata_mode explore_walk_metadata(const struct explore_walk *walk)
{
	return explore_walk_names_mode(walk->names);
}

struct explore_file *explore_walk_find_file(const struct explore_walk *walk, uint64_t id)
{
	return walk_file_of(walk, id);
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
		const struct walk_mapping *mapping = &walk->mappings.items[i];

		if (value >= mapping->start && value < mapping->end) {
			*address = mapping->address + (value - mapping->start);
			return true;
		}
	}
	if (value >= file->newest)
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
