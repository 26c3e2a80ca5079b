/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RECORD_REENCODE_H
#define RECORD_REENCODE_H

/*
 * Copies of instructions that run elsewhere. They are made by changing bytes of the encoding, not by
 * encoding anew, so that every form keeps what it is. Async-signal-safe.
 */

#include "client/record/asm.h"
#include "client/record/decode.h"

/* The instruction as it is; an operand relative to rip keeps its address. False: it does not reach. */
bool record_copy(struct record_asm *out, const struct record_insn *insn, uint64_t address);

/*
 * The instruction with [base] as its memory operand (RECORD_TARGET_MODRM), or with `base` as the register
 * that names the destination (RECORD_TARGET_REG). Of other targets it is a copy. `base`: rax, rcx, rdx,
 * rbx, rsi or rdi. Segment prefixes of the destination are left out. A non-temporal store becomes the plain
 * one of the same size and alignment: beside locked instructions it would cost some 500 ns.
 */
bool record_copy_to(struct record_asm *out, const struct record_insn *insn, uint64_t address, unsigned base);

#endif
