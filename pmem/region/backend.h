/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REGION_BACKEND_H
#define REGION_BACKEND_H

/* Private to pmem/region: what a backend fills in, one file a backend. */

#include "region/region.h"

struct backend {
	/* The part of a spec before its colon. */
	const char *scheme;
	/*
	 * Open what `where` (the spec after the colon) names and fill in media,
	 * size, fd, is_new and kernel_can_read. On failure nothing stays behind.
	 */
	int (*open)(struct region *region, const char *where, struct message *message);
	/* Make [offset, offset+length), page aligned, zero; -EOPNOTSUPP: store zeros instead. */
	int (*zero)(struct region *region, uint64_t offset, uint64_t length);
	/* Undo open. */
	void (*close)(struct region *region);
};

struct region {
	char *spec;
	const struct backend *backend;
	unsigned flags;
	unsigned char *media;
	uint64_t size;
	int fd;
	bool is_new;
	bool kernel_can_read;
	/* What open could not make sure of; empty if nothing. */
	struct message warning;
	struct media_observer observer;
};

extern const struct backend backend_memfd;
extern const struct backend backend_file;
extern const struct backend backend_devmem;

/* Parse a SIZE of a spec and check it against REGION_MIN_SIZE and alignment. */
int backend_parse_size(const struct region *region, const char *text, uint64_t *size, struct message *message);

/* mmap the whole of fd at `offset` as the region's media (shared, writable unless read-only). */
int backend_map(struct region *region, uint64_t offset, struct message *message);

#endif
