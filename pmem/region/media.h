/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REGION_MEDIA_H
#define REGION_MEDIA_H

/*
 * Every read and write of a region's media. Nothing outside of pmem/region has a pointer to them, so a
 * media error concerns one access only, and faults can be injected here.
 *
 * Offsets and lengths are in bytes; [offset, offset + length) must lie inside the region, else the
 * functions return -EINVAL. Writing to a region that was opened read-only is -EROFS. An access that
 * touches a bad page is -EIO; its bytes on other pages are transferred all the same. Once the region has
 * failed (region_failed()), every access is -EIO. An empty range inside the region always succeeds.
 *
 * Thread safe, as long as no thread writes bytes that another one reads or writes at the same time.
 */

#include <stdbool.h>
#include <stdint.h>

struct region;

#define MEDIA_CHECKED __attribute__((warn_unused_result))

/* Copy from the media. */
int media_read(const struct region *region, uint64_t offset, void *bytes, uint64_t length) MEDIA_CHECKED;

/*
 * Copy to the media; durable after the next media_fence() of the same thread (libpmem(7):
 * pmem_memcpy_nodrain).
 */
int media_write(struct region *region, uint64_t offset, const void *bytes,
		uint64_t length) MEDIA_CHECKED;

/* Store zeros; durable after the next media_fence(). Cheap where the backend can drop pages. */
int media_zero(struct region *region, uint64_t offset, uint64_t length) MEDIA_CHECKED;

/*
 * Give the memory of whole pages back to the system: their bytes have no meaning any more, and no read
 * before the next write may depend on them. -EOPNOTSUPP: this region's memory is not given back. What the
 * region reserved (the disk space of file:) stays reserved.
 */
int media_discard(struct region *region, uint64_t offset, uint64_t length) MEDIA_CHECKED;
/* Can media_discard() give memory of this region back? */
bool media_can_discard(const struct region *region);

/* All earlier media_write() and media_zero() of this thread are durable (pmem_drain). */
void media_fence(struct region *region);

/* 0: the media hold these bytes; 1: they do not. */
int media_compare(const struct region *region, uint64_t offset, const void *bytes,
		  uint64_t length) MEDIA_CHECKED;

/* Set bit i of *differing if line i of the page (4096 bytes) at `bytes` differs from the media. */
int media_compare_lines(const struct region *region, uint64_t offset, const void *bytes,
			uint64_t *differing) MEDIA_CHECKED;

/* 1: all bytes are zero; 0: they are not. */
int media_is_zero(const struct region *region, uint64_t offset, uint64_t length) MEDIA_CHECKED;

/*
 * The address of media bytes, for a system call to read them from (write(2), writev(2)); valid until
 * region_close(). Only the kernel may read them through it: it answers a media error with EFAULT or a
 * short count, and media_probe() then tells whether there is one. -EOPNOTSUPP: the kernel cannot read
 * this region (/dev/mem fails with EFAULT); use media_read().
 */
int media_borrow(const struct region *region, uint64_t offset, uint64_t length,
		 const void **bytes) MEDIA_CHECKED;

/* Read a byte of each page, which finds errors there: 0 or -EIO. */
int media_probe(const struct region *region, uint64_t offset, uint64_t length) MEDIA_CHECKED;

/*
 * An observer of everything that reaches the media, in order. Tests use it to build each crash state
 * between two fences. It is called before the media change, with no lock held; NULL removes it. It must
 * not be changed while other threads write.
 */
struct media_observer {
	void (*wrote)(void *context, uint64_t offset, const void *bytes, uint64_t length);
	void (*zeroed)(void *context, uint64_t offset, uint64_t length);
	void (*fenced)(void *context);
	void *context;
};
void media_observe(struct region *region, const struct media_observer *observer);

#endif
