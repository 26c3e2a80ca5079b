/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_BADPAGE_H
#define TESTS_BADPAGE_H

/*
 * Media errors for tests: the next access to a page of an open region raises SIGBUS. Failures go through
 * cmocka. Offsets are multiples of 4096.
 */

#include <stdint.h>

struct region;

/*
 * cmocka puts a SIGBUS handler of its own in place before each test. So main() calls badpage_init() before
 * cmocka runs, and a test puts the regions' handler back: by making a page bad, or by badpage_catch().
 */
void badpage_init(void);
void badpage_catch(void);

/*
 * As a page that the disk of a file cannot read: BUS_ADRERR, from the kernel. The region's file is left
 * as it is; a page of an empty file is mapped in place of the region's.
 */
void badpage_unreadable(struct region *region, uint64_t offset);

/*
 * As a memory error: BUS_MCEERR_AR at this page, and bad are the 2^order pages around it. The page is made
 * inaccessible, and the SIGSEGV of an access is answered with the SIGBUS that the kernel would send. For
 * one page at a time.
 */
void badpage_memory_error(struct region *region, uint64_t offset, unsigned order);

#endif
