/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RECORD_EMIT_H
#define RECORD_EMIT_H

/* Stubs: what runs in the place of an instruction. Private to pmem/client/record. */

#include <stdbool.h>
#include <stdint.h>

#include "client/record/state.h"

#define RECORD_STUB_MAX 1536u /* bytes */

/*
 * Assemble the stub of a site for `address` into `bytes` (RECORD_STUB_MAX), and note in the site where its
 * parts are. Returns its length; 0: the site's instruction cannot run so far from its place.
 *
 * The stub runs with the program's stack and registers, and leaves them as the instruction would. A store
 * that is done by calls (RECORD_CALLS), and whatever is rare, goes through thunk.S.
 */
uint32_t record_emit(struct record_site *site, uint64_t address, uint8_t *bytes);

/* Where the program has the instruction whose copy is at an address of the site's stub; 0: there is none. */
uint64_t record_exit_origin(const struct record_site *site, uint64_t address);
/* Is a jump at this address that record_site.next may have changed? */
bool record_exit_jumps_at(const struct record_site *site, uint64_t address);
/* Is the code behind the site's instruction what was copied? */
bool record_exit_is_right(const struct record_site *site);

#endif
