/* SPDX-License-Identifier: BSD-3-Clause */
#include "trace/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/align.h"
#include "common/cleanup.h"

#define BYTES_START (64u << 10)
/* The longest slot: an event of any kind, with its two words. */
#define SLOT_BYTES_MAX (TRACE_ENCODED_MAX + 24)
_Static_assert(SLOT_BYTES_MAX >= TRACE_BYTES_MAX + 24 + 8, "a long store fits too");

enum table { POOLS, SITES, MODULES };

static uint64_t number_of(const struct source_process *process, enum table table, uint64_t own)
{
	for (; process; process = process->forked_from) {
		void *value = idmap_get(table == POOLS ? &process->pools :
					table == SITES ? &process->sites :
							 &process->modules,
					own);

		if (value)
			return (uintptr_t)value;
	}
	return 0;
}

/* The file of the trace that the process was granted as `pool`; 0: none. */
static uint64_t file_of(struct source *source, uint64_t pool)
{
	const uint32_t grants = atomic_load_explicit(source->process->grants, memory_order_acquire);

	if (source->file && source->pool == pool && source->grants == grants)
		return source->file;
	LOCK_SCOPE(source->process->lock);
	source->grants = atomic_load_explicit(source->process->grants, memory_order_relaxed);
	source->pool = (uint32_t)pool;
	source->file = pool <= TRACE_SLOT_POOL_MAX ? number_of(source->process, POOLS, pool) : 0;
	return source->file;
}

static uint32_t site_of(struct source *source, uint32_t own)
{
	const uint32_t at = own % SOURCE_SITES;

	/* A forked child gives numbers that are its parent's another meaning. */
	if (source->site_definitions != source->process->site_definitions) {
		memset(source->sites, 0, sizeof(source->sites));
		source->site_definitions = source->process->site_definitions;
	}
	if (own && source->sites[at].own != own) {
		const uint32_t number = (uint32_t)number_of(source->process, SITES, own);

		if (!number)
			return 0;
		source->sites[at].own = own;
		source->sites[at].number = number;
	}
	return own ? source->sites[at].number : 0;
}

/* ---- Slots ---------------------------------------------------------------------- */

static uint64_t word_at(const struct source *source, unsigned index)
{
	uint64_t word;

	memcpy(&word, source->bytes + source->start + 8 * (size_t)index, 8);
	return word;
}

static enum trace_slot_kind kind_of(uint64_t word)
{
	return (enum trace_slot_kind)(word & 63);
}

/* The bytes or lines that word 0 states. */
static uint32_t count_of(uint64_t word)
{
	return (uint32_t)(word >> 6 & 63) + 1;
}

/* The length of the slot at the start, of which `there` bytes are at hand; 0: they do not say it. */
static size_t slot_length(struct source *source, size_t there)
{
	const uint64_t word = word_at(source, 0);
	uint64_t bytes;

	switch (kind_of(word)) {
	case TRACE_SLOT_STORE:
		return 16 + align_up(count_of(word), 8);
	case TRACE_SLOT_STORE_MASKED:
		return 24 + align_up(count_of(word), 8);
	case TRACE_SLOT_STORE_LONG:
		bytes = there >= 24 ? word_at(source, 2) : 0;
		if (bytes <= TRACE_BYTES_MAX)
			return there >= 24 ? 24 + align_up(bytes, 8) : 0;
		break;
	case TRACE_SLOT_EVENT:
		bytes = there >= 16 ? word_at(source, 1) : 0;
		if (bytes <= TRACE_ENCODED_MAX)
			return there >= 16 ? 16 + align_up(bytes, 8) : 0;
		break;
	case TRACE_SLOT_FLUSH:
	case TRACE_SLOT_REBASE:
		return 16;
	case TRACE_SLOT_FENCE:
	case TRACE_SLOT_VOID:
		return 8;
	default:
		break;
	}
	source->wrong = "a malformed slot";
	return 0;
}

/* Move what is there to the front. */
static void compact(struct source *source)
{
	/* Before the first slot there is no memory, either. */
	if (!source->start)
		return;
	memmove(source->bytes, source->bytes + source->start, source->end - source->start);
	source->moved += source->end - source->start;
	source->end -= source->start;
	source->start = 0;
}

/* Room for more at the end, `most` bytes in all. Moving bytes costs no more than decoding them. */
static int make_room(struct source *source, size_t most)
{
	unsigned char *bytes;
	size_t room;

	if (source->start >= source->end - source->start)
		compact(source);
	if (source->end < source->room)
		return 0;
	room = source->room ? min_u64(2 * source->room, most) : BYTES_START;
	if (room <= source->room) {
		compact(source);
		return source->end < source->room ? 0 : -ENOBUFS;
	}
	bytes = realloc(source->bytes, room);
	if (!bytes)
		return -ENOMEM;
	source->bytes = bytes;
	source->room = room;
	return 0;
}

/*
 * The same so that `held` bytes can be held. Bytes that were decoded may take as much, so that what is moved
 * is never more than what was decoded since; and memory grows by leaps.
 */
static int make_room_to_hold(struct source *source, size_t held)
{
	return make_room(source, max_u64(2 * min_u64(held, SIZE_MAX / 2), source->room + source->room / 2));
}

/* What source_take_ahead() needed is not needed any more. */
static void give_room_back(struct source *source)
{
	unsigned char *bytes;

	if (source->start < source->end || source->room <= SLOT_BYTES_MAX + 8)
		return;
	source->start = source->end = 0;
	bytes = realloc(source->bytes, BYTES_START);
	if (!bytes)
		return;
	source->bytes = bytes;
	source->room = BYTES_START;
}

/* Take at most so many bytes, as far as there is room: as trace_buffer_take(). */
static ptrdiff_t take_at_most(struct source *source, size_t most)
{
	const ptrdiff_t length = trace_buffer_take(source->buffer, source->bytes + source->end,
						   min_u64(source->room - source->end, most));

	if (length > 0)
		source->end += (size_t)length;
	return length;
}

/* Take more from the buffer. False: there was nothing, or it is wrong. */
static bool take(struct source *source)
{
	ptrdiff_t length;

	give_room_back(source);
	if (make_room(source, SLOT_BYTES_MAX + 8)) {
		source->wrong = "out of memory";
		return false;
	}
	length = take_at_most(source, SIZE_MAX);
	if (length < 0)
		source->wrong = "impossible positions in its buffer";
	return length > 0;
}

size_t source_held(const struct source *source)
{
	return source->end - source->start;
}

size_t source_take_ahead(struct source *source, size_t most)
{
	const size_t before = source_held(source), room = before + most;
	ptrdiff_t length = 1;

	/* What is wrong is found, and told, when its turn comes. */
	while (length > 0 && source_held(source) < room && !make_room_to_hold(source, room))
		length = take_at_most(source, room - source_held(source));
	return source_held(source) - before;
}

/* The slot at the start, all of it. 0: it has not come, or is wrong. */
static size_t whole_slot(struct source *source)
{
	for (;;) {
		const size_t there = source->end - source->start;
		const size_t length = there >= 8 ? slot_length(source, there) : 0;

		if (source->wrong)
			return 0;
		if (length && length <= there)
			return length;
		if (!take(source))
			return 0;
	}
}

bool source_fill(struct source *source)
{
	while (!source->length && !source->wrong) {
		const size_t length = whole_slot(source);
		uint64_t stamp;

		if (!length)
			return false;
		if (kind_of(word_at(source, 0)) == TRACE_SLOT_REBASE) {
			source->high = word_at(source, 1) >> TRACE_SLOT_STAMP_BITS;
			source->start += length;
			continue;
		}
		stamp = source->high << TRACE_SLOT_STAMP_BITS | word_at(source, 0) >> TRACE_SLOT_STAMP_SHIFT;
		if (stamp <= source->stamp) {
			source->wrong = "stamps that do not ascend";
			return false;
		}
		source->stamp = stamp;
		source->length = length;
	}
	return source->length && !source->wrong;
}

void source_drop(struct source *source)
{
	source->start += source->length;
	source->length = 0;
}

bool source_may_hold(const struct source *source)
{
	return !source->gone && !source->wrong && !trace_buffer_idle(source->buffer);
}

/* ---- Events ---------------------------------------------------------------------- */

static const char *decode_place(struct source *source, struct trace_event *event, uint64_t *offset)
{
	const uint64_t word = word_at(source, 1);

	*offset = word & (TRACE_STORE_END - 1);
	event->file = file_of(source, word >> TRACE_SLOT_POOL_SHIFT);
	return event->file ? NULL : "a pool that it was not given";
}

static const char *decode_store(struct source *source, struct trace_event *event, unsigned words,
				uint32_t bytes)
{
	event->flags = (uint32_t)(word_at(source, 0) >> 12 & 15);
	event->store.mask = kind_of(word_at(source, 0)) == TRACE_SLOT_STORE_MASKED ? word_at(source, 2) : 0;
	event->store.bytes.at = source->bytes + source->start + 8 * (size_t)words;
	event->store.bytes.length = bytes;
	return decode_place(source, event, &event->store.offset);
}

static const char *decode_flush(struct source *source, struct trace_event *event)
{
	event->kind = TRACE_FLUSH;
	event->op = (uint32_t)(word_at(source, 0) >> 12 & 15);
	event->flush.length = (uint64_t)count_of(word_at(source, 0)) * LINE_SIZE;
	return decode_place(source, event, &event->flush.offset);
}

/* A definition gets a number of the trace. */
static int define(struct idmap *map, uint64_t own, uint32_t *last, uint32_t *number)
{
	*number = ++*last;
	return idmap_set(map, own, (void *)(uintptr_t)*number);
}

static int define_module(struct source *source, struct source_ids *ids, struct trace_event *event)
{
	event->module.process = source->process->id;
	return define(&source->process->modules, event->module.module, &ids->modules, &event->module.module);
}

static int define_site(struct source *source, struct source_ids *ids, struct trace_arrays *arrays,
		       struct trace_event *event)
{
	/* The frames are those in `arrays`, which may be changed. */
	for (uint32_t i = 0; i < event->stack.count; i++)
		arrays->frames[i].module = (uint32_t)number_of(source->process, MODULES,
							       arrays->frames[i].module);
	source->process->site_definitions++;
	return define(&source->process->sites, event->site, &ids->sites, &event->site);
}

/* An encoded event: of the kinds that a recorded process may log. */
static int decode_event(struct source *source, struct source_ids *ids, struct trace_arrays *arrays,
			struct trace_event *event, const char **wrong)
{
	const unsigned char *bytes = source->bytes + source->start + 16;
	int error = trace_decode(bytes, (size_t)word_at(source, 1), source->thread, arrays, event, wrong);

	if (error)
		return error;
	switch (event->kind) {
	case TRACE_MODULE:
		error = define_module(source, ids, event);
		break;
	case TRACE_SITE:
		error = define_site(source, ids, arrays, event);
		break;
	case TRACE_MSYNC:
	case TRACE_MAP:
		event->file = file_of(source, event->file);
		*wrong = event->file ? NULL : "a pool that it was not given";
		event->site = site_of(source, event->site);
		return *wrong ? -EBADMSG : 1;
	case TRACE_UNMAP:
	case TRACE_MARK:
		event->site = site_of(source, event->site);
		return 1;
	default:
		*wrong = "an event that a process cannot log";
		return -EBADMSG;
	}
	event->thread = 0;
	return error ? error : 1;
}

int source_decode(struct source *source, struct source_ids *ids, struct trace_arrays *arrays,
		  struct trace_event *event, const char **wrong)
{
	const uint64_t word = word_at(source, 0);
	int result;

	trace_event_start(event, TRACE_STORE, source->thread);
	event->site = site_of(source, (uint32_t)(word >> TRACE_SLOT_SITE_SHIFT) & TRACE_SLOT_SITE_MAX);
	*wrong = NULL;
	switch (kind_of(word)) {
	case TRACE_SLOT_STORE:
		*wrong = decode_store(source, event, 2, count_of(word));
		break;
	case TRACE_SLOT_STORE_MASKED:
		*wrong = decode_store(source, event, 3, count_of(word));
		break;
	case TRACE_SLOT_STORE_LONG:
		*wrong = decode_store(source, event, 3, (uint32_t)word_at(source, 2));
		break;
	case TRACE_SLOT_FLUSH:
		*wrong = decode_flush(source, event);
		break;
	case TRACE_SLOT_FENCE:
		event->kind = TRACE_FENCE;
		event->op = (uint32_t)(word >> 12 & 15);
		break;
	case TRACE_SLOT_EVENT:
		result = decode_event(source, ids, arrays, event, wrong);
		event->stamp = trace_kind_is_definition(event->kind) ? 0 : source->stamp;
		return result;
	default:
		return 0;
	}
	event->stamp = source->stamp;
	return *wrong ? -EBADMSG : 1;
}

void source_destroy(struct source *source)
{
	if (!source)
		return;
	trace_buffer_destroy(source->buffer);
	free(source->bytes);
	free(source);
}
