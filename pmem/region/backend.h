/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REGION_BACKEND_H
#define REGION_BACKEND_H

/* Private to pmem/region: what a backend fills in, one file a backend. */

#include <stdatomic.h>

#include "region/media.h"
#include "region/physmap.h"
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
	/* Is the memory still ours alone? 0, or why not. NULL: nobody else can claim it. */
	int (*watch)(struct region *region, struct message *message);
	/*
	 * After a fault that the kernel gives no reason for: are all bytes of the region still there, so
	 * that the fault is an error of its page? Called by a signal handler. NULL: no, the mapping was
	 * revoked.
	 */
	bool (*is_whole)(const struct region *region);
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
	/* How the processor caches it; " (requested)" at its end where nothing tells. */
	char memory_type[40];
	/* "memory_controller", "cpu_cache", or empty where the platform does not say. */
	char persistence_domain[24];
	/* Of real memory: where it is, and /proc/iomem as it may be seen by who opened it (-1: none). */
	struct phys_range range;
	int iomem_fd;
	/* Set once, also by a signal handler, and the media are replaced by empty memory at once. */
	atomic_int failed; /* enum region_failure */
	/*
	 * Bad places, used from index 0 on and 0 where unused: (first page + 1) << 8 | log2(pages).
	 * Written by the signal handler only, and never changed once they are set.
	 */
	atomic_uint_least64_t bad[REGION_BAD_MAX];
	/* Some place is bad, or the region has failed. Set after either. */
	atomic_bool has_faults;
	/* Why, where it was not a signal; written before `failed` and not after. */
	struct message why_failed;
};

enum region_failure {
	REGION_WORKS,
	REGION_CLAIMED,	 /* why_failed tells */
	REGION_REVOKED,	 /* SIGBUS: the mapping as a whole is gone */
	REGION_POISONED, /* SIGBUS: more bad places than are kept track of */
};

extern const struct backend backend_memfd;
extern const struct backend backend_file;
extern const struct backend backend_devmem;
extern const struct backend backend_dax;
extern const struct backend backend_ndctl;

/* Parse a SIZE of a spec and check it against REGION_MIN_SIZE and alignment. */
int backend_parse_size(const struct region *region, const char *text, uint64_t *size,
		       struct message *message);

/* mmap the whole of fd at `offset` as the region's media (shared, writable unless read-only). */
int backend_map(struct region *region, uint64_t offset, struct message *message);

/* -EBUSY: the lock is another's, perhaps this process's own. */
int backend_in_use(const struct region *region, struct message *message);

/* Map a range that was found to be free through /dev/mem, and what belongs to that. */
int devmem_open_range(struct region *region, const struct phys_range *range, bool uncached,
		      struct message *message);
void devmem_close(struct region *region);
int devmem_watch(struct region *region, struct message *message);

/* A device-dax by its node. */
int dax_open(struct region *region, const char *node, struct message *message);
int dax_watch(struct region *region, struct message *message);

/*
 * From now on, until failure_forget(), a fault in the region's media makes a page of it bad, or makes it
 * fail, instead of killing the process.
 */
void failure_register(struct region *region);
void failure_forget(struct region *region);
/* -EIO if the region has failed or a bad place lies in the range, else 0. */
int failure_of_range(const struct region *region, uint64_t offset, uint64_t length);
/* For backends' is_whole: does fd, a file or a block device, have at least as many bytes as the region? */
bool failure_fd_is_whole(const struct region *region);
/* A region of this process's that has some of the same memory; NULL: none. */
const struct region *failure_find_same(const struct region *region);

#endif
