/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The legal contents of one place. A state of a line is held as a bound for each
 * word: the pieces up to it in memory order are durable (rule 1 of lines.h).
 *
 * In mode `line` a state is made of two choices. The *cut*: all ordinary stores
 * before one are durable, and of that one a subset of its pieces which is not
 * empty; or no ordinary store at all. And for each word, how many of its *free*
 * pieces: the non-temporal ones after the word's last durable ordinary piece and
 * before the next ordinary one. By rule 1 those before the former are durable, and
 * those after the latter are not. States are numbered by cut, then by the free
 * pieces, word 7 counting fastest.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/lines_table.h"

static uint64_t add(uint64_t a, uint64_t b)
{
	return min_u64(a + b, LINES_VERSIONS);
}

/* Both are at most LINES_VERSIONS. */
static uint64_t multiply(uint64_t a, uint64_t b)
{
	uint64_t product;

	return __builtin_mul_overflow(a, b, &product) ? LINES_VERSIONS : min_u64(product, LINES_VERSIONS);
}

/* ---- Mode `line` ------------------------------------------------------------------ */

/* All ordinary stores before some place in the list are durable: for each word, what follows from that. */
struct cut {
	const struct line_store *free[LINE_WORDS]; /* the word's free pieces are from here on */
	uint64_t bound[LINE_WORDS];		   /* the sequence of the last piece before them; 0: none */
};

static void cut_begin(struct cut *cut, const struct line *line)
{
	for (unsigned word = 0; word < LINE_WORDS; word++) {
		cut->free[word] = line->first;
		cut->bound[word] = 0;
	}
}

static void cut_add(struct cut *cut, const struct line_store *store, uint8_t words)
{
	for (unsigned rest = words; rest; rest &= rest - 1) {
		cut->free[__builtin_ctz(rest)] = store->next;
		cut->bound[__builtin_ctz(rest)] = store->sequence;
	}
}

/* How many pieces of the word are free, counted from a place in the list on. */
static uint64_t free_pieces(const struct line_store *store, unsigned word)
{
	uint64_t count = 0;

	for (; store; store = store->next) {
		if (!(store->words >> word & 1))
			continue;
		if (!store->nontemporal)
			break;
		count++;
	}
	return count;
}

/* The number of ways to choose free pieces of the words. */
static uint64_t ways(const struct line *line, const struct cut *cut, uint8_t words)
{
	uint64_t product = 1;

	if (!line->nontemporal)
		return 1;
	for (unsigned rest = words; rest; rest &= rest - 1) {
		const unsigned word = (unsigned)__builtin_ctz(rest);

		product = multiply(product, 1 + free_pieces(cut->free[word], word));
	}
	return product;
}

#define ALL_WORDS ((uint8_t)0xff)

/* The number of states whose newest ordinary store is `store`; `before` has all those before it. */
static uint64_t states_of_store(const struct line *line, const struct cut *before,
				const struct line_store *store)
{
	uint64_t with = 1, without = 1, all;
	struct cut after = *before;

	if (!line->nontemporal)
		return store->merged ? 1 : ((uint64_t)1 << __builtin_popcount(store->words)) - 1;
	cut_add(&after, store, store->words);
	if (store->merged)
		return ways(line, &after, ALL_WORDS);
	/* Each word has the piece or not; but one of them has it. */
	for (unsigned rest = store->words; rest; rest &= rest - 1) {
		const uint8_t word = (uint8_t)(rest & -rest);
		const uint64_t lacks = ways(line, before, word);

		with = multiply(with, add(lacks, ways(line, &after, word)));
		without = multiply(without, lacks);
	}
	all = multiply(with, ways(line, before, ALL_WORDS & ~store->words));
	without = multiply(without, ways(line, before, ALL_WORDS & ~store->words));
	return all == LINES_VERSIONS ? all : all - without;
}

static uint64_t line_states(const struct line *line)
{
	struct cut cut;
	uint64_t states;

	cut_begin(&cut, line);
	states = ways(line, &cut, ALL_WORDS);
	for (const struct line_store *store = line->first; store; store = store->next) {
		if (store->nontemporal)
			continue;
		states = add(states, states_of_store(line, &cut, store));
		cut_add(&cut, store, store->words);
	}
	return states;
}

/* The bounds of a cut with the free pieces that `choice` says, which is below ways(). */
static void choose_free(const struct line *line, const struct cut *cut, uint64_t choice,
			uint64_t bounds[LINE_WORDS])
{
	memcpy(bounds, cut->bound, sizeof(cut->bound));
	if (!line->nontemporal)
		return;
	for (unsigned word = LINE_WORDS; word-- > 0;) {
		const uint64_t options = 1 + free_pieces(cut->free[word], word);
		const struct line_store *store = cut->free[word];

		for (uint64_t left = choice % options; left; store = store->next)
			if (store->words >> word & 1) {
				bounds[word] = store->sequence;
				left--;
			}
		choice /= options;
	}
}

/* The next one of the subsets of `words`, by ascending number. */
static uint8_t next_subset(uint8_t subset, uint8_t words)
{
	return (uint8_t)((subset | (uint8_t)~words) + 1) & words;
}

/* State `number` of those whose newest ordinary store is `store`. */
static void state_of_store(const struct line *line, const struct cut *before, const struct line_store *store,
			   uint64_t number, uint64_t bounds[LINE_WORDS])
{
	uint8_t subset = store->merged ? store->words : next_subset(0, store->words);

	for (;; subset = next_subset(subset, store->words)) {
		struct cut cut = *before;
		uint64_t states;

		cut_add(&cut, store, subset);
		states = ways(line, &cut, ALL_WORDS);
		if (number < states || subset == store->words) {
			choose_free(line, &cut, number, bounds);
			return;
		}
		number -= states;
	}
}

static void line_state(const struct line *line, uint64_t number, uint64_t bounds[LINE_WORDS])
{
	struct cut cut;
	uint64_t states;

	cut_begin(&cut, line);
	states = ways(line, &cut, ALL_WORDS);
	if (number < states) {
		choose_free(line, &cut, number, bounds);
		return;
	}
	for (const struct line_store *store = line->first; store; store = store->next) {
		if (store->nontemporal)
			continue;
		number -= states;
		states = states_of_store(line, &cut, store);
		if (number < states) {
			state_of_store(line, &cut, store, number, bounds);
			return;
		}
		cut_add(&cut, store, store->words);
	}
}

/* The number of the state with all of the stores before `end`; NULL: with all. */
static uint64_t state_through(const struct line *line, const struct line_store *end)
{
	const struct line_store *newest = NULL;
	uint64_t number = 0, choice = 0;
	struct cut before, cut;

	cut_begin(&before, line);
	cut = before;
	for (const struct line_store *store = line->first; store != end; store = store->next) {
		if (store->nontemporal)
			continue;
		number = add(number, newest ? states_of_store(line, &before, newest) :
					      ways(line, &before, ALL_WORDS));
		before = cut;
		cut_add(&cut, store, store->words);
		newest = store;
	}
	if (newest)
		for (uint8_t subset = newest->merged ? newest->words : next_subset(0, newest->words);
		     subset != newest->words; subset = next_subset(subset, newest->words)) {
			struct cut partly = before;

			cut_add(&partly, newest, subset);
			number = add(number, ways(line, &partly, ALL_WORDS));
		}
	for (unsigned word = 0; line->nontemporal && word < LINE_WORDS; word++) {
		uint64_t chosen = 0;

		for (const struct line_store *store = cut.free[word]; store != end; store = store->next)
			chosen += store->words >> word & 1;
		choice = add(multiply(choice, 1 + free_pieces(cut.free[word], word)), chosen);
	}
	return add(number, choice);
}

/* ---- Mode `word` ------------------------------------------------------------------ */

static uint64_t word_states(const struct line *line, unsigned word)
{
	uint64_t states = 1;

	for (const struct line_store *store = line->first; store; store = store->next)
		states += store->words >> word & 1;
	return states;
}

static uint64_t word_bound(const struct line *line, unsigned word, uint64_t number)
{
	uint64_t bound = 0;

	for (const struct line_store *store = line->first; store && number; store = store->next)
		if (store->words >> word & 1) {
			bound = store->sequence;
			number--;
		}
	return bound;
}

/* ---- Places ---------------------------------------------------------------------- */

size_t lines_place_size(const struct lines *lines)
{
	return lines->options.mode == LINES_MODE_LINE ? LINE_SIZE : 8;
}

/* The place's line; NULL if nothing is pending there. `words` are those of the place. */
static const struct line *place_line(const struct lines *lines, uint64_t place, uint8_t *words)
{
	const struct line *line = lines_find(lines, place / LINE_SIZE);

	*words = lines->options.mode == LINES_MODE_LINE ? ALL_WORDS :
							  (uint8_t)(1u << place % LINE_SIZE / 8);
	if (!line || !is_aligned(place, lines_place_size(lines)))
		return NULL;
	return line;
}

uint64_t lines_versions(const struct lines *lines, uint64_t place)
{
	uint8_t words;
	const struct line *line = place_line(lines, place, &words);

	if (!line)
		return 1;
	return lines->options.mode == LINES_MODE_LINE ? line_states(line) :
							word_states(line, (unsigned)__builtin_ctz(words));
}

/* False: there is no such version. */
static bool version_bounds(const struct lines *lines, const struct line *line, uint8_t words,
			   uint64_t version, uint64_t bounds[LINE_WORDS])
{
	const bool by_line = lines->options.mode == LINES_MODE_LINE;
	const unsigned word = (unsigned)__builtin_ctz(words);
	const uint64_t versions = by_line ? line_states(line) : word_states(line, word);

	memset(bounds, 0, LINE_WORDS * sizeof(*bounds));
	if (version >= versions)
		return false;
	/* The newest one has everything, also where there are more states than numbers. */
	if (version == versions - 1)
		memset(bounds, 0xff, LINE_WORDS * sizeof(*bounds));
	else if (by_line)
		line_state(line, version, bounds);
	else
		bounds[word] = word_bound(line, word, version);
	return true;
}

/* The words of the store that lie within the bounds. */
static uint8_t words_within(const struct line_store *store, uint8_t words, const uint64_t bounds[LINE_WORDS])
{
	uint8_t within = 0;

	for (unsigned rest = store->words & words; rest; rest &= rest - 1)
		if (store->sequence <= bounds[__builtin_ctz(rest)])
			within |= (uint8_t)(rest & -rest);
	return within;
}

int lines_apply(const struct lines *lines, uint64_t place, uint64_t version, unsigned char *content)
{
	const unsigned start = (unsigned)(place % LINE_SIZE);
	uint64_t bounds[LINE_WORDS];
	uint8_t words;
	const struct line *line;

	/* Nothing but what is guaranteed. */
	if (!version)
		return 0;
	line = place_line(lines, place, &words);
	if (!line || !version_bounds(lines, line, words, version, bounds))
		return -EINVAL;
	for (const struct line_store *store = line->first; store; store = store->next) {
		uint64_t bytes = store->bytes & line_word_bytes(words_within(store, words, bounds));

		while (bytes) {
			unsigned first;
			const unsigned length = line_run(bytes, &first);

			memcpy(content + first - start, store->data + first - store->first, length);
			bytes &= ~line_bits(first, length);
		}
	}
	return 0;
}

size_t lines_pending(const struct lines *lines, uint64_t place, uint64_t version,
		     struct lines_pending *pending, size_t most)
{
	uint64_t bounds[LINE_WORDS];
	size_t count = 0;
	uint8_t words;
	const struct line *line = place_line(lines, place, &words);

	if (!line || !version_bounds(lines, line, words, version, bounds))
		return 0;
	for (const struct line_store *store = line->first; store; store = store->next) {
		if (!(store->words & words))
			continue;
		if (count < most)
			pending[count] = (struct lines_pending){
				.id = store->id,
				.thread = store->thread,
				.nontemporal = store->nontemporal,
				.merged = store->merged,
				.bytes = store->bytes & line_word_bytes(store->words & words),
				.kept = store->bytes & line_word_bytes(words_within(store, words, bounds)),
			};
		count++;
	}
	return count;
}

uint64_t lines_version_through(const struct lines *lines, uint64_t place, size_t count)
{
	const struct line_store *store;
	uint8_t words;
	const struct line *line = place_line(lines, place, &words);
	const uint64_t newest = lines_versions(lines, place) - 1;

	if (!line)
		return 0;
	if (lines->options.mode == LINES_MODE_WORD)
		return min_u64(count, newest);
	for (store = line->first; store && count; store = store->next)
		count--;
	return store ? min_u64(state_through(line, store), newest) : newest;
}

uint64_t lines_merged(const struct lines *lines)
{
	return lines->merged;
}

/* ---- All places -------------------------------------------------------------------- */

static uint8_t pending_words(const struct line *line)
{
	uint8_t words = 0;

	for (const struct line_store *store = line->first; store && words != ALL_WORDS; store = store->next)
		words |= store->words;
	return words;
}

static int compare_places(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

size_t lines_undetermined(const struct lines *lines, uint64_t *places, size_t most)
{
	const bool by_line = lines->options.mode == LINES_MODE_LINE;
	size_t count = 0, filled = 0;

	for (size_t i = 0; i < lines->live.count; i++) {
		const struct line *line = lines->live.items[i];

		if (line->first)
			count += by_line ? 1 : (size_t)__builtin_popcount(pending_words(line));
	}
	if (count > most)
		return count;
	for (size_t i = 0; i < lines->live.count; i++) {
		const struct line *line = lines->live.items[i];

		if (line->first && by_line)
			places[filled++] = line->number * LINE_SIZE;
		for (unsigned rest = by_line ? 0 : pending_words(line); rest; rest &= rest - 1)
			places[filled++] = line->number * LINE_SIZE + 8 * (unsigned)__builtin_ctz(rest);
	}
	if (filled)
		qsort(places, filled, sizeof(*places), compare_places);
	return filled;
}
