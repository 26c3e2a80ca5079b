/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RECORD_LINE_LOCKS_H
#define RECORD_LINE_LOCKS_H

/*
 * The locks of the lines that an operation stores to. What is stored and logged with them held is logged in
 * memory order. Private to pmem/client/record; compiled for general registers alone.
 */

#include "client/record/state.h"

/*
 * Take the locks of all lines of [frame->address, +length), which is in pools, in ascending order. Takes none
 * while the process has one thread (record_are_many()). Waits for a lock; one whose owner was killed is taken
 * from it.
 */
void record_lines_take(struct record_frame *frame);
void record_lines_give(struct record_frame *frame);

#endif
