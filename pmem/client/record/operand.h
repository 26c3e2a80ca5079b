/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RECORD_OPERAND_H
#define RECORD_OPERAND_H

/*
 * Where an instruction stores, by the registers of an interrupted program, and which pool that is. Compiled
 * for general registers alone, as calls.c. Private to pmem/client/record. Async-signal-safe.
 */

#include "client/record/state.h"

/* The range that `address` is in; NULL: none. record_range_search() looks through all of them. */
const struct record_range *record_range_search(uint64_t address);
static inline const struct record_range *record_range_find(uint64_t address)
{
	const uint64_t chunk = address >> RECORD_CHUNK_SHIFT;
	const struct record_range *range;

	if (chunk >= RECORD_CHUNKS || !record_low->chunks[chunk])
		return NULL;
	range = &record_low->ranges[record_low->chunks[chunk]];
	if (address - range->start < range->length)
		return range;
	return record_low->chunks[chunk] == RECORD_RANGES ? record_range_search(address) : NULL;
}
/* Word 1 of an event at `address`, which is in the range. */
static inline uint64_t record_place(const struct record_range *range, uint64_t address)
{
	return range->place + (address - range->start);
}

/* How much of [address, address + length) is in pools that are reached by one distance to the alias. */
enum record_within { RECORD_IN_NONE, RECORD_IN_ALL, RECORD_IN_PART };
enum record_within record_within_pools(uint64_t address, uint64_t length, uint64_t *delta);

/* The address of the memory operand; of what is stored to, whichever operand names it. */
uint64_t record_operand_address(const struct record_frame *frame, const struct record_site *site);
uint64_t record_target_address(const struct record_frame *frame, const struct record_site *site);
/* Where movs loads from. */
uint64_t record_source_address(const struct record_frame *frame, const struct record_site *site);
/* bts and its like: from the operand to the bytes that hold the bit. */
int64_t record_bit_distance(const struct record_frame *frame, const struct record_insn *insn);

/* Where the area of xsave ends, by the components that edx:eax asks for. */
uint64_t record_xsave_bytes(const struct record_frame *frame, bool compacted);
/* The bytes that a masked store stores, a bit each, by what the stub has spilled. */
uint64_t record_stored_bytes(const struct record_insn *insn);

#endif
