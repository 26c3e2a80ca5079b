/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RECORD_PATCH_H
#define RECORD_PATCH_H

/*
 * Sites: instructions that have a stub, and the jumps to it that replace them. Private to
 * pmem/client/record. Everything here may be called in a handler of SIGSEGV or SIGTRAP, and must be called
 * with all other signals blocked; the patch lock is taken inside.
 *
 * A jump takes five bytes. An instruction that is shorter gets a *punned* jump: only its own bytes change,
 * the rest of the jump's displacement is what follows, and a trampoline is mapped where that leads. Up to
 * three prefixes before the jump shift it, and give other targets to try. A punned jump is made of the
 * bytes of the instructions behind it: when one of those is patched, the jumps before it that reach into
 * it are made anew.
 */

#include <stdbool.h>
#include <stdint.h>

#include "client/record/state.h"

/* Once, before the functions below. -ENOMEM. */
int record_patch_start(void);

/*
 * The patch lock, recursive. What is done between the two opens the way to code once instead of each time.
 */
void record_patch_take(void);
void record_patch_give(void);

/* The site at this address; NULL: none. Without the lock. */
struct record_site *record_site_at(uint64_t address);
/* Is there a site in [address, address + length)? */
bool record_sites_in(uint64_t address, uint64_t length);
/* The site of whose stub `address` is a part; NULL: none. */
struct record_site *record_site_of_stub(uint64_t address);

/* How a site that is made for an instruction treats it. */
enum record_purpose {
	RECORD_FOR_STORES, /* stores are recorded; flushes and fences too */
	RECORD_FOR_FENCE   /* of a locked store, the fence alone */
};
/*
 * The site at `address`, made with its stub if it is new. `constant`: the code does not change, so that a
 * stub may rely on what follows the instruction. NULL: no valid instruction there. Ends the process if the
 * instruction is one that the recorder does not cover.
 */
struct record_site *record_site_make(uint64_t address, const uint8_t *code, uint64_t available,
				     enum record_purpose purpose, bool constant);

/*
 * The site at the first instruction of a function, whose stub goes to `replacement`; `native_at` runs the
 * function. NULL: the instruction cannot run elsewhere, or has a site already.
 */
struct record_site *record_site_replace(uint64_t function, uint64_t replacement);

/* Replace the site's instruction by a jump, while other threads may run it. False: it cannot be done. */
bool record_site_patch(struct record_site *site);
/* The same where no other thread runs: the process has one thread, and that does not execute the site. */
bool record_site_patch_alone(struct record_site *site);

/*
 * The code at the site's address is not what the site was made of: another object was loaded there since. The
 * site is forgotten, or is to be patched anew. False: it is as it was left.
 */
bool record_site_check(struct record_site *site);
/* Forget the sites in [address, address + length), whose code is about to be unmapped. */
void record_sites_forget(uint64_t address, uint64_t length);

void record_patch_fork_child(void);

/* How many sites there are; ids are from 1 to it. */
uint32_t record_site_count(void);

#endif
