/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_CUT_H
#define EXPLORE_CUT_H

/*
 * Bytes that a file lost by a truncation or a punched hole which a power failure may take back. They come
 * back as they were last stored before it.
 *
 * Not thread safe, but for functions that take a const cut.
 */

#include <stdbool.h>

#include "common/vector.h"
#include "explore/image.h"

struct explore_cut_page {
	uint64_t page; /* its number in the file */
	unsigned char bytes[PAGE_BYTES];
};

struct explore_cut {
	uint64_t address;     /* of the file's first byte in the line model */
	uint64_t offset, end; /* bytes of the file; those in no page below are 0 */
	struct { VECTOR_FIELDS(struct explore_cut_page); } pages; /* ascending */
};

/* Keep the image's bytes in [offset, end), before they are cut. 0 or -ENOMEM. */
int explore_cut_create(const struct explore_image *image, uint64_t address, uint64_t offset, uint64_t end,
		       struct explore_cut **out);
/* NULL is ignored. */
void explore_cut_destroy(struct explore_cut *cut);

/* Put the bytes of the cut into a line of the file, as far as it covers that. */
void explore_cut_restore(const struct explore_cut *cut, uint64_t line_offset, unsigned char line[LINE_SIZE]);

#endif
