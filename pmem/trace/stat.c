/* SPDX-License-Identifier: BSD-3-Clause */
#include "trace/stat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "common/align.h"
#include "common/vector.h"
#include "trace/idmap.h"

#define LINES_PER_CHUNK 8u
#define KINDS 64u

/* A line's bytes that are not durable yet: a bit each. */
struct line {
	uint64_t dirty;	  /* stored since the last flush */
	uint64_t flushed; /* stored before it, and waiting for the fence of `thread` */
	uint64_t epoch;	  /* of the file's syncs, when the two were set */
	uint64_t fences;  /* of the thread, when the line was flushed */
	struct stat_thread *thread;
	struct trace_site_counts *site; /* that stored last */
	uint32_t stores, waiting;	/* how many stores `dirty` and `flushed` are of */
	bool touched;
};

struct chunk {
	struct line lines[LINES_PER_CHUNK];
};

struct stat_thread {
	uint64_t fences;  /* of any kind */
	uint64_t pending; /* flushes and non-temporal stores since the last one */
};

struct stat_file {
	struct trace_file_counts counts;
	uint64_t epoch; /* counts syncs: what was stored before the last one is durable */
	struct idmap chunks;
};

struct trace_stat {
	struct idmap files, threads, sites;
	struct trace_counts counts;
	uint64_t kinds[KINDS], write_bytes, lines;
	uint64_t epoch, epoch_count; /* the last sync of everything; syncs of any kind */
	uint64_t last_file;
	struct stat_file *file;
	VECTOR(struct trace_site_counts) sorted_sites;
	VECTOR(struct trace_file_counts) sorted_files;
};

static void counts_add(struct trace_counts *to, const struct trace_counts *add)
{
	to->stores += add->stores;
	to->store_bytes += add->store_bytes;
	to->nontemporal += add->nontemporal;
	to->flushes += add->flushes;
	to->clean_flushes += add->clean_flushes;
	to->redundant_flushes += add->redundant_flushes;
	to->fences += add->fences;
	to->idle_fences += add->idle_fences;
	to->overwritten += add->overwritten;
	to->unflushed += add->unflushed;
	to->unfenced += add->unfenced;
}

uint64_t trace_counts_suspicious(const struct trace_counts *counts)
{
	return counts->clean_flushes + counts->redundant_flushes + counts->idle_fences + counts->overwritten +
	       counts->unflushed + counts->unfenced;
}

struct trace_stat *trace_stat_create(void)
{
	return calloc(1, sizeof(struct trace_stat));
}

static void free_file(void *value)
{
	struct stat_file *file = value;

	idmap_clear(&file->chunks, free);
	free(file);
}

void trace_stat_destroy(struct trace_stat *stat)
{
	if (!stat)
		return;
	idmap_clear(&stat->files, free_file);
	idmap_clear(&stat->threads, free);
	idmap_clear(&stat->sites, free);
	vector_free(&stat->sorted_sites);
	vector_free(&stat->sorted_files);
	free(stat);
}

/* ---- What is counted of what ----------------------------------------------------- */

static struct stat_file *file_of(struct trace_stat *stat, uint64_t id)
{
	struct stat_file *file = stat->last_file == id ? stat->file : NULL;

	if (file)
		return file;
	file = idmap_make(&stat->files, id, sizeof(*file));
	if (file) {
		file->counts.file = id;
		stat->last_file = id;
		stat->file = file;
	}
	return file;
}

static struct trace_site_counts *site_of(struct trace_stat *stat, uint32_t id)
{
	struct trace_site_counts *site = idmap_make(&stat->sites, id, sizeof(*site));

	if (site)
		site->site = id;
	return site;
}

/* The line, with what has become durable in the meantime taken out. NULL: no memory. */
static struct line *line_of(struct trace_stat *stat, struct stat_file *file, uint64_t number)
{
	struct chunk *chunk = idmap_make(&file->chunks, number / LINES_PER_CHUNK, sizeof(*chunk));
	struct line *line;

	if (!chunk)
		return NULL;
	line = &chunk->lines[number % LINES_PER_CHUNK];
	if (!line->touched) {
		line->touched = true;
		stat->lines++;
	}
	if (line->epoch < max_u64(file->epoch, stat->epoch)) {
		line->dirty = line->flushed = 0;
		line->stores = line->waiting = 0;
	} else if (line->flushed && line->thread->fences > line->fences) {
		line->flushed = 0;
		line->waiting = 0;
	}
	line->epoch = max_u64(file->epoch, stat->epoch);
	return line;
}

/* ---- Stores, flushes and fences ---------------------------------------------------- */

/* Bytes [offset, offset+length) of a line as bits. */
static uint64_t bits_of(uint64_t offset, uint64_t length)
{
	const uint64_t bits = length >= LINE_SIZE ? UINT64_MAX : ((uint64_t)1 << length) - 1;

	return bits << (offset % LINE_SIZE);
}

/* The store's bytes within the line that starts at `line`, as bits. */
static uint64_t stored_bits(const struct trace_event *event, uint64_t line)
{
	const uint64_t start = event->store.offset, end = start + event->store.bytes.length;
	const uint64_t from = max_u64(start, line), to = min_u64(end, line + LINE_SIZE);
	uint64_t bits = bits_of(from, to - from);

	if (event->kind == TRACE_STORE && event->store.mask)
		bits &= start >= line ? event->store.mask << (start - line) :
					event->store.mask >> (line - start);
	return bits;
}

static bool store_to_line(struct line *line, const struct trace_event *event, uint64_t bits,
			  struct stat_thread *thread, struct trace_site_counts *site)
{
	const bool again = bits & (line->dirty | line->flushed);

	line->site = site;
	if (event->flags & TRACE_NONTEMPORAL) {
		line->flushed |= bits;
		line->waiting++;
		line->thread = thread;
		line->fences = thread->fences;
	} else {
		line->dirty |= bits;
		line->stores++;
	}
	return again;
}

static void fence(struct stat_thread *thread)
{
	thread->fences++;
	thread->pending = 0;
}

static int add_store(struct trace_stat *stat, const struct trace_event *event)
{
	struct stat_file *file = file_of(stat, event->file);
	struct stat_thread *thread = idmap_make(&stat->threads, event->thread, sizeof(*thread));
	struct trace_site_counts *site = site_of(stat, event->site);
	const uint64_t end = event->store.offset + event->store.bytes.length;
	struct trace_counts add = { .stores = 1 };

	if (!file || !thread || !site)
		return -ENOMEM;
	if (event->flags & TRACE_LOCKED)
		fence(thread);
	add.nontemporal = !!(event->flags & TRACE_NONTEMPORAL);
	thread->pending += add.nontemporal;
	file->counts.stores++;
	for (uint64_t at = align_down(event->store.offset, LINE_SIZE); at < end; at += LINE_SIZE) {
		const uint64_t bits = stored_bits(event, at);
		struct line *line = bits ? line_of(stat, file, at / LINE_SIZE) : NULL;

		if (bits && !line)
			return -ENOMEM;
		if (line)
			add.overwritten |= store_to_line(line, event, bits, thread, site);
		add.store_bytes += (uint64_t)__builtin_popcountll(bits);
	}
	counts_add(&stat->counts, &add);
	counts_add(&site->counts, &add);
	return 0;
}

/* What a flush or an msync does to each line that was stored to. */
struct sweep {
	struct trace_stat *stat;
	struct stat_file *file;
	uint64_t first, end; /* lines */
	enum trace_flush which;
	struct stat_thread *thread;
	struct trace_counts *add;
	uint64_t lines; /* that were stored to */
};

static void flush_line(struct line *line, struct sweep *sweep)
{
	sweep->lines++;
	if (!line->dirty && !line->flushed)
		sweep->add->clean_flushes++;
	else if (!line->dirty && line->thread == sweep->thread)
		sweep->add->redundant_flushes++;
	if (sweep->which == TRACE_CLFLUSH) {
		line->dirty = line->flushed = 0;
		line->stores = line->waiting = 0;
		return;
	}
	line->flushed |= line->dirty;
	line->waiting += line->stores;
	line->dirty = 0;
	line->stores = 0;
	line->thread = sweep->thread;
	line->fences = sweep->thread->fences;
}

static void sweep_chunk(struct sweep *sweep, uint64_t number, struct chunk *chunk)
{
	for (uint64_t i = 0; chunk && i < LINES_PER_CHUNK; i++) {
		const uint64_t line = number * LINES_PER_CHUNK + i;

		if (line >= sweep->first && line < sweep->end && chunk->lines[i].touched)
			flush_line(line_of(sweep->stat, sweep->file, line), sweep);
	}
}

/* A range may be much larger than what was stored to: go through the smaller of the two. */
static void sweep_lines(struct sweep *sweep)
{
	const struct idmap *chunks = &sweep->file->chunks;
	const uint64_t first = sweep->first / LINES_PER_CHUNK, last = (sweep->end - 1) / LINES_PER_CHUNK;

	if (last - first < chunks->capacity) {
		for (uint64_t number = first; number <= last; number++)
			sweep_chunk(sweep, number, idmap_get(chunks, number));
		return;
	}
	for (const struct idmap_entry *entry = NULL; (entry = idmap_next(chunks, entry));)
		if (entry->key >= first && entry->key <= last)
			sweep_chunk(sweep, entry->key, entry->value);
}

static int add_flush(struct trace_stat *stat, const struct trace_event *event)
{
	struct trace_site_counts *site = site_of(stat, event->site);
	struct trace_counts add = { .flushes = event->flush.length / LINE_SIZE };
	struct sweep sweep = {
		.stat = stat,
		.file = file_of(stat, event->file),
		.first = event->flush.offset / LINE_SIZE,
		.end = (event->flush.offset + event->flush.length) / LINE_SIZE,
		.which = (enum trace_flush)event->op,
		.thread = idmap_make(&stat->threads, event->thread, sizeof(*sweep.thread)),
		.add = &add,
	};

	if (!sweep.file || !sweep.thread || !site)
		return -ENOMEM;
	sweep_lines(&sweep);
	add.clean_flushes += add.flushes - sweep.lines;
	sweep.thread->pending += event->op != TRACE_CLFLUSH;
	counts_add(&stat->counts, &add);
	counts_add(&site->counts, &add);
	return 0;
}

static int add_fence(struct trace_stat *stat, const struct trace_event *event)
{
	struct stat_thread *thread = idmap_make(&stat->threads, event->thread, sizeof(*thread));
	struct trace_site_counts *site = site_of(stat, event->site);
	struct trace_counts add = { .fences = 1 };

	if (!thread || !site)
		return -ENOMEM;
	add.idle_fences = !thread->pending;
	fence(thread);
	if (event->op == TRACE_RMW)
		return 0;
	counts_add(&stat->counts, &add);
	counts_add(&site->counts, &add);
	return 0;
}

/* ---- The mount ----------------------------------------------------------------------- */

static int sync_file(struct trace_stat *stat, uint64_t id)
{
	struct stat_file *file = file_of(stat, id);

	if (!file)
		return -ENOMEM;
	file->counts.syncs++;
	file->counts.changed = false;
	file->epoch = ++stat->epoch_count;
	return 0;
}

static int change_file(struct trace_stat *stat, uint64_t id)
{
	struct stat_file *file = file_of(stat, id);

	if (!file)
		return -ENOMEM;
	file->counts.writes++;
	file->counts.changed = true;
	return 0;
}

static int add_write(struct trace_stat *stat, const struct trace_event *event)
{
	int error = change_file(stat, event->file);

	stat->write_bytes += event->store.bytes.length;
	if (!error && event->flags & (TRACE_WRITE_SYNC | TRACE_WRITE_DSYNC))
		error = sync_file(stat, event->file);
	return error;
}

static int add_msync(struct trace_stat *stat, const struct trace_event *event)
{
	struct stat_file *file = file_of(stat, event->file);
	struct stat_thread none = { 0 };
	struct trace_counts not_counted = { 0 };
	struct sweep sweep = {
		.stat = stat,
		.file = file,
		.first = event->range.offset / LINE_SIZE,
		.end = align_up(event->range.offset + event->range.length, LINE_SIZE) / LINE_SIZE,
		.which = TRACE_CLFLUSH,
		.thread = &none,
		.add = &not_counted,
	};

	if (!file)
		return -ENOMEM;
	if (sweep.end > sweep.first)
		sweep_lines(&sweep);
	file->counts.syncs++;
	return 0;
}

static int add_rename(struct trace_stat *stat, const struct trace_event *event)
{
	int error = change_file(stat, event->rename.parent);

	if (!error && event->rename.new_parent != event->rename.parent)
		error = change_file(stat, event->rename.new_parent);
	return error;
}

static int sync_all(struct trace_stat *stat)
{
	for (const struct idmap_entry *entry = NULL; (entry = idmap_next(&stat->files, entry));) {
		struct stat_file *file = entry->value;

		file->counts.syncs++;
		file->counts.changed = false;
	}
	stat->epoch = ++stat->epoch_count;
	return 0;
}

int trace_stat_add(struct trace_stat *stat, const struct trace_event *event)
{
	stat->kinds[event->kind]++;
	switch (event->kind) {
	case TRACE_STORE:
		return add_store(stat, event);
	case TRACE_FLUSH:
		return add_flush(stat, event);
	case TRACE_FENCE:
		return add_fence(stat, event);
	case TRACE_MSYNC:
		return add_msync(stat, event);
	case TRACE_WRITE:
		return add_write(stat, event);
	case TRACE_TRUNCATE:
	case TRACE_FALLOCATE:
	case TRACE_SETATTR:
	case TRACE_SETXATTR:
	case TRACE_REMOVEXATTR:
		return change_file(stat, event->file);
	case TRACE_CREATE:
	case TRACE_MKDIR:
	case TRACE_MKFIFO:
	case TRACE_SYMLINK:
	case TRACE_LINK:
	case TRACE_UNLINK:
	case TRACE_RMDIR:
		return event->name.name.length ? change_file(stat, event->name.parent) : 0;
	case TRACE_RENAME:
		return add_rename(stat, event);
	case TRACE_OPEN:
		return event->op & O_TRUNC ? change_file(stat, event->file) : 0;
	case TRACE_FSYNC:
	case TRACE_FDATASYNC:
		return sync_file(stat, event->file);
	case TRACE_SYNC:
		return sync_all(stat);
	default:
		return 0;
	}
}

/* ---- The end --------------------------------------------------------------------------- */

static void end_line(struct trace_stat *stat, struct line *line)
{
	const struct trace_counts add = { .unflushed = line->stores, .unfenced = line->waiting };

	if (!line->site)
		return;
	counts_add(&stat->counts, &add);
	counts_add(&line->site->counts, &add);
}

static int end_file(struct trace_stat *stat, struct stat_file *file)
{
	for (const struct idmap_entry *entry = NULL; (entry = idmap_next(&file->chunks, entry));) {
		struct chunk *chunk = entry->value;

		for (unsigned i = 0; i < LINES_PER_CHUNK; i++)
			if (chunk->lines[i].touched)
				end_line(stat, line_of(stat, file, entry->key * LINES_PER_CHUNK + i));
	}
	return vector_append(&stat->sorted_files, file->counts);
}

static int compare_sites(const void *one, const void *other)
{
	const struct trace_site_counts *a = one, *b = other;
	const uint64_t wrong_a = trace_counts_suspicious(&a->counts),
		       wrong_b = trace_counts_suspicious(&b->counts);

	if (wrong_a != wrong_b)
		return wrong_a > wrong_b ? -1 : 1;
	if (a->counts.stores != b->counts.stores)
		return a->counts.stores > b->counts.stores ? -1 : 1;
	return a->site < b->site ? -1 : a->site > b->site;
}

static int compare_files(const void *one, const void *other)
{
	const struct trace_file_counts *a = one, *b = other;

	return a->file < b->file ? -1 : a->file > b->file;
}

int trace_stat_end(struct trace_stat *stat)
{
	for (const struct idmap_entry *entry = NULL; (entry = idmap_next(&stat->files, entry));)
		if (end_file(stat, entry->value) < 0)
			return -ENOMEM;
	for (const struct idmap_entry *entry = NULL; (entry = idmap_next(&stat->sites, entry));)
		if (vector_append(&stat->sorted_sites, *(struct trace_site_counts *)entry->value) < 0)
			return -ENOMEM;
	if (stat->sorted_sites.count)
		qsort(stat->sorted_sites.items, stat->sorted_sites.count, sizeof(*stat->sorted_sites.items),
		      compare_sites);
	if (stat->sorted_files.count)
		qsort(stat->sorted_files.items, stat->sorted_files.count, sizeof(*stat->sorted_files.items),
		      compare_files);
	return 0;
}

const struct trace_counts *trace_stat_counts(const struct trace_stat *stat)
{
	return &stat->counts;
}

uint64_t trace_stat_events(const struct trace_stat *stat, enum trace_kind kind)
{
	return stat->kinds[kind];
}

uint64_t trace_stat_write_bytes(const struct trace_stat *stat)
{
	return stat->write_bytes;
}

uint64_t trace_stat_lines(const struct trace_stat *stat)
{
	return stat->lines;
}

const struct trace_site_counts *trace_stat_sites(const struct trace_stat *stat, size_t *count)
{
	*count = stat->sorted_sites.count;
	return stat->sorted_sites.items;
}

const struct trace_file_counts *trace_stat_files(const struct trace_stat *stat, size_t *count)
{
	*count = stat->sorted_files.count;
	return stat->sorted_files.items;
}
