/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MODEL_SLAB_H
#define MODEL_SLAB_H

/*
 * Private to pmem/model: memory for many small objects of one size, which come
 * and go with every event. What is given back is used again; the memory itself is
 * freed with the slab.
 */

#include <stddef.h>
#include <stdlib.h>

struct slab_chunk {
	struct slab_chunk *next;
	_Alignas(16) unsigned char memory[];
};

#define SLAB_CHUNK_BYTES ((size_t)64 << 10)

struct slab {
	size_t size; /* of an object, a multiple of 8 */
	void *free;  /* objects that were given back; each begins with a pointer to the next */
	struct slab_chunk *chunks;
	size_t used; /* bytes of the newest chunk */
};

static inline void slab_init(struct slab *slab, size_t size)
{
	*slab = (struct slab){ .size = (size + 7) & ~(size_t)7 };
}

/* An object with undefined content, aligned to 8; NULL without memory. */
static inline void *slab_take(struct slab *slab)
{
	void *object = slab->free;

	if (object) {
		slab->free = *(void **)object;
		return object;
	}
	if (!slab->chunks || slab->used + slab->size > SLAB_CHUNK_BYTES) {
		struct slab_chunk *chunk = malloc(sizeof(*chunk) + SLAB_CHUNK_BYTES);

		if (!chunk)
			return NULL;
		chunk->next = slab->chunks;
		slab->chunks = chunk;
		slab->used = 0;
	}
	object = slab->chunks->memory + slab->used;
	slab->used += slab->size;
	return object;
}

static inline void slab_give(struct slab *slab, void *object)
{
	*(void **)object = slab->free;
	slab->free = object;
}

/* Frees all objects, also those that were not given back. */
static inline void slab_destroy(struct slab *slab)
{
	while (slab->chunks) {
		struct slab_chunk *chunk = slab->chunks;

		slab->chunks = chunk->next;
		free(chunk);
	}
	slab_init(slab, slab->size);
}

#endif
