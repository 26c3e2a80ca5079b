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
 * cmocka installs a SIGBUS handler of its own before each test. So main() calls badpage_init() before
 * cmocka runs, and a test installs the handler of regions again: by making a page bad, or with
 * badpage_catch().
 */
void badpage_init(void);
void badpage_catch(void);

/*
 * Make a page unreadable, as one that the disk of a file cannot read: BUS_ADRERR, from the kernel. The
 * file of the region is not changed; a page of an empty file is mapped in its place.
 */
void badpage_unreadable(struct region *region, uint64_t offset);

/*
 * Make a memory error: BUS_MCEERR_AR at this page, with the 2^order pages around it bad. The page is made
 * inaccessible, and the SIGSEGV of an access is answered with the SIGBUS that the kernel would send.
 * Supports one page at a time.
 */
void badpage_memory_error(struct region *region, uint64_t offset, unsigned order);

#endif
