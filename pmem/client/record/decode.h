/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RECORD_DECODE_H
#define RECORD_DECODE_H

/*
 * One x86-64 instruction, described as far as a recorder needs it: where it stores, how much and how,
 * which registers and flags it uses, and where the parts of its encoding lie. Nothing here allocates,
 * locks or calls the kernel: all of it may be used in a signal handler.
 */

#include <stdbool.h>
#include <stdint.h>

#define RECORD_INSN_MAX 15 /* bytes: the longest instruction that a processor accepts */

enum record_class {
	RECORD_OTHER, /* no store, flush or fence */
	RECORD_STORE, /* stores to memory; a locked one is a fence too */
	RECORD_FLUSH, /* clwb, clflushopt, clflush */
	RECORD_FENCE, /* sfence, mfence */
	RECORD_SYSTEM_CALL /* syscall */
};

/* What names the address that the instruction stores to. */
enum record_target {
	RECORD_TARGET_NONE,
	RECORD_TARGET_MODRM,  /* its memory operand */
	RECORD_TARGET_REG,    /* the register in ModRM.reg: movdir64b, enqcmd */
	RECORD_TARGET_RDI,    /* rdi: movs, stos, maskmov */
	RECORD_TARGET_RAX,    /* rax, rounded down to its line: clzero */
	RECORD_TARGET_VECTOR, /* a vector of indices: scatter */
	RECORD_TARGET_STACK   /* rsp: push, call, enter */
};

/* Which of its bytes a masked store stores. */
enum record_mask {
	RECORD_MASK_NONE,     /* all */
	RECORD_MASK_OPMASK,   /* the elements of a mask register k1 to k7 */
	RECORD_MASK_COMPRESS, /* as many elements as the mask register has bits, from the first place on */
	RECORD_MASK_SIGNS,    /* the elements whose sign bit is set in the vector register of VEX.vvvv */
	RECORD_MASK_BYTES     /* the bytes whose sign bit is set in the vector register of ModRM.rm */
};

/* How a size that depends on the processor's state is found. */
enum record_extent {
	RECORD_EXTENT_FIXED, /* `size` */
	RECORD_EXTENT_XSAVE, /* xsave, xsaveopt: by edx:eax, standard format */
	RECORD_EXTENT_XSAVEC /* xsavec: by edx:eax, compacted format */
};

enum record_encoding { RECORD_LEGACY, RECORD_VEX, RECORD_EVEX, RECORD_XOP };

enum record_flush_kind { RECORD_CLWB, RECORD_CLFLUSHOPT, RECORD_CLFLUSH };
/* RECORD_RMW: a locked read-modify-write. */
enum record_fence_kind { RECORD_SFENCE, RECORD_MFENCE, RECORD_RMW };

/* General registers by their numbers in encodings: 0 rax, 1 rcx, 2 rdx, 3 rbx, 4 rsp ... 15 r15. */
enum { RECORD_RAX, RECORD_RCX, RECORD_RDX, RECORD_RBX, RECORD_RSP, RECORD_RBP, RECORD_RSI, RECORD_RDI };
#define RECORD_RIP 16
#define RECORD_NO_REGISTER 0xff

struct record_address {
	uint8_t base;	 /* general register, RECORD_RIP or RECORD_NO_REGISTER */
	uint8_t index;	 /* general register or RECORD_NO_REGISTER */
	uint8_t scale;	 /* of the index: 1, 2, 4 or 8 */
	uint8_t segment; /* 0, or the prefix 0x64 (fs) or 0x65 (gs) */
	bool narrow;	 /* computed in 32 bits */
	int64_t displacement;
};

struct record_insn {
	uint8_t bytes[RECORD_INSN_MAX];
	uint8_t length;
	enum record_class class;
	union { /* an enum record_flush_kind or record_fence_kind, by class */
		enum record_flush_kind flush;
		enum record_fence_kind fence;
	};

	enum record_target target;
	enum record_mask mask;
	enum record_extent extent;
	uint16_t size;	 /* bytes that one execution stores; an element for string instructions and scatter */
	uint8_t element; /* bytes of an element of a masked store */
	uint8_t opmask;	 /* mask register, 0: none */
	bool locked;
	bool nontemporal; /* weakly ordered: movnt*, maskmov*, movdiri, movdir64b, clzero */
	bool string;	  /* movs, stos; counts by rcx if `repeated` */
	bool repeated;
	bool loads;	 /* movs: from rsi */
	bool compares;	 /* cmpxchg*: stores only if ZF is set afterwards */
	bool bit_string; /* bts, btr, btc with a register: the address moves with the bit's number */
	bool pops;	 /* pop: the address is computed with rsp as it is afterwards */
	bool stack;	 /* rsp is an operand, explicit or implicit, other than in the address */

	struct record_address address; /* of the memory operand, if there is one */
	bool has_memory;
	uint8_t segment;    /* a segment prefix 0x64 or 0x65 that applies to an implicit operand, or 0 */
	uint16_t registers; /* bit set of general registers that it reads or writes, besides the address */
	uint16_t written;   /* those of them that it writes */
	bool reads_flags, writes_flags; /* of OF, SF, ZF, AF, PF, CF */
	bool touches_direction;		/* std, cld, popf */
	bool privileged;
	bool plain; /* of RECORD_OTHER: it does the same elsewhere, and raises page faults at most */

	enum record_encoding encoding;
	uint8_t opcode_at; /* first byte after legacy prefixes and REX: opcode or escape of VEX, EVEX, XOP */
	uint8_t rex;	   /* 0: none */
	uint8_t map;	   /* opcode map: 0 one-byte, 1 0F, 2 0F38, 3 0F3A, as encoded in VEX, EVEX, XOP */
	uint8_t opcode;
	uint8_t modrm_at;			    /* 0: none */
	uint8_t displacement_at, displacement_size; /* bytes; 0: none */
	uint8_t tail_at; /* first byte behind ModRM, SIB and displacement: immediates, 3DNow! opcode */
	uint16_t vector; /* scatter: number of the index register, */
	uint8_t index_size, elements; /* bytes of an index, and how many there are */
	uint16_t mnemonic;	      /* for record_insn_name() only */

	/* Of a direct jump or call: where it leads, relative to the instruction's first byte. */
	bool jumps;	/* a direct jump or call */
	bool ends_flow; /* jmp, ret, ud2, hlt: what follows is not reached from here */
	int64_t branch;
};

/*
 * Describe the instruction at `code`, of which `available` bytes may be read. False: no valid
 * instruction, or one that is cut off.
 */
bool record_decode(const uint8_t *code, uint64_t available, struct record_insn *out);

/* As much of an instruction as a walk through code needs. */
struct record_step {
	uint8_t length;
	bool candidate; /* a flush, a fence, syscall, or locked with a memory operand: see record_decode() */
	bool jumps;	/* a direct jump or call, to its first byte + branch */
	int64_t branch;
};
bool record_decode_step(const uint8_t *code, uint64_t available, struct record_step *out);
/*
 * The same for the most frequent instructions, and much faster. False: the other function has to decide, as
 * it does near the end of what may be read.
 */
bool record_step_quickly(const uint8_t *code, uint64_t available, struct record_step *out);

/*
 * Does the code replace all of OF, SF, ZF, AF, PF and CF before it reads one of them, or leaves this path?
 * False if that is not seen in a few instructions.
 */
bool record_flags_are_dead(const uint8_t *code, uint64_t available);

/* Its mnemonic; a static string. */
const char *record_insn_name(const struct record_insn *insn);

/* How the recorder does a store. */
enum record_way {
	RECORD_INLINE,	 /* by a stub without a call */
	RECORD_CALLS,	 /* by a stub that calls before and after it */
	RECORD_UNCOVERED /* not at all: the program is stopped */
};
enum record_way record_insn_way(const struct record_insn *insn);

#endif
