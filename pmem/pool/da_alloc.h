/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef POOL_DA_ALLOC_H
#define POOL_DA_ALLOC_H

/*
 * Private to pmem/pool: ext4's auto_da_alloc (pools_options). ext4 gives the bytes of a new file their blocks
 * late, and commits sizes with them. For programs that replace a file without fsync(2) it does so at once in
 * two cases (Documentation/admin-guide/ext4.rst): when a file is renamed over another one, and when a file
 * that was truncated to 0 is closed. Its journal then has the bytes no later than the rename or the size.
 *
 * Here the bytes and the size become durable right then: no more is guaranteed than by ext4, but more is
 * kept, since its journal takes them along only with the rename. Operations on names stay pending, but for a
 * file whose size was changed by truncate or fallocate: then they are committed as by fdatasync(2).
 * METADATA_STRICT knows nothing of it.
 */

#include "pool/inode.h"

/*
 * The file was truncated to 0. pool->lock is held. pool->truncations counts such calls, and pool->allocated
 * is what it was at the last close after one: while they differ, a close matters.
 * close(2) of a duplicate of a descriptor does not close the file, but the kernel tells of the true close
 * later, when the file may have been opened and truncated again. So each close(2) makes the bytes durable
 * (pool_flush()), and the end of the handle counts.
 */
void pool_note_truncated(struct pool *pool);
/*
 * Make the bytes and the size durable, where that is asked for. A failure is ignored, as by ext4: nothing was
 * promised. Inside the gate, with no lock held.
 */
void pool_allocate(struct pool *pool);
/* The handle is closed. */
void pool_note_closed(struct pool_handle *handle);

#endif
