/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_READER_H
#define TESTS_READER_H

/*
 * A reader of regions written from docs/format.md alone: it shares no line with
 * the loader, so that the two contradict each other where the document is wrong.
 */

#include <stdint.h>
#include <stdio.h>

/*
 * Print the tree in the image, one line a path, as pooltest_fingerprint() has
 * it. Returns how many things were damaged beyond their redundancy, or -1 if it
 * is no region of version 1. What has a good checksum is believed: it is no reader for
 * images that an enemy made.
 */
int reader_print(const unsigned char *image, uint64_t size, FILE *out);

#endif
