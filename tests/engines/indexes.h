/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_ENGINES_INDEXES_H
#define TESTS_ENGINES_INDEXES_H

/*
 * Indexes of the literature on persistent memory, written from their papers. They flush and fence by
 * instructions of their own and know neither libpmem nor softpmem. Each keeps its state in one mapped
 * file; pointers are offsets in it, and 0 is none. Keys are not 0; values are odd, so that no two keys
 * of a test have equal ones.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define INDEX_LINE 64u

/* The file's first page: what all indexes have in common. */
struct index_pool {
	uint64_t magic; /* of the index; stored last when it is created */
	uint64_t used;	/* bytes that were allocated; more than what is reachable after a crash */
	uint64_t bytes; /* of the file */
	uint64_t padding[5];
	unsigned char root[4096 - 64]; /* the index's own */
};
_Static_assert(sizeof(struct index_pool) == 4096, "a page");

struct index_type {
	const char *name;
	uint64_t magic;
	/* Make an empty index in a pool that is zero but for `used` and `bytes`. */
	void (*create)(struct index_pool *pool);
	/* The process that had the pool before may have been killed at any store. */
	void (*recover)(struct index_pool *pool);
	/* False: the key is there. Durable on return, as is index_remove(). Thread safe, as all below. */
	bool (*insert)(struct index_pool *pool, uint64_t key, uint64_t value);
	/* 0: it is not there. */
	uint64_t (*find)(struct index_pool *pool, uint64_t key);
	bool (*remove)(struct index_pool *pool, uint64_t key);
};
extern const struct index_type index_level_hash, index_fast_fair, index_clht;

/* ---- For the indexes ---------------------------------------------------------------------- */

/*
 * A mistake to make, by its name; "": none. The first two were published, of this index or another one:
 *
 *   constructor   fast_fair: the first node and the root are never flushed (DICL/FAST_FAIR pull request 15)
 *   growth        clht: the larger table is referred to before it has the keys, as the directory of CCEH is
 *                 while it doubles (cuhk-mass/SEPH issue 2)
 *   token         level_hash: a slot is made valid before its item is durable: the order that the paper
 *                 asks for the other way round
 */
extern const char *index_mistake;
static inline bool index_mistakes(const char *name)
{
	return strcmp(index_mistake, name) == 0;
}

/* How many flushes are done before one is left out, for a negative control; 0: none is. */
extern unsigned index_flushes_kept;
extern unsigned index_flushes_done;

static inline void index_flush(const volatile void *at)
{
	if (index_flushes_kept && ++index_flushes_done % (index_flushes_kept + 1) == 0)
		return;
	__asm__ volatile("clwb %0" : "+m"(*(volatile char *)(uintptr_t)at));
}

static inline void index_fence(void)
{
	__asm__ volatile("sfence" : : : "memory");
}

static inline void index_persist(const volatile void *at, size_t length)
{
	const uintptr_t start = (uintptr_t)at & ~(uintptr_t)(INDEX_LINE - 1);

	for (uintptr_t line = start; line < (uintptr_t)at + length; line += INDEX_LINE)
		index_flush((const volatile void *)line);
	index_fence();
}

/* A store of 8 bytes that a crash does not tear and the compiler does not move. */
static inline void index_store(uint64_t *to, uint64_t value)
{
	__atomic_store_n(to, value, __ATOMIC_RELEASE);
}

static inline uint64_t index_load(const uint64_t *from)
{
	return __atomic_load_n(from, __ATOMIC_ACQUIRE);
}

static inline void *index_at(struct index_pool *pool, uint64_t offset)
{
	return (unsigned char *)pool + offset;
}

/* Zeroed memory of whole lines, whose zeros are durable; its offset. Ends the program if the pool is full. */
uint64_t index_allocate(struct index_pool *pool, size_t bytes);

static inline uint64_t index_hash(uint64_t key, uint64_t seed)
{
	key = (key ^ seed) * 0xff51afd7ed558ccdu;
	key = (key ^ key >> 33) * 0xc4ceb9fe1a85ec53u;
	return key ^ key >> 33;
}

#endif
