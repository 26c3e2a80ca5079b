/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/image.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/rng.h"

struct explore_image {
	uint64_t address;
	int fd;
	unsigned char *memory; /* all of the memfd, shared */
	uint64_t capacity;     /* of the memfd, a multiple of a page */
	uint64_t *written;     /* a bit a page of the capacity */
	uint64_t pages;	       /* that are written */
	bool digest_known;     /* the digest follows each change; else it is computed when it is asked for */
	struct explore_digest digest;
};

struct explore_digest explore_digest_of(uint64_t salt, uint64_t value)
{
	uint64_t low = rng_mix(salt ^ rng_mix(value + 1));

	return (struct explore_digest){ low, rng_mix(low + 0x9e3779b97f4a7c15u) ^ rng_mix(value ^ ~salt) };
}

struct explore_digest explore_digest_line(uint64_t address, const unsigned char line[LINE_SIZE])
{
	uint64_t low = rng_mix(address + 1), high = rng_mix(~address), any = 0;

	for (unsigned i = 0; i < LINE_SIZE; i += 8) {
		uint64_t word;

		memcpy(&word, line + i, sizeof(word));
		any |= word;
		low = rng_mix(low ^ word);
		high = (high + word) * 0x9e3779b97f4a7c15u;
		high ^= high >> 32;
	}
	return any ? (struct explore_digest){ low, high } : (struct explore_digest){ 0, 0 };
}

static size_t bitmap_words(uint64_t capacity)
{
	return (size_t)(capacity / PAGE_BYTES / 64 + 1);
}

/* The memfd is sparse, so room that is not written costs a bit a page. */
int explore_image_reserve(struct explore_image *image, uint64_t size)
{
	uint64_t capacity = align_up(max_u64(size, 1), PAGE_BYTES);
	uint64_t *written;
	void *memory;

	if (size > EXPLORE_IMAGE_MAX)
		return -EFBIG;
	if (capacity <= image->capacity)
		return 0;
	if (image->capacity)
		capacity = max_u64(capacity, min_u64(image->capacity / 2 * 3 / PAGE_BYTES * PAGE_BYTES,
						     EXPLORE_IMAGE_MAX));
	written = calloc(bitmap_words(capacity), sizeof(*written));
	if (!written)
		return -ENOMEM;
	if (ftruncate(image->fd, (off_t)capacity) < 0) {
		free(written);
		return -errno;
	}
	memory = image->memory ? mremap(image->memory, image->capacity, capacity, MREMAP_MAYMOVE) :
				 mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
				      image->fd, 0);
	if (memory == MAP_FAILED) {
		free(written);
		return -errno;
	}
	if (image->written)
		memcpy(written, image->written, bitmap_words(image->capacity) * sizeof(*written));
	free(image->written);
	image->written = written;
	image->memory = memory;
	image->capacity = capacity;
	return 0;
}

int explore_image_create(uint64_t address, uint64_t size, struct explore_image **out)
{
	struct explore_image *image = calloc(1, sizeof(*image));
	int error;

	if (!image)
		return -ENOMEM;
	image->address = address;
	image->fd = memfd_create("softpmem-explore", MFD_CLOEXEC);
	error = image->fd < 0 ? -errno : explore_image_reserve(image, size);
	if (error) {
		explore_image_destroy(image);
		return error;
	}
	*out = image;
	return 0;
}

void explore_image_destroy(struct explore_image *image)
{
	if (!image)
		return;
	if (image->memory)
		munmap(image->memory, image->capacity);
	if (image->fd >= 0)
		close(image->fd);
	free(image->written);
	free(image);
}

int explore_image_own(struct explore_image *image)
{
	const struct explore_image shared = *image;
	struct explore_image *own;
	uint64_t page = 0;
	int error = explore_image_create(image->address, image->capacity, &own);

	if (error)
		return error;
	for (; (page = explore_image_next_page(image, page)) != UINT64_MAX; page++)
		memcpy(own->memory + page * PAGE_BYTES, explore_image_page(image, page), PAGE_BYTES);
	/* Both have the same capacity. */
	image->memory = own->memory;
	image->fd = own->fd;
	own->memory = shared.memory;
	own->fd = shared.fd;
	explore_image_destroy(own);
	return 0;
}

static bool page_is_written(const struct explore_image *image, uint64_t page)
{
	return image->written[page / 64] >> (page % 64) & 1;
}

/* Take a line's digest out of the sum, or put it in again. */
static struct explore_digest line_digest(const struct explore_image *image, uint64_t line)
{
	return explore_digest_line(image->address + line, image->memory + line);
}

int explore_image_write(struct explore_image *image, uint64_t offset, const void *bytes, size_t length)
{
	uint64_t end = offset + length;
	int error = explore_image_reserve(image, end);

	if (error || !length)
		return error;
	for (uint64_t line = align_down(offset, LINE_SIZE); line < end; line += LINE_SIZE) {
		uint64_t from = max_u64(line, offset), to = min_u64(line + LINE_SIZE, end);
		uint64_t page = line / PAGE_BYTES;

		if (!page_is_written(image, page)) {
			image->written[page / 64] |= (uint64_t)1 << (page % 64);
			image->pages++;
		} else if (image->digest_known) {
			image->digest = explore_digest_subtract(image->digest, line_digest(image, line));
		}
		memcpy(image->memory + from, (const unsigned char *)bytes + (from - offset), to - from);
		if (image->digest_known)
			image->digest = explore_digest_add(image->digest, line_digest(image, line));
	}
	return 0;
}

void explore_image_read(const struct explore_image *image, uint64_t offset, void *bytes, size_t length)
{
	uint64_t have = offset < image->capacity ? min_u64(length, image->capacity - offset) : 0;

	memcpy(bytes, image->memory + offset, have);
	memset((unsigned char *)bytes + have, 0, length - have);
}

void explore_image_exchange(struct explore_image *image, uint64_t offset, unsigned char *bytes, size_t length)
{
	unsigned char *place = image->memory + offset;

	/* Bytes that are equal already need no write, which may need a page. */
	for (size_t i = 0; i < length; i++) {
		const unsigned char byte = place[i];

		if (byte == bytes[i])
			continue;
		place[i] = bytes[i];
		bytes[i] = byte;
	}
}

struct explore_digest explore_image_digest(struct explore_image *image)
{
	uint64_t page = 0;

	if (image->digest_known)
		return image->digest;
	image->digest_known = true;
	image->digest = (struct explore_digest){ 0, 0 };
	for (; (page = explore_image_next_page(image, page)) != UINT64_MAX; page++)
		for (uint64_t at = 0; at < PAGE_BYTES; at += LINE_SIZE)
			image->digest = explore_digest_add(image->digest,
							   line_digest(image, page * PAGE_BYTES + at));
	return image->digest;
}

void explore_image_leave_digest(struct explore_image *image)
{
	image->digest_known = false;
}

uint64_t explore_image_pages(const struct explore_image *image)
{
	return image->pages;
}

uint64_t explore_image_next_page(const struct explore_image *image, uint64_t page)
{
	uint64_t pages = image->capacity / PAGE_BYTES;

	while (page < pages) {
		uint64_t word = image->written[page / 64] >> (page % 64);

		if (word)
			return page + (uint64_t)__builtin_ctzll(word);
		page = (page / 64 + 1) * 64;
	}
	return UINT64_MAX;
}

const unsigned char *explore_image_page(const struct explore_image *image, uint64_t page)
{
	return image->memory + page * PAGE_BYTES;
}

int explore_image_fd(const struct explore_image *image)
{
	return image->fd;
}

uint64_t explore_image_capacity(const struct explore_image *image)
{
	return image->capacity;
}
