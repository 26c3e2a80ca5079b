/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MODEL_LINES_TABLE_H
#define MODEL_LINES_TABLE_H

/* Private to the line model: the lines that have something pending, and how it is stored. */

#include "common/vector.h"
#include "model/lines.h"
#include "model/slab.h"

#define LINE_WORDS (LINE_SIZE / 8)

/* A store to one line, of which some pieces are not guaranteed. */
struct line_store {
	struct line_store *next; /* the next one of the line in memory order */
	uint64_t sequence;	 /* its place in memory order, from 1 */
	uint64_t id;
	uint64_t bytes; /* bit i: byte i of the line is stored */
	uint32_t thread;
	uint8_t words;	/* bit w: the piece in word w is pending; never 0 */
	bool nontemporal;
	bool merged;
	uint8_t first; /* the byte of the line that data[0] is of */
	uint8_t class; /* which slab it is from */
	unsigned char data[];
};

/*
 * What the next fence of a thread guarantees in one line. There is at most one for
 * a thread and a line. It is in the line's list and in the thread's.
 */
struct line_flush {
	struct line_flush *next; /* of the line */
	struct line *line;
	uint64_t covered; /* a clwb covers stores with a sequence up to this; 0: there was none */
	uint32_t thread;
};

struct line {
	uint64_t number; /* address / LINE_SIZE */
	struct line_store *first, *last;
	struct line_flush *flushes;
	uint32_t stores;      /* in the list */
	uint32_t nontemporal; /* those of them that are */
	uint32_t merge_above; /* stores */
	size_t index;	      /* in lines->live */
};

/* What a thread's next fence does. */
struct lines_thread {
	VECTOR_FIELDS(struct line_flush *);
};

#define STORE_CLASSES 4

struct lines {
	struct lines_options options;
	uint64_t sequence; /* of the last store */
	uint64_t merged;
	struct line **slots; /* open addressing by number; the capacity is a power of two */
	size_t capacity;
	VECTOR(struct line *) live; /* the same lines without gaps */
	VECTOR(struct lines_thread) threads;
	struct slab line_slab, flush_slab, store_slabs[STORE_CLASSES];
};

/* The line, or NULL if nothing is pending there. */
struct line *lines_find(const struct lines *lines, uint64_t number);
/* The same; it is added if it is not there. NULL without memory. */
struct line *lines_find_or_add(struct lines *lines, uint64_t number);
/* Forget a line that has no stores and no flushes. */
void lines_remove(struct lines *lines, struct line *line);

/* A store with room for `length` bytes of data, with only its class set; NULL without memory. */
struct line_store *lines_take_store(struct lines *lines, size_t length);
void lines_give_store(struct lines *lines, struct line_store *store);

/* What the thread's next fence does to the line; added if there is none. NULL without memory. */
struct line_flush *lines_flush_of(struct lines *lines, struct line *line, uint32_t thread);

/* Each bit of a mask of words as 8 bits of a mask of bytes. */
static inline uint64_t line_word_bytes(uint8_t words)
{
	uint64_t bytes = 0;

	for (unsigned rest = words; rest; rest &= rest - 1)
		bytes |= (uint64_t)0xff << (8 * (unsigned)__builtin_ctz(rest));
	return bytes;
}

/* The words that a mask of bytes touches. */
static inline uint8_t line_bytes_words(uint64_t bytes)
{
	uint8_t words = 0;

	while (bytes) {
		const unsigned word = (unsigned)__builtin_ctzll(bytes) / 8;

		words |= (uint8_t)(1u << word);
		bytes &= ~((uint64_t)0xff << (8 * word));
	}
	return words;
}

/* The first run of set bits of a mask that is not 0: where it begins, and its length. */
static inline unsigned line_run(uint64_t mask, unsigned *first)
{
	uint64_t gap;

	*first = (unsigned)__builtin_ctzll(mask);
	gap = ~(mask >> *first);
	return gap ? (unsigned)__builtin_ctzll(gap) : LINE_SIZE - *first;
}

/* A run of bits, which must lie inside 64. */
static inline uint64_t line_bits(unsigned first, unsigned length)
{
	return (length == LINE_SIZE ? UINT64_MAX : ((uint64_t)1 << length) - 1) << first;
}

#endif
