/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The length of an instruction, for walks through whole libraries: Zydis takes some twenty times as long. The
 * tables have the instructions that compilers emit often, in the forms that Zydis too takes for valid;
 * everything else is left to Zydis. test_step compares the two.
 */

#include "client/record/decode.h"

/* What follows the opcode, and after which prefixes; 0: left to Zydis. */
enum {
	KNOWN = 1 << 0,	  /* valid */
	MODRM = 1 << 1,	  /* a ModRM byte and what it asks for */
	MEMORY = 1 << 2,  /* valid with a memory operand only */
	BYTE = 1 << 3,	  /* an immediate of a byte */
	WORD_Z = 1 << 4,  /* ... of two bytes with the prefix 66, else of four */
	WORD_V = 1 << 5,  /* ... of eight bytes with REX.W, else as WORD_Z */
	BRANCH = 1 << 6,  /* the immediate says where it jumps to; not with 66 */
	NO_66 = 1 << 7,	  /* valid without the prefix 66 only */
	WITH_66 = 1 << 8, /* valid with it only */
	WITH_F2 = 1 << 9, /* valid with the prefix f2, f3 as well */
	WITH_F3 = 1 << 10,
	NO_PLAIN = 1 << 11, /* not valid without f2 or f3 */
	XCHG = 1 << 12,	    /* a candidate if it has a memory operand */
	SOME_REG = 1 << 13  /* some values of ModRM.reg only, or an immediate with some only */
};
#define M (KNOWN | MODRM)
#define REP (WITH_F2 | WITH_F3)
#define SSE (M | REP)		 /* none, 66, f2, f3 */
#define PACKED M		 /* none, 66 */
#define ARITHMETIC(at)                                                                        \
	[(at)] = M, [(at) + 1] = M, [(at) + 2] = M, [(at) + 3] = M, [(at) + 4] = KNOWN | BYTE, \
	[(at) + 5] = KNOWN | WORD_Z

static const uint16_t one_byte[256] = {
	ARITHMETIC(0x00), ARITHMETIC(0x08), ARITHMETIC(0x10), ARITHMETIC(0x18),
	ARITHMETIC(0x20), ARITHMETIC(0x28), ARITHMETIC(0x30), ARITHMETIC(0x38),
	[0x50 ... 0x5f] = KNOWN,
	[0x63] = M,
	[0x68] = KNOWN | WORD_Z,
	[0x69] = M | WORD_Z,
	[0x6a] = KNOWN | BYTE,
	[0x6b] = M | BYTE,
	[0x70 ... 0x7f] = KNOWN | BYTE | BRANCH,
	[0x80] = M | BYTE,
	[0x81] = M | WORD_Z,
	[0x83] = M | BYTE,
	[0x84 ... 0x85] = M,
	[0x86 ... 0x87] = M | XCHG,
	[0x88 ... 0x8b] = M,
	[0x8d] = M | MEMORY,
	[0x90] = KNOWN | WITH_F3,
	[0x91 ... 0x99] = KNOWN,
	[0xa4 ... 0xa7] = KNOWN | REP,
	[0xa8] = KNOWN | BYTE,
	[0xa9] = KNOWN | WORD_Z,
	[0xaa ... 0xaf] = KNOWN | REP,
	[0xb0 ... 0xb7] = KNOWN | BYTE,
	[0xb8 ... 0xbf] = KNOWN | WORD_V,
	[0xc0 ... 0xc1] = M | BYTE,
	[0xc3] = KNOWN | REP,
	[0xc6] = M | BYTE | SOME_REG,
	[0xc7] = M | WORD_Z | SOME_REG,
	[0xc9] = KNOWN,
	[0xcc] = KNOWN,
	[0xd0 ... 0xd3] = M,
	[0xe8 ... 0xe9] = KNOWN | WORD_Z | BRANCH,
	[0xeb] = KNOWN | BYTE | BRANCH,
	[0xf4] = KNOWN,
	[0xf6 ... 0xf7] = M | SOME_REG,
	[0xfe ... 0xff] = M | SOME_REG,
};

static const uint16_t after_0f[256] = {
	[0x05] = KNOWN | NO_66,
	[0x0b] = KNOWN | NO_66,
	[0x10 ... 0x11] = SSE,
	[0x12] = M | MEMORY,
	[0x13] = M | MEMORY,
	[0x14 ... 0x15] = PACKED,
	[0x16 ... 0x17] = M | MEMORY,
	[0x1f] = M,
	[0x28 ... 0x29] = PACKED,
	[0x2a] = M | REP | NO_66 | NO_PLAIN,
	[0x2c ... 0x2d] = M | REP | NO_66 | NO_PLAIN,
	[0x2e ... 0x2f] = PACKED,
	[0x40 ... 0x4f] = M,
	[0x51] = SSE,
	[0x54 ... 0x57] = PACKED,
	[0x58 ... 0x5a] = SSE,
	[0x5b] = PACKED | WITH_F3,
	[0x5c ... 0x5f] = SSE,
	[0x60 ... 0x6b] = PACKED,
	[0x6c ... 0x6d] = M | WITH_66,
	[0x6e] = PACKED,
	[0x6f] = PACKED | WITH_F3,
	[0x70] = SSE | BYTE,
	[0x74 ... 0x76] = PACKED,
	[0x7e ... 0x7f] = PACKED | WITH_F3,
	[0x80 ... 0x8f] = KNOWN | WORD_Z | BRANCH,
	[0x90 ... 0x9f] = M,
	[0xa2] = KNOWN,
	[0xa3] = M,
	[0xa4] = M | BYTE,
	[0xa5] = M,
	[0xab] = M,
	[0xac] = M | BYTE,
	[0xad] = M,
	[0xaf ... 0xb1] = M,
	[0xb3] = M,
	[0xb6 ... 0xb7] = M,
	[0xba] = M | BYTE | SOME_REG,
	[0xbb] = M,
	[0xbc ... 0xbd] = M | WITH_F3,
	[0xbe ... 0xc1] = M,
	[0xc6] = PACKED | BYTE,
	[0xc8 ... 0xcf] = KNOWN | NO_66,
	[0xd1 ... 0xd6] = M | WITH_66,
	[0xd8 ... 0xe5] = M | WITH_66,
	[0xe8 ... 0xef] = M | WITH_66,
	[0xf1 ... 0xf6] = M | WITH_66,
	[0xf8 ... 0xfe] = M | WITH_66,
};

/* Bytes of ModRM, SIB and displacement. `at` is readable for two bytes. */
static unsigned modrm_bytes(const uint8_t *at)
{
	unsigned mod = at[0] >> 6, rm = at[0] & 7, bytes = 1;

	if (mod == 3)
		return 1;
	if (rm == 4)
		bytes++;
	if (mod == 1)
		return bytes + 1;
	if (mod == 2 || rm == 5 || (rm == 4 && (at[1] & 7) == 5))
		return bytes + (mod == 0 || mod == 2 ? 4 : 0);
	return bytes;
}

/* Of the groups that ModRM.reg distinguishes: the flags of this member; 0: left to Zydis. */
static unsigned group_member(unsigned flags, unsigned map, unsigned opcode, unsigned modrm)
{
	unsigned reg = modrm >> 3 & 7;

	if (map == 1)
		return reg >= 4 ? flags : 0;
	switch (opcode) {
	case 0xc6:
	case 0xc7:
		return reg == 0 ? flags : 0;
	case 0xf6:
		return reg < 2 ? flags | BYTE : flags;
	case 0xf7:
		return reg < 2 ? flags | WORD_Z : flags;
	case 0xfe:
		return reg < 2 ? flags : 0;
	default:
		return reg == 3 || reg == 5 || reg == 7 ? 0 : flags;
	}
}

static int64_t signed_immediate(const uint8_t *at, unsigned bytes)
{
	if (bytes == 1)
		return (int8_t)at[0];
	return (int32_t)(at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24);
}

struct prefixes {
	bool is_66, is_f2, is_f3, wide;
	unsigned count;
};

/* False: an order or a prefix that is left to Zydis. */
static bool take_prefixes(const uint8_t *code, struct prefixes *out)
{
	unsigned at = 0;

	*out = (struct prefixes){ .count = 0 };
	for (;; at++) {
		uint8_t byte = code[at];

		if (byte == 0x66)
			out->is_66 = true;
		else if (byte == 0xf2)
			out->is_f2 = true;
		else if (byte == 0xf3)
			out->is_f3 = true;
		else if (byte != 0x2e && byte != 0x64)
			break;
		if (at == 4)
			return false;
	}
	if ((code[at] & 0xf0) == 0x40) {
		out->wide = code[at] & 8;
		at++;
	}
	out->count = at;
	return !(out->is_f2 && out->is_f3);
}

static bool prefixes_fit(unsigned flags, const struct prefixes *prefixes)
{
	if (prefixes->is_66 ? (flags & (NO_66 | BRANCH)) : (flags & WITH_66))
		return false;
	if (prefixes->is_f2 || prefixes->is_f3)
		return !prefixes->is_66 && (flags & (prefixes->is_f2 ? WITH_F2 : WITH_F3));
	return !(flags & NO_PLAIN);
}

static unsigned immediate_bytes(unsigned flags, const struct prefixes *prefixes)
{
	if (flags & BYTE)
		return 1;
	if ((flags & WORD_V) && prefixes->wide)
		return 8;
	if (flags & (WORD_Z | WORD_V))
		return prefixes->is_66 && !prefixes->wide ? 2 : 4;
	return 0;
}

bool record_step_quickly(const uint8_t *code, uint64_t available, struct record_step *out)
{
	struct prefixes prefixes;
	unsigned at, map, opcode, flags, immediate;

	/* So that no length has to be checked on the way. */
	if (available < 2 * RECORD_INSN_MAX || !take_prefixes(code, &prefixes))
		return false;
	at = prefixes.count;
	map = code[at] == 0x0f;
	at += map;
	opcode = code[at++];
	flags = map ? after_0f[opcode] : one_byte[opcode];
	if (flags & SOME_REG)
		flags = group_member(flags, map, opcode, code[at]);
	if (!(flags & KNOWN) || !prefixes_fit(flags, &prefixes))
		return false;
	*out = (struct record_step){ .candidate = map && opcode == 0x05 };
	if (flags & MODRM) {
		bool memory = code[at] < 0xc0;

		if ((flags & MEMORY) && !memory)
			return false;
		out->candidate = (flags & XCHG) && memory;
		at += modrm_bytes(code + at);
	}
	immediate = immediate_bytes(flags, &prefixes);
	out->length = (uint8_t)(at + immediate);
	if (flags & BRANCH) {
		out->jumps = true;
		out->branch = out->length + signed_immediate(code + at, immediate);
	}
	return true;
}
