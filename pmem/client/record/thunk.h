/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RECORD_THUNK_H
#define RECORD_THUNK_H

/*
 * The way from stubs into C code and back, in assembler. calls.c asserts that the numbers are the
 * structures'. Private to pmem/client/record.
 */

#define THUNK_FRAME_BYTES 384 /* sizeof(struct record_frame) */
#define THUNK_FRAME_FLAGS 128
#define THUNK_FRAME_RESUME 136
#define THUNK_FRAME_TOP 144
#define THUNK_FRAME_SITE 160
#define THUNK_FRAME_ABOVE 168
#define THUNK_STACK_TOP 0 /* offsets in struct record_thread */
#define THUNK_INSIDE 8
#define THUNK_STACK_BASE 16
/* Of the private stack, what C code takes at most. */
#define THUNK_DEPTH 49152

#ifndef __ASSEMBLER__

#include <stdint.h>

/*
 * Called by stubs, through record_low, with the site's id pushed before. They save the program's general
 * registers and flags in a frame on this thread's private stack and call record_call_begin() or
 * record_call_end() there; then they continue at the frame's `resume`, with the frame's registers.
 */
void record_thunk_begin(void);
void record_thunk_end(void);
/* The same for record_call_fence(). */
void record_thunk_fence(void);
/* The first and the byte behind the last of their code. */
extern const char record_thunk_first[], record_thunk_last[];
/* Between these two, C code has returned, and has said whether the program is stepped. */
extern const char record_thunk_tail[], record_thunk_setup[];

/* Call function(argument) with all vector, mask and x87 registers kept. Uses up to 12 KiB of stack. */
uint64_t record_keeping_vectors(uint64_t (*function)(void *argument), void *argument);

/* Where record_can_store() and record_can_load() go on if their first instruction faults. */
extern const char record_cannot[];

#endif
#endif
