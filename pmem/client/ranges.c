/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The table is sorted. No two ranges overlap, and neighbours that continue each other are one range. Readers
 * take no lock: `ranges_version` is odd while a writer moves entries, and a reader that finds another version
 * after it has read the entries than before reads them again. The table's memory never moves and is never
 * freed, so a reader that loses the race reads wrong entries, but never memory that is not there.
 */

#include "client/ranges.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "abi/rawcall.h"
#include "client/compiler.h"
#include "client/signals.h"

/* 16 times the default of vm.max_map_count. */
#define MOST_RANGES (1u << 20)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
_Atomic uint64_t ranges_version = 2;
static struct range nothing;
/* Written under the lock; entries change while the version is odd. Those from `count` on are zero. */
struct range *ranges_table = &nothing;
THREAD_HOT size_t ranges_hint;
static _Atomic size_t count;

static struct range load(const struct range *entry)
{
	return (struct range){
		.start = __atomic_load_n(&entry->start, __ATOMIC_RELAXED),
		.end = __atomic_load_n(&entry->end, __ATOMIC_RELAXED),
		.offset = __atomic_load_n(&entry->offset, __ATOMIC_RELAXED),
		.view = __atomic_load_n(&entry->view, __ATOMIC_RELAXED),
		.region = __atomic_load_n(&entry->region, __ATOMIC_RELAXED),
		.flags = __atomic_load_n(&entry->flags, __ATOMIC_RELAXED),
		.alias = __atomic_load_n(&entry->alias, __ATOMIC_RELAXED),
		.keeper = __atomic_load_n(&entry->keeper, __ATOMIC_RELAXED),
		.trace_pool = __atomic_load_n(&entry->trace_pool, __ATOMIC_RELAXED),
	};
}

static void store(struct range *entry, const struct range *range)
{
	__atomic_store_n(&entry->start, range->start, __ATOMIC_RELAXED);
	__atomic_store_n(&entry->end, range->end, __ATOMIC_RELAXED);
	__atomic_store_n(&entry->offset, range->offset, __ATOMIC_RELAXED);
	__atomic_store_n(&entry->view, range->view, __ATOMIC_RELAXED);
	__atomic_store_n(&entry->region, range->region, __ATOMIC_RELAXED);
	__atomic_store_n(&entry->flags, range->flags, __ATOMIC_RELAXED);
	__atomic_store_n(&entry->alias, range->alias, __ATOMIC_RELAXED);
	__atomic_store_n(&entry->keeper, range->keeper, __ATOMIC_RELAXED);
	__atomic_store_n(&entry->trace_pool, range->trace_pool, __ATOMIC_RELAXED);
}

/* The first entry that ends after `address`. */
static size_t search(uintptr_t address)
{
	size_t low = 0, high = atomic_load_explicit(&count, memory_order_relaxed);

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (__atomic_load_n(&ranges_table[middle].end, __ATOMIC_RELAXED) > address)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* The range that `address` is in, or the gap. *at: the entry that it is in, or the next one. */
static struct range look_up(uintptr_t address, size_t *at)
{
	struct range found = { .start = address, .end = UINTPTR_MAX };

	*at = search(address);
	if (*at == atomic_load_explicit(&count, memory_order_relaxed))
		return found;
	found = load(&ranges_table[*at]);
	if (found.start > address)
		return (struct range){ .start = address, .end = found.start };
	return found;
}

static struct range from(const struct range *range, uintptr_t address)
{
	struct range rest = *range;

	rest.offset += address - range->start;
	rest.start = address;
	return rest;
}

static __attribute__((noinline)) struct range find_anew(uintptr_t address)
{
	for (;;) {
		/* Acquire: the entries are read after it. */
		uint64_t now = atomic_load_explicit(&ranges_version, memory_order_acquire);
		struct range found;
		size_t at;

		if (now & 1) {
			RAW1(sched_yield, 0);
			continue;
		}
		found = look_up(address, &at);
		/* The entries were read before this. */
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&ranges_version, memory_order_relaxed) != now)
			continue;
		ranges_hint = at;
		return from(&found, address);
	}
}

struct range ranges_find(uintptr_t address)
{
	struct range found;

	return likely(ranges_find_again(address, &found, true)) ? found : find_anew(address);
}

bool ranges_any(uintptr_t address, size_t length, uint16_t flags)
{
	const uintptr_t end = address + length;

	while (address < end) {
		const struct range at = ranges_find(address);

		if (at.flags & flags)
			return true;
		address = at.end;
	}
	return false;
}

uint64_t ranges_lock(void)
{
	return signals_lock(&lock);
}

void ranges_unlock(uint64_t signals)
{
	signals_unlock(&lock, signals);
}

/* From here on the version is odd: readers wait. */
static void change_begin(void)
{
	atomic_fetch_add_explicit(&ranges_version, 1, memory_order_seq_cst);
	atomic_thread_fence(memory_order_release);
}

static void change_end(void)
{
	atomic_fetch_add_explicit(&ranges_version, 1, memory_order_release);
}

/* Put `new` entries in the place of entries [first, first+old). */
static void replace(size_t first, size_t old, const struct range *with, size_t new)
{
	size_t all = atomic_load_explicit(&count, memory_order_relaxed), tail = all - first - old;

	change_begin();
	if (new > old)
		for (size_t i = tail; i-- > 0;)
			store(&ranges_table[first + new + i], &ranges_table[first + old + i]);
	else if (new < old)
		for (size_t i = 0; i < tail; i++)
			store(&ranges_table[first + new + i], &ranges_table[first + old + i]);
	for (size_t i = 0; i < new; i++)
		store(&ranges_table[first + i], &with[i]);
	for (size_t i = all - old + new; i < all; i++)
		store(&ranges_table[i], &nothing);
	atomic_store_explicit(&count, all - old + new, memory_order_relaxed);
	change_end();
}

void ranges_take(uintptr_t start, uintptr_t end)
{
	size_t all = atomic_load_explicit(&count, memory_order_relaxed);
	size_t first = all ? search(start) : 0, last = first, left = 0;
	struct range rest[2];

	while (last < all && ranges_table[last].start < end)
		last++;
	if (first == last)
		return;
	if (ranges_table[first].start < start) {
		rest[left] = ranges_table[first];
		rest[left++].end = start;
	}
	if (ranges_table[last - 1].end > end)
		rest[left++] = from(&ranges_table[last - 1], end);
	replace(first, last - first, rest, left);
}

void ranges_release(uintptr_t keeper)
{
	const size_t all = atomic_load_explicit(&count, memory_order_relaxed);

	if (!keeper)
		return;
	for (size_t i = 0; i < all; i++)
		if (ranges_table[i].keeper == keeper)
			return;
	RAW2(munmap, keeper, PAGE_BYTES);
}

/* Release the keepers, but not this one. */
static void erase(uintptr_t start, uintptr_t end, uintptr_t kept)
{
	while (start < end) {
		size_t at;
		const struct range here = look_up(start, &at);
		const uintptr_t stop = min_u64(here.end, end);

		if (here.flags) {
			ranges_take(start, stop);
			if (here.keeper != kept)
				ranges_release(here.keeper);
		}
		start = stop;
	}
}

void ranges_erase(uintptr_t start, uintptr_t end)
{
	erase(start, end, 0);
}

int ranges_copy(uintptr_t start, uintptr_t end, struct range *copies, size_t most)
{
	size_t copied = 0;

	while (start < end) {
		size_t at;
		struct range here = look_up(start, &at);

		here = from(&here, start);
		here.end = min_u64(here.end, end);
		start = here.end;
		if (!here.flags)
			continue;
		if (copied == most)
			return -ENOMEM;
		copies[copied++] = here;
	}
	return (int)copied;
}

static bool continues(const struct range *range, const struct range *next)
{
	return range->end == next->start && range->view == next->view && range->region == next->region &&
	       range->flags == next->flags && range->alias == next->alias &&
	       range->keeper == next->keeper &&
	       range->offset + (range->end - range->start) == next->offset;
}

static bool have_table(void)
{
	long memory;

	if (ranges_table != &nothing)
		return true;
	memory = RAW6(mmap, NULL, MOST_RANGES * sizeof(*ranges_table), PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (raw_failed(memory))
		return false;
	ranges_table = (struct range *)memory;
	return true;
}

/* With nothing in its place. */
static void insert(const struct range *range)
{
	struct range whole = *range;
	size_t at = search(range->start), old = 0;

	if (!(whole.flags & RANGE_POOL))
		whole.region = RANGE_NO_REGION;
	if (at < atomic_load_explicit(&count, memory_order_relaxed) && continues(&whole, &ranges_table[at])) {
		whole.end = ranges_table[at].end;
		old = 1;
	}
	if (at > 0 && continues(&ranges_table[at - 1], &whole)) {
		whole.start = ranges_table[at - 1].start;
		whole.offset = ranges_table[at - 1].offset;
		at--;
		old++;
	}
	replace(at, old, &whole, 1);
}

/* Erasing may split one range in two, and there is the new one. */
static bool has_room(void)
{
	return have_table() && atomic_load_explicit(&count, memory_order_relaxed) + 2 < MOST_RANGES;
}

int ranges_insert(const struct range *range)
{
	if (!has_room())
		return -ENOMEM;
	erase(range->start, range->end, range->keeper);
	insert(range);
	return 0;
}

/* In one change: a reader must not find a gap meanwhile. */
static void mark_within_entry(size_t at, uintptr_t start, uintptr_t end, uint16_t flags)
{
	const struct range entry = ranges_table[at];
	struct range pieces[3];
	size_t count_of = 0;

	if (entry.start < start) {
		pieces[count_of] = entry;
		pieces[count_of++].end = start;
	}
	pieces[count_of] = from(&entry, start);
	pieces[count_of].end = end;
	pieces[count_of++].flags = flags;
	if (entry.end > end)
		pieces[count_of++] = from(&entry, end);
	replace(at, 1, pieces, count_of);
}

void ranges_mark(uintptr_t start, uintptr_t end, uint16_t set, uint16_t clear)
{
	while (start < end) {
		size_t at;
		const struct range here = look_up(start, &at);
		const uintptr_t stop = min_u64(here.end, end);
		const uint16_t flags = (uint16_t)((here.flags & ~clear) | set);

		if (!has_room())
			return;
		if (here.flags && here.flags != flags)
			mark_within_entry(at, start, stop, flags);
		start = stop;
	}
}

void ranges_fork_child(void)
{
	for (size_t i = 0; i < atomic_load_explicit(&count, memory_order_relaxed);) {
		const struct range range = ranges_table[i];

		if (range.flags & RANGE_DONTFORK)
			ranges_erase(range.start, range.end);
		else
			i++;
	}
	/* The thread that forked holds it, and is the only one there is. */
	pthread_mutex_init(&lock, NULL);
}
