/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_MAPPEDTEST_H
#define TESTS_MAPPEDTEST_H

/* A pool that one client has mapped, with a WPQ for each of two threads. Failures go through cmocka. */

#include "common/align.h"
#include "domain/wpq.h"
#include "pool/pool.h"

#define MAPPED_PATH "/pool"
#define MAPPED_PAGES 32u
#define MAPPED_BYTES (MAPPED_PAGES * PAGE_BYTES)
#define MAPPED_GROWN_BYTES (4 * MAPPED_BYTES)

struct mapped {
	struct region *region;
	struct pools *pools;
	struct pool_handle *handle;
	unsigned char *memory; /* the client's mapping, of MAPPED_GROWN_BYTES */
	uint32_t view;
	struct wpq *wpqs[2];
	struct wpq_producer producers[2];
};

/*
 * Each way in which a copy of the page at MAPPED_WAITS_AT can wait in a WPQ: calls before and after a change
 * of the pool. Is it fenced in the end?
 */
#define MAPPED_WAITS_AT (9u * PAGE_BYTES)
#define MAPPED_WAITS 7u
struct mapped_wait {
	const char *name;
	void (*before)(struct mapped *scene);
	void (*after)(struct mapped *scene);
	bool fenced;
};
extern const struct mapped_wait mapped_waits[MAPPED_WAITS];

/* A region with the pool MAPPED_PATH of MAPPED_BYTES, which has all its blocks, and is mapped. */
void mapped_begin(struct mapped *scene);
void mapped_begin_with(struct mapped *scene, const struct pools_options *options);
void mapped_end(struct mapped *scene);
/* Close the client's handle; it still has the mapping and the WPQs. */
void mapped_close(struct mapped *scene);
/* The power fails, and the client is gone. */
void mapped_outage(struct mapped *scene, enum chooser_policy policy, uint64_t seed);

/* Flush the range in a thread (0 or 1); fence; store a byte, flush and fence in thread 0. */
void mapped_flush(struct mapped *scene, int thread, uint64_t offset, uint64_t length);
void mapped_fence(struct mapped *scene, int thread);
void mapped_persist(struct mapped *scene, uint64_t offset, unsigned char byte);

/* What a new handle reads: one byte; as many bytes of the range as the pool has, which must be zero. */
unsigned char mapped_byte_at(struct mapped *scene, uint64_t offset);
void mapped_assert_zero(struct mapped *scene, uint64_t offset, uint64_t length);

#endif
