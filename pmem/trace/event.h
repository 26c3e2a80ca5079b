/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRACE_EVENT_H
#define TRACE_EVENT_H

/*
 * The events of a trace, decoded. A trace is the record of one run: every event
 * of every thread and of the mount, in memory order.
 *
 * Ids are chosen by the recorder and never reused in one trace. 0 means "none".
 * A file id names a pool, a directory, a fifo or a symlink; a pool and the regular
 * file that shows it on the mount are one thing with one id. Offsets and lengths
 * are bytes.
 *
 * Pointers in an event belong to its producer (a reader, a parser, a caller) and
 * are valid as long as that says.
 */

#include <stdbool.h>
#include <stdint.h>

enum trace_kind {
	/* Memory. Each has a thread; its site is 0 if the site is not known. */
	TRACE_STORE = 1, /* store */
	TRACE_FLUSH = 2, /* flush */
	TRACE_FENCE = 3, /* enum trace_fence in `op` */
	TRACE_MSYNC = 4, /* range: msync(MS_SYNC) returned 0 */

	/* Processes and threads. */
	TRACE_PROCESS_START = 8, /* process; an execve() starts a new one, whose parent is the one before */
	TRACE_PROCESS_EXIT = 9,	 /* process */
	TRACE_THREAD_START = 10, /* process: the one the thread belongs to; pid is its thread id */
	TRACE_THREAD_EXIT = 11,	 /* nothing more */
	TRACE_MAP = 12,		 /* map */
	TRACE_UNMAP = 13,	 /* map: address and length */

	/* File operations of the mount; each is recorded when it was done without an error. */
	TRACE_WRITE = 16,     /* store: offset and bytes; TRACE_WRITE_* flags */
	TRACE_TRUNCATE = 17,  /* range: length is the new size */
	TRACE_FALLOCATE = 18, /* range, and fallocate's mode in `op` */
	TRACE_CREATE = 19,    /* name: a regular file; an empty name is O_TMPFILE's */
	TRACE_MKDIR = 20,     /* name */
	TRACE_MKFIFO = 21,    /* name */
	TRACE_SYMLINK = 22,   /* name */
	TRACE_LINK = 23,      /* name */
	TRACE_UNLINK = 24,    /* name */
	TRACE_RMDIR = 25,     /* name */
	TRACE_RENAME = 26,    /* rename; RENAME_* flags of renameat2(2) in `op` */
	TRACE_SETATTR = 27,   /* attributes */
	TRACE_FSYNC = 28,     /* fsync of a file or a directory */
	TRACE_FDATASYNC = 29, /* fdatasync of a file or a directory */
	TRACE_OPEN = 30,      /* O_SYNC, O_DSYNC, O_TRUNC and O_APPEND of open(2) in `op` */
	TRACE_SYNC = 31,      /* everything on the mount was made durable: softpmem sync */
	TRACE_CLOSE = 32,     /* enum trace_close in `op`; only where it matters: TRACE_INFO_DA_ALLOC */
	TRACE_SETXATTR = 33,  /* xattr: the file has this extended attribute with this value */
	TRACE_REMOVEXATTR = 34, /* xattr: its name alone */

	/* The run. */
	TRACE_MARK = 40,   /* mark */
	TRACE_OUTAGE = 41, /* outage */
	TRACE_LOST = 42,   /* lost: events are missing here */
	TRACE_END = 43,	   /* end: the recording was ended in order; always the last event */

	/* Definitions. They have no stamp and no thread, and come before what refers to them. */
	TRACE_INFO = 48,   /* info: a property of the run as a whole */
	TRACE_FILE = 49,   /* node: a pool or file that was there when the recording began */
	TRACE_NAME = 50,   /* name: an entry of a directory when the recording began */
	TRACE_IMAGE = 51,  /* store: bytes of a file when the recording began; others were 0 */
	TRACE_MODULE = 52, /* module */
	TRACE_SITE = 53,   /* stack */
	TRACE_RULES = 54,  /* rules: what a power failure may do to a file, from here on */
	TRACE_XATTR = 55,  /* xattr: of a file when the recording began */
};

/* Flags of TRACE_STORE. */
#define TRACE_NONTEMPORAL (1u << 0)
/*
 * A locked read-modify-write. It is a fence of its thread as well, which comes first: what the
 * thread flushed before is guaranteed to any state that has this store.
 */
#define TRACE_LOCKED (1u << 1)
/* Many stores of one call or instruction (memcpy, rep movs), in an order that is not known. */
#define TRACE_RANGE (1u << 2)
/* A further piece of the store or write before it by this thread. */
#define TRACE_CONTINUED (1u << 3)

/* Flags of TRACE_WRITE; TRACE_CONTINUED too. */
#define TRACE_WRITE_SYNC (1u << 4)  /* O_SYNC: as if fsync followed */
#define TRACE_WRITE_DSYNC (1u << 5) /* O_DSYNC: as if fdatasync followed */
#define TRACE_WRITE_PAGE (1u << 6)  /* the kernel wrote back pages that were stored to through a mapping */

enum trace_flush { TRACE_CLWB, TRACE_CLFLUSHOPT, TRACE_CLFLUSH };
/* TRACE_RMW: a locked read-modify-write that stored to no pool; a failed cmpxchg is one. */
enum trace_fence { TRACE_SFENCE, TRACE_MFENCE, TRACE_RMW };

/* close(2) of a descriptor of a file that was truncated to 0; the end of the last one, maybe later. */
enum trace_close { TRACE_CLOSE_ONE, TRACE_CLOSE_LAST };

#define TRACE_NAME_MAX 255u	   /* of a name */
#define TRACE_XATTR_MAX 65536u	   /* of the value of an extended attribute */
#define TRACE_PATH_MAX 4096u	   /* of a path, a symlink's target, a text */
#define TRACE_BYTES_MAX (1u << 20) /* of one event; longer ones are split, TRACE_CONTINUED */
#define TRACE_FRAMES_MAX 64u	   /* of a site's call stack */
#define TRACE_FRAMES_USUAL 8u	   /* that a recording takes if nobody asks for another number */
#define TRACE_SEGMENTS_MAX 64u	   /* of a module */
#define TRACE_BUILD_ID_MAX 64u
/* Offset plus length of a store or a flush never exceeds this. */
#define TRACE_STORE_END ((uint64_t)1 << 48)

/* Bytes that are no string: they may hold NUL, and none follows them. */
struct trace_bytes {
	const unsigned char *at;
	uint32_t length;
};

/* Is byte `index` (below 64) of a masked store stored? A mask of 0 stands for every byte. */
static inline bool trace_mask_has(uint64_t mask, uint32_t index)
{
	return !mask || (mask >> index & 1);
}

struct trace_segment {
	uint64_t address; /* where it is loaded */
	uint64_t length;
	uint64_t offset; /* in the module's file */
};

/* Of a call stack: the instruction itself, or in frames after the first the return address. */
struct trace_frame {
	uint32_t module; /* 0: outside every module; the offset is the address then */
	uint64_t offset; /* from the module's load bias: an address as its symbols have it */
};

enum trace_mark_source {
	TRACE_MARK_EXPLICIT, /* softpmem mark, softpmem_mark() */
	TRACE_MARK_STDOUT,
	TRACE_MARK_STDERR,
	TRACE_MARK_SOCKET,
	TRACE_MARK_PIPE,
};

/* For TRACE_SETATTR: which of the attributes are set. */
#define TRACE_SET_MODE (1u << 0)
#define TRACE_SET_UID (1u << 1)
#define TRACE_SET_GID (1u << 2)
#define TRACE_SET_ATIME (1u << 3)
#define TRACE_SET_MTIME (1u << 4)

struct trace_attributes {
	uint32_t mode; /* st_mode, with the file's type */
	uint32_t uid, gid;
	int64_t atime, mtime; /* nanoseconds since the epoch */
};

struct trace_event {
	enum trace_kind kind;
	uint32_t flags; /* TRACE_* flags of its kind */
	/* Its place in memory order: strictly ascending along a trace. 0 in definitions. */
	uint64_t stamp;
	uint32_t thread; /* 0: no recorded thread, for instance a request of somebody on the mount */
	uint32_t site;
	uint64_t file; /* the file or pool that it is about; 0 where there is none */
	uint32_t op;   /* by kind, above */
	union {
		struct {
			uint64_t offset;
			uint64_t mask; /* bit i: byte i is stored; 0: all are. Only up to 64 bytes have one */
			struct trace_bytes bytes;
		} store;
		/* enum trace_flush in `op`; offset and length are multiples of 64. Several lines ascend. */
		struct {
			uint64_t offset, length;
		} flush;
		struct {
			uint64_t offset, length;
		} range;
		struct {
			uint32_t process; /* the one that starts, exits, or has the thread */
			uint32_t parent;  /* the process that forked it; 0: not recorded */
			int32_t pid;	  /* or thread id */
			int32_t status;	  /* of an exit, as waitpid(2) gives it */
			/* The command line, arguments separated by NUL; a thread's name. */
			struct trace_bytes text;
		} process;
		struct {
			uint64_t address, offset, length;
		} map;
		struct {
			uint64_t parent; /* the directory */
			struct trace_bytes name;
			struct trace_bytes target;	    /* TRACE_SYMLINK */
			struct trace_attributes attributes; /* of what is created */
		} name;
		struct {
			uint64_t parent, new_parent;
			struct trace_bytes name, new_name;
			/* The file that had the new name and was replaced or exchanged; 0: none had. */
			uint64_t replaced;
		} rename;
		struct trace_attributes attributes; /* TRACE_SET_* in `op` */
		struct {
			struct trace_bytes name, value; /* "user.color"; a value may be empty */
		} xattr;
		struct {
			uint32_t source; /* enum trace_mark_source */
			int32_t fd;	 /* -1: none */
			uint64_t length; /* of what was written; text may be less of it */
			struct trace_bytes text;
		} mark;
		struct {
			uint64_t generation; /* of power cycles, after it */
			uint64_t seed;
			struct trace_bytes policy;
		} outage;
		struct {
			uint64_t count; /* of events; 0: not known */
			struct trace_bytes reason;
		} lost;
		struct {
			uint64_t events; /* in the whole trace, this one included */
		} end;
		struct {
			struct trace_bytes key, value;
		} info;
		struct {
			/* enum metadata_mode + 1, of the directory or the file; 0: that of the search */
			uint32_t metadata;
			/* Aligned bytes that writes leave whole, 512 or 4096; 0: lines, in pieces of 8 */
			uint32_t sector;
		} rules;
		struct {
			uint64_t size;
			unsigned char uuid[16]; /* of a pool; else 0 */
			struct trace_attributes attributes;
			struct trace_bytes path;   /* a hint for reports; names are TRACE_NAME's */
			struct trace_bytes target; /* of a symlink */
		} node;
		struct {
			uint32_t module, process;
			uint64_t bias; /* address as loaded minus address as in its symbols */
			struct trace_bytes path, build_id;
			const struct trace_segment *segments;
			uint32_t count;
		} module;
		struct {
			const struct trace_frame *frames; /* [0] is the instruction; then its callers */
			uint32_t count;
		} stack; /* of the site whose id is event.site */
	};
};

/*
 * Keys of TRACE_INFO that say what power failures of the run could do. They come before all files. Values are
 * "yes"; without the key it is not so.
 */
#define TRACE_INFO_DA_ALLOC "auto-da-alloc"	  /* as softpmemd --auto-da-alloc: there are TRACE_CLOSE */
#define TRACE_INFO_OWN_METADATA "own-metadata" /* TRACE_RULES give metadata modes */
#define TRACE_INFO_REGIONS "several-regions"	  /* the directories of the root are regions */

/* "store", "clwb", "rename": the name of an event's kind in text, reports and messages. */
const char *trace_event_name(const struct trace_event *event);

/* Set what events of every kind have: all 0 but the kind and the thread. The union stays as it is. */
static inline void trace_event_start(struct trace_event *event, enum trace_kind kind, uint32_t thread)
{
	event->kind = kind;
	event->flags = 0;
	event->stamp = 0;
	event->thread = thread;
	event->site = 0;
	event->file = 0;
	event->op = 0;
}

static inline bool trace_kind_is_definition(enum trace_kind kind)
{
	return kind >= TRACE_INFO;
}

#endif
