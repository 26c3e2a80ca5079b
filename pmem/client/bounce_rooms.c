/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/bounce_rooms.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "abi/rawcall.h"
#include "client/record/record.h"
#include "common/align.h"

#define ROOMS 64u
#define ROOM_BYTES 16384u

static _Alignas(64) unsigned char rooms[ROOMS][ROOM_BYTES];
/* A bit a room. In the child of a fork those of other threads stay taken. */
static _Atomic uint64_t taken;

static void *map(size_t bytes)
{
	long at = RAW6(mmap, NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (raw_failed(at))
		record_stop("no memory for what a system call stores in the place of a pool");
	return (void *)at;
}

void *client_room_take(size_t bytes)
{
	uint64_t now = atomic_load_explicit(&taken, memory_order_relaxed);
	unsigned room;

	if (bytes > ROOM_BYTES)
		return map(bytes);
	do {
		if (now == UINT64_MAX)
			return map(bytes);
		room = (unsigned)__builtin_ctzll(~now);
	} while (!atomic_compare_exchange_weak_explicit(&taken, &now, now | (uint64_t)1 << room,
							memory_order_acquire, memory_order_relaxed));
	return rooms[room];
}

void client_room_give(void *room, size_t bytes)
{
	const size_t offset = (uintptr_t)room - (uintptr_t)rooms;

	if (offset >= sizeof(rooms))
		RAW2(munmap, room, bytes);
	else
		atomic_fetch_and_explicit(&taken, ~((uint64_t)1 << offset / ROOM_BYTES),
					  memory_order_release);
}

size_t client_piece_bytes(size_t length, bool ends)
{
	/* More than a room of the supply has, whose pages keep their protection. */
	return ends ? ROOM_BYTES + align_up(length, PAGE_BYTES) + 2 * PAGE_BYTES :
		      align_up(length, LINE_SIZE);
}

unsigned char *client_piece_take(unsigned char **room, size_t length, bool ends)
{
	unsigned char *piece = *room, *end;

	if (!ends) {
		*room += align_up(length, LINE_SIZE);
		return piece;
	}
	end = (unsigned char *)(align_up((uintptr_t)piece, PAGE_BYTES) + align_up(length, PAGE_BYTES));
	if (RAW3(mprotect, end, PAGE_BYTES, PROT_NONE) != 0)
		record_stop("no memory for what a system call stores in the place of a pool");
	*room = end + PAGE_BYTES;
	return end - length;
}

const unsigned char *client_piece_copy(unsigned char **room, const unsigned char *piece, size_t length)
{
	return memcpy(client_piece_take(room, length, false), piece, length);
}
