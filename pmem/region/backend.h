/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REGION_BACKEND_H
#define REGION_BACKEND_H

/* Private to pmem/region: the interface of the backends. Each is in a file backend_*.c, but ndctl.c. */

#include <stdatomic.h>

#include "region/media.h"
#include "region/physmap.h"
#include "region/region.h"

struct backend {
	/* The part of a spec before its colon. */
	const char *scheme;
	/*
	 * Open the memory that `where` (the spec after the colon) names, and set media, size, fd, is_new
	 * and kernel_can_read. A failure leaves nothing open and no file behind.
	 */
	int (*open)(struct region *region, const char *where, struct message *message);
	/* Make [offset, offset+length), page aligned, zero; -EOPNOTSUPP: store zeros instead. */
	int (*zero)(struct region *region, uint64_t offset, uint64_t length);
	/*
	 * Give the memory of [offset, offset+length), page aligned and not empty, back to the system: 0 or a
	 * negative errno. The bytes read as before or as zeros afterwards. NULL: it cannot be given back.
	 */
	int (*discard)(struct region *region, uint64_t offset, uint64_t length);
	/* Undo what open() did. */
	void (*close)(struct region *region);
	/* Does no one else use the memory? 0, or -EBUSY with the reason. NULL: nothing else can claim it. */
	int (*watch)(struct region *region, struct message *message);
	/*
	 * After a fault without a reason from the kernel: does the backing still have all bytes of the
	 * region? If so, only the page of the fault is bad; if not, the mapping was revoked. Called by a
	 * signal handler. NULL means no.
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
	/* What open() could not verify; empty if there is nothing. */
	struct message warning;
	struct media_observer observer;
	struct region_snapshot *snapshots; /* changed while nothing writes to the media */
	/*
	 * How the processor caches it. Ends in " (requested)" where the kernel does not report the actual
	 * type.
	 */
	char memory_type[40];
	/* "memory_controller", "cpu_cache", or empty where the platform does not say. */
	char persistence_domain[24];
	/*
	 * Physical memory only: its range, and /proc/iomem opened with the rights of the opener (-1:
	 * none).
	 */
	struct phys_range range;
	int iomem_fd;
	/* Set once, possibly by a signal handler. The media are replaced by empty memory at the same time. */
	atomic_int failed; /* enum region_failure */
	/*
	 * Bad places, used from index 0 on and 0 where unused: (first page + 1) << 8 | log2(pages).
	 * Written by the signal handler only, and never changed once they are set.
	 */
	atomic_uint_least64_t bad[REGION_BAD_MAX];
	/* Some place is bad, or the region has failed. Set after either. */
	atomic_bool has_faults;
	/* The reason, unless it was a signal. Written before `failed` and never changed afterwards. */
	struct message why_failed;
};

enum region_failure {
	REGION_WORKS,
	REGION_CLAIMED,	 /* for the reason in why_failed */
	REGION_REVOKED,	 /* SIGBUS: the mapping as a whole is gone */
	REGION_POISONED, /* SIGBUS: more than REGION_BAD_MAX bad places */
};

extern const struct backend backend_memfd;
extern const struct backend backend_file;
extern const struct backend backend_copy;
extern const struct backend backend_devmem;
extern const struct backend backend_dax;
extern const struct backend backend_ndctl;

/* Parse a SIZE of a spec and check it against REGION_MIN_SIZE and alignment. */
int backend_parse_size(const struct region *region, const char *text, uint64_t *size,
		       struct message *message);

/* mmap the whole of fd at `offset` as the region's media (shared, writable unless read-only). */
int backend_map(struct region *region, uint64_t offset, struct message *message);

/* -EBUSY with a message: another opener holds the lock, possibly in this process. */
int backend_in_use(const struct region *region, struct message *message);

/* Map a physical range, which was checked to be free, through /dev/mem, and set what depends on it. */
int devmem_open_range(struct region *region, const struct phys_range *range, bool uncached,
		      struct message *message);
void devmem_close(struct region *region);
int devmem_watch(struct region *region, struct message *message);

/* Open a device-dax, named by its device node. */
int dax_open(struct region *region, const char *node, struct message *message);
int dax_watch(struct region *region, struct message *message);

/*
 * From this call until failure_forget(), a fault in the region's media marks a page as bad, or the region
 * as failed, instead of killing the process.
 */
void failure_register(struct region *region);
void failure_forget(struct region *region);
/* -EIO if the region has failed or a bad place lies in the range, else 0. */
int failure_of_range(const struct region *region, uint64_t offset, uint64_t length);
/*
 * For a backend's is_whole(): does fd, a file or a block device, have at least as many bytes as the
 * region?
 */
bool failure_fd_is_whole(const struct region *region);
/* The snapshots copy what they have not copied yet of this range, which is about to change. */
void snapshots_before_change(struct region *region, uint64_t offset, uint64_t length);
void snapshots_drop_all(struct region *region);

/* An open region of this process that shares some memory with this one; NULL: there is none. */
const struct region *failure_find_same(const struct region *region);

#endif
