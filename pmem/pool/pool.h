/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef POOL_POOL_H
#define POOL_POOL_H

/*
 * Pools: named, growable files in a tree on a region (docs/format.md). `struct
 * pools` is everything on one region; `struct pool` is one file, directory,
 * symlink, fifo or socket.
 *
 * State is durable or volatile. Written bytes, the size that an extending write
 * gave and the times of a write are volatile until pool_sync(): an outage keeps or
 * loses them by its policy. Functions that change names, modes, owners or times,
 * pool_truncate() and pool_fallocate() are atomic. They are durable when they return if
 * pools_options.metadata is METADATA_DURABLE; else they are written to the media at once,
 * and an outage may take them back until a sync commits them (model/names.h). "Durable on
 * return" means this below. A daemon that is killed takes nothing back.
 *
 * Functions return 0 or a negative errno, with the meaning that POSIX gives it for
 * the system call of that name. They may be called from any thread at any time,
 * except where a function says otherwise. Sizes and offsets are in bytes, times are
 * CLOCK_REALTIME.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#include "common/log_sink.h"
#include "common/message.h"
#include "domain/domain.h"
#include "model/names.h"
#include "region/media.h"
#include "region/region.h"

struct pools;
struct pool;
struct pool_handle;
struct wpq_rights;

/* In bytes. A name may hold any byte but '/' and NUL. */
#define POOL_NAME_MAX 255
#define POOL_SYMLINK_MAX 4095
#define POOL_LABEL_MAX 63
#define POOL_LINK_MAX 65000
/* The largest size of a pool: 16 TiB less a page. A larger one is -EFBIG. */
#define POOL_SIZE_MAX (((uint64_t)1 << 44) - 4096)

/* How file writes (write(2), not stores through a mapping) tear when power fails. */
enum pool_mode {
	POOL_MODE_INHERIT = 0,	     /* at create only: the directory's mode */
	POOL_MODE_FSDAX = 1,	     /* at lines */
	POOL_MODE_SECTOR_512 = 512,  /* at aligned 512-byte sectors, as under BTT */
	POOL_MODE_SECTOR_4096 = 4096 /* at aligned 4096-byte sectors, as under BTT */
};
/* Parse "fsdax", "sector" (4096), "sector:512" or "sector:4096": 0 or -EINVAL. */
int pool_mode_parse(const char *text, enum pool_mode *mode);
/* "fsdax" or "sector", as ndctl names modes. The value of a sector mode is its sector size. */
const char *pool_mode_name(enum pool_mode mode);

/* ---- A region's pools as a whole -------------------------------------- */

struct pools_format_options {
	const char *label;   /* at most POOL_LABEL_MAX bytes; NULL: none */
	enum pool_mode mode; /* of the root directory; INHERIT means fsdax */
	uid_t uid;	     /* of the root directory, mode 0755 */
	gid_t gid;
	/* Overwrite a region that is not blank. */
	bool force;
};

/*
 * Format the region with an empty tree. Without `force`, a region that has a superblock, or any
 * non-zero byte in its first or last 64 KiB, is refused with -EEXIST, and nothing is written.
 */
int pools_format(struct region *region, const struct pools_format_options *options, struct message *message);

enum pools_probe {
	POOLS_PROBE_BLANK,     /* only zeros where a superblock would be */
	POOLS_PROBE_FORMATTED, /* at least one copy of the superblock is valid */
	POOLS_PROBE_CUT,       /* the same, but of a region that is larger than this memory */
	POOLS_PROBE_FOREIGN    /* other bytes */
};
enum pools_probe pools_probe(const struct region *region);
int pools_explain_cut(const struct region *region, struct message *message); /* -EUCLEAN */

/*
 * Find the next valid copy of a superblock at or after *offset, on any page of the media: true, with its
 * place in *offset and its region's size in *size. The region begins there, or ends with that page.
 */
bool pools_find(const struct region *region, uint64_t *offset, uint64_t *size);

struct pools_options {
	enum persistence_domain domain;
	/* Write nothing to the region; changes fail with -EROFS. Implied by a read-only region. */
	bool read_only;
	/*
	 * Which operations on names, sizes and attributes an outage may take back (model/names.h), but for
	 * directories that were given a mode of their own.
	 */
	enum metadata_mode metadata;
	/*
	 * As ext4 does by default, make the bytes and size of a file durable when it is renamed over another
	 * one, and when it is closed after it was truncated to 0: pool_flush(). Not in METADATA_STRICT.
	 */
	bool auto_da_alloc;
	unsigned regions; /* that share the descriptors and the memory for views of this process; 0: 1 */
	/*
	 * Called now and then during a long operation, with `done` of `total` in the same unit; may be
	 * NULL.
	 */
	void (*progress)(void *context, const char *what, uint64_t done, uint64_t total);
	void *progress_context;
	/* Gets what recovery finds and repairs. */
	struct log_sink log;
};

/*
 * Load the pools of a formatted region: finish what a crash left half done, destroy files without a
 * name, count the power cycle. The region stays the caller's and must outlive *out. -EUCLEAN: metadata
 * is damaged beyond its redundancy; with read_only what is left can be read.
 */
int pools_open(struct region *region, const struct pools_options *options, struct pools **out,
	       struct message *message);

/*
 * Make everything volatile durable, mark the region as stopped cleanly, free *pools. No other call is
 * running. It is freed also on an error.
 */
int pools_close(struct pools *pools, struct message *message);

/* Free without writing: the media hold what a killed daemon would leave. No other call is running. */
void pools_abandon(struct pools *pools);

struct pools_info {
	uint8_t uuid[16];
	char label[POOL_LABEL_MAX + 1];
	uint64_t size;		  /* of the region */
	uint64_t free;		  /* bytes that new data may still take */
	uint64_t volatile_bytes;  /* of dirty pages: at least what `lose` would undo */
	uint64_t generation;	  /* power cycles */
	uint64_t dirty_shutdowns; /* power cycles without a clean stop before them */
	uint64_t pools;		  /* regular files */
	uint64_t directories;
	enum persistence_domain domain;
	enum pool_mode mode; /* of the root directory */
	enum metadata_mode metadata; /* of directories that were not given one */
	enum metadata_mode weakest_metadata; /* of any directory */
	uint64_t own_metadata; /* directories that were given a mode, or have inherited it */
	bool auto_da_alloc;    /* pools_options */
	bool read_only;
	time_t created;
};
void pools_info(struct pools *pools, struct pools_info *info);

/*
 * Commit all operations on names, sizes and attributes, as a command of the administrator does before it
 * returns.
 */
void pools_commit(struct pools *pools);
/* Make everything volatile durable. After an error the other pools are tried; the last error is returned. */
int pools_sync(struct pools *pools);

/*
 * For so many calls of pools_trim() a block must be free before its memory is given back. A block that is
 * used again soon must keep its memory: a page that was given back costs a fault, and a zeroed page, at the
 * next store.
 */
#define POOLS_TRIM_REST 80u

/*
 * Give back what no pool has: memory of blocks that were freed some calls ago, where the region's backend
 * takes it back, and the last chunks of the table if all their entries are free; and the memory that
 * clients took past the end of a pool that they map. To be called four times a second, from one thread;
 * returns at once during an outage.
 */
void pools_trim(struct pools *pools);

/* ---- Check ------------------------------------------------------------- */

enum pools_problem_kind {
	POOLS_LEFTOVER,	 /* a crash left an operation half done; the next open finishes it */
	POOLS_REDUNDANT, /* one of two copies is damaged; the other one is whole */
	POOLS_DAMAGE	 /* something is lost or inconsistent */
};
struct pools_problem {
	enum pools_problem_kind kind;
	uint64_t offset; /* of the damaged bytes, in the region */
	/* What is damaged, which entry it belongs to, and what that means. */
	char text[512];
};
struct pools_check_options {
	void (*problem)(void *context, const struct pools_problem *problem);
	void (*progress)(void *context, const char *what, uint64_t done, uint64_t total);
	void *context;
};
struct pools_check_result {
	uint64_t entries, files, directories, names, used, leftovers, redundant, damaged;
};
/* Read all metadata and report problems; never writes. -EUCLEAN: something is damaged. */
int pools_check(const struct region *region, const struct pools_check_options *options,
		struct pools_check_result *result, struct message *message);

/* ---- Finding a pool: references --------------------------------------- */

/*
 * Each function that returns a pool adds a reference to it, which the caller drops with pool_unref().
 * References keep a pool in memory only: a pool without a name is destroyed when its last handle is
 * closed, and calls for it fail with -ESTALE from then on.
 */
struct pool *pool_root(struct pools *pools);
int pool_lookup(struct pool *directory, const char *name, struct pool **out);
/* By a slash-separated path from the root ("" or "/" is the root). Does not follow symlinks. */
int pool_lookup_path(struct pools *pools, const char *path, struct pool **out);
/* By inode number, for callers that have the pool open: the numbers of destroyed pools are reused. */
int pool_lookup_ino(struct pools *pools, uint64_t ino, struct pool **out);
/* The pools of its region. */
struct pools *pool_pools(const struct pool *pool);
/* A number that the one user who needs it keeps with a pool, as long as the pool exists; 0 at first. */
uint64_t pool_tag(const struct pool *pool);
void pool_set_tag(struct pool *pool, uint64_t tag);
void pool_ref(struct pool *pool, uint64_t count);
void pool_unref(struct pool *pool, uint64_t count);

struct pool_attributes {
	uint64_t ino; /* 1 is the root; unique among pools that have a name or a handle */
	mode_t mode;  /* with the type bits */
	nlink_t links;
	uid_t uid;
	gid_t gid;
	uint64_t size;
	uint64_t allocated; /* bytes of the region that it takes, promised blocks included */
	struct timespec atime, mtime, ctime, btime;
	uint8_t uuid[16];
	enum pool_mode pool_mode;
	/*
	 * Of operations on names in a directory, or on the size and attributes of a file: the strongest mode
	 * of the directories that it has names in.
	 */
	enum metadata_mode metadata;
	bool own_metadata; /* it was given to a directory, and is not that of pools_options */
};
int pool_get_attributes(struct pool *pool, struct pool_attributes *attributes);
/*
 * The same for a pool in use without a handle, such as a working directory: of a pool that was destroyed
 * after its last name was removed, the attributes are those that it had last, with 0 links and the size 0.
 * -ESTALE only if an outage destroyed it.
 */
int pool_get_last_attributes(struct pool *pool, struct pool_attributes *attributes);

/* Is pool_attributes.metadata, of a file too, that of a directory that was given a mode? */
bool pool_has_own_metadata(const struct pool *pool);

/* The type and the permission bits alone, for callers that check them often. Waits for nothing. */
mode_t pool_file_mode(const struct pool *pool);

/* A path from the root ("/db/wal"), by one of its hard links. -ENOENT if it has no name, -ENAMETOOLONG. */
int pool_path(struct pool *pool, char *buffer, size_t size);

enum pool_set {
	POOL_SET_MODE = 1u << 0, /* permission bits only */
	POOL_SET_UID = 1u << 1,
	POOL_SET_GID = 1u << 2,
	POOL_SET_ATIME = 1u << 3,
	POOL_SET_MTIME = 1u << 4,
	POOL_SET_POOL_MODE =
		1u << 5 /* of a directory: for what is created in it; of a file: for later writes */
};
/*
 * Durable on return. Of a pool for which pool_get_last_attributes() shows 0 links, only in memory. -EINVAL:
 * a time has more than 999,999,999 nanoseconds.
 */
int pool_set_attributes(struct pool *pool, unsigned which, const struct pool_attributes *attributes);
/*
 * Give a directory a metadata mode of its own, for what is done in it and created below it from now on;
 * directories that are below it already keep theirs. Commits all that was done before, in all the pools.
 * Durable on return. -ENOTDIR: it is no directory.
 */
int pool_set_metadata(struct pool *directory, enum metadata_mode mode);

/* ---- Extended attributes ------------------------------------------------ */

/*
 * Names begin with "user.", "trusted." or "security.", and have at most POOL_NAME_MAX bytes; all attributes
 * of a pool together, with 4 bytes for each, take at most this many bytes. Who may do what is the caller's to
 * check. Errors as in xattr(7): -ENODATA for a name that the pool does not have, -ERANGE for a buffer or a
 * name of a wrong length, -EOPNOTSUPP for other names, -ENOSPC, -EEXIST and -ENODATA for XATTR_CREATE and
 * XATTR_REPLACE; -EIO if the attributes on the media are damaged.
 */
#define POOL_XATTRS_MAX (8192 - 24)
/* Durable on return, and atomic: an outage leaves all attributes as before the call or as after it. */
int pool_xattr_set(struct pool *pool, const char *name, const void *value, size_t size, int flags);
int pool_xattr_remove(struct pool *pool, const char *name);
/* The length of the value, which is copied unless `size` is 0. */
ssize_t pool_xattr_get(struct pool *pool, const char *name, void *value, size_t size);
/* The length of all names with a NUL behind each, which are copied unless `size` is 0. */
ssize_t pool_xattr_list(struct pool *pool, bool trusted, char *list, size_t size);
#define POOL_CAPABILITY "security.capability" /* each write to a file removes it */
/* Has it that one? Waits for nothing: this is on the way of every write. */
bool pool_has_capability(const struct pool *pool);

/* ---- Names -------------------------------------------------------------- */

struct pool_new {
	mode_t mode; /* with the type: S_IFREG, S_IFDIR, S_IFIFO or S_IFSOCK */
	uid_t uid;
	gid_t gid; /* not used in a set-group-ID directory, whose group the new pool gets */
	enum pool_mode pool_mode;
	/* Of a directory: it has a metadata mode of its own. Without one it has that of its parent. */
	bool has_metadata;
	enum metadata_mode metadata;
	/* Of a regular file: its size; all of it gets blocks (-ENOSPC: nothing is created). */
	uint64_t size;
};
int pool_create(struct pool *directory, const char *name, const struct pool_new *attributes,
		struct pool **out);
/*
 * Create a regular file without a name, with the attributes that pool_create() would give it in this
 * directory, and open it. The caller gets a reference and a handle. pool_link() can name it; if nothing does,
 * it is destroyed when its last handle is closed, or by an outage.
 */
int pool_open_nameless(struct pool *directory, const struct pool_new *attributes, struct pool **out,
		       struct pool_handle **handle);
int pool_symlink(struct pool *directory, const char *name, const char *target, uid_t uid, gid_t gid,
		 struct pool **out);
/* Copies the target, NUL terminated. -ERANGE: `size` is too small (POOL_SYMLINK_MAX + 1 is always enough). */
int pool_readlink(struct pool *pool, char *buffer, size_t size);
/* -ENOENT for a pool whose last name was removed. */
int pool_link(struct pool *pool, struct pool *directory, const char *name);
int pool_unlink(struct pool *directory, const char *name);
int pool_rmdir(struct pool *directory, const char *name);
/* flags: 0, RENAME_NOREPLACE or RENAME_EXCHANGE (renameat2(2)). */
int pool_rename(struct pool *directory, const char *name, struct pool *new_directory, const char *new_name,
		unsigned flags);

/*
 * Calls `entry` for each name after `cookie` (0: from the first on; "." and ".." are not included).
 * `next` is the cookie after which to continue. If `entry` returns 0 it owns the reference to `pool`;
 * if it returns another value the listing stops before that name, and the reference is dropped. A name
 * that exists during the whole listing is seen exactly once. `entry` runs with a lock held: of this
 * header's functions it may call only pool_get_attributes().
 */
int pool_readdir(struct pool *directory, uint64_t cookie,
		 int (*entry)(void *context, const char *name, struct pool *pool, uint64_t next),
		 void *context);

/*
 * The largest cookie of the directory so far. Names that are added later, and names that are renamed,
 * have larger ones: a caller that stops at this cookie ends although others rename what it lists.
 */
uint64_t pool_last_cookie(struct pool *directory);

/* The parent of a directory, with a reference. The root's parent is the root. */
struct pool *pool_parent(struct pool *directory);

/* ---- Data --------------------------------------------------------------- */

/*
 * A handle belongs to the generation it was opened in: after an outage every call through it fails with
 * -EIO. A pool without a name is not destroyed while it has a handle.
 */
int pool_open(struct pool *pool, struct pool_handle **out);
void pool_close(struct pool_handle *handle);
struct pool *pool_of(struct pool_handle *handle);
/* 0, or -EIO for a handle of an older generation. */
int pool_handle_check(struct pool_handle *handle);

/*
 * Read without a copy. On success iov[0..count) are the bytes, which the kernel can read: fewer than
 * asked for at the end of the file, none past it. The pool is locked against writers until
 * pool_read_end(), which must follow soon, on the same thread.
 */
struct pool_read {
	struct iovec *iov;
	int count;
	size_t length;
	/* Private. */
	struct pool *pool;
	void *bounce;
	struct iovec inline_iov[8];
};
int pool_read_begin(struct pool_handle *handle, uint64_t offset, size_t length, struct pool_read *read);
void pool_read_end(struct pool_read *read);

/*
 * Read with a copy: the number of bytes, fewer than asked for only at the end of the file, or a
 * negative errno.
 */
ssize_t pool_read(struct pool_handle *handle, void *buffer, size_t length, uint64_t offset);

enum pool_write_kind {
	POOL_WRITE_FILE,  /* write(2): tears as the pool's mode says; may be short */
	POOL_WRITE_WHOLE, /* the same, but of all bytes or none */
	POOL_WRITE_MAPPED /* the kernel writes back a mapped page: the lines that differ were stored */
};
/*
 * Volatile until pool_sync(). Grows the pool. Returns how many bytes were written: with POOL_WRITE_FILE fewer
 * than `length`, at least one, if there is no room for more. Or writes none and returns -ENOSPC, -EFBIG, -EIO
 * or -EROFS.
 */
ssize_t pool_write(struct pool_handle *handle, const void *bytes, size_t length, uint64_t offset,
		   enum pool_write_kind kind);

/*
 * fsync(2), or fdatasync(2) if data_only: all volatile bytes of the pool are durable on return, and the
 * operations that model/names.h says. On an error a part of
 * them is still volatile, and a later sync tries again.
 */
int pool_sync(struct pool_handle *handle, bool data_only);
/*
 * The same without a handle, also for a directory: the operations on names in it are committed on return, and
 * its times are durable.
 */
int pool_sync_pool(struct pool *pool, bool data_only);

/* truncate(2); `handle` may be NULL. Durable on return. */
int pool_truncate(struct pool *pool, struct pool_handle *handle, uint64_t size);

/*
 * fallocate(2) with mode 0, KEEP_SIZE, PUNCH_HOLE|KEEP_SIZE or ZERO_RANGE[|KEEP_SIZE]; others are
 * -EOPNOTSUPP. Durable on return, except for the zeros in pages that the range covers in part, which
 * are volatile like a write.
 */
int pool_fallocate(struct pool_handle *handle, int mode, uint64_t offset, uint64_t length);

/*
 * A descriptor is closed (close(2)): only needed if pool_wants_flush(). See pools_options.auto_da_alloc.
 * True: something was done, or would have been if it had not failed.
 */
bool pool_flush(struct pool_handle *handle);
/* Will pool_close() end what the last truncation to 0 has made of closes? */
bool pool_ends_flushes(const struct pool_handle *handle);
bool pool_wants_flush(const struct pool *pool);

/* lseek(2) with SEEK_DATA or SEEK_HOLE: the offset found, or -ENXIO. */
int64_t pool_seek(struct pool_handle *handle, uint64_t offset, int whence);

/* ---- Mappings of the view by other processes ------------------------------ */

struct pool_attachment {
	int fd;	       /* the view's memory, for a client to map; the caller closes it */
	uint32_t view; /* its number in WPQ records */
	uint64_t size; /* of the pool, in bytes */
};
/*
 * Let client processes map and store to the pool's view. Holes stay holes until a store to them
 * is drained; pools_drain() says what happens if there is no space then. Must be called again after the pool
 * has grown. The pool stays attached until an outage or its destruction, or until no process has its view's
 * memory any more and descriptors are scarce (pools_release_attached()). -EMFILE: there is no descriptor.
 */
int pool_attach(struct pool *pool, struct pool_attachment *attachment);
/*
 * The same where nothing else can change the pool's size, as without a mount: the descriptor behaves
 * like a file of exactly the pool's size.
 */
int pool_attach_exact(struct pool *pool, struct pool_attachment *attachment);
bool pool_is_attached(struct pool *pool);
/* Was it attached since the region was opened? */
bool pool_was_attached(struct pool *pool);
/*
 * Detach some pools that are not open and whose views no process has any more, and drop these views: of pools
 * whose bytes are all durable, or else of pools that are made durable for it. False: there was none.
 */
bool pools_release_attached(struct pools *pools);
/* The number of the pool's view; false: it is not attached. */
bool pool_attached_view(struct pool *pool, uint32_t *view);
/* The attached pool whose view has this number, with a reference; NULL: there is none. */
struct pool *pools_find_attached(struct pools *pools, uint32_t view);
/*
 * msync(2) of a range of an attached pool: what of it differs from the media is durable on return. -ENOSPC: a
 * hole was stored to, and there is no space.
 */
int pool_sync_range(struct pool *pool, uint64_t offset, uint64_t length);
/* What was drained for the pool since the region was opened, across outages. */
int pool_counts(struct pool *pool, struct domain_counts *counts);
/*
 * How many lines were stored and are not durable. Call pools_drain() before. Of an attached pool, all
 * is compared.
 */
int pool_volatile_lines(struct pool *pool, uint64_t *lines);
/* Call `call` for each attached pool, with no lock held. */
void pools_for_attached(struct pools *pools, void (*call)(void *context, struct pool *pool), void *context);
/* The same for each pool that was attached since the region was opened. */
void pools_for_once_attached(struct pools *pools, void (*call)(void *context, struct pool *pool),
			     void *context);
/*
 * Write what is published in any WPQ to the media; durable on return. -EPROTO: a WPQ held a malformed
 * record and is dead. -EIO: the media are lost.
 */
int pools_drain(struct pools *pools);
/* Drain, and then wpq_destroy() each. Waits for the end of an outage. */
void pools_destroy_wpqs(struct pools *pools, struct wpq **wpqs, size_t count);
/* A new, empty WPQ for a client of the region (wpq_create()); pools_destroy_wpqs() ends it. */
int pools_create_wpq(struct pools *pools, uint32_t lane_size, struct wpq **out);
/* Which pools the records of a client's WPQs may name (wpq_rights_create()): none so far. */
int pools_create_wpq_rights(struct pools *pools, struct wpq_rights **out);
/* Bytes that pools_drain() would write (domain_published()): clients write the positions that tell. */
uint64_t pools_published(struct pools *pools);
/* Tell the clients whether they have to ask for a drain (domain_set_awake()). */
void pools_set_awake(struct pools *pools, bool awake);
/* Let clients announce their fences, or let them cease (domain_announce_fences()). */
void pools_announce_fences(struct pools *pools, bool announce);
/* Count lines that are flushed without a change (domain_count_clean()). */
void pools_count_clean(struct pools *pools, bool count);
/* The persistence domain given to pools_open(). */
enum persistence_domain pools_persistence(const struct pools *pools);

/* ---- An outage ----------------------------------------------------------- */

/*
 * The pools' part in an outage. The director (src/daemon/outage.c) calls the
 * three functions below, each once, in this order and from one thread. A face
 * may discard its caches between them.
 */

struct pool_outage_report {
	char path[4096 + 1]; /* "" for a pool without a name */
	enum pool_mode mode;
	/* Those written since the pool's last power-up. */
	struct domain_lines lines;
	/* Bytes. */
	uint64_t size_before, size_after;
};
/*
 * An operation that the outage takes back. Paths are those of after the operation; "" if they are too long.
 * The names are entries that the operation changed; NULL for an operation on a size or attributes.
 */
struct pool_lost_operation {
	/* create, mkdir, link, unlink, rmdir, rename, exchange, resize or attributes. Static. */
	const char *operation;
	char path[4096 + 1];
	char to_path[4096 + 1]; /* of a rename or exchange */
	struct pool *directory, *to_directory; /* `to_...`: of a rename or exchange, else NULL */
	const char *name, *to_name;
};
struct pools_outage {
	/* The pools' own mode counts if it is stronger, a smaller value. */
	enum metadata_mode metadata;
	/* No process has a mapping or a descriptor of a view: views that were attached keep their memory. */
	bool mappers_are_gone;
	/* Called once for each regular file with volatile state, with no pool locked; may be NULL. */
	void (*report)(void *context, const struct pool_outage_report *report);
	/*
	 * Called for each operation that is taken back, the newest first; may be NULL. It may take
	 * references, and call nothing else of this header. `lost` is NULL if there is no memory for it.
	 */
	void (*lost)(void *context, const struct pool_lost_operation *lost);
	void *context;
};

/*
 * Begin the next generation: all handles are dead. Returns when no call is in
 * the pools any more. From then on a call through a handle fails with -EIO
 * without touching anything, and a call without one waits for pools_resume().
 * The caller must not be inside a call of the pools or a call-back from one, and
 * the pools must not be stopped already.
 */
void pools_stop(struct pools *pools);
/*
 * Precondition: pools_stop(). Let the chooser pick what of the volatile state
 * reached the media (in the domain cpu_cache all stores did, whatever the
 * policy), drop the rest, free pools without a name, count the power cycle on
 * the media. The pools derive a chooser each from their number in the region:
 * one seed leaves the same bytes of equal states. -ENOMEM: nothing was decided,
 * and all volatile state is kept as it is. Other errors: what the policy would
 * have kept of some pools is lost, and the log names them.
 */
int pools_decide(struct pools *pools, const struct chooser *chooser, const struct pools_outage *outage);
/* Precondition: pools_stop(). The calls that wait go on, in the next generation. */
void pools_resume(struct pools *pools);

uint64_t pools_generation(struct pools *pools);

/* ---- Snapshots ------------------------------------------------------------ */

struct region_snapshot;
/*
 * Make everything durable, and remember the state of the region (region/snapshot.h): 0, or a negative errno
 * of pools_sync() or region_snapshot_take(); -EROFS. Ended by pools_drop_snapshot().
 */
int pools_snapshot(struct pools *pools, struct region_snapshot **out);
void pools_drop_snapshot(struct pools *pools, struct region_snapshot *snapshot);
/*
 * Precondition: pools_stop(), and no process has a mapping of a view. Go back to the snapshot, which stays.
 * All pools of before are dead, and calls with them fail with -ESTALE; the root is another one too. -ENOMEM:
 * the snapshot is not whole, and nothing has changed. After another error the region has failed.
 */
int pools_restore(struct pools *pools, struct region_snapshot *snapshot);

/*
 * Are the media gone (region_failed())? Then nothing is done any more: calls
 * through handles fail with -EIO, and so does what would change names.
 */
bool pools_media_lost(const struct pools *pools);

#endif
