/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_EXERCISE_MODEL_H
#define TESTS_EXERCISE_MODEL_H

/*
 * What a file on the mount holds, and what of it a power failure may leave. The
 * model does not access files: the exerciser tells it what it did.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/align.h"

#define MODEL_MAX (256u * 1024)
#define MODEL_LINES (MODEL_MAX / LINE_SIZE)
#define MODEL_PAGES (MODEL_MAX / PAGE_BYTES)

/* A line with bytes that no sync has covered. */
struct model_line {
	unsigned char (*versions)[LINE_SIZE]; /* its contents since the last sync, oldest first */
	unsigned count, room;
	/* A version may be durable without a sync of ours, e.g. when the kernel writes its page back. */
	bool uncertain;
	/* Changed by write(2) and through a mapping: the pool may have had these in either order. */
	bool mixed;
};

struct model {
	unsigned char now[MODEL_MAX];	  /* zero from `size` on */
	unsigned char durable[MODEL_MAX]; /* zero from `durable_size` on */
	size_t size, durable_size;
	size_t other_size; /* may be durable instead: a change inside the file may commit a size */
	struct model_line lines[MODEL_LINES];
	bool mapped_dirty[MODEL_PAGES]; /* with stores that may be only in the kernel's cache */
};

enum model_policy { MODEL_LOSE, MODEL_KEEP, MODEL_RANDOM };

void model_reset(struct model *model);
void model_write(struct model *model, size_t offset, const void *bytes, size_t length);
void model_store(struct model *model, size_t offset, const void *bytes, size_t length);
void model_truncate(struct model *model, size_t size);
/* Punch hole or zero range: bytes become zero, whole pages durably. `grow`: the size follows. */
void model_zero(struct model *model, size_t offset, size_t length, bool grow);
/* fallocate(2): changes only the size. */
void model_allocate(struct model *model, size_t offset, size_t length);
/* A sync that covers all write(2)s, and the stores through the mapping in these pages. */
void model_sync(struct model *model, size_t offset, size_t length);
/*
 * After a power failure: the file is `size` bytes long and reads as `bytes`. Returns NULL, and the model
 * continues with those bytes; or returns what is wrong, at offset *where.
 */
const char *model_power_failure(struct model *model, enum model_policy policy, size_t sector,
				const unsigned char *bytes, size_t size, size_t *where);

#endif
