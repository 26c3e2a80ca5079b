/* SPDX-License-Identifier: BSD-3-Clause */

/* The events of the line model: what becomes pending, and what is guaranteed. */

#include "model/lines.h"

#include <errno.h>
#include <string.h>

#include "model/lines_table.h"

static const char *const mode_names[] = {
	[LINES_MODE_LINE] = "line",
	[LINES_MODE_WORD] = "word",
};
#define MODES (sizeof(mode_names) / sizeof(mode_names[0]))

const char *lines_mode_name(enum lines_mode mode)
{
	return (size_t)mode < MODES ? mode_names[mode] : "unknown";
}

int lines_mode_parse(const char *text, enum lines_mode *mode)
{
	for (size_t i = 0; i < MODES; i++)
		if (strcmp(text, mode_names[i]) == 0) {
			*mode = (enum lines_mode)i;
			return 0;
		}
	return -EINVAL;
}

/* ---- What is guaranteed --------------------------------------------------------- */

/* Hand the given bytes of a line to the caller; data[0] is of byte `first`. */
static void commit_bytes(const struct lines *lines, uint64_t number, uint64_t bytes,
			 const unsigned char *data, unsigned first)
{
	while (bytes) {
		unsigned from;
		const unsigned length = line_run(bytes, &from);

		lines->options.commit(lines->options.context, number * LINE_SIZE + from, data + from - first,
				      length);
		bytes &= ~line_bits(from, length);
	}
}

/* The pieces in `words`, which are pending, are no longer. */
static void commit_words(struct lines *lines, struct line *line, struct line_store *store, uint8_t words)
{
	commit_bytes(lines, line->number, store->bytes & line_word_bytes(words), store->data, store->first);
	store->words &= (uint8_t)~words;
}

/* The store at *link has no pending piece left. */
static void drop_store(struct lines *lines, struct line *line, struct line_store **link,
		       struct line_store *previous)
{
	struct line_store *store = *link;

	*link = store->next;
	if (line->last == store)
		line->last = previous;
	line->stores--;
	line->nontemporal -= store->nontemporal;
	lines_give_store(lines, store);
}

/* In each word, the pieces up to a place in memory order are guaranteed. */
static void commit_up_to(struct lines *lines, struct line *line, const uint64_t up_to[LINE_WORDS])
{
	struct line_store **link = &line->first, *store, *previous = NULL;

	while ((store = *link)) {
		uint8_t words = 0;

		for (unsigned rest = store->words; rest; rest &= rest - 1) {
			const unsigned word = (unsigned)__builtin_ctz(rest);

			if (store->sequence <= up_to[word])
				words |= (uint8_t)(1u << word);
		}
		if (words)
			commit_words(lines, line, store, words);
		if (store->words) {
			previous = store;
			link = &store->next;
		} else {
			drop_store(lines, line, link, previous);
		}
	}
}

/* Is any of the store's pieces within the bounds? */
static bool reaches(const struct line_store *store, const uint64_t up_to[LINE_WORDS])
{
	for (unsigned rest = store->words; rest; rest &= rest - 1)
		if (store->sequence <= up_to[__builtin_ctz(rest)])
			return true;
	return false;
}

/* Raise the bounds to cover the whole store; true if they did not. */
static bool cover(const struct line_store *store, uint64_t up_to[LINE_WORDS])
{
	bool raised = false;

	for (unsigned rest = store->words; rest; rest &= rest - 1) {
		uint64_t *bound = &up_to[__builtin_ctz(rest)];

		raised |= *bound < store->sequence;
		if (*bound < store->sequence)
			*bound = store->sequence;
	}
	return raised;
}

/*
 * Rule 2: a guaranteed piece of an ordinary store takes all earlier ordinary
 * stores with it. By rule 1 that may be the case for a piece that lies below a
 * guaranteed non-temporal one.
 */
static void close_up_to(const struct line *line, uint64_t up_to[LINE_WORDS])
{
	bool raised;

	do {
		uint64_t newest = 0;

		raised = false;
		for (const struct line_store *store = line->first; store; store = store->next)
			if (!store->nontemporal && reaches(store, up_to))
				newest = store->merged ? store->sequence + 1 : store->sequence;
		for (const struct line_store *store = line->first; store; store = store->next)
			if (!store->nontemporal && store->sequence < newest)
				raised |= cover(store, up_to);
	} while (raised);
}

#define NO_THREAD LINES_THREADS

/* Guarantee the ordinary stores up to `covered`, and the thread's non-temporal ones. */
static void commit(struct lines *lines, struct line *line, uint64_t covered, uint32_t thread)
{
	uint64_t up_to[LINE_WORDS] = { 0 };

	if (!line->nontemporal) {
		struct line_store *store;

		while ((store = line->first) && store->sequence <= covered) {
			commit_words(lines, line, store, store->words);
			drop_store(lines, line, &line->first, NULL);
		}
		return;
	}
	for (const struct line_store *store = line->first; store; store = store->next)
		if (store->nontemporal ? store->thread == thread : store->sequence <= covered)
			cover(store, up_to);
	if (lines->options.mode == LINES_MODE_LINE)
		close_up_to(line, up_to);
	commit_up_to(lines, line, up_to);
}

static void remove_if_done(struct lines *lines, struct line *line)
{
	if (!line->first && !line->flushes)
		lines_remove(lines, line);
}

/* ---- Merging -------------------------------------------------------------------- */

/* A fence that is to come may guarantee `store` and not the one after it. */
static bool flush_between(const struct line *line, const struct line_store *store)
{
	for (const struct line_flush *flush = line->flushes; flush; flush = flush->next)
		if (store->sequence <= flush->covered && flush->covered < store->next->sequence)
			return true;
	return false;
}

static void copy_bytes(struct line_store *to, const struct line_store *from, uint64_t bytes)
{
	while (bytes) {
		unsigned first;
		const unsigned length = line_run(bytes, &first);

		memcpy(to->data + first - to->first, from->data + first - from->first, length);
		bytes &= ~line_bits(first, length);
	}
}

/* The two stores as one, or NULL without memory. */
static struct line_store *merge(struct lines *lines, const struct line_store *older,
				const struct line_store *newer)
{
	const uint64_t older_bytes = older->bytes & line_word_bytes(older->words);
	const uint64_t newer_bytes = newer->bytes & line_word_bytes(newer->words);
	const uint64_t bytes = older_bytes | newer_bytes;
	const unsigned first = (unsigned)__builtin_ctzll(bytes);
	const unsigned end = LINE_SIZE - (unsigned)__builtin_clzll(bytes);
	struct line_store *store = lines_take_store(lines, end - first);

	if (!store)
		return NULL;
	*store = (struct line_store){
		.next = newer->next,
		.sequence = newer->sequence,
		.id = newer->id,
		.bytes = bytes,
		.thread = newer->thread,
		.words = older->words | newer->words,
		.merged = true,
		.first = (uint8_t)first,
		.class = store->class,
	};
	copy_bytes(store, older, older_bytes);
	copy_bytes(store, newer, newer_bytes);
	return store;
}

/* Merge pairs in the older half: recent history stays exact, and the oldest gets coarser each time. */
static int merge_older_half(struct lines *lines, struct line *line)
{
	struct line_store **link = &line->first;

	for (uint32_t left = line->stores / 4; left && (*link)->next; left--) {
		struct line_store *older = *link, *newer = older->next, *both = NULL;

		if (!older->nontemporal && !newer->nontemporal && !flush_between(line, older)) {
			both = merge(lines, older, newer);
			if (!both)
				return -ENOMEM;
			*link = both;
			if (line->last == newer)
				line->last = both;
			lines_give_store(lines, older);
			lines_give_store(lines, newer);
			line->stores--;
			lines->merged++;
		}
		link = &(*link)->next;
	}
	/* Where little could be merged, do not try again at each store. */
	line->merge_above = lines->options.stores_per_line;
	if (line->stores > line->merge_above / 8 * 7)
		line->merge_above = line->stores + line->stores / 8 + 1;
	return 0;
}

/* ---- Events ------------------------------------------------------------------ */

/* A part of a store event that lies in one line. */
struct part {
	uint64_t number; /* of the line */
	unsigned first;
	uint64_t bytes;
	const unsigned char *data; /* of byte `first` of the line */
};

/* eADR: durable at once, and with it what is older in the same words. */
static void store_at_once(struct lines *lines, const struct part *part)
{
	struct line *line = lines_find(lines, part->number);

	if (line && line->first) {
		uint64_t up_to[LINE_WORDS] = { 0 };

		for (unsigned rest = line_bytes_words(part->bytes); rest; rest &= rest - 1)
			up_to[__builtin_ctz(rest)] = lines->sequence;
		commit_up_to(lines, line, up_to);
		remove_if_done(lines, line);
	}
	commit_bytes(lines, part->number, part->bytes, part->data, part->first);
}

static int store_pending(struct lines *lines, const struct lines_store *event, const struct part *part)
{
	const unsigned end = LINE_SIZE - (unsigned)__builtin_clzll(part->bytes);
	struct line *line = lines_find_or_add(lines, part->number);
	struct line_store *store;

	if (!line)
		return -ENOMEM;
	store = lines_take_store(lines, end - part->first);
	if (!store)
		return -ENOMEM;
	*store = (struct line_store){
		.sequence = lines->sequence,
		.id = event->id,
		.bytes = part->bytes,
		.thread = event->thread,
		.words = line_bytes_words(part->bytes),
		.nontemporal = event->nontemporal,
		.first = (uint8_t)part->first,
		.class = store->class,
	};
	memcpy(store->data, part->data, end - part->first);
	*(line->last ? &line->last->next : &line->first) = store;
	line->last = store;
	line->stores++;
	line->nontemporal += store->nontemporal;
	if (event->nontemporal && !lines_flush_of(lines, line, event->thread))
		return -ENOMEM;
	if (line->merge_above && line->stores > line->merge_above)
		return merge_older_half(lines, line);
	return 0;
}

static int store_part(struct lines *lines, const struct lines_store *event, const struct part *part)
{
	if (lines->options.domain == PERSISTENCE_CPU_CACHE && !event->nontemporal) {
		store_at_once(lines, part);
		return 0;
	}
	return store_pending(lines, event, part);
}

#define ADDRESSES ((uint64_t)1 << 63)

static bool store_valid(const struct lines_store *store)
{
	if (store->thread >= LINES_THREADS || store->address >= ADDRESSES)
		return false;
	return store->length <= ADDRESSES - store->address && (!store->mask || store->length <= LINE_SIZE);
}

int lines_store(struct lines *lines, const struct lines_store *store)
{
	uint64_t done = 0;

	if (!store_valid(store))
		return -EINVAL;
	lines->sequence++;
	while (done < store->length) {
		const uint64_t address = store->address + done;
		const unsigned first = (unsigned)(address % LINE_SIZE);
		const unsigned length = (unsigned)min_u64(LINE_SIZE - first, store->length - done);
		struct part part = {
			.number = address / LINE_SIZE,
			.first = first,
			.bytes = line_bits(first, length),
			.data = (const unsigned char *)store->bytes + done,
		};
		int error = 0;

		if (store->mask)
			part.bytes &= (store->mask >> done) << first;
		if (part.bytes)
			error = store_part(lines, store, &part);
		if (error)
			return error;
		done += length;
	}
	return 0;
}

int lines_clwb(struct lines *lines, uint32_t thread, uint64_t address)
{
	struct line_flush *flush;
	struct line *line;

	if (thread >= LINES_THREADS || address >= ADDRESSES)
		return -EINVAL;
	line = lines_find(lines, address / LINE_SIZE);
	/* Non-temporal stores are not covered, and have their entry since they were made. */
	if (!line || line->stores == line->nontemporal)
		return 0;
	flush = lines_flush_of(lines, line, thread);
	if (!flush)
		return -ENOMEM;
	flush->covered = lines->sequence;
	return 0;
}

int lines_clflush(struct lines *lines, uint64_t address)
{
	struct line *line;

	if (address >= ADDRESSES)
		return -EINVAL;
	line = lines_find(lines, address / LINE_SIZE);
	if (!line)
		return 0;
	commit(lines, line, lines->sequence, NO_THREAD);
	remove_if_done(lines, line);
	return 0;
}

static void unlink_flush(struct line_flush *flush)
{
	struct line_flush **link = &flush->line->flushes;

	while (*link != flush)
		link = &(*link)->next;
	*link = flush->next;
}

int lines_fence(struct lines *lines, uint32_t number)
{
	struct lines_thread *thread;

	if (number >= LINES_THREADS)
		return -EINVAL;
	if (number >= lines->threads.count)
		return 0;
	thread = &lines->threads.items[number];
	for (size_t i = 0; i < thread->count; i++) {
		struct line_flush *flush = thread->items[i];

		unlink_flush(flush);
		commit(lines, flush->line, flush->covered, number);
		remove_if_done(lines, flush->line);
		slab_give(&lines->flush_slab, flush);
	}
	thread->count = 0;
	return 0;
}
