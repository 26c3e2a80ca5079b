/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/recovery_facts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "explore/trace_walk.h"
#include "explore/trial.h"

struct reading {
	const struct explore_walk *walk;
	struct explore_recovery_facts *facts;
};

/* Each number depends on all before it: the order counts. */
static void mix_into(struct explore_digest *digest, uint64_t value)
{
	*digest = explore_digest_of(digest->low ^ value, digest->high);
}

static void mix(struct reading *reading, uint64_t value)
{
	mix_into(&reading->facts->shape, value);
	mix_into(&reading->facts->contents, value);
}

static void mix_bytes(struct explore_digest *digest, const void *bytes, size_t length)
{
	mix_into(digest, length);
	for (size_t at = 0; at < length; at += sizeof(uint64_t)) {
		uint64_t word = 0;

		memcpy(&word, (const unsigned char *)bytes + at, min_u64(sizeof(word), length - at));
		mix_into(digest, word);
	}
}

static void mix_text(struct reading *reading, const struct trace_bytes *text)
{
	mix_bytes(&reading->facts->shape, text->at, text->length);
	mix_bytes(&reading->facts->contents, text->at, text->length);
}

/* What is stored, and what is guaranteed in its place so far. */
static int mix_store(struct reading *reading, const struct trace_event *event)
{
	const struct explore_file *file = explore_walk_find_file(reading->walk, event->file);
	const size_t length = event->store.bytes.length;
	CLEANUP_FREE unsigned char *before = malloc(length + 1);

	if (!before)
		return -ENOMEM;
	mix(reading, event->store.offset);
	mix(reading, event->store.mask);
	mix(reading, event->flags);
	mix(reading, length);
	mix_bytes(&reading->facts->contents, event->store.bytes.at, length);
	if (file) {
		explore_image_read(file->image, event->store.offset, before, length);
		mix_bytes(&reading->facts->contents, before, length);
	}
	return 0;
}

static void mix_name(struct reading *reading, uint64_t parent, const struct trace_bytes *name)
{
	mix(reading, parent);
	mix_text(reading, name);
}

/* False: the event changes no file. */
static bool mix_event(struct reading *reading, const struct trace_event *event, int *error)
{
	bool writes = true;

	mix(reading, event->kind);
	mix(reading, event->file);
	mix(reading, event->op);
	switch (event->kind) {
	case TRACE_STORE:
	case TRACE_WRITE:
		*error = mix_store(reading, event);
		break;
	case TRACE_FLUSH:
		mix(reading, event->flush.offset);
		mix(reading, event->flush.length);
		writes = false;
		break;
	case TRACE_MSYNC:
	case TRACE_FENCE:
	case TRACE_FSYNC:
	case TRACE_FDATASYNC:
	case TRACE_SYNC:
	case TRACE_MARK:
		writes = false;
		break;
	case TRACE_TRUNCATE:
	case TRACE_FALLOCATE:
		mix(reading, event->range.offset);
		mix(reading, event->range.length);
		break;
	case TRACE_RENAME:
		mix_name(reading, event->rename.parent, &event->rename.name);
		mix_name(reading, event->rename.new_parent, &event->rename.new_name);
		break;
	case TRACE_SETATTR:
		/* Times alone are no change that a recovery would miss. */
		writes = event->op & (TRACE_SET_MODE | TRACE_SET_UID | TRACE_SET_GID);
		mix(reading, event->attributes.mode);
		break;
	case TRACE_SETXATTR:
	case TRACE_REMOVEXATTR:
		mix_text(reading, &event->xattr.name);
		mix_text(reading, &event->xattr.value);
		break;
	default:
		mix_name(reading, event->name.parent, &event->name.name);
		mix_text(reading, &event->name.target);
		break;
	}
	return writes;
}

static bool counts(enum trace_kind kind)
{
	return kind <= TRACE_MSYNC || kind == TRACE_MARK ||
	       (kind >= TRACE_WRITE && kind <= TRACE_REMOVEXATTR && kind != TRACE_OPEN &&
		kind != TRACE_CLOSE);
}

static int read_event(struct reading *reading, const struct trace_event *event)
{
	int error = 0;

	if (!counts(event->kind))
		return vector_append(&reading->facts->uncounted, explore_walk_count(reading->walk));
	reading->facts->writes |= mix_event(reading, event, &error);
	return error;
}

int explore_recovery_read(int fd, const char *name, struct explore_recovery_facts *facts,
			  struct message *message)
{
	/* Under eADR what was stored would be guaranteed at once, and what was there before be gone. */
	const struct explore_walk_options options = { .mode = LINES_MODE_LINE,
						      .domain = PERSISTENCE_MEMORY_CONTROLLER,
						      .metadata = METADATA_ORDERED };
	struct reading reading = { .facts = facts };
	struct explore_walk *walk;
	int step = 1, error = explore_walk_create(fd, name, &options, &walk, message);

	*facts = (struct explore_recovery_facts){ .writes = false };
	if (error)
		return error;
	reading.walk = walk;
	while (!error && (step = explore_walk_next(walk, message)) == 1)
		if (!explore_walk_is_sync_step(walk))
			error = read_event(&reading, explore_walk_event(walk));
	explore_walk_destroy(walk);
	return error ? message_fail(message, error, "%s: out of memory", name) : step;
}

void explore_recovery_facts_clear(struct explore_recovery_facts *facts)
{
	vector_free(&facts->uncounted);
}

/* ---- Names of states ------------------------------------------------------------------ */

/* A moment after so many events, or an event that counts. */
static uint64_t number_for_all(const void *context, uint64_t event, bool later)
{
	const struct explore_recovery_facts *facts = context;
	uint64_t uncounted = 0;

	(void)later;
	while (uncounted < facts->uncounted.count && facts->uncounted.items[uncounted] <= event)
		uncounted++;
	return event - uncounted;
}

/* Of a moment: the one right before the next event that counts. */
static uint64_t number_here(const void *context, uint64_t event, bool later)
{
	const struct explore_recovery_facts *facts = context;

	for (size_t i = 0; i < facts->uncounted.count && facts->uncounted.items[i] <= event + later; i++)
		event++;
	return event;
}

char *explore_recovery_name_for_all(const struct explore_recovery_facts *facts, const char *name)
{
	return explore_state_name_renumber(name, number_for_all, facts);
}

char *explore_recovery_name_here(const struct explore_recovery_facts *facts, const char *name)
{
	return explore_state_name_renumber(name, number_here, facts);
}
