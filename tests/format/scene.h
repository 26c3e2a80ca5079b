/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SCENE_H
#define TESTS_SCENE_H

/* A tree that uses every part of the format, and operations on it; failures go through cmocka. */

#include "pool/pool.h"

#define SCENE_SPEC "memfd:4M"
#define SCENE_SIZE ((uint64_t)4 << 20)

void scene_prepare(struct pools *pools);

struct scene_operation {
	const char *name;
	void (*run)(struct pools *pools);
};
/*
 * The list ends with a NULL name. Each operation expects the tree of scene_prepare() after all previous
 * operations.
 */
extern const struct scene_operation scene_operations[];

#endif
