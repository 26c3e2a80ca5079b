/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/record/reencode.h"
#include "client/record/stub.h"

/* modrm and SIB of fs:[offset], with `reg`; a segment prefix and the opcode are there already. */
static void thread_operand(struct record_asm *a, unsigned reg, int32_t offset)
{
	asm_byte(a, (reg & 7) << 3 | 4);
	asm_byte(a, 0x25);
	asm_number(a, (uint32_t)offset, 4);
}

/* kmovw or kmovq between a mask register and record_self.opmask. */
static void move_opmask(struct stub *s, bool to_memory)
{
	struct record_asm *a = &s->code;
	bool wide = s->insn->element &&
		    s->insn->element < 4; /* more than 16 elements; needs AVX512BW, as they do */

	asm_byte(a, 0x64);
	asm_byte(a, wide ? 0xc4 : 0xc5);
	if (wide)
		asm_byte(a, 0xe1);
	asm_byte(a, 0xf8);
	asm_byte(a, to_memory ? 0x91 : 0x90);
	thread_operand(a, s->insn->opmask, THREAD(opmask));
}

/* vmovdqu64 fs:[...], zmm */
static void spill_zmm(struct stub *s, unsigned reg, unsigned where)
{
	struct record_asm *a = &s->code;

	asm_byte(a, 0x64);
	asm_byte(a, 0x62);
	asm_byte(a, 0x61 | (reg & 8 ? 0u : 0x80u) | (reg & 16 ? 0u : 0x10u));
	asm_byte(a, 0xfe);
	asm_byte(a, 0x48);
	asm_byte(a, 0x7f);
	thread_operand(a, reg, THREAD(vectors[0]) + (int32_t)(64 * where));
}

static unsigned vex_vvvv(const struct record_insn *insn)
{
	return ~(unsigned)(insn->bytes[insn->opcode_at + 2] >> 3) & 15;
}

/* The mask register's number of maskmov: ModRM.rm with its extension. */
static unsigned maskmov_mask(const struct record_insn *insn)
{
	unsigned rm = insn->bytes[insn->modrm_at] & 7u;

	if (insn->encoding == RECORD_LEGACY)
		return rm | (insn->rex & 1u) << 3;
	/* The three-byte form has B, inverted. */
	return rm |
	       (insn->bytes[insn->opcode_at] == 0xc4 && !(insn->bytes[insn->opcode_at + 1] & 0x20) ? 8u : 0u);
}

/* ModRM.reg of an EVEX instruction, 5 bits. */
static unsigned evex_reg(const struct record_insn *insn)
{
	uint8_t p0 = insn->bytes[insn->opcode_at + 1];

	return (insn->bytes[insn->modrm_at] >> 3 & 7u) | (p0 & 0x80 ? 0 : 8u) | (p0 & 0x10 ? 0 : 16u);
}

/* What C code must see of vector and mask registers. */
static void spill(struct stub *s)
{
	struct record_asm *a = &s->code;
	const struct record_insn *insn = s->insn;
	unsigned reg;

	if (insn->opmask)
		move_opmask(s, true);
	if (insn->target == RECORD_TARGET_VECTOR) {
		spill_zmm(s, insn->vector, 0);
		spill_zmm(s, evex_reg(insn), 1);
	} else if (insn->mask == RECORD_MASK_SIGNS) {
		reg = vex_vvvv(insn);
		asm_byte(a, 0x64);
		asm_byte(a, 0xc5); /* vmovups fs:[...], ymm */
		asm_byte(a, reg & 8 ? 0x7c : 0xfc);
		asm_byte(a, 0x11);
		thread_operand(a, reg, THREAD(vectors[0]));
	} else if (insn->mask == RECORD_MASK_BYTES) {
		reg = maskmov_mask(insn);
		asm_byte(a, 0x64);
		if (insn->size == 16 && reg & 8)
			asm_byte(a, 0x44);
		asm_byte(a, 0x0f);
		asm_byte(a, insn->size == 16 ? 0x11 : 0x7f); /* movups xmm, movq mm */
		thread_operand(a, reg, THREAD(vectors[0]));
	}
}

void stub_call(struct stub *s, const uint64_t *entry)
{
	struct record_asm *a = &s->code;

	asm_move_stack(a, -STACK_SKIP);
	asm_byte(a, 0x68); /* push imm32 */
	asm_number(a, s->site->id, 4);
	asm_absolute(a, false, 0xff, 2, record_low_address(entry));
}

/*
 * The register that has the alias. Those of the address are free once it is computed, but where the operand
 * is what is read and another register names the destination.
 */
static uint8_t choose_base(const struct record_insn *insn)
{
	static const uint8_t order[] = { RECORD_RCX, RECORD_RDX, RECORD_RBX,
					 RECORD_RSI, RECORD_RDI, RECORD_RAX };
	uint8_t chosen = RECORD_RAX;

	for (unsigned i = sizeof(order); i--;) {
		bool is_address = insn->address.base == order[i] || insn->address.index == order[i];

		if (!(insn->registers >> order[i] & 1) && !(is_address && insn->target == RECORD_TARGET_REG))
			chosen = order[i];
	}
	return chosen;
}

bool stub_call_part(struct stub *s)
{
	struct record_asm *a = &s->code;

	spill(s);
	stub_call(s, &record_low->begin);
	if (s->insn->class == RECORD_SYSTEM_CALL) {
		s->site->call_at = asm_here(a);
		asm_bytes(a, s->insn->bytes, s->insn->length);
		s->site->after_at = asm_here(a);
		stub_call(s, &record_low->end);
		return true;
	}
	if (s->insn->class != RECORD_STORE || s->site->fence_only)
		return true; /* C code always goes on elsewhere */
	s->site->call_at = asm_here(a);
	if (s->insn->target == RECORD_TARGET_VECTOR) {
		/* What is left of the mask: elements that are in no pool. */
		move_opmask(s, false);
		s->site->call_at = asm_here(a);
		if (!record_copy(a, s->insn, s->site->address))
			return false;
		stub_go_on(s);
		return true;
	}
	s->site->base = choose_base(s->insn);
	if (!record_copy_to(a, s->insn, s->site->address, s->site->base))
		return false;
	s->site->after_at = asm_here(a);
	stub_call(s, &record_low->end);
	return true;
}

/*
 * The kernel spoils rcx and r11, so that most calls are told from those that may concern a pool by these two
 * registers and without the stack: a thread may have none any more.
 */
bool stub_system_call(struct stub *s)
{
	struct record_asm *a = &s->code;
	const unsigned number = 11;
	uint32_t unknown, known;

	asm_registers(a, true, ASM_LOAD, number, RECORD_RAX);
	asm_flags_save(a);
	asm_immediate(a, true, 7, number, RECORD_CALL_NUMBERS);
	unknown = asm_branch(a, ASM_NOT_BELOW);
	asm_memory(a, false, 0x0fb6, RECORD_RCX, number, LOW(calls)); /* movzx */
	asm_registers(a, false, ASM_TEST, RECORD_RCX, RECORD_RCX);
	known = asm_branch(a, ASM_NOT_ZERO);
	asm_flags_restore(a);
	asm_registers(a, true, ASM_LOAD, RECORD_RAX, number);
	s->site->native_at = asm_here(a);
	asm_bytes(a, s->insn->bytes, s->insn->length);
	/* As the kernel leaves it where the program has the instruction. */
	asm_constant(a, RECORD_RCX, s->site->address + s->insn->length);
	asm_jump_to(a, s->site->address + s->insn->length);
	asm_land(a, unknown);
	asm_land(a, known);
	asm_flags_restore(a);
	asm_registers(a, true, ASM_LOAD, RECORD_RAX, number);
	return stub_call_part(s);
}
