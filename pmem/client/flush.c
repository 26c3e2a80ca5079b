/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Flushing and fencing: pmem_flush(3), pmem_drain(3), pmem_persist(3), pmem_msync(3),
 * pmem_deep_persist(3).
 */

#include "client/flush.h"

#include <cpuid.h>
#include <errno.h>
#include <immintrin.h>
#include <libpmem.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "abi/rawcall.h"
#include "client/errormsg.h"
#include "client/events.h"
#include "client/fast_path.h"
#include "client/inline.h"
#include "client/recording.h"
#include "client/settings.h"
#include "client/valgrind.h"

/* ---- Other memory: the processor's own instructions ------------------------ */

enum flush_instruction { UNKNOWN, CLFLUSH, CLFLUSHOPT, CLWB };

static enum flush_instruction best_flush(void)
{
	static atomic_int best;
	unsigned a, b = 0, c, d;
	int found = atomic_load_explicit(&best, memory_order_relaxed);

	if (found != UNKNOWN)
		return (enum flush_instruction)found;
	__get_cpuid_count(7, 0, &a, &b, &c, &d);
	found = b & (1u << 24) ? CLWB : b & (1u << 23) ? CLFLUSHOPT : CLFLUSH;
	atomic_store_explicit(&best, found, memory_order_relaxed);
	return (enum flush_instruction)found;
}

static void flush_foreign(uintptr_t from, uintptr_t to)
{
	enum flush_instruction how = best_flush();

	for (uintptr_t line = align_down(from, LINE_SIZE); line < to; line += LINE_SIZE) {
		if (how == CLWB)
			__asm__ volatile("clwb %0" : "+m"(*(volatile char *)line));
		else if (how == CLFLUSHOPT)
			__asm__ volatile("clflushopt %0" : "+m"(*(volatile char *)line));
		else
			__asm__ volatile("clflush %0" : "+m"(*(volatile char *)line));
	}
	thread_self.unordered = true;
}

/* ---- Flush and fence ------------------------------------------------------------ */

static __attribute__((noinline)) void flush_lines_in_full(uintptr_t address, size_t length, uint32_t flags)
{
	uintptr_t end = address + length;

	while (address < end) {
		struct range at = ranges_find(address);
		uintptr_t stop = at.end < end ? at.end : end;

		if (likely(at.flags & RANGE_POOL))
			queue_flush(&at, address, stop - address, flags);
		else
			flush_foreign(address, stop);
		flags |= WPQ_CONTINUED;
		address = stop;
	}
}

static inline __attribute__((always_inline)) void flush_lines(uintptr_t address, size_t length,
							      uint32_t flags)
{
	if (!client_fast_path_recorded() ||
	    unlikely(!flush_quickly(address, length, flags & ~QUEUE_EARLY, true)))
		flush_lines_in_full(address, length, flags);
}

void client_flush_lines(uintptr_t address, size_t length, uint32_t flags)
{
	flush_lines(address, length, flags);
}

/* clwb of each line, whether flushes count or not. */
static inline __attribute__((always_inline)) void flush_range(uintptr_t address, size_t length,
							      uint32_t flags)
{
	client_event_flush(address, length);
	flush_lines(address, length, flags);
}

bool client_flushes_count_in_full(void)
{
	const struct client_settings *set = client_settings();

	if (unlikely(set->flush_never))
		return false;
	return set->flush_always || connection_domain() != PERSISTENCE_CPU_CACHE;
}

static __attribute__((noinline)) void fence_in_full(void)
{
	if (unlikely(connection_domain_is(PERSISTENCE_CPU_CACHE)))
		connection_watch_daemon();
	if (client_fast_path_recorded() && fence_quickly()) {
		client_event_fence();
		return;
	}
	thread_order(&thread_self);
	queue_fence();
}

static inline __attribute__((always_inline)) void fence_now(void)
{
	if (unlikely(!fast_path_fence()))
		fence_in_full();
}

void client_fence(void)
{
	client_inline_fenced();
	fence_now();
}

void client_fence_seen(void)
{
	client_inline_fenced();
	if (likely(fast_path_fence()))
		return;
	thread_order(&thread_self);
	queue_fence_recorded();
}

static __attribute__((noinline)) void flush_in_full(uintptr_t address, size_t length, uint32_t flags)
{
	if (likely(client_flushes_count()))
		flush_range(address, length, flags);
}

__attribute__((noinline)) void client_persist(uintptr_t address, size_t length)
{
	if (unlikely(!fast_path_flush(address, length, WPQ_PERSIST)))
		flush_in_full(address, length, WPQ_PERSIST | (length > QUEUE_EARLY_FROM ? QUEUE_EARLY : 0));
	client_inline_fenced();
	fence_now();
}

/* Not in line: a recorded flush need not save registers for it. */
static __attribute__((noinline)) void flush_by_fast_path(uintptr_t address, size_t length)
{
	if (unlikely(!flush_quickly(address, length, 0, false)))
		flush_in_full(address, length, 0);
}

void client_flush(uintptr_t address, size_t length)
{
	client_inline_flushed();
	if (likely(client_fast_path_allowed()))
		flush_by_fast_path(address, length);
	else
		flush_in_full(address, length, 0);
}

PUBLIC void pmem_flush(const void *addr, size_t len)
{
	client_recording_called_from(__builtin_return_address(0));
	client_flush((uintptr_t)addr, len);
}

PUBLIC void pmem_drain(void)
{
	client_recording_called_from(__builtin_return_address(0));
	client_fence();
}

PUBLIC void pmem_persist(const void *addr, size_t len)
{
	client_recording_called_from(__builtin_return_address(0));
	client_persist((uintptr_t)addr, len);
}

PUBLIC int pmem_has_hw_drain(void)
{
	return 0;
}

PUBLIC int pmem_has_auto_flush(void)
{
	return connection_domain() == PERSISTENCE_CPU_CACHE;
}

/* ---- msync ------------------------------------------------------------------------ */

/*
 * The daemon writes what differs from the media, and has the kernel drop its pages of the file, so that a
 * process outside sees what was stored when msync(2) returns. Copies of all lines to the WPQ would cost more,
 * and reading a place that nobody has touched would give it memory.
 */
static int sync_pool(const struct range *at, uintptr_t address, size_t length)
{
	const uint64_t offset = at->offset + (address - at->start);
	int error;

	client_event_flush(address, length);
	error = connection_sync_range(at->region, at->view, offset, length);
	/* Without a daemon to ask, the WPQ is all there is. */
	if (error == -ENOTCONN) {
		queue_flush(at, address, length, WPQ_PERSIST);
		return 0;
	}
	return error && error != -ENOSPC ? -EIO : error;
}

/* Make the pools within the range durable: msync(2) has written the rest. */
static int sync_pools_in(uintptr_t address, size_t length)
{
	uintptr_t end = address + length;
	int result = 0;

	while (address < end) {
		struct range at = ranges_find(address);
		uintptr_t stop = at.end < end ? at.end : end;

		if (at.flags & RANGE_POOL) {
			int error = sync_pool(&at, address, stop - address);

			result = result ? result : error;
		}
		address = stop;
	}
	return result;
}

int client_msync(void *address, size_t length, int flags)
{
	/* To memcheck a system call reads all of its buffer, padding too. */
	if (unlikely(client_settings()->valgrind) && ranges_any((uintptr_t)address, length, RANGE_POOL))
		valgrind_make_defined(address, length);
	/* The kernel checks the arguments, and writes back what is not a pool. */
	long error = RAW3(msync, address, length, flags);

	if (error)
		return (int)error;
	if ((flags & MS_SYNC) && ranges_any((uintptr_t)address, length, RANGE_POOL)) {
		error = sync_pools_in((uintptr_t)address, align_up(length, PAGE_BYTES));
		client_fence();
	}
	return (int)error;
}

static int sync_pages(const void *addr, size_t len)
{
	uintptr_t page = align_down((uintptr_t)addr, PAGE_BYTES);

	return client_msync((void *)page, len + ((uintptr_t)addr - page), MS_SYNC);
}

PUBLIC int pmem_msync(const void *addr, size_t len)
{
	int error;

	client_recording_called_from(__builtin_return_address(0));
	error = sync_pages(addr, len);
	if (error) {
		client_set_errormsg(-error, "msync");
		return -1;
	}
	return 0;
}

/* ---- Deep: to the media ------------------------------------------------------ */

PUBLIC void pmem_deep_flush(const void *addr, size_t len)
{
	client_recording_called_from(__builtin_return_address(0));
	flush_range((uintptr_t)addr, len, 0);
}

static int deep_drain(const void *addr, size_t len)
{
	int error = 0;

	client_fence();
	if (len == 0)
		return 0;
	if (ranges_any((uintptr_t)addr, len, RANGE_POOL)) {
		if (!client_settings()->through && thread_self.queues[0])
			connection_drain();
	} else {
		error = sync_pages(addr, len);
	}
	if (error) {
		client_set_errormsg(-error, "msync");
		return -1;
	}
	return 0;
}

PUBLIC int pmem_deep_drain(const void *addr, size_t len)
{
	client_recording_called_from(__builtin_return_address(0));
	return deep_drain(addr, len);
}

PUBLIC int pmem_deep_persist(const void *addr, size_t len)
{
	client_recording_called_from(__builtin_return_address(0));
	flush_range((uintptr_t)addr, len, 0);
	return deep_drain(addr, len);
}
