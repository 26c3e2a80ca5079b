/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RECORD_ASM_H
#define RECORD_ASM_H

/*
 * A small assembler: writes machine code into a buffer whose bytes will run at another address. Only
 * the forms that stubs are made of; 64-bit operands unless a name says otherwise. Running out of room
 * sets `full`, and the code must not be used.
 */

#include <stdbool.h>
#include <stdint.h>

#include "client/record/decode.h"

struct record_asm {
	uint8_t *bytes;
	uint32_t used, room;
	uint64_t address; /* of bytes[0], when it runs */
	bool full;
};

static inline void asm_byte(struct record_asm *a, unsigned value)
{
	if (a->used >= a->room) {
		a->full = true;
		return;
	}
	a->bytes[a->used++] = (uint8_t)value;
}

static inline void asm_number(struct record_asm *a, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		asm_byte(a, (unsigned)(value >> 8 * i) & 0xff);
}

static inline void asm_bytes(struct record_asm *a, const uint8_t *bytes, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		asm_byte(a, bytes[i]);
}

/* Where the next byte will run. */
static inline uint64_t asm_here(const struct record_asm *a)
{
	return a->address + a->used;
}

/*
 * The opcode, ModRM and what follows of an instruction with [base + displacement]; prefixes are the caller's.
 */
static inline void asm_memory_tail(struct record_asm *a, unsigned opcode, unsigned reg, unsigned base,
				   int32_t displacement)
{
	if (opcode > 0xff)
		asm_byte(a, opcode >> 8);
	asm_byte(a, opcode & 0xff);
	asm_byte(a, (displacement == (int8_t)displacement ? 0x40 : 0x80) | (reg & 7) << 3 | (base & 7));
	if ((base & 7) == RECORD_RSP)
		asm_byte(a, 0x24);
	asm_number(a, (uint32_t)displacement, displacement == (int8_t)displacement ? 1 : 4);
}

/* An instruction `opcode` (one byte, or 0x0fXX) with a register and [base + displacement]. */
static inline void asm_memory(struct record_asm *a, bool wide, unsigned opcode, unsigned reg, unsigned base,
			      int32_t displacement)
{
	unsigned rex = 0x40 | (wide ? 8 : 0) | (reg >> 3) << 2 | base >> 3;

	if (rex != 0x40)
		asm_byte(a, rex);
	asm_memory_tail(a, opcode, reg, base, displacement);
}

/* mov dword [base + displacement], value */
static inline void asm_store_constant(struct record_asm *a, unsigned base, int32_t displacement,
				      uint32_t value)
{
	asm_memory(a, false, 0xc7, 0, base, displacement);
	asm_number(a, value, 4);
}

/* The same with [address], below 2 GiB. */
static inline void asm_absolute(struct record_asm *a, bool wide, unsigned opcode, unsigned reg,
				int32_t address)
{
	unsigned rex = 0x40 | (wide ? 8 : 0) | (reg >> 3) << 2;

	if (rex != 0x40)
		asm_byte(a, rex);
	if (opcode > 0xff)
		asm_byte(a, opcode >> 8);
	asm_byte(a, opcode & 0xff);
	asm_byte(a, (reg & 7) << 3 | 4);
	asm_byte(a, 0x25);
	asm_number(a, (uint32_t)address, 4);
}

/* The same with fs:[offset]. */
static inline void asm_thread(struct record_asm *a, unsigned opcode, unsigned reg, int32_t offset)
{
	asm_byte(a, 0x64);
	asm_absolute(a, true, opcode, reg, offset);
}

/* An instruction with two registers: `rm` is the first operand of most. */
static inline void asm_registers(struct record_asm *a, bool wide, unsigned opcode, unsigned reg, unsigned rm)
{
	unsigned rex = 0x40 | (wide ? 8 : 0) | (reg >> 3) << 2 | rm >> 3;

	if (rex != 0x40)
		asm_byte(a, rex);
	if (opcode > 0xff)
		asm_byte(a, opcode >> 8);
	asm_byte(a, opcode & 0xff);
	asm_byte(a, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

#define ASM_LOAD 0x8b  /* mov reg, rm */
#define ASM_STORE 0x89 /* mov rm, reg */
#define ASM_LEA 0x8d
#define ASM_ADD 0x03 /* reg += rm */
#define ASM_SUB 0x2b
#define ASM_CMP 0x3b /* reg ? rm */
#define ASM_TEST 0x85
#define ASM_OR 0x0b

/* Groups with an immediate: add 0, or 1, and 4, sub 5, cmp 7. */
static inline void asm_immediate(struct record_asm *a, bool wide, unsigned operation, unsigned reg,
				 uint32_t value)
{
	asm_registers(a, wide, 0x81, operation, reg);
	asm_number(a, value, 4);
}

/* shl 4, shr 5. */
static inline void asm_shift(struct record_asm *a, unsigned operation, unsigned reg, unsigned count)
{
	asm_registers(a, true, 0xc1, operation, reg);
	asm_byte(a, count);
}

/* to = from >> count, 64 bits. */
static inline void asm_shrx(struct record_asm *a, unsigned to, unsigned from, unsigned count)
{
	asm_byte(a, 0xc4);
	asm_byte(a, 0x42 | (to > 7 ? 0u : 0x80u) | (from > 7 ? 0u : 0x20u));
	asm_byte(a, 0x83 | (~count & 15) << 3);
	asm_byte(a, 0xf7);
	asm_byte(a, 0xc0 | (to & 7) << 3 | (from & 7));
}

static inline void asm_constant(struct record_asm *a, unsigned reg, uint64_t value)
{
	if (value <= UINT32_MAX) { /* mov r32, imm32 clears the upper half */
		if (reg > 7)
			asm_byte(a, 0x41);
		asm_byte(a, 0xb8 | (reg & 7));
		asm_number(a, value, 4);
		return;
	}
	asm_byte(a, 0x48 | reg >> 3);
	asm_byte(a, 0xb8 | (reg & 7));
	asm_number(a, value, 8);
}

static inline void asm_push(struct record_asm *a, unsigned reg)
{
	if (reg > 7)
		asm_byte(a, 0x41);
	asm_byte(a, 0x50 | (reg & 7));
}

static inline void asm_pop(struct record_asm *a, unsigned reg)
{
	if (reg > 7)
		asm_byte(a, 0x41);
	asm_byte(a, 0x58 | (reg & 7));
}

/* rsp += bytes, flags kept. */
static inline void asm_move_stack(struct record_asm *a, int32_t bytes)
{
	asm_memory(a, true, ASM_LEA, RECORD_RSP, RECORD_RSP, bytes);
}

/* OF, SF, ZF, AF, PF, CF into ax, and back. The way back spoils al. */
static inline void asm_flags_save(struct record_asm *a)
{
	asm_byte(a, 0x9f);				/* lahf */
	asm_registers(a, false, 0x0f90, 0, RECORD_RAX); /* seto al */
}

static inline void asm_flags_restore(struct record_asm *a)
{
	asm_byte(a, 0x04); /* add al, 127: OF if al is 1 */
	asm_byte(a, 0x7f);
	asm_byte(a, 0x9e); /* sahf */
}

/* Conditions of jumps, as encoded. */
enum { ASM_BELOW = 2, ASM_NOT_BELOW = 3, ASM_ZERO = 4, ASM_NOT_ZERO = 5, ASM_ABOVE = 7 };

/* A conditional jump to a place not known yet: asm_land() says where. */
static inline uint32_t asm_branch(struct record_asm *a, unsigned condition)
{
	asm_byte(a, 0x0f);
	asm_byte(a, 0x80 | condition);
	asm_number(a, 0, 4);
	return a->used;
}

static inline uint32_t asm_jump(struct record_asm *a)
{
	asm_byte(a, 0xe9);
	asm_number(a, 0, 4);
	return a->used;
}

/* jrcxz, which leaves the flags alone, and reaches 127 bytes: asm_land_near() says where to. */
static inline uint32_t asm_branch_rcx(struct record_asm *a)
{
	asm_byte(a, 0xe3);
	asm_byte(a, 0);
	return a->used;
}

static inline void asm_land_near(struct record_asm *a, uint32_t branch)
{
	if (!a->full)
		a->bytes[branch - 1] = (uint8_t)(a->used - branch);
}

static inline void asm_land(struct record_asm *a, uint32_t branch)
{
	uint32_t distance = a->used - branch;

	if (a->full)
		return;
	for (unsigned i = 0; i < 4; i++)
		a->bytes[branch - 4 + i] = (uint8_t)(distance >> 8 * i);
}

/* Jumps to code of this buffer that is already there. */
static inline void asm_branch_back(struct record_asm *a, unsigned condition, uint32_t to)
{
	asm_byte(a, 0x0f);
	asm_byte(a, 0x80 | condition);
	asm_number(a, to - (a->used + 4), 4);
}

static inline void asm_jump_back(struct record_asm *a, uint32_t to)
{
	asm_byte(a, 0xe9);
	asm_number(a, to - (a->used + 4), 4);
}

/* A conditional jump to there. */
static inline void asm_branch_to(struct record_asm *a, unsigned condition, uint64_t target)
{
	int64_t distance = (int64_t)(target - (asm_here(a) + 6));

	a->full = a->full || distance != (int32_t)distance;
	asm_byte(a, 0x0f);
	asm_byte(a, 0x80 | condition);
	asm_number(a, (uint32_t)distance, 4);
}

/* To anywhere: 5 bytes, or 14 where that does not reach. */
static inline void asm_jump_to(struct record_asm *a, uint64_t target)
{
	int64_t distance = (int64_t)(target - (asm_here(a) + 5));

	if (distance == (int32_t)distance) {
		asm_byte(a, 0xe9);
		asm_number(a, (uint32_t)distance, 4);
		return;
	}
	asm_byte(a, 0xff); /* jmp [rip + 0] */
	asm_byte(a, 0x25);
	asm_number(a, 0, 4);
	asm_number(a, target, 8);
}

#endif
