/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef POOL_POOL_H
#define POOL_POOL_H

/*
 * Pools: named, growable files in a tree, laid on a region (docs/format has the
 * bytes). `struct pools` is everything on one region; `struct pool` is one
 * file, directory, symlink, fifo or socket in it.
 *
 * Two kinds of state. What has been committed to the media survives a power
 * failure; what is volatile (written bytes, the size an extending write gave,
 * its times) does so only after pool_sync(), unless the policy of the failure
 * keeps it. Every function that changes names, modes, owners or times, and
 * pool_truncate() and pool_fallocate(), is atomic and durable when it returns.
 *
 * Functions return 0, or a negative errno as POSIX gives it for the system call
 * of that name. All of them may be called from any thread at any time, except
 * pools_close() and pools_abandon(), which need everybody else to be done.
 * Sizes and offsets are bytes. Times are CLOCK_REALTIME.
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
#include "region/region.h"

struct pools;
struct pool;
struct pool_handle;
struct wpq_rights;

/* Bytes; what a name may hold is any byte but '/' and NUL. */
#define POOL_NAME_MAX 255
#define POOL_SYMLINK_MAX 4095
#define POOL_LABEL_MAX 63
#define POOL_LINK_MAX 65000
/* The largest size of a pool: 16 TiB less a page. Beyond it: -EFBIG. */
#define POOL_SIZE_MAX (((uint64_t)1 << 44) - 4096)

/* How file writes (write(2), not stores through a mapping) tear when power fails. */
enum pool_mode {
	POOL_MODE_INHERIT = 0,	     /* at create only: the directory's mode */
	POOL_MODE_FSDAX = 1,	     /* at lines */
	POOL_MODE_SECTOR_512 = 512,  /* at aligned 512-byte sectors, as under BTT */
	POOL_MODE_SECTOR_4096 = 4096 /* at aligned 4096-byte sectors, as under BTT */
};
/* "fsdax", "sector" (4096), "sector:512", "sector:4096"; parse: 0 or -EINVAL. */
int pool_mode_parse(const char *text, enum pool_mode *mode);
/* "fsdax" or "sector": ndctl's words. The sector size is the number itself. */
const char *pool_mode_name(enum pool_mode mode);

/* ---- A region's pools as a whole -------------------------------------- */

struct pools_format_options {
	const char *label;   /* at most POOL_LABEL_MAX bytes; NULL: none */
	enum pool_mode mode; /* of the root directory; INHERIT means fsdax */
	uid_t uid;	     /* of the root directory, mode 0755 */
	gid_t gid;
	/* Overwrite bytes that are no softpmem region, or an old one. */
	bool force;
};

/*
 * Lay an empty tree on the region. Refuses, without `force`, a region that
 * holds a softpmem superblock or any other non-zero byte in its first or last
 * 64 KiB (-EEXIST). Nothing is written when refusing.
 */
int pools_format(struct region *region, const struct pools_format_options *options, struct message *message);

enum pools_probe {
	POOLS_PROBE_BLANK,     /* nothing but zeros where a superblock would be */
	POOLS_PROBE_FORMATTED, /* at least one copy of the superblock is valid */
	POOLS_PROBE_FOREIGN    /* other bytes */
};
enum pools_probe pools_probe(const struct region *region);

/*
 * The next valid superblock at or after *offset, on any page of the media: one of
 * its two copies, of a region of *size bytes that begins or ends there. False if
 * there is none; *offset is where it is if there is.
 */
bool pools_find(const struct region *region, uint64_t *offset, uint64_t *size);

struct pools_options {
	enum persistence_domain domain;
	/* Nothing is written to the region; changing anything is -EROFS. Implied by a read-only region. */
	bool read_only;
	/* Told now and then while a long operation runs; may be NULL. `done` of `total`, same unit. */
	void (*progress)(void *context, const char *what, uint64_t done, uint64_t total);
	void *progress_context;
	/* What recovery finds and repairs. */
	struct log_sink log;
};

/*
 * Load the pools of a formatted region: finish what a crash left half done,
 * free files without a name, count the power cycle. Takes no ownership of the
 * region, which must outlive *out. -EUCLEAN with a message when metadata is
 * damaged beyond its redundancy: open with read_only to save what is there.
 */
int pools_open(struct region *region, const struct pools_options *options, struct pools **out,
	       struct message *message);

/* Commit and drain everything volatile, mark the region cleanly stopped, free. */
int pools_close(struct pools *pools, struct message *message);

/* Free without writing a byte: what the media holds is what a killed daemon leaves. */
void pools_abandon(struct pools *pools);

struct pools_info {
	uint8_t uuid[16];
	char label[POOL_LABEL_MAX + 1];
	uint64_t size;		  /* of the region */
	uint64_t free;		  /* what new data may still take */
	uint64_t volatile_bytes;  /* upper bound of what a power failure with policy lose would undo */
	uint64_t generation;	  /* power cycles */
	uint64_t dirty_shutdowns; /* of them without a clean stop */
	uint64_t pools;		  /* regular files */
	uint64_t directories;
	enum persistence_domain domain;
	enum pool_mode mode; /* of the root directory */
	bool read_only;
	time_t created;
};
void pools_info(struct pools *pools, struct pools_info *info);

/* Commit and drain everything volatile. The first error is returned; the rest is tried. */
int pools_sync(struct pools *pools);

/* ---- Check ------------------------------------------------------------- */

enum pools_problem_kind {
	POOLS_LEFTOVER,	 /* a crash left it half done; the next open finishes it */
	POOLS_REDUNDANT, /* one of two copies is damaged; the other holds all */
	POOLS_DAMAGE	 /* something is lost or contradicts itself */
};
struct pools_problem {
	enum pools_problem_kind kind;
	uint64_t offset; /* in the region, of the damaged bytes */
	/* What is damaged, whose it is (a path where one is known), what it means. */
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
/* Read every byte of metadata and report; never writes. -EUCLEAN if anything is damaged. */
int pools_check(const struct region *region, const struct pools_check_options *options,
		struct pools_check_result *result, struct message *message);

/* ---- Finding a pool: references --------------------------------------- */

/*
 * Each function that yields a pool adds a reference to it; a pool's memory
 * stays until as many were dropped. What is unlinked is freed on the media when
 * its last handle is closed, whatever references remain: then it answers
 * -ESTALE.
 */
struct pool *pool_root(struct pools *pools);
int pool_lookup(struct pool *directory, const char *name, struct pool **out);
/* By slash-separated path from the root ("" or "/" is the root). Follows no symlink. */
int pool_lookup_path(struct pools *pools, const char *path, struct pool **out);
/* By number, for who has it open: numbers of pools that nobody holds come back. */
int pool_lookup_ino(struct pools *pools, uint64_t ino, struct pool **out);
/* What it is one of. */
struct pools *pool_pools(const struct pool *pool);
void pool_ref(struct pool *pool, uint64_t count);
void pool_unref(struct pool *pool, uint64_t count);

struct pool_attributes {
	uint64_t ino; /* 1 is the root; of no other pool that has a name or a handle */
	mode_t mode;  /* with the type bits */
	nlink_t links;
	uid_t uid;
	gid_t gid;
	uint64_t size;
	uint64_t allocated; /* bytes of the region it takes, volatile reservations included */
	struct timespec atime, mtime, ctime, btime;
	uint8_t uuid[16];
	enum pool_mode pool_mode;
};
int pool_get_attributes(struct pool *pool, struct pool_attributes *attributes);

/* A path from the root ("/db/wal"); of several hard links, one. -ENOENT if unlinked, -ENAMETOOLONG. */
int pool_path(struct pool *pool, char *buffer, size_t size);

enum pool_set {
	POOL_SET_MODE = 1u << 0, /* permission bits only */
	POOL_SET_UID = 1u << 1,
	POOL_SET_GID = 1u << 2,
	POOL_SET_ATIME = 1u << 3,
	POOL_SET_MTIME = 1u << 4,
	POOL_SET_POOL_MODE = 1u << 5 /* for later creates in a directory; for later writes to a file */
};
int pool_set_attributes(struct pool *pool, unsigned which, const struct pool_attributes *attributes);

/* ---- Names -------------------------------------------------------------- */

struct pool_new {
	mode_t mode; /* with the type: S_IFREG, S_IFDIR, S_IFIFO or S_IFSOCK */
	uid_t uid;
	gid_t gid; /* the directory's, instead of this one, if the directory is set-group-ID */
	enum pool_mode pool_mode;
	/* A regular file only: its size, all of it reserved on the region (-ENOSPC: nothing is made). */
	uint64_t size;
};
int pool_create(struct pool *directory, const char *name, const struct pool_new *attributes,
		struct pool **out);
int pool_symlink(struct pool *directory, const char *name, const char *target, uid_t uid, gid_t gid,
		 struct pool **out);
/* Copies the target, NUL terminated; -ERANGE if size is too small (POOL_SYMLINK_MAX + 1 always does). */
int pool_readlink(struct pool *pool, char *buffer, size_t size);
int pool_link(struct pool *pool, struct pool *directory, const char *name);
int pool_unlink(struct pool *directory, const char *name);
int pool_rmdir(struct pool *directory, const char *name);
/* flags: 0, RENAME_NOREPLACE or RENAME_EXCHANGE (renameat2(2)). */
int pool_rename(struct pool *directory, const char *name, struct pool *new_directory, const char *new_name,
		unsigned flags);

/*
 * Calls `entry` for each name after `cookie` (0: from the first; "." and ".."
 * are not among them), with a reference that the callee owns if it returns 0
 * and the cookie to go on after it. A non-zero return stops; that entry was not
 * taken, and its reference is dropped for the callee. Names that are neither
 * added nor removed meanwhile are seen exactly once. The callback runs under the
 * names lock: it must not call back into pools, pool_get_attributes() excepted.
 */
int pool_readdir(struct pool *directory, uint64_t cookie,
		 int (*entry)(void *context, const char *name, struct pool *pool, uint64_t next),
		 void *context);

/* The parent of a directory (of the root: itself), with a reference. */
struct pool *pool_parent(struct pool *directory);

/* ---- Data --------------------------------------------------------------- */

/*
 * A handle knows the generation it was opened in: after a power failure every
 * call through it is -EIO. It keeps an unlinked pool's bytes alive.
 */
int pool_open(struct pool *pool, struct pool_handle **out);
void pool_close(struct pool_handle *handle);
struct pool *pool_of(struct pool_handle *handle);
/* 0, or -EIO for a handle of an older generation. */
int pool_handle_check(struct pool_handle *handle);

/*
 * Zero-copy read. On success iov[0..count) describes the bytes (short only at
 * the end of the file; length 0 at or past it), readable by the kernel, and the
 * pool is locked against writers until pool_read_end(), which must follow at
 * once, on the same thread.
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

/* The copying form: bytes read (short only at the end of the file) or a negative errno. */
ssize_t pool_read(struct pool_handle *handle, void *buffer, size_t length, uint64_t offset);

enum pool_write_kind {
	POOL_WRITE_FILE,  /* write(2): tears as the pool's mode says */
	POOL_WRITE_MAPPED /* the kernel writing a mapping's pages back: only the bytes
			     that changed were stored, and they tear at lines */
};
/* Volatile until pool_sync(). Grows the pool. All of it or a negative errno (-ENOSPC, -EFBIG, -EIO). */
ssize_t pool_write(struct pool_handle *handle, const void *bytes, size_t length, uint64_t offset,
		   enum pool_write_kind kind);

/*
 * fsync: all volatile bytes and attributes of the pool are durable on return.
 * On an error they stay volatile and a later sync tries again.
 */
int pool_sync(struct pool_handle *handle);
/* The same by the pool itself: a directory's times, which change with its names, are volatile until then. */
int pool_sync_pool(struct pool *pool);

/* With a handle or, NULL, by the pool itself: truncate(2). Durable on return. */
int pool_truncate(struct pool *pool, struct pool_handle *handle, uint64_t size);

/*
 * mode: as fallocate(2): 0, KEEP_SIZE, PUNCH_HOLE|KEEP_SIZE, ZERO_RANGE[|KEEP_SIZE];
 * others -EOPNOTSUPP. Durable on return, but for the zeros of pages that a range
 * covers in part: they are as written.
 */
int pool_fallocate(struct pool_handle *handle, int mode, uint64_t offset, uint64_t length);

/* whence: SEEK_DATA or SEEK_HOLE (lseek(2)); the offset found or -ENXIO. */
int64_t pool_seek(struct pool_handle *handle, uint64_t offset, int whence);

/* ---- Mappings of the view by other processes ------------------------------ */

struct pool_attachment {
	int fd;	       /* the view's memory; the pool's, to be passed on, not closed */
	uint32_t view; /* what WPQ records call it */
	uint64_t size; /* bytes of the pool */
};
/*
 * From here on CPUs store to the pool's view behind our back. All of its size is
 * given space first (-ENOSPC). May be called again when the pool has grown. Holds
 * until the power fails or the pool is destroyed.
 */
int pool_attach(struct pool *pool, struct pool_attachment *attachment);
/*
 * The same where nothing but this can change the pool's size, as without a
 * mount: the descriptor is to who opens it like a file of the pool's size.
 */
int pool_attach_exact(struct pool *pool, struct pool_attachment *attachment);
bool pool_is_attached(struct pool *pool);
/* What was drained for the pool since the region was opened, over power failures. */
int pool_counts(struct pool *pool, struct domain_counts *counts);
/* How many lines differ from the media's: stored, and not durable. Compares all of it; drain before. */
int pool_volatile_lines(struct pool *pool, uint64_t *lines);
/* Are there attached pools? */
bool pools_are_attached(struct pools *pools);
/* Call back for each of them, with no lock held. */
void pools_for_attached(struct pools *pools, void (*call)(void *context, struct pool *pool), void *context);
/* The same for each that was attached since the region was opened. */
void pools_for_once_attached(struct pools *pools, void (*call)(void *context, struct pool *pool),
			     void *context);
/*
 * Write what is published in any WPQ to the media; durable on return. -EPROTO: a
 * WPQ held what cannot be, and is dead. -EIO: the media are lost.
 */
int pools_drain(struct pools *pools);
/* Drain, and then wpq_destroy() each of them. Waits until the power is on. */
void pools_destroy_wpqs(struct pools *pools, struct wpq **wpqs, size_t count);
/* A new, empty WPQ for a client of the region (wpq_create()); pools_destroy_wpqs() ends it. */
int pools_create_wpq(struct pools *pools, uint32_t lane_size, struct wpq **out);
/* Which pools the records of a client's WPQs may name (wpq_rights_create()): none so far. */
int pools_create_wpq_rights(struct pools *pools, struct wpq_rights **out);
/* Bytes that pools_drain() would write (domain_published()): clients write the positions that tell. */
uint64_t pools_published(struct pools *pools);
/* Tell the clients whether they have to ask for a drain (domain_set_awake()). */
void pools_set_awake(struct pools *pools, bool awake);
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
struct pools_outage {
	/* No process has a mapping or a descriptor of a view: views that were attached keep their memory. */
	bool mappers_are_gone;
	/* Called once for each regular file with volatile state, with no pool locked; may be NULL. */
	void (*report)(void *context, const struct pool_outage_report *report);
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

/*
 * Are the media gone (region_failed())? Then nothing is done any more: calls
 * through handles fail with -EIO, and so does what would change names.
 */
bool pools_media_lost(const struct pools *pools);

#endif
