/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ABI_ATTACH_PROTOCOL_H
#define ABI_ATTACH_PROTOCOL_H

/*
 * How a client process reaches the views and its WPQs: messages of fixed size
 * on a SOCK_SEQPACKET socket beside the control socket (its path with
 * ATTACH_SUFFIX). Each process has one connection; descriptors are sent as SCM_RIGHTS.
 * All integers are little-endian. When a connection ends, the daemon drains what is
 * published in its WPQs and destroys them.
 *
 * A client proves that it may map a pool by sending a descriptor of the pool's file on the mount, open
 * for reading and writing. If the daemon has no mount, it sends a descriptor of the view's memory, opened
 * by the path in the daemon's /proc that `softpmem path` prints.
 *
 * A daemon that has no place for a client, or does not admit it, sends one reply of type 0 with the error
 * and its reason, and closes the connection.
 */

#include <stdint.h>

#define ATTACH_SUFFIX ".attach"
#define ATTACH_MAGIC 0x48435441u /* "ATCH" */
#define ATTACH_VERSION 4u
/* The most regions that a daemon serves. They are numbered from 0; each has its own WPQs and views. */
#define ATTACH_REGIONS_MAX 64u

enum attach_type {
	/*
	 * The first message. Reply: mount_device, view_device, domain (cpu_cache only if all regions have
	 * it).
	 */
	ATTACH_HELLO = 1,
	/*
	 * With one descriptor, of a pool's file, open for reading and writing. Reply: a descriptor of the
	 * view; region, view, pool_size, ino, and the region's domain and generation. If this process is
	 * recorded, trace_pool is the number of the pool in its slots (trace/slot.h) from here on.
	 */
	ATTACH_POOL = 2,
	/* Reply: a descriptor of a new WPQ (wpq_layout.h), whose records may name views of `region`. */
	ATTACH_WPQ = 3,
	/* Drain this process's WPQs. Reply when the media has what was published. */
	ATTACH_DRAIN = 4,
	/* The same, without waiting: there is no reply. */
	ATTACH_KICK = 5,
	/* fsync(2) of the pool whose descriptor is sent. Reply when it is durable. */
	ATTACH_SYNC = 6,
	/*
	 * msync(2) of `length` bytes from `offset` on of the pool whose view is `view` of `region`. Reply
	 * when they are durable.
	 */
	ATTACH_SYNC_RANGE = 7,
	/* A struct attach_mark: as `softpmem mark` does. Reply when it is the last mark. */
	ATTACH_MARK = 8,
	/*
	 * Record this process. `length` is the key of the recording, which its program has in its environment
	 * (client/settings.h). With the flag ATTACH_TRACE_FORKED it is a forked child, and `offset` is the
	 * trace's number of its parent, a process of the same user. Reply: two descriptors, the trace's clock
	 * (trace_clock_map()) and memory of ATTACH_LOCKS_BYTES for locks on lines, both shared by all
	 * processes of the recording; `number`, of the process in the trace. -ENOENT: nothing is being
	 * recorded; -EACCES: another key; -EALREADY: this connection's process is recorded.
	 */
	ATTACH_TRACE_PROCESS = 9,
	/*
	 * Record a thread of this process, whose thread id is `offset`. Reply: a descriptor of its buffer
	 * (trace_producer_attach()); `number`, of the thread in the trace. -ENOENT: this process is not being
	 * recorded; -EMFILE: too many threads.
	 */
	ATTACH_TRACE_THREAD = 10,
	/*
	 * The thread whose number in the trace is `offset` has ended, or writes no more. -ESRCH: it is not
	 * one of this process.
	 */
	ATTACH_TRACE_THREAD_GONE = 11,
	/*
	 * A fence of this process is going to publish. Reply when it may: after all announced earlier ones
	 * have published, and after the outage, if one is before this fence. ATTACH_FENCED must follow.
	 */
	ATTACH_FENCE = 12,
	/* The fence has published. Reply after the outage, if one is after this fence. */
	ATTACH_FENCED = 13
};

/* For attach_request.flags: of ATTACH_TRACE_PROCESS. */
#define ATTACH_TRACE_FORKED (1u << 0)
/* Zeros at first. What is in it is between the recorded processes. */
#define ATTACH_LOCKS_BYTES 65536u
/* For attach_reply.trace_pool: the pool is not recorded. */
#define ATTACH_TRACE_NO_POOL 0xffffffffu

struct attach_request {
	uint32_t magic;
	uint16_t version;
	uint16_t type;
	uint32_t size; /* of this struct */
	uint32_t flags; /* ATTACH_TRACE_FORKED; else 0 */
	uint32_t region;
	uint32_t view;	 /* of ATTACH_SYNC_RANGE, and so are the next two; of others 0 */
	uint64_t offset; /* bytes; of ATTACH_TRACE_* a number */
	uint64_t length; /* bytes; of ATTACH_TRACE_PROCESS a key */
	uint64_t reserved[3];
};
_Static_assert(sizeof(struct attach_request) == 64, "shared with other processes");

#define ATTACH_MARK_BYTES 256u
struct attach_mark {
	struct attach_request request; /* its size is that of this struct */
	char text[ATTACH_MARK_BYTES];  /* not empty, NUL terminated */
};
_Static_assert(sizeof(struct attach_mark) == 320, "shared with other processes");

/* The size of a message of this type, in bytes. */
static inline uint32_t attach_message_size(uint16_t type)
{
	return type == ATTACH_MARK ? sizeof(struct attach_mark) : sizeof(struct attach_request);
}

struct attach_reply {
	uint32_t magic;
	uint16_t version;
	uint16_t type; /* of the request */
	uint32_t size;
	int32_t error; /* 0 or a negative errno; -EIO: the descriptor is from before a power failure */
	uint64_t generation;
	uint64_t mount_device; /* st_dev of the mount; 0: there is none */
	union {
		uint64_t pool_size; /* bytes, as stat(2) says; the view is this, rounded up to whole pages */
		uint64_t number;    /* of ATTACH_TRACE_PROCESS and ATTACH_TRACE_THREAD */
	};
	uint64_t ino;
	uint32_t view;	 /* its name in WPQ records */
	uint32_t domain; /* enum persistence_domain */
	uint64_t view_device; /* without a mount, st_dev of the views' memory; else 0 */
	uint32_t region;
	uint32_t trace_pool; /* ATTACH_TRACE_NO_POOL: none */
	char message[56]; /* the reason for an error, NUL terminated */
};
_Static_assert(sizeof(struct attach_reply) == 128, "shared with other processes");

#endif
