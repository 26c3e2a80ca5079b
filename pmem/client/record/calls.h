/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RECORD_CALLS_H
#define RECORD_CALLS_H

/*
 * The C half of stubs: stores that no inline stub does, everything rare, flushes and fences. It runs
 * between two instructions of the program, on a private stack, with the program's vector registers in
 * place. So it is compiled for general registers alone, and calls nothing that is not. Private to
 * pmem/client/record.
 */

#include "client/record/state.h"

/* Called by thunk.S. Return the frame that the thunk continues with. */
struct record_frame *record_call_begin(struct record_frame *frame, uint32_t site);
struct record_frame *record_call_end(struct record_frame *frame, uint32_t site);
/* In the place of ..._begin(): a locked store, known to be in no pool, is a fence with something to do. */
struct record_frame *record_call_fence(struct record_frame *frame, uint32_t site);
/* This thread's first call: its private stack. */
void record_thread_setup(void);

/*
 * The innermost operation failed: a signal interrupted it, with the general registers in `registers`.
 * Gives its locks and its stamp back, puts into `registers` what the program has there, and forgets it.
 */
void record_call_abandon(uint64_t registers[16]);
/*
 * The same for an inline store that took a stamp for `site` and, if `locks`, one or two locks from `place`.
 */
void record_inline_abandon(uint64_t place, unsigned locks);

/*
 * A system call of the program, before and after it; and when a signal has interrupted it, with the general
 * registers in `registers`. `made`: it has returned. Else, where setup.on_system_call() has replaced its
 * arguments, these are taken back. Returns where the program is then.
 */
void record_system_call_begin(struct record_frame *frame);
void record_system_call_end(struct record_frame *frame, const struct record_frame *after);
uint64_t record_system_call_settle(const struct record_site *site, bool replaced, bool made,
				   uint64_t registers[16], uint64_t flags);

extern bool record_has_xsavec;

#endif
