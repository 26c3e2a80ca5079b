/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RECORDER_RECORDED_H
#define RECORDER_RECORDED_H

/*
 * Operations on pools, as pool.h has them, that are put into the trace while there is a recording. The mount
 * and the verbs of the daemon use these instead. Events of one file, and of names, have the order in which
 * the operations took effect; a sync comes after everything that it made durable. An operation that fails
 * is not recorded.
 *
 * `recorder` may be NULL. Results are those of the functions of pool.h. Any thread.
 */

#include <stdbool.h>

#include "pool/pool.h"

struct recorder;

/* ---- Names ------------------------------------------------------------------------------ */

int recorded_create(struct recorder *recorder, struct pool *directory, const char *name,
		    const struct pool_new *attributes, struct pool **out);
int recorded_open_nameless(struct recorder *recorder, struct pool *directory,
			   const struct pool_new *attributes, struct pool **out, struct pool_handle **handle);
int recorded_symlink(struct recorder *recorder, struct pool *directory, const char *name, const char *target,
		     uid_t uid, gid_t gid, struct pool **out);
int recorded_link(struct recorder *recorder, struct pool *pool, struct pool *directory, const char *name);
int recorded_unlink(struct recorder *recorder, struct pool *directory, const char *name);
int recorded_rmdir(struct recorder *recorder, struct pool *directory, const char *name);
int recorded_rename(struct recorder *recorder, struct pool *directory, const char *name,
		    struct pool *new_directory, const char *new_name, unsigned flags);

/* ---- Bytes and attributes ------------------------------------------------------------- */

/*
 * Without a recording the next three cost one load more than those of pool.h, and take no lock: a recording
 * begins when no write runs any more that began before it (recorder_begin.settle).
 */
ssize_t recorded_write(struct recorder *recorder, struct pool_handle *handle, const void *bytes,
		       size_t length, uint64_t offset, enum pool_write_kind kind);
int recorded_sync(struct recorder *recorder, struct pool_handle *handle, bool data_only);
int recorded_sync_pool(struct recorder *recorder, struct pool *pool, bool data_only);

/* close(2), where pool_wants_flush() says that it matters. */
void recorded_flush(struct recorder *recorder, struct pool_handle *handle);
void recorded_close(struct recorder *recorder, struct pool_handle *handle);

int recorded_truncate(struct recorder *recorder, struct pool *pool, struct pool_handle *handle,
		      uint64_t size);
int recorded_fallocate(struct recorder *recorder, struct pool_handle *handle, int mode, uint64_t offset,
		       uint64_t length);
int recorded_set_attributes(struct recorder *recorder, struct pool *pool, unsigned which,
			    const struct pool_attributes *attributes);

/* ---- Extended attributes ------------------------------------------------------------------ */

int recorded_xattr_set(struct recorder *recorder, struct pool *pool, const char *name, const void *value,
		       size_t size, int flags);
int recorded_xattr_remove(struct recorder *recorder, struct pool *pool, const char *name);
/* As each write to a file does: costs one load if there is none. */
int recorded_drop_capability(struct recorder *recorder, struct pool *pool);

#endif
