/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/record/reencode.h"

/*
 * [eip + disp32] becomes [disp32], which is 32 bits wide as well: the address does not depend on the place.
 */
static void copy_eip(struct record_asm *out, const struct record_insn *insn, uint64_t address)
{
	asm_bytes(out, insn->bytes, insn->modrm_at);
	asm_byte(out, (insn->bytes[insn->modrm_at] & 0x38u) | 4);
	asm_byte(out, 0x25);
	asm_number(out, (uint32_t)(address + insn->length + (uint64_t)insn->address.displacement), 4);
	asm_bytes(out, insn->bytes + insn->displacement_at + 4,
		  (unsigned)insn->length - insn->displacement_at - 4);
}

bool record_copy(struct record_asm *out, const struct record_insn *insn, uint64_t address)
{
	uint64_t to = asm_here(out);
	int64_t displacement;

	if (!insn->has_memory || insn->address.base != RECORD_RIP) {
		asm_bytes(out, insn->bytes, insn->length);
		return true;
	}
	/* Relative to the end, which is as far from the beginning in the copy. */
	displacement = insn->address.displacement + (int64_t)(address - to);
	if (insn->address.narrow) {
		copy_eip(out, insn, address);
		return true;
	}
	if (displacement != (int32_t)displacement)
		return false;
	asm_bytes(out, insn->bytes, insn->displacement_at);
	asm_number(out, (uint32_t)displacement, 4);
	asm_bytes(out, insn->bytes + insn->displacement_at + 4,
		  (unsigned)insn->length - insn->displacement_at - 4);
	return true;
}

/* A changed encoding of the part before ModRM. */
struct head {
	uint8_t bytes[RECORD_INSN_MAX];
	uint8_t length;
};

static void head_put(struct head *head, uint8_t byte)
{
	head->bytes[head->length++] = byte;
}

static bool is_segment_or_size(uint8_t prefix)
{
	switch (prefix) {
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
	case 0x64:
	case 0x65:
	case 0x67:
		return true;
	default:
		return false;
	}
}

/* One that another prefix follows means nothing. It would, if that were left out. */
static bool is_rex(uint8_t byte)
{
	return byte >= 0x40 && byte <= 0x4f;
}

/* Of the legacy forms: movntps, movntpd, movntss, movntsd, movntdq, movntq, movnti and movdiri. */
static void legacy_opcode(struct head *head, const struct record_insn *insn)
{
	bool scalar = false;

	for (unsigned i = 0; i < insn->opcode_at; i++)
		scalar = scalar || insn->bytes[i] == 0xf2 || insn->bytes[i] == 0xf3;
	if (insn->nontemporal && insn->map == 2 && insn->opcode == 0xf9) { /* movdiri: mov */
		head_put(head, 0x89);
		return;
	}
	if (insn->nontemporal && insn->map == 1 && insn->opcode == 0xc3) { /* movnti: mov */
		head_put(head, 0x89);
		return;
	}
	for (unsigned i = insn->opcode_at; insn->modrm_at && i + 1 < insn->modrm_at; i++)
		head_put(head, insn->bytes[i]);
	if (insn->nontemporal && insn->map == 1 && insn->opcode == 0x2b)
		head_put(head, scalar ? 0x11 : 0x29); /* movss, movsd; movaps, movapd */
	else if (insn->nontemporal && insn->map == 1 && insn->opcode == 0xe7)
		head_put(head, 0x7f); /* movq, movdqa */
	else
		head_put(head, insn->opcode);
}

/* VEX and EVEX: vmovntps, vmovntpd to vmovaps, vmovapd; vmovntdq to vmovdqa, vmovdqa32. */
static uint8_t vector_opcode(const struct record_insn *insn)
{
	if (!insn->nontemporal || insn->map != 1)
		return insn->opcode;
	if (insn->opcode == 0x2b)
		return 0x29;
	return insn->opcode == 0xe7 ? 0x7f : insn->opcode;
}

/* Of REX: what extends ModRM.rm, SIB.index and SIB.base; and ModRM.reg. Later encodings invert them. */
enum { REX_XB = 3, REX_R = 4 };

static void make_head(struct head *head, const struct record_insn *insn)
{
	unsigned escape, legacy = insn->rex ? insn->opcode_at - 1u : insn->opcode_at;

	for (unsigned i = 0; i < legacy; i++)
		if (!is_segment_or_size(insn->bytes[i]) && !is_rex(insn->bytes[i]))
			head_put(head, insn->bytes[i]);
	if (insn->encoding == RECORD_LEGACY) {
		if (insn->rex)
			head_put(head, insn->rex & (uint8_t) ~(insn->modrm_at ? REX_XB : REX_XB | REX_R));
		legacy_opcode(head, insn);
		return;
	}
	escape = head->length;
	for (unsigned i = insn->opcode_at; i + 1 < insn->modrm_at; i++)
		head_put(head, insn->bytes[i]);
	/* The byte after the escape has X and B, but in the two-byte form of VEX, where they are not set. */
	if (head->bytes[escape] != 0xc5)
		head->bytes[escape + 1] |= 0x60;
	head_put(head, vector_opcode(insn));
}

static bool copy_with_base(struct record_asm *out, const struct record_insn *insn, unsigned base)
{
	struct head head = { .length = 0 };

	make_head(&head, insn);
	if (!insn->modrm_at) { /* mov to an absolute address: A2 is 88, A3 is 89 with rax in ModRM.reg */
		head.bytes[head.length - 1] = insn->opcode - (0xa2 - 0x88);
		asm_bytes(out, head.bytes, head.length);
		asm_byte(out, base);
		return true;
	}
	asm_bytes(out, head.bytes, head.length);
	asm_byte(out, (insn->bytes[insn->modrm_at] & 0x38u) | base);
	asm_bytes(out, insn->bytes + insn->tail_at, (unsigned)insn->length - insn->tail_at);
	return true;
}

static bool copy_with_register(struct record_asm *out, const struct record_insn *insn, uint64_t address,
			       unsigned base)
{
	struct record_insn changed = *insn;

	if (changed.rex)
		changed.bytes[changed.opcode_at - 1] &= (uint8_t)~REX_R;
	changed.bytes[changed.modrm_at] = (uint8_t)((changed.bytes[changed.modrm_at] & 0xc7u) | base << 3);
	return record_copy(out, &changed, address);
}

bool record_copy_to(struct record_asm *out, const struct record_insn *insn, uint64_t address, unsigned base)
{
	switch (insn->target) {
	case RECORD_TARGET_MODRM:
		return copy_with_base(out, insn, base);
	case RECORD_TARGET_REG:
		return copy_with_register(out, insn, address, base);
	case RECORD_TARGET_RDI:
		/* What a segment prefix of maskmov means is in rdi already; of movs it is the source's. */
		if (insn->mask == RECORD_MASK_BYTES && insn->segment) {
			for (unsigned i = 0; i < insn->length; i++)
				if (i >= insn->opcode_at || !is_segment_or_size(insn->bytes[i]))
					asm_byte(out, insn->bytes[i]);
			return true;
		}
		return record_copy(out, insn, address);
	default:
		return record_copy(out, insn, address);
	}
}
