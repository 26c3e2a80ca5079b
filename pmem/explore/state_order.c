/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/state_order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Bounds on what one phase tries at one point, so that a point with many places does not use the whole
 * budget.
 */
#define POINTERS_MAX 1024u
#define NEIGHBOURS_MAX 512u
#define VERSIONS_MAX 8u /* older versions of one place */
#define PAIR_PLACES_MAX 64u
#define PREFIXES_MAX 64u /* of one group of operations */

struct explore_order {
	const struct explore_walk *walk;
	const struct explore_places *places;
	uint64_t seed;
	uint64_t exhaustive;
	enum explore_phase phase;
	uint64_t index;		 /* of the next state in its phase */
	VECTOR(size_t) targets;	 /* places that a pointer in another place refers to */
	VECTOR(size_t) by_event; /* lines, by the event of their last store */
	size_t lines;
	uint64_t *enumeration;
};

static const char *const phase_names[EXPLORE_PHASES] = {
	[EXPLORE_NEWEST] = "newest",   [EXPLORE_GUARANTEED] = "guaranteed",
	[EXPLORE_POINTER] = "pointer", [EXPLORE_COMMIT] = "commit",
	[EXPLORE_SIZE] = "size",       [EXPLORE_NAMES] = "names",
	[EXPLORE_NEIGHBOURS] = "neighbours",
	[EXPLORE_BEHIND] = "behind",   [EXPLORE_AHEAD] = "ahead",
	[EXPLORE_PAIRS] = "pairs",     [EXPLORE_EXHAUSTIVE] = "exhaustive",
	[EXPLORE_RANDOM] = "random",
};

const char *explore_phase_name(enum explore_phase phase)
{
	return phase_names[phase];
}

/* The place that holds an address, or `count` of lines if it is determined. */
static size_t find_line(const struct explore_order *order, uint64_t address)
{
	const size_t size = order->places->place_size;
	uint64_t place = address & ~(uint64_t)(size - 1);
	size_t low = 0, high = order->lines;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (order->places->items[middle].address < place)
			low = middle + 1;
		else
			high = middle;
	}
	return low < order->lines && order->places->items[low].address == place ? low : order->lines;
}

static int note_target(struct explore_order *order, size_t target)
{
	for (size_t i = 0; i < order->targets.count; i++)
		if (order->targets.items[i] == target)
			return 0;
	return vector_append(&order->targets, target);
}

/* Stored words of a place that point into another undetermined place. */
static int find_pointers(struct explore_order *order, size_t from)
{
	const struct explore_place *place = &order->places->items[from];
	unsigned char old[LINE_SIZE], new[LINE_SIZE];
	int error = explore_place_content(order->walk, order->places, from, 0, old);

	if (!error)
		error = explore_place_content(order->walk, order->places, from, place->versions - 1, new);
	for (size_t at = 0; !error && at < order->places->place_size; at += 8) {
		uint64_t value, address;
		size_t target;

		memcpy(&value, new + at, sizeof(value));
		if (memcmp(old + at, new + at, sizeof(value)) == 0 ||
		    !explore_walk_points_to(order->walk, place->file, value, &address))
			continue;
		target = find_line(order, address);
		if (target != order->lines && target != from && order->targets.count < POINTERS_MAX)
			error = note_target(order, target);
	}
	return error;
}

/* qsort_r(): by the event of the last store, then by the place. */
static int compare_events(const void *a, const void *b, void *context)
{
	const struct explore_places *places = context;
	const size_t first = *(const size_t *)a, second = *(const size_t *)b;
	const uint64_t one = places->items[first].last_event, other = places->items[second].last_event;

	if (one != other)
		return one < other ? -1 : 1;
	return first < second ? -1 : first > second;
}

static int prepare(struct explore_order *order)
{
	const struct explore_places *places = order->places;
	int error = vector_reserve(&order->by_event, places->count + 1);

	order->lines = places->lines;
	for (size_t i = 0; !error && i < order->lines; i++) {
		order->by_event.items[order->by_event.count++] = i;
		error = find_pointers(order, i);
	}
	if (!error && order->lines)
		qsort_r(order->by_event.items, order->lines, sizeof(size_t), compare_events,
			(void *)(uintptr_t)places);
	order->enumeration = calloc(places->count + 1, sizeof(*order->enumeration));
	return order->enumeration ? error : -ENOMEM;
}

int explore_order_create(const struct explore_walk *walk, const struct explore_places *places, uint64_t seed,
			 uint64_t exhaustive, struct explore_order **out)
{
	struct explore_order *order = calloc(1, sizeof(*order));
	int error;

	if (!order)
		return -ENOMEM;
	order->walk = walk;
	order->places = places;
	order->seed = seed;
	order->exhaustive = exhaustive;
	error = prepare(order);
	if (error)
		explore_order_destroy(order);
	else
		*out = order;
	return error;
}

void explore_order_destroy(struct explore_order *order)
{
	if (!order)
		return;
	vector_free(&order->targets);
	vector_free(&order->by_event);
	free(order->enumeration);
	free(order);
}

/* ---- The phases: each makes state number `index` of its own, or says that there is none ---------------- */

static void set_all(const struct explore_places *places, uint64_t *versions, bool newest)
{
	for (size_t i = 0; i < places->count; i++)
		versions[i] = newest ? places->items[i].versions - 1 : 0;
}

static bool pointer_state(const struct explore_order *order, uint64_t index, uint64_t *versions)
{
	if (index >= order->targets.count)
		return false;
	set_all(order->places, versions, true);
	versions[order->targets.items[index]] = 0;
	return true;
}

/* The place whose last store is the newest of the small ones; `lines` if there is none. */
static size_t commit_place(const struct explore_order *order)
{
	size_t i = order->by_event.count;

	while (i--) {
		const struct explore_place *place = &order->places->items[order->by_event.items[i]];

		if (place->last_event && place->last_length <= 8)
			return order->by_event.items[i];
	}
	return order->lines;
}

static bool commit_state(const struct explore_order *order, uint64_t index, uint64_t *versions)
{
	size_t place = commit_place(order);

	if (place == order->lines || index > 1)
		return false;
	set_all(order->places, versions, index == 1);
	versions[place] = index == 1 ? order->places->items[place].versions - 2 :
				       order->places->items[place].versions - 1;
	return true;
}

/* The place of a size with this number; the count of places if there is none. */
static size_t nth_size(const struct explore_order *order, uint64_t number)
{
	const struct explore_places *places = order->places;
	size_t place = order->lines;

	for (; place < places->count; place++)
		if (places->items[place].kind == EXPLORE_PLACE_SIZE && !number--)
			break;
	return place;
}

static bool size_state(const struct explore_order *order, uint64_t index, uint64_t *versions)
{
	const struct explore_places *places = order->places;
	const size_t size = nth_size(order, index / 2);

	if (size >= places->count)
		return false;
	set_all(places, versions, true);
	if (index % 2) {
		versions[size] = 0;
		return true;
	}
	for (size_t i = 0; i < order->lines; i++)
		if (places->items[i].file == places->items[size].file)
			versions[i] = 0;
	return true;
}

/*
 * All names and sizes without the bytes, and the bytes without them; then a prefix of one group of
 * operations, the longest first, with all else that was stored and with no bytes.
 */
static bool names_state(const struct explore_order *order, uint64_t index, uint64_t *versions)
{
	const struct explore_places *places = order->places;
	const bool bytes = index % 2;
	uint64_t step = index / 2;

	if (order->lines == places->count)
		return false;
	for (size_t i = 0; i < places->count; i++)
		versions[i] = (i < order->lines) == bytes ? places->items[i].versions - 1 : 0;
	if (!step--)
		return true;
	for (size_t group = order->lines; group < places->count; group++) {
		const uint64_t lost = min_u64(places->items[group].versions - 1, PREFIXES_MAX);

		if (step < lost) {
			for (size_t i = order->lines; i < places->count; i++)
				versions[i] = places->items[i].versions - 1;
			versions[group] = places->items[group].versions - 2 - step;
			return true;
		}
		step -= lost;
	}
	return false;
}

static bool neighbour_state(const struct explore_order *order, uint64_t index, uint64_t *versions)
{
	size_t first = (size_t)(index / 2);

	if (first + 1 >= order->by_event.count || first >= NEIGHBOURS_MAX)
		return false;
	set_all(order->places, versions, true);
	versions[order->by_event.items[first + index % 2]] = 0;
	return true;
}

/* State number `index` of those that move one place to one of its other versions, nearest first. */
static bool single_state(const struct explore_order *order, uint64_t index, bool newest, uint64_t *versions)
{
	const struct explore_places *places = order->places;
	size_t place = places->count ? (size_t)(index % places->count) : 0;
	uint64_t step = places->count ? index / places->count : VERSIONS_MAX;

	if (step >= VERSIONS_MAX)
		return false;
	set_all(places, versions, newest);
	step = min_u64(step, places->items[place].versions - 2);
	versions[place] = newest ? step : places->items[place].versions - 1 - step;
	return true;
}

static bool pair_state(const struct explore_order *order, uint64_t index, uint64_t *versions)
{
	const struct explore_places *places = order->places;
	const size_t count = (size_t)min_u64(places->count, PAIR_PLACES_MAX);
	const uint64_t pairs = (uint64_t)count * (count ? count - 1 : 0) / 2;
	const bool newest = index < pairs;
	size_t first = 0;
	uint64_t rest = newest ? index : index - pairs;

	if (index >= 2 * pairs)
		return false;
	for (; rest >= count - 1 - first; first++)
		rest -= count - 1 - first;
	set_all(places, versions, newest);
	versions[first] = newest ? 0 : places->items[first].versions - 1;
	versions[first + 1 + rest] = newest ? 0 : places->items[first + 1 + rest].versions - 1;
	return true;
}

static bool exhaustive_state(struct explore_order *order, uint64_t index, uint64_t *versions)
{
	const struct explore_places *places = order->places;

	if (explore_places_states(places) > order->exhaustive)
		return false;
	if (index == 0)
		chooser_first(places->ranges.items, places->count, order->enumeration);
	else if (!chooser_next(places->ranges.items, places->count, order->enumeration))
		return false;
	memcpy(versions, order->enumeration, places->count * sizeof(*versions));
	return true;
}

static bool random_state(const struct explore_order *order, uint64_t index, uint64_t *versions)
{
	const struct explore_places *places = order->places;
	const struct chooser chooser = { .policy = CHOOSER_RANDOM, .seed = chooser_hash(order->seed, index) };

	/* All of them have been tried. */
	if (explore_places_states(places) <= order->exhaustive)
		return false;
	for (size_t i = 0; i < places->count; i++)
		versions[i] = chooser_pick(&chooser,
					   places->items[i].address ^ (uint64_t)places->items[i].kind << 62,
					   0, places->items[i].versions - 1);
	return true;
}

static bool make_state(struct explore_order *order, uint64_t *versions)
{
	const uint64_t index = order->index++;

	switch (order->phase) {
	case EXPLORE_NEWEST:
	case EXPLORE_GUARANTEED:
		set_all(order->places, versions, order->phase == EXPLORE_NEWEST);
		return index == 0;
	case EXPLORE_POINTER:
		return pointer_state(order, index, versions);
	case EXPLORE_COMMIT:
		return commit_state(order, index, versions);
	case EXPLORE_SIZE:
		return size_state(order, index, versions);
	case EXPLORE_NAMES:
		return names_state(order, index, versions);
	case EXPLORE_NEIGHBOURS:
		return neighbour_state(order, index, versions);
	case EXPLORE_BEHIND:
		return single_state(order, index, true, versions);
	case EXPLORE_AHEAD:
		return single_state(order, index, false, versions);
	case EXPLORE_PAIRS:
		return pair_state(order, index, versions);
	case EXPLORE_EXHAUSTIVE:
		return exhaustive_state(order, index, versions);
	case EXPLORE_RANDOM:
		return random_state(order, index, versions);
	case EXPLORE_PHASES:
		break;
	}
	return false;
}

bool explore_order_next(struct explore_order *order, uint64_t *versions, enum explore_phase *phase)
{
	while (order->phase < EXPLORE_PHASES) {
		/* Where nothing is undetermined there is one state. */
		if (order->phase > EXPLORE_NEWEST && !order->places->count)
			return false;
		*phase = order->phase;
		if (make_state(order, versions))
			return true;
		order->phase++;
		order->index = 0;
	}
	return false;
}
