/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_POOLTEST_H
#define TESTS_POOLTEST_H

/* What the tests of pmem/pool share. Failures go through cmocka. */

#include "pool/pool.h"

/* A new region, formatted. */
struct region *pooltest_region(const char *spec);
struct pools *pooltest_open(struct region *region);
/* Create, with `size` bytes reserved; no reference stays. */
void pooltest_make(struct pools *pools, const char *path, mode_t mode, uint64_t size);
struct pool_handle *pooltest_handle(struct pools *pools, const char *path);
void pooltest_put(struct pools *pools, const char *path, const char *text, uint64_t offset, bool sync);
/* The directory of `path` (with a reference) and its last component. */
struct pool *pooltest_parent(struct pools *pools, const char *path, const char **name);

/*
 * The whole tree as a text: each path with type, attributes, links, target and
 * content. Two regions with the same text hold the same. The caller frees it.
 */
char *pooltest_fingerprint(struct pools *pools);

#endif
