/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/record/engine.h"

#include <cpuid.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/mman.h>

#include "abi/rawcall.h"
#include "client/record/calls.h"
#include "client/record/code.h"
#include "client/record/operand.h"
#include "client/record/patch.h"
#include "client/record/thunk.h"
#include "client/signals.h"
#include "common/align.h"
#include "trace/buffer.h"

#define EXIT_NOT_COVERED 70 /* EX_SOFTWARE */

struct record_engine record_engine;
struct record_low *record_low;
int32_t record_self_offset, record_waiting_offset;
bool record_has_bmi2;

/* ---- Start ------------------------------------------------------------------------------- */

static int map_low(void)
{
	long at = RAW6(mmap, NULL, sizeof(struct record_low), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_32BIT, -1, 0);

	if (raw_failed(at))
		return (int)at;
	if ((uint64_t)at + sizeof(struct record_low) > INT32_MAX) {
		RAW2(munmap, at, sizeof(struct record_low));
		return -ENOMEM;
	}
	record_low = (struct record_low *)at;
	return 0;
}

/* `bytes` of the memory behind `fd` at `at`; without a descriptor, shared with this process's children. */
static int share(void *at, size_t bytes, int fd)
{
	int flags = MAP_SHARED | MAP_FIXED | (fd < 0 ? MAP_ANONYMOUS : 0);
	long result;

	if (record_engine.setup.map && fd >= 0)
		result = record_engine.setup.map(at, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
	else
		result = RAW6(mmap, at, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
	return raw_failed(result) ? (int)result : 0;
}

static int learn_processor(void)
{
	unsigned a, b, c, d;

	record_has_bmi2 = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_BMI2);
	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
		return -ENOSYS;
	__get_cpuid_count(0xd, 1, &a, &b, &c, &d);
	record_has_xsavec = a & 2;
	return 0;
}

/* The consumer makes sure that this process sees that the clock is shared: merge_share(). */
static int let_consumer_share(void)
{
	return (int)RAW3(membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0);
}

int record_start(const struct record_setup *setup)
{
	uint64_t fs;
	int error;

	record_engine.setup = *setup;
	error = learn_processor();
	if (!error)
		error = map_low();
	if (!error)
		error = share(record_low->locks, sizeof(record_low->locks), setup->locks_fd);
	if (!error)
		error = share(&record_low->clock, PAGE_BYTES, setup->clock_fd);
	if (!error)
		error = let_consumer_share();
	if (!error)
		error = record_patch_start();
	/* After all that is mapped here: it learns which addresses are free. */
	if (!error)
		error = record_code_start();
	if (error)
		return error;
	if (setup->system_calls)
		memcpy(record_low->calls, setup->system_calls, sizeof(record_low->calls));
	record_low->begin = (uint64_t)record_thunk_begin;
	record_low->end = (uint64_t)record_thunk_end;
	record_low->fence = (uint64_t)record_thunk_fence;
	/* The entry for chunks with several ranges: stubs always call. */
	record_low->ranges[RECORD_RANGES] = (struct record_range){ .outer = UINT64_MAX };
	__asm__("mov %%fs:0, %0" : "=r"(fs));
	record_self_offset = (int32_t)((uint64_t)&record_self - fs);
	record_waiting_offset = (int32_t)((uint64_t)&record_waiting - fs);
	record_engine.started = true;
	if (setup->stores)
		record_chunks = record_low->chunks;
	return 0;
}

void record_many(void)
{
	if (record_engine.started)
		atomic_store(&record_low->locks[RECORD_LAST_LOCK].many, 1);
}

/*
 * An inline stub takes tens of nanoseconds. Only one that loses its processor in the middle takes longer,
 * and gets it back in this time unless dozens of threads want it.
 */
static const struct timespec stub_ends = { .tv_nsec = 100 * 1000 * 1000 };

void record_many_by_now(void)
{
	if (record_engine.started && !atomic_exchange(&record_low->locks[RECORD_LAST_LOCK].many, 1))
		RAW2(nanosleep, &stub_ends, NULL);
}

/* ---- Functions in the place of others ------------------------------------------------------- */

int record_replace(uintptr_t function, uintptr_t replacement, _Atomic uintptr_t *original)
{
	static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	uint64_t signals;
	struct record_site *site;
	bool done = false;

	if (!record_engine.started)
		return -EINVAL;
	/* An indirect call must find it where it is. */
	if (memcmp((const void *)function, endbr64, sizeof(endbr64)) == 0)
		function += sizeof(endbr64);
	signals = signals_block();
	site = record_site_replace(function, replacement);
	if (site) {
		atomic_store(original, site->native_at);
		done = record_has_one_thread() ? record_site_patch_alone(site) : record_site_patch(site);
	}
	signals_restore(signals);
	return done ? 0 : -ENOTSUP;
}

/* ---- Messages ------------------------------------------------------------------------------ */

struct text {
	char bytes[256];
	size_t length;
};

static void text_add(struct text *text, const char *what)
{
	while (*what && text->length < sizeof(text->bytes))
		text->bytes[text->length++] = *what++;
}

static void text_hex(struct text *text, uint64_t value, unsigned digits)
{
	while (digits-- && text->length < sizeof(text->bytes))
		text->bytes[text->length++] = "0123456789abcdef"[value >> 4 * digits & 15];
}

void record_die(const char *why, const struct record_site *site)
{
	struct text text = { .length = 0 };

	text_add(&text, "softpmem: recording stopped: ");
	text_add(&text, why);
	if (site) {
		text_add(&text, ": ");
		text_add(&text, record_insn_name(&site->insn));
		text_add(&text, " at 0x");
		text_hex(&text, site->address, 12);
		text_add(&text, ", bytes");
		for (unsigned i = 0; i < site->insn.length; i++) {
			text_add(&text, " ");
			text_hex(&text, site->insn.bytes[i], 2);
		}
	}
	text_add(&text, "\n");
	RAW3(write, 2, text.bytes, text.length);
	for (;;)
		RAW1(exit_group, EXIT_NOT_COVERED);
}

void record_stop(const char *why)
{
	record_die(why, NULL);
}

/* ---- Ranges ----------------------------------------------------------------------------------- */

/* Guards changes of ranges and chunks. Stubs read them without it. */
static void ranges_take(void)
{
	static const struct timespec moment = { .tv_nsec = 50000 };

	while (__atomic_exchange_n(&record_engine.ranges_lock, 1, __ATOMIC_ACQUIRE))
		RAW2(nanosleep, &moment, NULL);
}

static void ranges_give(void)
{
	__atomic_store_n(&record_engine.ranges_lock, 0, __ATOMIC_RELEASE);
}

static bool overlaps(const struct record_range *range, uint64_t start, uint64_t length)
{
	return range->length && start < range->start + range->length && range->start < start + length;
}

/* What the chunk's byte has to be, by the ranges in it. */
static uint8_t chunk_value(uint64_t chunk)
{
	uint8_t value = 0;

	for (unsigned i = 1; i < RECORD_RANGES; i++) {
		if (!overlaps(&record_low->ranges[i], chunk << RECORD_CHUNK_SHIFT, 1u << RECORD_CHUNK_SHIFT))
			continue;
		if (value)
			return RECORD_RANGES;
		value = (uint8_t)i;
	}
	return value;
}

static void update_chunks(uint64_t start, uint64_t length)
{
	uint64_t last = (start + length - 1) >> RECORD_CHUNK_SHIFT;

	for (uint64_t chunk = start >> RECORD_CHUNK_SHIFT; chunk <= last && chunk < RECORD_CHUNKS; chunk++) {
		uint8_t value = chunk_value(chunk);

		/* Do not make pages of the table for nothing. */
		if (record_low->chunks[chunk] != value)
			__atomic_store_n(&record_low->chunks[chunk], value, __ATOMIC_RELEASE);
	}
}

/* All entries are used before one is used again, so that a stub can finish with an entry that was removed. */
static struct record_range *free_range(void)
{
	for (unsigned i = 0; i < RECORD_RANGES - 1; i++) {
		unsigned at = 1 + (record_engine.next_range + i) % (RECORD_RANGES - 1);

		if (!record_low->ranges[at].length) {
			record_engine.next_range = at;
			return &record_low->ranges[at];
		}
	}
	return NULL;
}

static int put_range(const struct record_range *range)
{
	struct record_range *to = free_range();

	if (!to)
		return -ENOSPC;
	*to = *range;
	to->inner = range->length - RECORD_RANGE_EDGE;
	to->outer = range->length + RECORD_RANGE_EDGE;
	to->flushed = record_low->flushed[to - record_low->ranges];
	/* What the mapping that had the entry before has flushed. */
	RAW3(madvise, to->flushed, RECORD_PIECES, MADV_DONTNEED);
	return 0;
}

/* A process that only starts others, as shells do, never stores to a pool. */
static void count_process(void)
{
	if (record_engine.setup.stores && !atomic_exchange(&record_engine.has_pools, true) &&
	    atomic_fetch_add(&record_low->locks[RECORD_LAST_LOCK].processes, 1) > 0)
		record_many_by_now();
}

bool record_has_pools(void)
{
	return atomic_load(&record_engine.has_pools);
}

int record_range_add(uintptr_t address, size_t length, uint32_t pool, uint64_t offset, uintptr_t alias)
{
	struct record_range range = { .start = address,
				      .length = length,
				      .place = (uint64_t)pool << TRACE_SLOT_POOL_SHIFT | offset,
				      .delta = alias - address };
	int error;

	count_process();
	ranges_take();
	error = put_range(&range);
	if (!error)
		update_chunks(address, length);
	ranges_give();
	return error;
}

/* What is left of a range on one side of what is removed. */
static void keep_part(const struct record_range *range, uint64_t start, uint64_t end)
{
	struct record_range part = *range;

	if (start >= end)
		return;
	part.start = start;
	part.length = end - start;
	part.place += start - range->start;
	if (put_range(&part) != 0)
		record_die("too many mappings of pools", NULL);
}

void record_range_remove(uintptr_t address, size_t length)
{
	uint64_t end = address + length;

	ranges_take();
	for (unsigned i = 1; i < RECORD_RANGES; i++) {
		struct record_range was = record_low->ranges[i];

		if (!overlaps(&was, address, length))
			continue;
		/* Its other fields stay, because a stub may be reading them. */
		record_low->ranges[i].length = 0;
		keep_part(&was, was.start, address);
		keep_part(&was, end, was.start + was.length);
		update_chunks(was.start, was.length);
	}
	ranges_give();
}

/* ---- The end of threads and processes ------------------------------------------------------------ */

void record_fork_prepare(void)
{
	if (!record_engine.started)
		return;
	record_patch_take();
	ranges_take();
}

void record_fork_parent(void)
{
	if (!record_engine.started)
		return;
	ranges_give();
	record_patch_give();
}

void record_fork_child(void)
{
	if (!record_engine.started)
		return;
	record_engine.ranges_lock = 0;
	let_consumer_share();
	record_patch_fork_child();
	/* The buffer is the parent's. */
	if (record_self.producer.header)
		trace_producer_detach(&record_self.producer);
	record_self.producer.header = NULL;
	record_self.started = false;
	record_self.inline_limit = 0;
	record_self.id = (uint32_t)RAW1(gettid, 0);
	record_waiting = 0;
}

void record_thread_exit(void)
{
	/* A handler that stores finds the buffer, or none. */
	const uint64_t signals = signals_block();

	if (record_self.started && record_self.producer.header)
		trace_producer_detach(&record_self.producer);
	/* Destructors that store later attach another buffer. */
	record_self.producer = (struct trace_producer){ .header = NULL };
	record_self.started = false;
	record_self.inline_limit = 0;
	if (record_self.stack_top && !record_self.inside) {
		uint64_t base = record_self.stack_base;

		/* Destructors that store later get another one. */
		record_self.stack_top = 0;
		RAW2(munmap, base, RECORD_PRIVATE_STACK);
	}
	signals_restore(signals);
}
