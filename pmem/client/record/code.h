/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RECORD_CODE_H
#define RECORD_CODE_H

/*
 * Memory for stubs, and writes to code. The memory is readable and executable, never writable; it is
 * written, as the program's own text, through /proc/self/mem. Callers hold the patch lock (patch.h),
 * but for record_code_contains(). Raw system calls only.
 */

#include <stdbool.h>
#include <stdint.h>

int record_code_start(void);

/* Room for a stub within 1 GiB of `near`, 16-aligned; 0: there is none. It is given back by ..._trim(). */
uint64_t record_code_reserve(uint64_t near, uint32_t bytes);
/* Of the last reservation only `bytes` are used. */
void record_code_trim(uint64_t address, uint32_t bytes);

/*
 * Room for `bytes` at one of the addresses from `low` on, `choices` of them, in pages of its own; 0: all are
 * taken. What the kernel had mapped at the last record_code_refresh() is not tried.
 */
uint64_t record_code_place(uint64_t low, uint64_t choices, uint32_t bytes);
void record_code_refresh(void);

/* Is it in memory of stubs? Async-signal-safe, without the lock. */
bool record_code_contains(uint64_t address);

/* Between the two, record_code_write() is fast. The first may be called again. */
void record_code_open(void);
void record_code_close(void);
/* Overwrite code, the program's or a stub's. Nothing but these bytes changes. */
int record_code_write(uint64_t address, const uint8_t *bytes, uint32_t count);

/* Every processor of this process sees code as it is now before it runs its next instruction in user mode. */
void record_code_sync(void);

#endif
