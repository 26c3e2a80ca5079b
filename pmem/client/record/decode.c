/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/record/decode.h"

#include <Zydis/Zydis.h>
#include <string.h>

#define ARITHMETIC_FLAGS                                                                                \
	(ZYDIS_CPUFLAG_CF | ZYDIS_CPUFLAG_PF | ZYDIS_CPUFLAG_AF | ZYDIS_CPUFLAG_ZF | ZYDIS_CPUFLAG_SF | \
	 ZYDIS_CPUFLAG_OF)
/* Compilers put most comparisons nearer to what is before them. */
#define FLAGS_LOOK_AHEAD 8

struct decoded {
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

/* The number of the general register that encloses `reg`, or RECORD_NO_REGISTER. */
static uint8_t general_register(ZydisRegister reg)
{
	ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);

	if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP)
		return RECORD_RIP;
	if (whole < ZYDIS_REGISTER_RAX || whole > ZYDIS_REGISTER_R15)
		return RECORD_NO_REGISTER;
	return (uint8_t)(whole - ZYDIS_REGISTER_RAX);
}

static uint8_t segment_prefix(ZydisRegister segment)
{
	if (segment == ZYDIS_REGISTER_FS)
		return 0x64;
	return segment == ZYDIS_REGISTER_GS ? 0x65 : 0;
}

static bool stores(const ZydisDecodedOperand *operand)
{
	return operand->type == ZYDIS_OPERAND_TYPE_MEMORY &&
	       (operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE);
}

static void describe_address(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operand,
			     struct record_insn *out)
{
	out->has_memory = true;
	out->address = (struct record_address){
		.base = general_register(operand->mem.base),
		.index = general_register(operand->mem.index),
		.scale = operand->mem.scale,
		.segment = segment_prefix(operand->mem.segment),
		.narrow = insn->address_width == 32,
		.displacement = operand->mem.disp.has_displacement ? operand->mem.disp.value : 0,
	};
	if (operand->mem.type == ZYDIS_MEMOP_TYPE_VSIB)
		out->vector = (uint16_t)ZydisRegisterGetId(operand->mem.index);
}

static void describe_registers(const struct decoded *in, struct record_insn *out)
{
	for (unsigned i = 0; i < in->insn.operand_count; i++) {
		const ZydisDecodedOperand *operand = &in->operands[i];
		uint8_t number;

		if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY &&
		    operand->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN)
			number = general_register(operand->mem.base);
		else if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER)
			number = general_register(operand->reg.value);
		else
			continue;
		if (number > 15)
			continue;
		out->registers |= (uint16_t)(1u << number);
		if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    (operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
			out->written |= (uint16_t)(1u << number);
		if (number == RECORD_RSP)
			out->stack = true;
	}
}

static void describe_flags(const ZydisDecodedInstruction *insn, struct record_insn *out)
{
	const ZydisAccessedFlags *flags = insn->cpu_flags;
	uint32_t set, touched;

	if (!flags)
		return;
	set = (flags->modified | flags->set_0 | flags->set_1) & ARITHMETIC_FLAGS;
	touched = set | (flags->undefined & ARITHMETIC_FLAGS);
	out->writes_flags = touched != 0;
	/* A flag that is left as it was, or may be, is an input; so are all when a shift's count may be 0. */
	out->reads_flags = (flags->tested & ARITHMETIC_FLAGS) || (touched && set != ARITHMETIC_FLAGS) ||
			   insn->meta.category == ZYDIS_CATEGORY_SHIFT ||
			   insn->meta.category == ZYDIS_CATEGORY_ROTATE;
	out->touches_direction = (flags->modified | flags->set_0 | flags->set_1) & ZYDIS_CPUFLAG_DF;
}

static void describe_encoding(const ZydisDecodedInstruction *insn, struct record_insn *out)
{
	out->opcode = insn->opcode;
	out->map = (uint8_t)insn->opcode_map;
	out->modrm_at = (insn->attributes & ZYDIS_ATTRIB_HAS_MODRM) ? insn->raw.modrm.offset : 0;
	out->opcode_at = insn->raw.prefix_count;
	switch (insn->encoding) {
	case ZYDIS_INSTRUCTION_ENCODING_VEX:
		out->encoding = RECORD_VEX;
		out->opcode_at = insn->raw.vex.offset;
		break;
	case ZYDIS_INSTRUCTION_ENCODING_EVEX:
		out->encoding = RECORD_EVEX;
		out->opcode_at = insn->raw.evex.offset;
		break;
	case ZYDIS_INSTRUCTION_ENCODING_XOP:
		out->encoding = RECORD_XOP;
		out->opcode_at = insn->raw.xop.offset;
		break;
	default:
		out->encoding = RECORD_LEGACY;
		if (insn->attributes & ZYDIS_ATTRIB_HAS_REX)
			out->rex = insn->raw.prefixes[insn->raw.prefix_count - 1].value;
		break;
	}
	out->displacement_size = (uint8_t)(insn->raw.disp.size / 8);
	out->displacement_at = insn->raw.disp.offset;
	if (!out->modrm_at)
		return;
	out->tail_at = (uint8_t)(out->modrm_at + 1);
	if (insn->attributes & ZYDIS_ATTRIB_HAS_SIB)
		out->tail_at = (uint8_t)(insn->raw.sib.offset + 1);
	if (out->displacement_size)
		out->tail_at = (uint8_t)(out->displacement_at + out->displacement_size);
}

static void describe_branch(const struct decoded *in, struct record_insn *out)
{
	const ZydisDecodedOperand *target = &in->operands[0];

	switch (in->insn.meta.category) {
	case ZYDIS_CATEGORY_RET:
	case ZYDIS_CATEGORY_SYSRET:
	case ZYDIS_CATEGORY_UNCOND_BR:
		out->ends_flow = true;
		break;
	default:
		out->ends_flow = in->insn.mnemonic == ZYDIS_MNEMONIC_UD2 ||
				 in->insn.mnemonic == ZYDIS_MNEMONIC_HLT;
		break;
	}
	if (in->insn.operand_count_visible && target->type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
	    target->imm.is_relative) {
		out->jumps = true;
		out->branch = in->insn.length + target->imm.value.s;
	}
}

/* Flushes and fences; false if it is none. */
static bool describe_flush_or_fence(struct record_insn *out)
{
	switch (out->mnemonic) {
	case ZYDIS_MNEMONIC_CLWB:
		out->class = RECORD_FLUSH;
		out->flush = RECORD_CLWB;
		return true;
	case ZYDIS_MNEMONIC_CLFLUSHOPT:
		out->class = RECORD_FLUSH;
		out->flush = RECORD_CLFLUSHOPT;
		return true;
	case ZYDIS_MNEMONIC_CLFLUSH:
		out->class = RECORD_FLUSH;
		out->flush = RECORD_CLFLUSH;
		return true;
	case ZYDIS_MNEMONIC_SFENCE:
		out->class = RECORD_FENCE;
		out->fence = RECORD_SFENCE;
		return true;
	case ZYDIS_MNEMONIC_MFENCE:
		out->class = RECORD_FENCE;
		out->fence = RECORD_MFENCE;
		return true;
	default:
		return false;
	}
}

/* Stores of which the decoder does not list the destination, or not as what is stored to. */
static bool describe_special(const struct decoded *in, struct record_insn *out)
{
	switch (out->mnemonic) {
	case ZYDIS_MNEMONIC_MASKMOVQ:
	case ZYDIS_MNEMONIC_MASKMOVDQU:
	case ZYDIS_MNEMONIC_VMASKMOVDQU:
		out->target = RECORD_TARGET_RDI;
		out->mask = RECORD_MASK_BYTES;
		out->element = 1;
		out->size = out->mnemonic == ZYDIS_MNEMONIC_MASKMOVQ ? 8 : 16;
		out->nontemporal = true;
		return true;
	case ZYDIS_MNEMONIC_CLZERO:
		out->target = RECORD_TARGET_RAX;
		out->size = 64;
		out->nontemporal = true;
		out->registers |= 1u << RECORD_RAX;
		return true;
	case ZYDIS_MNEMONIC_MOVDIR64B:
	case ZYDIS_MNEMONIC_ENQCMD:
	case ZYDIS_MNEMONIC_ENQCMDS:
		for (unsigned i = 0; i < in->insn.operand_count_visible; i++)
			if (in->operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY)
				describe_address(&in->insn, &in->operands[i], out);
		out->target = RECORD_TARGET_REG;
		out->size = 64;
		out->nontemporal = true;
		return true;
	default:
		return false;
	}
}

static bool is_string(uint16_t mnemonic, const ZydisDecodedInstruction *insn)
{
	if (insn->meta.category != ZYDIS_CATEGORY_STRINGOP)
		return false;
	return mnemonic == ZYDIS_MNEMONIC_MOVSB || mnemonic == ZYDIS_MNEMONIC_MOVSW ||
	       mnemonic == ZYDIS_MNEMONIC_MOVSD || mnemonic == ZYDIS_MNEMONIC_MOVSQ ||
	       mnemonic == ZYDIS_MNEMONIC_STOSB || mnemonic == ZYDIS_MNEMONIC_STOSW ||
	       mnemonic == ZYDIS_MNEMONIC_STOSD || mnemonic == ZYDIS_MNEMONIC_STOSQ;
}

static void describe_mask(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operand,
			  struct record_insn *out)
{
	switch (out->mnemonic) {
	case ZYDIS_MNEMONIC_VMASKMOVPS:
	case ZYDIS_MNEMONIC_VPMASKMOVD:
		out->mask = RECORD_MASK_SIGNS;
		out->element = 4;
		return;
	case ZYDIS_MNEMONIC_VMASKMOVPD:
	case ZYDIS_MNEMONIC_VPMASKMOVQ:
		out->mask = RECORD_MASK_SIGNS;
		out->element = 8;
		return;
	default:
		break;
	}
	if (out->encoding != RECORD_EVEX || insn->avx.mask.reg <= ZYDIS_REGISTER_K0)
		return;
	out->opmask = (uint8_t)(insn->avx.mask.reg - ZYDIS_REGISTER_K0);
	out->element = (uint8_t)(operand->element_size / 8);
	out->mask = insn->meta.category == ZYDIS_CATEGORY_COMPRESS ? RECORD_MASK_COMPRESS
								   : RECORD_MASK_OPMASK;
}

static bool is_nontemporal(uint16_t mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_MOVNTI:
	case ZYDIS_MNEMONIC_MOVNTQ:
	case ZYDIS_MNEMONIC_MOVNTDQ:
	case ZYDIS_MNEMONIC_MOVNTPS:
	case ZYDIS_MNEMONIC_MOVNTPD:
	case ZYDIS_MNEMONIC_MOVNTSS:
	case ZYDIS_MNEMONIC_MOVNTSD:
	case ZYDIS_MNEMONIC_VMOVNTDQ:
	case ZYDIS_MNEMONIC_VMOVNTPS:
	case ZYDIS_MNEMONIC_VMOVNTPD:
	case ZYDIS_MNEMONIC_MOVDIRI:
		return true;
	default:
		return false;
	}
}

/* The extents that the decoder does not know, or not always. */
static void describe_extent(struct record_insn *out)
{
	switch (out->mnemonic) {
	case ZYDIS_MNEMONIC_XSAVE:
	case ZYDIS_MNEMONIC_XSAVE64:
	case ZYDIS_MNEMONIC_XSAVEOPT:
	case ZYDIS_MNEMONIC_XSAVEOPT64:
		out->extent = RECORD_EXTENT_XSAVE;
		break;
	case ZYDIS_MNEMONIC_XSAVEC:
	case ZYDIS_MNEMONIC_XSAVEC64:
		out->extent = RECORD_EXTENT_XSAVEC;
		break;
	case ZYDIS_MNEMONIC_FXSAVE:
	case ZYDIS_MNEMONIC_FXSAVE64:
		/* Its last 48 bytes are the program's own: the processor does not store to them. */
		out->size = 464;
		break;
	default:
		break;
	}
}

static void describe_scatter(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operand,
			     struct record_insn *out)
{
	unsigned by_index, by_data, vector = insn->avx.vector_length / 8u;

	switch (out->mnemonic) {
	case ZYDIS_MNEMONIC_VPSCATTERDD:
	case ZYDIS_MNEMONIC_VPSCATTERDQ:
	case ZYDIS_MNEMONIC_VSCATTERDPS:
	case ZYDIS_MNEMONIC_VSCATTERDPD:
		out->index_size = 4;
		break;
	default:
		out->index_size = 8;
		break;
	}
	out->size = operand->element_size / 8;
	/* The wider of the two fills the vector. */
	by_index = vector / out->index_size;
	by_data = vector / out->size;
	out->elements = (uint8_t)(by_index < by_data ? by_index : by_data);
}

static void describe_store(const struct decoded *in, const ZydisDecodedOperand *operand,
			   struct record_insn *out)
{
	const ZydisDecodedInstruction *insn = &in->insn;

	out->size = operand->size / 8;
	describe_extent(out);
	if (operand->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN) {
		out->target = RECORD_TARGET_STACK;
		if (is_string(out->mnemonic, insn)) {
			out->target = RECORD_TARGET_RDI;
			out->string = true;
			out->repeated = insn->attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE |
							    ZYDIS_ATTRIB_HAS_REPNE);
			out->loads = out->registers & (1u << RECORD_RSI);
			if (out->repeated)
				out->registers |= 1u << RECORD_RCX;
		}
		return;
	}
	describe_address(insn, operand, out);
	out->target = operand->mem.type == ZYDIS_MEMOP_TYPE_VSIB ? RECORD_TARGET_VECTOR : RECORD_TARGET_MODRM;
	if (out->target == RECORD_TARGET_VECTOR)
		describe_scatter(insn, operand, out);
	describe_mask(insn, operand, out);
	out->nontemporal = is_nontemporal(out->mnemonic);
	out->pops = out->mnemonic == ZYDIS_MNEMONIC_POP;
	out->compares = insn->meta.category == ZYDIS_CATEGORY_SEMAPHORE &&
			(out->mnemonic == ZYDIS_MNEMONIC_CMPXCHG ||
			 out->mnemonic == ZYDIS_MNEMONIC_CMPXCHG8B ||
			 out->mnemonic == ZYDIS_MNEMONIC_CMPXCHG16B);
	out->bit_string = insn->meta.category == ZYDIS_CATEGORY_BITBYTE && insn->operand_count_visible == 2 &&
			  in->operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER;
	/* xchg with memory locks by itself. */
	out->locked = (insn->attributes & ZYDIS_ATTRIB_HAS_LOCK) || out->mnemonic == ZYDIS_MNEMONIC_XCHG;
}

/* Moves and arithmetic of integers: they raise nothing but faults of their memory operand. */
static bool is_plain(const ZydisDecodedInstruction *insn, const struct record_insn *described)
{
	if (described->class != RECORD_OTHER || described->touches_direction || described->privileged)
		return false;
	switch (insn->meta.category) {
	case ZYDIS_CATEGORY_BINARY:
		return insn->mnemonic != ZYDIS_MNEMONIC_DIV && insn->mnemonic != ZYDIS_MNEMONIC_IDIV;
	case ZYDIS_CATEGORY_BITBYTE:
	case ZYDIS_CATEGORY_CMOV:
	case ZYDIS_CATEGORY_DATAXFER:
	case ZYDIS_CATEGORY_LOGICAL:
	case ZYDIS_CATEGORY_LOGICAL_FP:
	case ZYDIS_CATEGORY_NOP:
	case ZYDIS_CATEGORY_POP:
	case ZYDIS_CATEGORY_ROTATE:
	case ZYDIS_CATEGORY_SETCC:
	case ZYDIS_CATEGORY_SHIFT:
	case ZYDIS_CATEGORY_WIDENOP:
		return true;
	default:
		return insn->mnemonic == ZYDIS_MNEMONIC_LEA;
	}
}

static void describe(const struct decoded *in, struct record_insn *out)
{
	const ZydisDecodedOperand *store = NULL;

	for (unsigned i = 0; i < in->insn.operand_count; i++) {
		const ZydisDecodedOperand *operand = &in->operands[i];

		/* Where an instruction stores to two places, the hidden one is the stack. */
		if (stores(operand) && (!store || operand->visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN))
			store = operand;
	}
	describe_registers(in, out);
	describe_flags(&in->insn, out);
	out->privileged = in->insn.attributes & ZYDIS_ATTRIB_IS_PRIVILEGED;
	out->segment = in->insn.attributes & ZYDIS_ATTRIB_HAS_SEGMENT_FS   ? 0x64
		       : in->insn.attributes & ZYDIS_ATTRIB_HAS_SEGMENT_GS ? 0x65
									   : 0;
	if (describe_special(in, out)) {
		out->class = RECORD_STORE;
	} else if (describe_flush_or_fence(out)) {
		for (unsigned i = 0; i < in->insn.operand_count_visible; i++)
			if (in->operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY)
				describe_address(&in->insn, &in->operands[i], out);
		if (out->class == RECORD_FLUSH)
			out->target = RECORD_TARGET_MODRM;
	} else if (out->mnemonic == ZYDIS_MNEMONIC_SYSCALL) {
		out->class = RECORD_SYSTEM_CALL;
	} else if (store) {
		out->class = RECORD_STORE;
		describe_store(in, store, out);
	}
	if (in->insn.address_width == 32)
		out->address.narrow = true;
	if (!out->has_memory)
		for (unsigned i = 0; i < in->insn.operand_count_visible; i++)
			if (in->operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY)
				describe_address(&in->insn, &in->operands[i], out);
	out->plain = is_plain(&in->insn, out);
}

bool record_decode(const uint8_t *code, uint64_t available, struct record_insn *out)
{
	ZydisDecoder decoder;
	struct decoded in;

	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	if (available > RECORD_INSN_MAX)
		available = RECORD_INSN_MAX;
	if (ZYAN_FAILED(ZydisDecoderDecodeFull(&decoder, code, available, &in.insn, in.operands)))
		return false;
	*out = (struct record_insn){ .length = in.insn.length, .mnemonic = (uint16_t)in.insn.mnemonic };
	out->address.base = out->address.index = RECORD_NO_REGISTER;
	for (unsigned i = 0; i < out->length; i++)
		out->bytes[i] = code[i];
	describe_encoding(&in.insn, out);
	describe_branch(&in, out);
	describe(&in, out);
	return true;
}

static bool is_candidate(const ZydisDecodedInstruction *insn)
{
	bool memory = (insn->attributes & ZYDIS_ATTRIB_HAS_MODRM) && insn->raw.modrm.mod != 3;

	switch (insn->mnemonic) {
	case ZYDIS_MNEMONIC_CLWB:
	case ZYDIS_MNEMONIC_CLFLUSHOPT:
	case ZYDIS_MNEMONIC_CLFLUSH:
	case ZYDIS_MNEMONIC_SFENCE:
	case ZYDIS_MNEMONIC_MFENCE:
	case ZYDIS_MNEMONIC_SYSCALL:
		return true;
	case ZYDIS_MNEMONIC_XCHG:
		return memory;
	default:
		return (insn->attributes & ZYDIS_ATTRIB_HAS_LOCK) && memory;
	}
}

bool record_decode_step(const uint8_t *code, uint64_t available, struct record_step *out)
{
	ZydisDecoderContext context;
	ZydisDecodedInstruction insn;
	ZydisDecoder decoder;

	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	if (ZYAN_FAILED(ZydisDecoderDecodeInstruction(&decoder, &context, code, available, &insn)))
		return false;
	*out = (struct record_step){ .length = insn.length, .candidate = is_candidate(&insn) };
	if (insn.raw.imm[0].size && insn.raw.imm[0].is_relative) {
		out->jumps = true;
		out->branch = insn.length + insn.raw.imm[0].value.s;
	}
	return true;
}

/* Does the next instruction follow it in any case, but for a fault? */
static bool goes_on(const ZydisDecodedInstruction *insn)
{
	switch (insn->meta.category) {
	case ZYDIS_CATEGORY_AVX:
	case ZYDIS_CATEGORY_AVX2:
	case ZYDIS_CATEGORY_BINARY:
	case ZYDIS_CATEGORY_DATAXFER:
	case ZYDIS_CATEGORY_LOGICAL:
	case ZYDIS_CATEGORY_LOGICAL_FP:
	case ZYDIS_CATEGORY_NOP:
	case ZYDIS_CATEGORY_POP:
	case ZYDIS_CATEGORY_PUSH:
	case ZYDIS_CATEGORY_SSE:
	case ZYDIS_CATEGORY_WIDENOP:
		return true;
	default:
		return insn->mnemonic == ZYDIS_MNEMONIC_LEA;
	}
}

/* AF is undefined after some: nobody can want what it was. */
static bool replaces_flags(const ZydisDecodedInstruction *insn)
{
	switch (insn->mnemonic) {
	case ZYDIS_MNEMONIC_ADD:
	case ZYDIS_MNEMONIC_AND:
	case ZYDIS_MNEMONIC_CMP:
	case ZYDIS_MNEMONIC_NEG:
	case ZYDIS_MNEMONIC_OR:
	case ZYDIS_MNEMONIC_SUB:
	case ZYDIS_MNEMONIC_TEST:
	case ZYDIS_MNEMONIC_XOR:
		return true;
	default:
		return false;
	}
}

bool record_flags_are_dead(const uint8_t *code, uint64_t available)
{
	ZydisDecoder decoder;

	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	for (unsigned i = 0; i < FLAGS_LOOK_AHEAD; i++) {
		ZydisDecodedInstruction insn;

		if (ZYAN_FAILED(ZydisDecoderDecodeInstruction(&decoder, NULL, code, available, &insn)) ||
		    !goes_on(&insn))
			return false;
		if (insn.cpu_flags && (insn.cpu_flags->tested & ARITHMETIC_FLAGS))
			return false;
		if (replaces_flags(&insn))
			return true;
		code += insn.length;
		available -= insn.length;
	}
	return false;
}

const char *record_insn_name(const struct record_insn *insn)
{
	return ZydisMnemonicGetString((ZydisMnemonic)insn->mnemonic);
}

/* Stores that are to no ordinary memory, of processors' features that came to nothing, or of the kernel's. */
static bool is_out_of_reach(const struct record_insn *insn)
{
	switch (insn->mnemonic) {
	case ZYDIS_MNEMONIC_ENQCMD: /* its destination is a device */
	case ZYDIS_MNEMONIC_ENQCMDS:
	case ZYDIS_MNEMONIC_BNDMOV:
	case ZYDIS_MNEMONIC_TILESTORED:
	case ZYDIS_MNEMONIC_STTILECFG:
	case ZYDIS_MNEMONIC_WRSSD: /* CET's go to shadow stacks */
	case ZYDIS_MNEMONIC_WRSSQ:
	case ZYDIS_MNEMONIC_WRUSSD:
	case ZYDIS_MNEMONIC_WRUSSQ:
	case ZYDIS_MNEMONIC_CLRSSBSY:
	case ZYDIS_MNEMONIC_RSTORSSP:
	case ZYDIS_MNEMONIC_VMREAD:
	case ZYDIS_MNEMONIC_VMPTRST:
	case ZYDIS_MNEMONIC_XSAVES:
	case ZYDIS_MNEMONIC_XSAVES64:
		return true;
	default:
		return insn->privileged;
	}
}

enum record_way record_insn_way(const struct record_insn *insn)
{
	if (insn->class != RECORD_STORE || insn->target == RECORD_TARGET_STACK || is_out_of_reach(insn))
		return RECORD_UNCOVERED;
	/* The 32-bit forms of what names no address in its ModRM byte keep half a register. */
	if (insn->address.narrow && insn->target != RECORD_TARGET_MODRM)
		return RECORD_UNCOVERED;
	if (insn->target != RECORD_TARGET_MODRM || insn->mask != RECORD_MASK_NONE ||
	    insn->extent != RECORD_EXTENT_FIXED || insn->size > 64 || insn->address.narrow ||
	    insn->address.segment || insn->bit_string || insn->pops || insn->stack)
		return RECORD_CALLS;
	return RECORD_INLINE;
}
