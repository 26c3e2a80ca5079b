/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/record/code.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

#include "abi/rawcall.h"
#include "client/record/process_map.h"
#include "common/align.h"

#define PAGE 4096u
#define AREA_BYTES (256u << 10)
#define AREAS_MAX 512u
#define REACH ((uint64_t)1 << 30)
#define ADDRESS_MIN 0x10000u /* vm.mmap_min_addr */
#define ADDRESS_END 0x7ffffffff000u
#define PAGES_MAX 32768u /* a mapping each: half of vm.max_map_count */

/* Reserved from front to back. */
struct area {
	uint64_t start;
	uint32_t used;
};

/* A page at an address that a punned jump dictates, of which single bytes are taken. */
struct page {
	uint64_t start; /* 0: free entry */
	uint8_t taken[PAGE / 8];
};

/* Addresses that something else had when the kernel was asked last. */
struct occupied {
	uint64_t start, end;
};
#define OCCUPIED_MAX 8192u

static struct {
	struct area areas[AREAS_MAX];
	/* Written after the entry that it counts: record_code_contains() takes no lock. */
	_Atomic uint32_t area_count;
	struct page *pages; /* a hash table, by number of the page */
	struct page **list; /* the pages that there are, in no order */
	uint32_t page_count;
	struct occupied *occupied; /* ascending */
	uint32_t occupied_count;
	int memory; /* /proc/self/mem; -1 */
} code = { .memory = -1 };

static bool map_at(uint64_t address, size_t bytes)
{
	long at;

	if (address < ADDRESS_MIN || address > ADDRESS_END - bytes)
		return false;
	at = RAW6(mmap, address, bytes, PROT_READ | PROT_EXEC,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	if (raw_failed(at))
		return false;
	if ((uint64_t)at == address)
		return true;
	RAW2(munmap, at, bytes); /* kernels before 4.17 take the flag for a hint */
	return false;
}

int record_code_start(void)
{
	size_t pages = (size_t)2 * PAGES_MAX * sizeof(struct page), list = PAGES_MAX * sizeof(code.list[0]);
	size_t occupied = OCCUPIED_MAX * sizeof(struct occupied);
	long at = RAW6(mmap, NULL, pages + list + occupied, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (raw_failed(at))
		return (int)at;
	code.pages = (struct page *)at;
	code.list = (struct page **)(at + (long)pages);
	code.occupied = (struct occupied *)(at + (long)(pages + list));
	record_code_refresh();
	return (int)RAW3(membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0);
}

static bool note_occupied(void *unused, uint64_t start, uint64_t end)
{
	struct occupied *last = code.occupied_count ? &code.occupied[code.occupied_count - 1] : NULL;

	if (last && last->end == start) {
		last->end = end;
		return true;
	}
	if (code.occupied_count == OCCUPIED_MAX)
		return false;
	code.occupied[code.occupied_count++] = (struct occupied){ start, end };
	return true;
}

void record_code_refresh(void)
{
	code.occupied_count = 0;
	record_mapping_each(note_occupied, NULL);
}

/* The end of what occupies `address`, or `address`. */
static uint64_t end_of_occupied(uint64_t address)
{
	uint32_t low = 0, high = code.occupied_count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (code.occupied[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < code.occupied_count && code.occupied[low].start <= address ? code.occupied[low].end
										: address;
}

static bool reaches(const struct area *area, uint64_t near)
{
	uint64_t distance = area->start > near ? area->start - near : near - area->start;

	return distance < REACH - AREA_BYTES;
}

static struct area *new_area(uint64_t near)
{
	uint32_t count = atomic_load_explicit(&code.area_count, memory_order_relaxed);
	uint64_t middle = align_down(near, AREA_BYTES);

	if (count == AREAS_MAX)
		return NULL;
	/* Some way off first: what is nearest is where the heap or the next object wants to grow. */
	for (uint64_t away = 64u << 20; away < REACH - 2 * (uint64_t)AREA_BYTES; away += 2u << 20) {
		uint64_t tries[2] = { middle - away, middle + away };

		for (unsigned i = 0; i < 2; i++) {
			if ((i == 0 && middle < away) || !map_at(tries[i], AREA_BYTES))
				continue;
			code.areas[count] = (struct area){ .start = tries[i] };
			atomic_store_explicit(&code.area_count, count + 1, memory_order_release);
			return &code.areas[count];
		}
	}
	return NULL;
}

uint64_t record_code_reserve(uint64_t near, uint32_t bytes)
{
	uint32_t count = atomic_load_explicit(&code.area_count, memory_order_relaxed);
	struct area *area = NULL;
	uint64_t at;

	for (uint32_t i = count; i-- && !area;)
		if (reaches(&code.areas[i], near) && code.areas[i].used + bytes <= AREA_BYTES)
			area = &code.areas[i];
	if (!area)
		area = new_area(near);
	if (!area)
		return 0;
	at = area->start + area->used;
	area->used += (uint32_t)align_up(bytes, 16);
	return at;
}

void record_code_trim(uint64_t address, uint32_t bytes)
{
	uint32_t count = atomic_load_explicit(&code.area_count, memory_order_relaxed);

	for (uint32_t i = 0; i < count; i++)
		if (address - code.areas[i].start < AREA_BYTES)
			code.areas[i].used = (uint32_t)align_up(address - code.areas[i].start + bytes, 16);
}

static struct page *page_entry(uint64_t address)
{
	uint64_t start = align_down(address, PAGE);
	uint32_t at = (uint32_t)((start * 0x9e3779b97f4a7c15u) >> 48);

	for (;; at++) {
		struct page *page = &code.pages[at % (2 * PAGES_MAX)];

		if (page->start == start || !page->start)
			return page;
	}
}

static bool has_page(uint64_t address)
{
	return page_entry(address)->start != 0;
}

static struct page *page_map(uint64_t address)
{
	struct page *page = page_entry(address);

	if (page->start)
		return page;
	if (code.page_count == PAGES_MAX || !map_at(align_down(address, PAGE), PAGE))
		return NULL;
	code.list[code.page_count++] = page;
	__atomic_store_n(&page->start, align_down(address, PAGE), __ATOMIC_RELEASE);
	return page;
}

static uint8_t *taken_byte(uint64_t address)
{
	return &page_entry(address)->taken[address % PAGE / 8];
}

static bool is_free(uint64_t address, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		if (has_page(address + i) && (*taken_byte(address + i) >> (address + i) % 8 & 1))
			return false;
	return true;
}

/* Take exactly [address, address + bytes), and map pages there that are not mapped yet. */
static bool claim(uint64_t address, uint32_t bytes)
{
	if (address < ADDRESS_MIN || address >= ADDRESS_END - bytes)
		return false;
	/* Look before mapping: a page that is mapped in vain would stay. */
	if (!is_free(address, bytes) || !page_map(address) || !page_map(address + bytes - 1))
		return false;
	for (uint32_t i = 0; i < bytes; i++)
		*taken_byte(address + i) |= (uint8_t)(1u << (address + i) % 8);
	return true;
}

/* In steps of this, so that a search of a page is short. A small window is searched byte by byte. */
static uint64_t step_in(uint64_t choices)
{
	return choices >= PAGE ? 16 : 1;
}

static uint64_t place_in_page(uint64_t page, uint64_t low, uint64_t choices, uint32_t bytes)
{
	uint64_t from = max_u64(page, low), end = min_u64(page + PAGE, low + choices);

	for (uint64_t at = from; at < end; at += step_in(choices))
		if (claim(at, bytes))
			return at;
	return 0;
}

static uint64_t place_in_ours(uint64_t low, uint64_t choices, uint32_t bytes)
{
	for (uint32_t i = code.page_count; i--;) {
		uint64_t page = code.list[i]->start, at;

		if (page + PAGE <= low || page >= low + choices)
			continue;
		at = place_in_page(page, low, choices, bytes);
		if (at)
			return at;
	}
	return 0;
}

uint64_t record_code_place(uint64_t low, uint64_t choices, uint32_t bytes)
{
	uint64_t at = place_in_ours(low, choices, bytes), page;
	unsigned tries = 0;

	if (at)
		return at;
	for (page = align_down(low, PAGE); page < low + choices && tries < 64; page += PAGE) {
		uint64_t free = align_up(end_of_occupied(page), PAGE);

		if (free != page) {
			page = free - PAGE;
			continue;
		}
		if (has_page(page))
			continue;
		tries++;
		if (!page_map(page))
			continue;
		at = place_in_page(page, low, choices, bytes);
		if (at)
			return at;
	}
	return 0;
}

bool record_code_contains(uint64_t address)
{
	uint32_t count = atomic_load_explicit(&code.area_count, memory_order_acquire);

	for (uint32_t i = 0; i < count; i++)
		if (address - code.areas[i].start < AREA_BYTES)
			return true;
	return code.pages && address >= ADDRESS_MIN && has_page(address);
}

void record_code_open(void)
{
	if (code.memory >= 0)
		return;
	/*
	 * Opened each time: the child of a fork would write to its parent, and programs close descriptors
	 * that they do not know.
	 */
	code.memory = (int)RAW4(openat, AT_FDCWD, "/proc/self/mem", O_RDWR | O_CLOEXEC, 0);
}

void record_code_close(void)
{
	if (code.memory >= 0)
		RAW1(close, code.memory);
	code.memory = -1;
}

/*
 * For a system where /proc/self/mem cannot be written: /proc is not mounted, the process is not dumpable, or
 * the kernel forbids it (proc_mem.force_override).
 */
static int write_by_protection(uint64_t address, const uint8_t *bytes, uint32_t count)
{
	uint64_t start = align_down(address, PAGE), end = align_up(address + count, PAGE);
	long error = RAW3(mprotect, start, end - start, PROT_READ | PROT_WRITE | PROT_EXEC);

	if (error)
		return (int)error;
	for (uint32_t i = 0; i < count; i++)
		((volatile uint8_t *)address)[i] = bytes[i];
	return (int)RAW3(mprotect, start, end - start, PROT_READ | PROT_EXEC);
}

int record_code_write(uint64_t address, const uint8_t *bytes, uint32_t count)
{
	if (code.memory >= 0 && RAW4(pwrite64, code.memory, bytes, count, address) == (long)count)
		return 0;
	return write_by_protection(address, bytes, count);
}

void record_code_sync(void)
{
	RAW3(membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0);
}
