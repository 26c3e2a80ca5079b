/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RECORD_STUB_H
#define RECORD_STUB_H

/* A stub while it is assembled: what emit.c and emit_call.c share. */

#include <stddef.h>

#include "client/record/asm.h"
#include "client/record/state.h"

/*
 * A stub that stores without a call:
 *
 *	save two registers below the red zone, look the address up
 *	not in a pool -> give them back, the instruction as it was
 *	save two or three more, rax, and the flags if somebody may read them
 *	room in this thread's buffer -> else the call part
 *	lock the line, or two lines, if there are other threads
 *	take a stamp, write the slot's words
 *	the operation, on the alias
 *	copy what is there now into the slot, publish it
 *	unlock, restore
 *
 * The registers: rcx is for the lookup, and is `head` from then on if the operation does not use it.
 * `address` becomes the alias; `place` is the slot's word 1, of which the lock's number is a part; `head` is
 * the position in the ring; `slot` is where the slot is in memory. rax is for everything else. While the
 * operation runs, all registers but these four are the program's.
 */
struct stub {
	struct record_asm code;
	struct record_site *site;
	const struct record_insn *insn;
	unsigned address, place, head, slot;
	uint32_t to_call[8]; /* branches to the call part, with all registers saved */
	unsigned calls;
	/* To the call for a fence, with the registers of the lookup saved; 0: there is none. */
	uint32_t busy;
};

#define STACK_SKIP 128 /* the red zone */

/* Where fields of record_self and of record_low are, for instructions. */
static inline int32_t stub_thread_field(size_t offset)
{
	return record_self_offset + (int32_t)offset;
}
#define THREAD(field) stub_thread_field(offsetof(struct record_thread, field))
#define LOW(field) record_low_address(&record_low->field)

/* To what follows the instruction. */
void stub_go_on(struct stub *s);

/*
 * The part that calls C code, with the program's registers and flags in place: before and after the
 * operation, or, for a flush or a fence, once. False: the instruction does not reach so far.
 */
bool stub_call_part(struct stub *s);
/* The whole stub of a system call. */
bool stub_system_call(struct stub *s);
/* Call C code at an entry of record_low, once; it goes on elsewhere or here. */
void stub_call(struct stub *s, const uint64_t *entry);

#endif
