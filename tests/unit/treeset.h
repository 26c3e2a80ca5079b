/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TREESET_H
#define TREESET_H

/* Sets of texts, each of which describes a tree that an outage may leave. An all-zero set is empty. */

#include <stdbool.h>

#include "common/vector.h"

struct trees {
	VECTOR_FIELDS(char *);
};

/* Add a copy of the text; after the last one, call trees_finish(). */
void trees_add(struct trees *trees, const char *text);
/* Sort, and drop what is there twice. The functions below want that. */
void trees_finish(struct trees *trees);
void trees_free(struct trees *trees);

bool trees_contain(const struct trees *trees, const char *text);
bool trees_equal(const struct trees *a, const struct trees *b);
/* Has `larger` all that `smaller` has? */
bool trees_include(const struct trees *larger, const struct trees *smaller);

#endif
