/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_POOLTEST_H
#define TESTS_POOLTEST_H

/* Helpers for the tests of pmem/pool. Failures go through cmocka. */

#include "pool/pool.h"

/* A new, formatted region. */
struct region *pooltest_region(const char *spec);
struct pools *pooltest_open(struct region *region);

/* For tests of one file of pmem/pool: a memfd region of 16 MiB with an empty file "/file". */
struct pooltest_bench {
	struct region *region;
	struct pools *pools;
	struct pool *pool;	    /* "/file", with a reference; may be NULL */
	struct pool_handle *handle; /* of it; a test that closes it sets it to NULL */
};
/* The setup and teardown of a cmocka test, whose state is the bench. */
int pooltest_setup(void **state);
int pooltest_teardown(void **state);
/* The same setup without the file. */
int pooltest_setup_empty(void **state);
#define POOLTEST_EMPTY(test) cmocka_unit_test_setup_teardown(test, pooltest_setup_empty, pooltest_teardown)
#define POOLTEST(test) cmocka_unit_test_setup_teardown(test, pooltest_setup, pooltest_teardown)
/* Free the pools without writing, as if the daemon was killed, and open the region again; closes the file. */
void pooltest_restart(struct pooltest_bench *bench);
/* Assert that checking the region finds nothing. The pools may be open. */
void pooltest_assert_sound(const struct region *region);
/* A power failure of the pools, whose list of operations is treated as of this mode. */
void pooltest_fail_power(struct pools *pools, enum metadata_mode mode, const struct chooser *chooser);
/* Write `length` bytes of the value `byte` to the bench's file; volatile. */
void pooltest_fill(struct pooltest_bench *bench, uint64_t offset, size_t length, unsigned char byte);
/* Assert that `length` bytes of the bench's file from `offset` on have the value `byte`. */
void pooltest_expect(struct pooltest_bench *bench, uint64_t offset, size_t length, unsigned char byte);

/* Create a file with `size` bytes reserved. No reference to it stays. */
void pooltest_make(struct pools *pools, const char *path, mode_t mode, uint64_t size);
struct pool_handle *pooltest_handle(struct pools *pools, const char *path);
void pooltest_put(struct pools *pools, const char *path, const char *text, uint64_t offset, bool sync);
/* The directory of `path` (with a reference) and its last component. */
struct pool *pooltest_parent(struct pools *pools, const char *path, const char **name);

/*
 * The whole tree as a text: each path with type, attributes, links, target and a checksum of its content.
 * Two regions with equal texts have equal trees. The caller frees it.
 */
char *pooltest_fingerprint(struct pools *pools);

#endif
