/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_MAPPING_H
#define CLIENT_MAPPING_H

/*
 * mmap(2) and its relatives, with views in the place of pools. Arguments are the program's, unchecked.
 * They return what the system call returns, or a negative errno; errno is left alone. Thread-safe.
 */

#include <stddef.h>
#include <sys/types.h>

/*
 * MAP_SYNC on a pool is for callers that flush by libpmem's functions: client_mmap() grants it. A
 * function that maps for another caller must refuse MAP_SYNC before it calls client_mmap().
 *
 * A mapping of a pool is a user of the pool's file until its last page is unmapped, as the kernel's mappings
 * are: a lock of flock(2) is held, and an unlinked file lives.
 */
long client_mmap(void *address, size_t length, int prot, int flags, int fd, off_t offset);
/*
 * The same, for the program: MAP_SYNC on a pool is -EOPNOTSUPP, as from a file system without DAX, if flushes
 * of the code at `caller` are not seen (client/inline.h), unless the persistence domain is cpu_cache and
 * nothing has to be flushed. libpmem2 and others then fall back to msync(2).
 */
long client_mmap_for(const void *caller, void *address, size_t length, int prot, int flags, int fd,
		     off_t offset);
long client_munmap(void *address, size_t length);
/* -ENOMEM also if more than 32 ranges of pools are concerned at once. */
long client_mremap(void *address, size_t old_size, size_t new_size, int flags, void *new_address);
long client_remap_file_pages(void *address, size_t size, int prot, size_t page, int flags);
/*
 * `key`: of pkey_mprotect(2), or -1. A pool that was mapped by a descriptor without write access may not
 * become writable, though the kernel would allow it for the view.
 */
long client_mprotect(void *address, size_t length, int prot, int key);
/*
 * MADV_REMOVE would punch the view, of which the pool learns nothing: -EOPNOTSUPP, as from a file system that
 * cannot punch. MADV_DONTFORK: the child also forgets the range. All other advice acts on a view as on a DAX
 * file: MADV_DONTNEED drops page table entries and no bytes, MADV_FREE and MADV_WIPEONFORK are EINVAL.
 */
long client_madvise(void *address, size_t length, int advice);

#endif
