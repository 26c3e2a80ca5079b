/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/record/operand.h"

#include <cpuid.h>
#include <sys/syscall.h>

#include "abi/rawcall.h"
#include "client/record/engine.h"
#include "common/align.h"

#define ARCH_GET_GS 0x1004

/* ---- Ranges --------------------------------------------------------------------------- */

static bool contains(const struct record_range *range, uint64_t address)
{
	return address - range->start < range->length;
}

const struct record_range *record_range_search(uint64_t address)
{
	for (unsigned i = 1; i < RECORD_RANGES; i++)
		if (contains(&record_low->ranges[i], address))
			return &record_low->ranges[i];
	return NULL;
}

/* ---- Addresses -------------------------------------------------------------------------- */

static uint64_t segment_base(uint8_t segment)
{
	uint64_t base = 0;

	if (segment == 0x64)
		__asm__("mov %%fs:0, %0" : "=r"(base)); /* the thread control block begins with its address */
	else if (segment == 0x65)
		RAW2(arch_prctl, ARCH_GET_GS, &base);
	return base;
}

/* ModRM.reg with REX.R, of legacy encodings. */
static unsigned modrm_register(const struct record_insn *insn)
{
	return (insn->bytes[insn->modrm_at] >> 3 & 7u) | (insn->rex & 4u) << 1;
}

int64_t record_bit_distance(const struct record_frame *frame, const struct record_insn *insn)
{
	uint64_t bit = frame->registers[modrm_register(insn)];

	if (insn->size == 2)
		return ((int16_t)bit >> 4) * 2;
	if (insn->size == 4)
		return (int64_t)((int32_t)bit >> 5) * 4;
	return ((int64_t)bit >> 6) * 8;
}

uint64_t record_operand_address(const struct record_frame *frame, const struct record_site *site)
{
	const struct record_insn *insn = &site->insn;
	const struct record_address *at = &insn->address;
	uint64_t address = (uint64_t)at->displacement;

	if (at->base == RECORD_RIP)
		address += site->address + insn->length;
	else if (at->base != RECORD_NO_REGISTER)
		address += frame->registers[at->base];
	if (insn->pops && at->base == RECORD_RSP)
		address += insn->size;
	if (at->index != RECORD_NO_REGISTER)
		address += frame->registers[at->index] * at->scale;
	if (insn->bit_string)
		address += (uint64_t)record_bit_distance(frame, insn);
	if (at->narrow)
		address &= UINT32_MAX;
	return address + segment_base(at->segment);
}

uint64_t record_target_address(const struct record_frame *frame, const struct record_site *site)
{
	const struct record_insn *insn = &site->insn;

	switch (insn->target) {
	case RECORD_TARGET_REG:
		return frame->registers[modrm_register(insn)];
	case RECORD_TARGET_RDI:
		return frame->registers[RECORD_RDI] + (insn->string ? 0 : segment_base(insn->segment));
	case RECORD_TARGET_RAX:
		return (frame->registers[RECORD_RAX] + segment_base(insn->segment)) & ~(uint64_t)63;
	default:
		return record_operand_address(frame, site);
	}
}

uint64_t record_source_address(const struct record_frame *frame, const struct record_site *site)
{
	return frame->registers[RECORD_RSI] + segment_base(site->insn.segment);
}

/* ---- Extents and masks --------------------------------------------------------------------- */

/*
 * What instructions that store a state of the processor store. Only when it is needed: hypervisors make cpuid
 * slow. Threads that come here together store the same.
 */
static void learn_components(void)
{
	unsigned a = 0, b = 0, c = 0, d = 0, low = 0, high = 0;

	__asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	for (unsigned i = 2; i < 63; i++) {
		__get_cpuid_count(0xd, i, &a, &b, &c, &d);
		record_engine.components[i].bytes = a;
		record_engine.components[i].offset = b;
		record_engine.components[i].aligned = c & 2;
	}
	__atomic_store_n(&record_engine.xcr0, low | (uint64_t)high << 32, __ATOMIC_RELEASE);
}

uint64_t record_xsave_bytes(const struct record_frame *frame, bool compacted)
{
	uint64_t wanted = (uint32_t)frame->registers[RECORD_RAX] | frame->registers[RECORD_RDX] << 32;
	uint64_t end = 576;

	if (!__atomic_load_n(&record_engine.xcr0, __ATOMIC_ACQUIRE))
		learn_components();
	wanted &= record_engine.xcr0;
	for (unsigned i = 2; i < 63; i++) {
		if (!(wanted >> i & 1))
			continue;
		if (!compacted) {
			end = max_u64(end,
				      record_engine.components[i].offset + record_engine.components[i].bytes);
			continue;
		}
		if (record_engine.components[i].aligned)
			end = align_up(end, 64);
		end += record_engine.components[i].bytes;
	}
	return end;
}

static uint64_t bytes_of_elements(uint64_t elements, unsigned element, unsigned size)
{
	uint64_t mask = 0, one = element == 8 ? 0xff : ((uint64_t)1 << element) - 1;

	for (unsigned i = 0; i * element < size; i++)
		if (elements >> i & 1)
			mask |= one << i * element;
	return mask;
}

/* Of the elements of a vector, those with the sign bit set. */
static uint64_t sign_elements(unsigned element, unsigned size)
{
	const unsigned char *vector = record_self.vectors[0];
	uint64_t elements = 0;

	for (unsigned i = 0; i * element < size; i++)
		elements |= (uint64_t)(vector[(i + 1) * element - 1] >> 7) << i;
	return elements;
}

uint64_t record_stored_bytes(const struct record_insn *insn)
{
	uint64_t elements = record_self.opmask;
	unsigned count = insn->element ? insn->size / insn->element : 0;

	if (count < 64)
		elements &= ((uint64_t)1 << count) - 1;
	switch (insn->mask) {
	case RECORD_MASK_OPMASK:
		return bytes_of_elements(elements, insn->element, insn->size);
	case RECORD_MASK_COMPRESS:
		count = 0;
		for (; elements; elements &= elements - 1)
			count++;
		return bytes_of_elements(count == 64 ? ~(uint64_t)0 : ((uint64_t)1 << count) - 1,
					 insn->element, insn->size);
	case RECORD_MASK_SIGNS:
	case RECORD_MASK_BYTES:
		return bytes_of_elements(sign_elements(insn->element, insn->size), insn->element, insn->size);
	default:
		return ~(uint64_t)0;
	}
}

/* ---- Pools ------------------------------------------------------------ */

enum record_within record_within_pools(uint64_t address, uint64_t length, uint64_t *delta)
{
	const struct record_range *range = record_range_find(address);
	bool inside = range;

	*delta = range ? range->delta : 0;
	/* Ranges are made of pages. */
	for (uint64_t at = align_up(address + 1, PAGE_BYTES); at < address + length; at += PAGE_BYTES) {
		range = record_range_find(at);
		if (inside != (range != NULL) || (range && range->delta != *delta))
			return RECORD_IN_PART;
	}
	return inside ? RECORD_IN_ALL : RECORD_IN_NONE;
}
