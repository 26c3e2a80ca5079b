/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_RECORD_FORM_H
#define TESTS_RECORD_FORM_H

/* Every form of an instruction that stores, and what a processor does with it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/record/decode.h"
#include "common/rng.h"

/* All registers of a processor but rsp, which is only saved, and rip. formrun.S knows the layout. */
struct form_state {
	uint64_t registers[16];
	uint64_t flags;
	uint64_t masks[8];
	_Alignas(256) unsigned char vectors[32][64];
	unsigned char fx[512]; /* of fxsave64: x87, MMX, MXCSR */
};
_Static_assert(offsetof(struct form_state, flags) == 128 && offsetof(struct form_state, masks) == 136 &&
		       offsetof(struct form_state, vectors) == 256 && offsetof(struct form_state, fx) == 2304,
	       "as in formrun.S");

void form_run(struct form_state *state, const void *code);
/* How wide vectors are: 1 xmm, 2 ymm, 3 zmm and mask registers. */
extern unsigned char form_vectors;
/* The stack on which the code runs. */
#define FORM_STACK_BYTES 65536
extern unsigned char form_stack[FORM_STACK_BYTES];

/* What registers are made of. */
#define FORM_SOURCE_BYTES 8192
extern struct form_scene {
	struct rng rng;
	const unsigned char *pool;    /* what is stored to: */
	const unsigned char *initial; /* and what is there before */
	unsigned char *source;	      /* FORM_SOURCE_BYTES that movs and movdir64b load from */
	uint64_t rsp;		      /* as the code has it */
	uint64_t fs;		      /* base of the segment; that of gs is 0 */
} form_scene;
void form_fill(void *to, size_t bytes);
/* Random registers, with which the instruction stores to `target`. False: this encoding cannot. */
bool form_set_registers(const struct record_insn *insn, struct form_state *state, uint64_t target);

/* One encoding. */
struct form {
	struct record_insn insn;
	unsigned variant; /* its number among those of its key */
	char key[96];	  /* what makes it a form of its own: mnemonic, size, encoding, lock, mask, rep */
};

/*
 * All forms of every opcode map, `variants` encodings of each with other registers and ways to address.
 * Returns an array for free(), its length in *count.
 */
struct form *form_enumerate(unsigned variants, uint64_t seed, size_t *count);

#endif
