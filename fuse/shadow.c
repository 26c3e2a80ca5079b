/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdlib.h>
#include <string.h>

#include "common/align.h"
#include "common/cleanup.h"
#include "recorder/recorded.h"
#include "node.h"
#include "shadow.h"

#define VERSIONS_MAX 4
/* Above this count the kernel is asked to drop its pages of a node, so that their copies can be freed. */
#define PAGES_MANY 16384

struct shadow {
	struct shadow *next; /* in its bucket; newer ones of a page come first */
	const struct node *node;
	uint64_t page;
	uint64_t epoch;
	unsigned char bytes[PAGE_BYTES];
};

static struct shadow **bucket_of(struct shadows *shadows, const struct node *node, uint64_t page)
{
	uint64_t hash = ((uint64_t)(uintptr_t)node / sizeof(struct node) + page) * 0x9e3779b97f4a7c15u;

	return &shadows->buckets[hash >> 32 & (SHADOW_BUCKETS - 1)];
}

static void remove_at(struct shadows *shadows, struct shadow **link)
{
	struct shadow *shadow = *link;

	*link = shadow->next;
	free(shadow);
	shadows->count--;
}

/* Free the oldest versions of a page beyond VERSIONS_MAX. */
static void trim(struct shadows *shadows, const struct node *node, uint64_t page)
{
	struct shadow **link = bucket_of(shadows, node, page);
	unsigned versions = 0;

	while (*link) {
		if ((*link)->node == node && (*link)->page == page && ++versions > VERSIONS_MAX)
			remove_at(shadows, link);
		else
			link = &(*link)->next;
	}
}

static struct shadow *newest(struct shadows *shadows, const struct node *node, uint64_t page)
{
	struct shadow *shadow = *bucket_of(shadows, node, page);

	while (shadow && (shadow->node != node || shadow->page != page))
		shadow = shadow->next;
	return shadow;
}

/* Called with the lock held. False: no memory. */
static bool note_page(struct shadows *shadows, const struct node *node, uint64_t page,
		      const unsigned char *bytes, size_t length)
{
	struct shadow *shadow = newest(shadows, node, page), **bucket;

	if (shadow && memcmp(shadow->bytes, bytes, length) == 0) {
		shadow->epoch = shadows->epoch;
		return true;
	}
	shadow = calloc(1, sizeof(*shadow));
	if (!shadow)
		return false;
	bucket = bucket_of(shadows, node, page);
	shadow->next = *bucket;
	shadow->node = node;
	shadow->page = page;
	shadow->epoch = shadows->epoch;
	memcpy(shadow->bytes, bytes, length);
	*bucket = shadow;
	shadows->count++;
	trim(shadows, node, page);
	return true;
}

bool fusefs_shadow_note(struct shadows *shadows, const struct node *node, uint64_t offset, const void *bytes,
			size_t length)
{
	const unsigned char *from = bytes;
	bool drop = false;

	LOCK_SCOPE(&shadows->lock);
	for (uint64_t at = 0; at < length; at += PAGE_BYTES)
		if (!note_page(shadows, node, (offset + at) / PAGE_BYTES, from + at,
			       min_u64(PAGE_BYTES, length - at)))
			drop = true;
	if (shadows->count > PAGES_MANY && !shadows->asked)
		drop = shadows->asked = true;
	return drop;
}

void fusefs_shadow_overlay(struct shadows *shadows, const struct node *node, uint64_t offset,
			   const void *bytes, size_t length)
{
	const unsigned char *from = bytes;

	LOCK_SCOPE(&shadows->lock);
	while (shadows->count && length) {
		size_t in_page = offset % PAGE_BYTES, piece = min_u64(length, PAGE_BYTES - in_page);
		struct shadow *shadow = *bucket_of(shadows, node, offset / PAGE_BYTES);

		for (; shadow; shadow = shadow->next)
			if (shadow->node == node && shadow->page == offset / PAGE_BYTES)
				memcpy(shadow->bytes + in_page, from, piece);
		offset += piece;
		from += piece;
		length -= piece;
	}
}

/* ---- Write-back ----------------------------------------------------------------- */

static unsigned differing_words(const unsigned char *a, const unsigned char *b, size_t length)
{
	unsigned count = 0;

	for (size_t at = 0; at < length; at += 8)
		count += memcmp(a + at, b + at, min_u64(8, length - at)) != 0;
	return count;
}

/* The remembered version of a line that is most like `line`; NULL if none is remembered. */
static const unsigned char *most_alike(struct shadows *shadows, const struct node *node, uint64_t page,
				       size_t in_page, const unsigned char *line, size_t length)
{
	const unsigned char *best = NULL;
	unsigned least = UINT32_MAX;

	for (const struct shadow *shadow = *bucket_of(shadows, node, page); shadow; shadow = shadow->next) {
		unsigned differing;

		if (shadow->node != node || shadow->page != page)
			continue;
		differing = differing_words(shadow->bytes + in_page, line, length);
		if (differing < least) {
			least = differing;
			best = shadow->bytes + in_page;
		}
	}
	return best;
}

/* Write the words of a line that were stored through the kernel's page. */
static ssize_t write_line(struct shadows *shadows, const struct node *node, struct pool_handle *handle,
			  const unsigned char *line, size_t length, uint64_t offset)
{
	const unsigned char *was = most_alike(shadows, node, offset / PAGE_BYTES, offset % PAGE_BYTES, line,
					      length);

	if (!was)
		return recorded_write(shadows->recorder, handle, line, length, offset, POOL_WRITE_MAPPED);
	for (size_t at = 0; at < length; at += 8) {
		size_t word = min_u64(8, length - at);
		ssize_t done = 0;

		if (memcmp(was + at, line + at, word) != 0)
			done = recorded_write(shadows->recorder, handle, line + at, word, offset + at,
					      POOL_WRITE_MAPPED);
		if (done < 0)
			return done;
	}
	return (ssize_t)length;
}

ssize_t fusefs_shadow_write_back(struct shadows *shadows, const struct node *node,
				 struct pool_handle *handle, const void *bytes, size_t size, uint64_t offset,
				 bool *drop)
{
	const unsigned char *from = bytes;

	*drop = false;
	{
		LOCK_SCOPE(&shadows->lock);
		for (size_t at = 0; at < size; at += LINE_SIZE) {
			ssize_t done = write_line(shadows, node, handle, from + at,
						  min_u64(LINE_SIZE, size - at), offset + at);

			if (done < 0)
				return done;
		}
	}
	/* The kernel keeps the page. Later stores to it are compared with these bytes. */
	*drop = fusefs_shadow_note(shadows, node, offset, bytes, size);
	return (ssize_t)size;
}

/* ---- Forgetting ------------------------------------------------------------------------- */

static void forget(struct shadows *shadows, const struct node *node, uint64_t epoch)
{
	for (unsigned i = 0; shadows->count && i < SHADOW_BUCKETS; i++) {
		struct shadow **link = &shadows->buckets[i];

		while (*link) {
			if ((!node || (*link)->node == node) && (*link)->epoch <= epoch)
				remove_at(shadows, link);
			else
				link = &(*link)->next;
		}
	}
}

/*
 * While the kernel drops its pages, it may read some of them again. Copies that
 * are made in the meantime belong to the next epoch, and are kept.
 */
uint64_t fusefs_shadow_begin_drop(struct shadows *shadows)
{
	LOCK_SCOPE(&shadows->lock);

	return shadows->epoch++;
}

void fusefs_shadow_end_drop(struct shadows *shadows, const struct node *node, uint64_t epoch)
{
	LOCK_SCOPE(&shadows->lock);

	forget(shadows, node, epoch);
	shadows->asked = false;
}

void fusefs_shadow_forget(struct shadows *shadows, const struct node *node)
{
	LOCK_SCOPE(&shadows->lock);

	forget(shadows, node, UINT64_MAX);
}

void fusefs_shadows_init(struct shadows *shadows)
{
	pthread_mutex_init(&shadows->lock, NULL);
}

void fusefs_shadows_destroy(struct shadows *shadows)
{
	forget(shadows, NULL, UINT64_MAX);
	pthread_mutex_destroy(&shadows->lock);
}
