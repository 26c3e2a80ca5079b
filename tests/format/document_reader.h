/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_READER_H
#define TESTS_READER_H

/*
 * A reader of regions that was written from docs/format.md alone. It shares no line with the loader, so
 * that the two disagree where the document is wrong.
 */

#include <stdint.h>
#include <stdio.h>

/*
 * Print the tree in the image, one line for each path, in the form of pooltest_fingerprint(). Returns the
 * number of places that are damaged beyond their redundancy, or -1 if the image is not a region of
 * version 1. Anything with a correct checksum is believed: do not use this reader on images of an
 * attacker.
 */
int reader_print(const unsigned char *image, uint64_t size, FILE *out);

#endif
