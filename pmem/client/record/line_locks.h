/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RECORD_LINE_LOCKS_H
#define RECORD_LINE_LOCKS_H

/*
 * The locks of the lines that an operation stores to. What is stored and logged with them held is logged in
 * memory order. Private to pmem/client/record; compiled for general registers alone.
 */

#include "client/record/state.h"

/*
 * All of [frame->address, +length), which is in pools, in ascending order of their locks; none while the
 * process is alone (record_low->many). Waits, and takes a lock over whose owner was killed.
 */
void record_lines_take(struct record_frame *frame);
void record_lines_give(struct record_frame *frame);

#endif
