/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_IMAGE_H
#define EXPLORE_IMAGE_H

/*
 * The guaranteed content of one file of a trace, while the trace is walked. The
 * bytes are in a memfd of this process, so that a checker can have them as a
 * private mapping or as a copy. Memory is used only for pages that hold bytes.
 *
 * Not thread safe.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/align.h"

/* A digest of contents, for telling equal ones. It is a sum over lines, so that it can follow changes. */
struct explore_digest {
	uint64_t low, high;
};

static inline struct explore_digest explore_digest_add(struct explore_digest a, struct explore_digest b)
{
	return (struct explore_digest){ a.low + b.low, a.high + b.high };
}

static inline struct explore_digest explore_digest_subtract(struct explore_digest a, struct explore_digest b)
{
	return (struct explore_digest){ a.low - b.low, a.high - b.high };
}

/* The digest of a number that is part of a state beside the lines, for instance a file's size. */
struct explore_digest explore_digest_of(uint64_t salt, uint64_t value);
/* The digest of 64 bytes at a place; zero for zeros, so that lines that were never stored need no sum. */
struct explore_digest explore_digest_line(uint64_t address, const unsigned char line[LINE_SIZE]);

struct explore_image;

/* The largest file, in bytes: what a trace may ask for is bounded. Beyond it functions return -EFBIG. */
#define EXPLORE_IMAGE_MAX ((uint64_t)16 << 40)

/*
 * `address`: of the file's first byte in the line model, a multiple of 64. `size`: bytes to make room for.
 * 0 or a negative errno.
 */
int explore_image_create(uint64_t address, uint64_t size, struct explore_image **out);
/* NULL is ignored. */
void explore_image_destroy(struct explore_image *image);

/* Store bytes. They may lie past the end of the file, which the image does not know. 0 or an errno. */
int explore_image_write(struct explore_image *image, uint64_t offset, const void *bytes, size_t length);
/* Make room for `size` bytes in the memfd. 0 or a negative errno. */
int explore_image_reserve(struct explore_image *image, uint64_t size);
/* Bytes that were never stored read as zero. */
void explore_image_read(const struct explore_image *image, uint64_t offset, void *bytes, size_t length);

/*
 * After a fork: have a memfd of its own with the same bytes, in place of the one that is shared with the
 * other process. 0 or a negative errno; then nothing has changed.
 */
int explore_image_own(struct explore_image *image);

/*
 * Exchange bytes of the file with those given, for a while: the digest and the written pages stay as they
 * were, and the same call puts the bytes back. offset + length is at most the capacity.
 */
void explore_image_exchange(struct explore_image *image, uint64_t offset, unsigned char *bytes,
			    size_t length);

/* Of all lines. From then on it follows what is stored, which makes stores slower. */
struct explore_digest explore_image_digest(struct explore_image *image);
/* Compute it again when it is asked for next: it takes as long as to store some 50 times to each page. */
void explore_image_leave_digest(struct explore_image *image);
/* How many pages were written. */
uint64_t explore_image_pages(const struct explore_image *image);
/* The first page at or after `page` that was written, in pages of 4096 bytes; UINT64_MAX: none. */
uint64_t explore_image_next_page(const struct explore_image *image, uint64_t page);
/* The bytes of a page that was written, whole even if the file ends within it. */
const unsigned char *explore_image_page(const struct explore_image *image, uint64_t page);
/* The memfd, which belongs to the image. It is explore_image_capacity() bytes long. */
int explore_image_fd(const struct explore_image *image);
uint64_t explore_image_capacity(const struct explore_image *image);

#endif
