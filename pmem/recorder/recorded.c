/* SPDX-License-Identifier: BSD-3-Clause */
#include "recorder/recorded.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "recorder/recorder_files.h"
#include "recorder/recorder_state.h"
#include "trace/event.h"

/* ---- Turns ------------------------------------------------------------------------------ */

/* What the order of an operation is kept with. */
enum order {
	ORDER_NAMES, /* all other operations on names, and all syncs */
	ORDER_SYNC,  /* operations on names, and those on the file */
	ORDER_FILE   /* operations on the file */
};

/* An operation, from before its effect until its event was put. */
struct turn {
	struct recorder *recorder; /* NULL: nothing is recorded, and no lock is held */
	bool on;
	enum order order;
	pthread_mutex_t *file; /* unless the order is that of names */
};

static pthread_mutex_t *file_lock(struct recorder *recorder, const struct pool *pool)
{
	/* Pools are allocated: their addresses differ above the low bits. */
	return &recorder->file_locks[((uintptr_t)pool >> 6) % RECORDER_FILE_LOCKS];
}

static struct turn turn_begin(struct recorder *recorder, enum order order, const struct pool *pool)
{
	struct turn turn = { .recorder = recorder, .order = order };

	if (!recorder)
		return turn;
	pthread_rwlock_rdlock(&recorder->lock);
	turn.on = atomic_load(&recorder->on);
	if (!turn.on) {
		/* The operation still runs with the lock held: a recording begins before it or after it. */
		return turn;
	}
	if (order == ORDER_NAMES)
		pthread_rwlock_wrlock(&recorder->names);
	else if (order == ORDER_SYNC)
		pthread_rwlock_rdlock(&recorder->names);
	if (order != ORDER_NAMES) {
		turn.file = file_lock(recorder, pool);
		pthread_mutex_lock(turn.file);
	}
	return turn;
}

static void turn_end(struct turn *turn)
{
	if (!turn->recorder)
		return;
	if (turn->file)
		pthread_mutex_unlock(turn->file);
	if (turn->on && turn->order != ORDER_FILE)
		pthread_rwlock_unlock(&turn->recorder->names);
	pthread_rwlock_unlock(&turn->recorder->lock);
}

#define CLEANUP_TURN __attribute__((cleanup(turn_end)))

/* The pool's number in the trace; 0, and counted as lost, if it cannot be defined. */
static uint64_t file_of(struct recorder *recorder, struct pool *pool)
{
	uint64_t file;

	if (recorder_files_define(recorder, pool, &file) == 0)
		return file;
	atomic_fetch_add(&recorder->lost, 1);
	return 0;
}

static struct trace_bytes bytes_of(const char *text)
{
	return (struct trace_bytes){ (const unsigned char *)text, (uint32_t)strlen(text) };
}

/* Put an event about the pool, whose members but for the file are set. */
static void put(const struct turn *turn, struct pool *pool, struct trace_event *event)
{
	event->file = file_of(turn->recorder, pool);
	if (event->file)
		recorder_append(turn->recorder, event);
}

/* ---- Names ------------------------------------------------------------------------------ */

static void put_name(const struct turn *turn, enum trace_kind kind, struct pool *pool,
		     struct pool *directory, const char *name)
{
	struct trace_event event = { .kind = kind };

	event.name.parent = file_of(turn->recorder, directory);
	event.name.name = bytes_of(name);
	if (event.name.parent)
		put(turn, pool, &event);
}

/* Files are under the modes of the directories that they have names in. */
static void put_rules(const struct turn *turn, struct pool *pool)
{
	if (turn->recorder->own_metadata && !S_ISDIR(pool_file_mode(pool)) &&
	    recorder_files_rules(turn->recorder, pool) < 0)
		atomic_fetch_add(&turn->recorder->lost, 1);
}

static void put_created(const struct turn *turn, struct pool *pool, struct pool *directory, const char *name)
{
	const uint64_t parent = file_of(turn->recorder, directory);

	if (!parent || recorder_files_create(turn->recorder, pool, parent, bytes_of(name)) < 0)
		atomic_fetch_add(&turn->recorder->lost, 1);
}

int recorded_create(struct recorder *recorder, struct pool *directory, const char *name,
		    const struct pool_new *attributes, struct pool **out)
{
	CLEANUP_TURN struct turn turn = turn_begin(recorder, ORDER_NAMES, NULL);
	int error = pool_create(directory, name, attributes, out);

	if (!error && turn.on)
		put_created(&turn, *out, directory, name);
	return error;
}

int recorded_open_nameless(struct recorder *recorder, struct pool *directory,
			   const struct pool_new *attributes, struct pool **out, struct pool_handle **handle)
{
	CLEANUP_TURN struct turn turn = turn_begin(recorder, ORDER_NAMES, NULL);
	int error = pool_open_nameless(directory, attributes, out, handle);

	if (!error && turn.on)
		put_created(&turn, *out, directory, "");
	return error;
}

int recorded_symlink(struct recorder *recorder, struct pool *directory, const char *name, const char *target,
		     uid_t uid, gid_t gid, struct pool **out)
{
	CLEANUP_TURN struct turn turn = turn_begin(recorder, ORDER_NAMES, NULL);
	int error = pool_symlink(directory, name, target, uid, gid, out);

	if (!error && turn.on)
		put_created(&turn, *out, directory, name);
	return error;
}

int recorded_link(struct recorder *recorder, struct pool *pool, struct pool *directory, const char *name)
{
	CLEANUP_TURN struct turn turn = turn_begin(recorder, ORDER_NAMES, NULL);
	int error = pool_link(pool, directory, name);

	if (error || !turn.on)
		return error;
	/* The link is an operation of the mode that the file has now. */
	put_rules(&turn, pool);
	put_name(&turn, TRACE_LINK, pool, directory, name);
	return 0;
}

static int remove_name(struct recorder *recorder, struct pool *directory, const char *name,
		       int (*remove)(struct pool *directory, const char *name), enum trace_kind kind)
{
	CLEANUP_TURN struct turn turn = turn_begin(recorder, ORDER_NAMES, NULL);
	struct pool *pool;
	int error;

	/* Nobody else changes names during the turn. */
	if (!turn.on || pool_lookup(directory, name, &pool) < 0)
		return remove(directory, name);
	error = remove(directory, name);
	if (!error) {
		put_name(&turn, kind, pool, directory, name);
		put_rules(&turn, pool);
	}
	pool_unref(pool, 1);
	return error;
}

int recorded_unlink(struct recorder *recorder, struct pool *directory, const char *name)
{
	return remove_name(recorder, directory, name, pool_unlink, TRACE_UNLINK);
}

int recorded_rmdir(struct recorder *recorder, struct pool *directory, const char *name)
{
	return remove_name(recorder, directory, name, pool_rmdir, TRACE_RMDIR);
}

static void put_rename(const struct turn *turn, struct pool *pool, struct trace_event *event,
		       struct pool *directory, struct pool *new_directory, struct pool *replaced)
{
	event->rename.parent = file_of(turn->recorder, directory);
	event->rename.new_parent = file_of(turn->recorder, new_directory);
	event->rename.replaced = replaced ? file_of(turn->recorder, replaced) : 0;
	if (event->rename.parent && event->rename.new_parent && (!replaced || event->rename.replaced))
		put(turn, pool, event);
}

int recorded_rename(struct recorder *recorder, struct pool *directory, const char *name,
		    struct pool *new_directory, const char *new_name, unsigned flags)
{
	struct trace_event event = { .kind = TRACE_RENAME, .op = flags };
	CLEANUP_TURN struct turn turn = turn_begin(recorder, ORDER_NAMES, NULL);
	struct pool *pool, *replaced = NULL;
	int error;

	if (!turn.on || pool_lookup(directory, name, &pool) < 0)
		return pool_rename(directory, name, new_directory, new_name, flags);
	if (pool_lookup(new_directory, new_name, &replaced) < 0)
		replaced = NULL;
	error = pool_rename(directory, name, new_directory, new_name, flags);
	event.rename.name = bytes_of(name);
	event.rename.new_name = bytes_of(new_name);
	/* Between two names of one file rename(2) does nothing. */
	if (!error && replaced != pool) {
		put_rename(&turn, pool, &event, directory, new_directory, replaced);
		put_rules(&turn, pool);
		if (replaced)
			put_rules(&turn, replaced);
	}
	pool_unref(pool, 1);
	if (replaced)
		pool_unref(replaced, 1);
	return error;
}

/* ---- Bytes ------------------------------------------------------------------------------ */

static bool is_watched(const struct recorder *recorder)
{
	return recorder && atomic_load_explicit(&recorder->watched, memory_order_acquire);
}

ssize_t recorded_write(struct recorder *recorder, struct pool_handle *handle, const void *bytes,
		       size_t length, uint64_t offset, enum pool_write_kind kind)
{
	struct recorder *watching = is_watched(recorder) ? recorder : NULL;
	CLEANUP_TURN struct turn turn = turn_begin(watching, ORDER_FILE, pool_of(handle));
	ssize_t written = pool_write(handle, bytes, length, offset, kind);
	struct trace_event event = { .kind = TRACE_WRITE,
				     .flags = kind == POOL_WRITE_MAPPED ? TRACE_WRITE_PAGE : 0 };

	if (written <= 0 || !turn.on)
		return written;
	event.store.bytes.at = bytes;
	event.store.offset = offset;
	for (size_t done = 0; done < (size_t)written; done += event.store.bytes.length) {
		const size_t left = (size_t)written - done;

		event.store.offset = offset + done;
		event.store.bytes.at = (const unsigned char *)bytes + done;
		event.store.bytes.length = (uint32_t)(left < TRACE_BYTES_MAX ? left : TRACE_BYTES_MAX);
		put(&turn, pool_of(handle), &event);
		event.flags |= TRACE_CONTINUED;
	}
	return written;
}

int recorded_truncate(struct recorder *recorder, struct pool *pool, struct pool_handle *handle, uint64_t size)
{
	struct trace_event event = { .kind = TRACE_TRUNCATE, .range.length = size };
	CLEANUP_TURN struct turn turn = turn_begin(recorder, ORDER_FILE, pool);
	int error = pool_truncate(pool, handle, size);

	if (!error && turn.on)
		put(&turn, pool, &event);
	return error;
}

int recorded_fallocate(struct recorder *recorder, struct pool_handle *handle, int mode, uint64_t offset,
		       uint64_t length)
{
	struct trace_event event = { .kind = TRACE_FALLOCATE,
				     .op = (uint32_t)mode,
				     .range = { .offset = offset, .length = length } };
	CLEANUP_TURN struct turn turn = turn_begin(recorder, ORDER_FILE, pool_of(handle));
	int error = pool_fallocate(handle, mode, offset, length);

	if (!error && turn.on)
		put(&turn, pool_of(handle), &event);
	return error;
}

void recorded_flush(struct recorder *recorder, struct pool_handle *handle)
{
	struct trace_event event = { .kind = TRACE_CLOSE };
	struct recorder *watching = is_watched(recorder) ? recorder : NULL;
	CLEANUP_TURN struct turn turn = turn_begin(watching, ORDER_SYNC, pool_of(handle));

	if (pool_flush(handle) && turn.on)
		put(&turn, pool_of(handle), &event);
}

void recorded_close(struct recorder *recorder, struct pool_handle *handle)
{
	struct trace_event event = { .kind = TRACE_CLOSE, .op = TRACE_CLOSE_LAST };
	struct recorder *watching = is_watched(recorder) ? recorder : NULL;
	CLEANUP_TURN struct turn turn = turn_begin(watching, ORDER_SYNC, pool_of(handle));

	if (turn.on && pool_ends_flushes(handle))
		put(&turn, pool_of(handle), &event);
	pool_close(handle);
}

/* ---- Attributes and syncs ----------------------------------------------------------------- */

_Static_assert((uint32_t)POOL_SET_MODE == TRACE_SET_MODE && (uint32_t)POOL_SET_UID == TRACE_SET_UID &&
		       (uint32_t)POOL_SET_GID == TRACE_SET_GID &&
		       (uint32_t)POOL_SET_ATIME == TRACE_SET_ATIME &&
		       (uint32_t)POOL_SET_MTIME == TRACE_SET_MTIME,
	       "the same bits");
#define SET_RECORDED (TRACE_SET_MODE | TRACE_SET_UID | TRACE_SET_GID | TRACE_SET_ATIME | TRACE_SET_MTIME)

int recorded_set_attributes(struct recorder *recorder, struct pool *pool, unsigned which,
			    const struct pool_attributes *attributes)
{
	struct trace_event event = { .kind = TRACE_SETATTR, .op = which & SET_RECORDED };
	CLEANUP_TURN struct turn turn = turn_begin(recorder, ORDER_FILE, pool);
	struct pool_attributes now;
	int error = pool_set_attributes(pool, which, attributes);

	if (!error && turn.on && event.op && pool_get_last_attributes(pool, &now) == 0) {
		event.attributes = recorder_attributes(&now);
		put(&turn, pool, &event);
	}
	return error;
}

static void put_xattr(const struct turn *turn, struct pool *pool, enum trace_kind kind, const char *name,
		      const void *value, size_t size)
{
	struct trace_event event = { .kind = kind };

	event.xattr.name = bytes_of(name);
	event.xattr.value = (struct trace_bytes){ value, (uint32_t)size };
	put(turn, pool, &event);
}

int recorded_xattr_set(struct recorder *recorder, struct pool *pool, const char *name, const void *value,
		       size_t size, int flags)
{
	CLEANUP_TURN struct turn turn = turn_begin(recorder, ORDER_FILE, pool);
	int error = pool_xattr_set(pool, name, value, size, flags);

	if (!error && turn.on)
		put_xattr(&turn, pool, TRACE_SETXATTR, name, value, size);
	return error;
}

int recorded_xattr_remove(struct recorder *recorder, struct pool *pool, const char *name)
{
	CLEANUP_TURN struct turn turn = turn_begin(recorder, ORDER_FILE, pool);
	int error = pool_xattr_remove(pool, name);

	if (!error && turn.on)
		put_xattr(&turn, pool, TRACE_REMOVEXATTR, name, NULL, 0);
	return error;
}

int recorded_drop_capability(struct recorder *recorder, struct pool *pool)
{
	int error = 0;

	if (pool_has_capability(pool))
		error = recorded_xattr_remove(recorder, pool, POOL_CAPABILITY);
	/* Another thread was faster. */
	return error == -ENODATA ? 0 : error;
}

static void put_sync(const struct turn *turn, struct pool *pool, bool data_only)
{
	struct trace_event event = { .kind = data_only ? TRACE_FDATASYNC : TRACE_FSYNC };

	put(turn, pool, &event);
}

int recorded_sync(struct recorder *recorder, struct pool_handle *handle, bool data_only)
{
	struct recorder *watching = is_watched(recorder) ? recorder : NULL;
	CLEANUP_TURN struct turn turn = turn_begin(watching, ORDER_SYNC, pool_of(handle));
	int error = pool_sync(handle, data_only);

	if (!error && turn.on)
		put_sync(&turn, pool_of(handle), data_only);
	return error;
}

int recorded_sync_pool(struct recorder *recorder, struct pool *pool, bool data_only)
{
	struct recorder *watching = is_watched(recorder) ? recorder : NULL;
	CLEANUP_TURN struct turn turn = turn_begin(watching, ORDER_SYNC, pool);
	int error = pool_sync_pool(pool, data_only);

	if (!error && turn.on)
		put_sync(&turn, pool, data_only);
	return error;
}
