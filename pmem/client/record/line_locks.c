/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/record/line_locks.h"

#include <sched.h>

#include "abi/rawcall.h"
#include "client/address_space.h"
#include "client/record/operand.h"
#include "common/align.h"

static void take_lock(struct record_lock *lock)
{
	uint32_t mine = record_self.id;

	for (uint32_t tries = 1;; tries++) {
		uint32_t owner = 0;

		if (atomic_compare_exchange_strong(&lock->owner, &owner, mine))
			return;
		if (tries % 1024) {
			__builtin_ia32_pause();
			continue;
		}
		/* The owner may wait for our processor, or have been killed during a store. */
		RAW1(sched_yield, 0);
		if (tries % (1u << 20) == 0 && address_space_thread_has_ended(owner) &&
		    atomic_compare_exchange_strong(&lock->owner, &owner, mine))
			return;
	}
}

/* The lock of the lowest bit that is set in word `i`. */
static struct record_lock *lock_of(unsigned i, uint64_t word)
{
	return &record_low->locks[i * 64 + (unsigned)__builtin_ctzll(word)];
}

void record_lines_take(struct record_frame *frame)
{
	frame->locked = false;
	if (!record_are_many())
		return;
	for (unsigned i = 0; i < RECORD_LOCK_COUNT / 64; i++)
		frame->locks[i] = 0;
	for (uint64_t at = align_down(frame->address, 64); at < frame->address + frame->length; at += 64) {
		uint64_t number = record_place(record_range_find(at), at) >> RECORD_LOCK_SHIFT &
				  (RECORD_LOCK_COUNT - 1);

		frame->locks[number / 64] |= (uint64_t)1 << number % 64;
	}
	for (unsigned i = 0; i < RECORD_LOCK_COUNT / 64; i++)
		for (uint64_t left = frame->locks[i]; left; left &= left - 1)
			take_lock(lock_of(i, left));
	frame->locked = true;
}

void record_lines_give(struct record_frame *frame)
{
	if (!frame->locked)
		return;
	for (unsigned i = 0; i < RECORD_LOCK_COUNT / 64; i++)
		for (uint64_t left = frame->locks[i]; left; left &= left - 1)
			atomic_store_explicit(&lock_of(i, left)->owner, 0, memory_order_release);
	frame->locked = false;
}
