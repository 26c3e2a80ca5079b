/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_EXERCISE_MODEL_H
#define TESTS_EXERCISE_MODEL_H

/*
 * What a file on the mount holds, and what of it a power failure must leave.
 * Knows no files: the exerciser tells it what it did.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/align.h"

#define MODEL_MAX (256u * 1024)
#define MODEL_LINES (MODEL_MAX / LINE_SIZE)
#define MODEL_PAGES (MODEL_MAX / PAGE_BYTES)

/* A line that holds bytes no sync has covered. */
struct model_line {
	unsigned char (*versions)[LINE_SIZE]; /* what it held since, oldest first */
	unsigned count, room;
	/*
	 * Something else may have made a version durable: the kernel wrote its page back before a sync, say.
	 */
	bool uncertain;
	/* Written both ways, write(2) and a mapping: the pool may have seen those in either order. */
	bool mixed;
};

struct model {
	unsigned char now[MODEL_MAX];	  /* zero from `size` on */
	unsigned char durable[MODEL_MAX]; /* zero from `durable_size` on */
	size_t size, durable_size;
	size_t other_size; /* durable too, perhaps: a change inside the file may commit its size */
	struct model_line lines[MODEL_LINES];
	bool mapped_dirty[MODEL_PAGES]; /* stores the kernel may still hold back */
};

enum model_policy { MODEL_LOSE, MODEL_KEEP, MODEL_RANDOM };

void model_reset(struct model *model);
void model_write(struct model *model, size_t offset, const void *bytes, size_t length);
void model_store(struct model *model, size_t offset, const void *bytes, size_t length);
void model_truncate(struct model *model, size_t size);
/* Punch or zero range: bytes become zero, whole pages durably; `grow`: and the size follows. */
void model_zero(struct model *model, size_t offset, size_t length, bool grow);
/* fallocate: the size alone. */
void model_allocate(struct model *model, size_t offset, size_t length);
/* A sync that had the kernel write these pages back: all write(2)s, and the mapping's stores in them. */
void model_sync(struct model *model, size_t offset, size_t length);
/*
 * After a power failure the file is `size` bytes that read as `bytes`. Returns
 * NULL and takes that for the truth, or says what is wrong, at *where.
 */
const char *model_power_failure(struct model *model, enum model_policy policy, size_t sector,
				const unsigned char *bytes, size_t size, size_t *where);

#endif
