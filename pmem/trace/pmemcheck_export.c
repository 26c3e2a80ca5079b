/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/align.h"
#include "trace/idmap.h"
#include "trace/pmemcheck.h"

/* Each file gets addresses of its own, as if all of it were mapped there. */
#define FILES_MAX 0x7fffu

struct trace_pmemcheck {
	FILE *out;
	const char *(*path_fn)(void *context, uint64_t file);
	uint64_t (*size_fn)(void *context, uint64_t file);
	void *context;
	struct idmap bases; /* by file: where it is mapped, as a pointer */
	struct trace_pmemcheck_skipped skipped;
};

struct trace_pmemcheck *trace_pmemcheck_create(FILE *out,
					       const char *(*path_fn)(void *context, uint64_t file),
					       uint64_t (*size_fn)(void *context, uint64_t file),
					       void *context)
{
	struct trace_pmemcheck *log = calloc(1, sizeof(*log));

	if (!log)
		return NULL;
	log->out = out;
	log->path_fn = path_fn;
	log->size_fn = size_fn;
	log->context = context;
	fputs("START", out);
	return log;
}

void trace_pmemcheck_destroy(struct trace_pmemcheck *log)
{
	if (!log)
		return;
	idmap_clear(&log->bases, NULL);
	free(log);
}

/* The file's address; it is registered if it has none yet. */
static int base_of(struct trace_pmemcheck *log, uint64_t file, uint64_t *base)
{
	void *known = idmap_get(&log->bases, file);
	const char *path;

	if (known) {
		*base = (uintptr_t)known;
		return 0;
	}
	if (log->bases.count == FILES_MAX)
		return -E2BIG;
	path = log->path_fn(log->context, file);
	if (strpbrk(path, "|;\n"))
		return -EINVAL;
	*base = (log->bases.count + 1) * TRACE_STORE_END;
	if (idmap_set(&log->bases, file, (void *)(uintptr_t)*base) < 0)
		return -ENOMEM;
	fprintf(log->out, "|REGISTER_FILE;%s;0x%" PRIx64 ";0x%" PRIx64 ";0x0", path, *base,
		log->size_fn(log->context, file));
	return 0;
}

/* One STORE of at most 8 bytes. */
static void put_store(struct trace_pmemcheck *log, const struct trace_event *event, uint64_t address,
		      const unsigned char *bytes, size_t length)
{
	uint64_t value = 0;

	memcpy(&value, bytes, length);
	fprintf(log->out, "|STORE;0x%" PRIx64 ";0x%" PRIx64 ";0x%zx", address, value, length);
	if (event->flags & TRACE_NONTEMPORAL)
		fprintf(log->out, "|FLUSH;0x%" PRIx64 ";0x%zx", address, length);
}

static int add_store(struct trace_pmemcheck *log, const struct trace_event *event)
{
	const uint32_t length = event->store.bytes.length;
	uint64_t base;
	int error = base_of(log, event->file, &base);

	if (error)
		return error;
	if (event->flags & TRACE_LOCKED)
		fputs("|FENCE", log->out);
	for (uint32_t at = 0; at < length;) {
		const uint64_t offset = event->store.offset + at;
		const uint32_t most = (uint32_t)min_u64(8 - offset % 8, length - at);
		uint32_t piece = 0;

		while (piece < most &&
		       (event->kind != TRACE_STORE || trace_mask_has(event->store.mask, at + piece)))
			piece++;
		if (piece)
			put_store(log, event, base + offset, event->store.bytes.at + at, piece);
		at += piece ? piece : 1;
	}
	return 0;
}

static int add_flush(struct trace_pmemcheck *log, const struct trace_event *event)
{
	uint64_t base;
	int error = base_of(log, event->file, &base);

	if (error)
		return error;
	fprintf(log->out, "|FLUSH;0x%" PRIx64 ";0x%" PRIx64, base + event->flush.offset, event->flush.length);
	if (event->op == TRACE_CLFLUSH)
		fputs("|FENCE", log->out);
	return 0;
}

static bool ends_with(const struct trace_bytes *text, const char *end)
{
	const size_t length = strlen(end);

	return text->length > length && memcmp(text->at + text->length - length, end, length) == 0;
}

static void add_mark(struct trace_pmemcheck *log, const struct trace_event *event)
{
	const struct trace_bytes *text = &event->mark.text;

	for (uint32_t i = 0; i < text->length; i++) {
		if (text->at[i] <= ' ' || text->at[i] > '~' || text->at[i] == '|' || text->at[i] == ';') {
			log->skipped.marks++;
			return;
		}
	}
	if (ends_with(text, ".BEGIN") || ends_with(text, ".END"))
		fprintf(log->out, "|%.*s", (int)text->length, (const char *)text->at);
	else
		log->skipped.marks++;
}

int trace_pmemcheck_add(struct trace_pmemcheck *log, const struct trace_event *event)
{
	switch (event->kind) {
	case TRACE_STORE:
		return add_store(log, event);
	case TRACE_FLUSH:
		return add_flush(log, event);
	case TRACE_FENCE:
		fputs("|FENCE", log->out);
		return 0;
	case TRACE_MARK:
		add_mark(log, event);
		return 0;
	default:
		log->skipped.operations += event->kind == TRACE_MSYNC || event->kind == TRACE_OUTAGE ||
					   (event->kind >= TRACE_WRITE && event->kind <= TRACE_SYNC);
		return 0;
	}
}

int trace_pmemcheck_end(struct trace_pmemcheck *log, struct trace_pmemcheck_skipped *skipped)
{
	fputs("|STOP\n", log->out);
	*skipped = log->skipped;
	return fflush(log->out) != 0 || ferror(log->out) ? -EIO : 0;
}
