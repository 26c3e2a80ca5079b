/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_PUBLISHED_H
#define TESTS_PUBLISHED_H

/*
 * Mistakes of programs on libpmem and libpmemobj that were published, each made again in a small program of
 * our own, and its mended twin. Steps are numbered from 1; what a step does is durable when it returns.
 */

#include <stdbool.h>
#include <stdint.h>

#define PUBLISHED_STEPS 8u /* at most */

struct published {
	const char *name;
	/* Before the recording; NULL: the program makes the pool itself. */
	void (*create)(const char *path);
	/* Do published_steps steps, and call `done` after each. */
	void (*work)(const char *path, void (*done)(unsigned step));
	/* Recover. The number of steps that the pool has; it ends the program if the pool is wrong. */
	unsigned (*check)(const char *path);
};

/* Not the mistake, but how it was mended. */
extern bool published_mended;
extern unsigned published_steps;

/*
 * split   btree_map.c of PMDK: a full node is split and is not added to the transaction (PMTest, ASPLOS 2019:
 *         patch/real_bug/pmdk_btree.patch of sihangliu/pmtest)
 * slot    rbtree_map.c of PMDK: the parent whose slot changes is not added to the transaction
 *         (pmdk_rbtree.patch of the above; pmem/pmdk pull requests 409 and 559 add what was missing)
 * create  hashmap_atomic.c of PMDK: the numbers of the hash function are not durable before the buckets are
 *         published (pmem/pmdk pull request 5273)
 * recount mapcli.c of PMDK: hashmap_atomic is opened without its recovery, which counts the entries
 *         (pmem/pmdk issue 5220)
 * open    Witcher's ports to PMDK: a pool that can be opened is taken for one that was initialized
 *         (cosmoss-jigu/witcher issue 1)
 */
extern const struct published published_split, published_slot, published_create, published_recount,
	published_open;

#endif
