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
 * A client proves that it may map a pool by sending a descriptor of the pool's
 * file on the mount, open for what it wants to do with the mapping; without a
 * mount, one of the view's own memory, opened by the path that the daemon gave
 * the pool in its own /proc.
 */

#include <stdint.h>

#define ATTACH_SUFFIX ".attach"
#define ATTACH_MAGIC 0x48435441u /* "ATCH" */
#define ATTACH_VERSION 2u
/* The most regions that a daemon serves. They are numbered from 0; each has its own WPQs and views. */
#define ATTACH_REGIONS_MAX 64u

enum attach_type {
	/*
	 * First on a connection. Reply: mount_device, view_device, domain: cpu_cache
	 * only if it is every region's.
	 */
	ATTACH_HELLO = 1,
	/*
	 * With one descriptor, of a pool's file, open for reading and writing.
	 * All of the pool's size is given space. Reply: one descriptor, the
	 * view's; region, view, pool_size, ino, and the region's domain and
	 * generation.
	 */
	ATTACH_POOL = 2,
	/*
	 * For `region`, whose views its records may name. Reply: one descriptor, of a
	 * new WPQ (abi/wpq_layout.h).
	 */
	ATTACH_WPQ = 3,
	/* Drain this process's WPQs. Reply when the media has what was published. */
	ATTACH_DRAIN = 4,
	/* The same, without waiting: there is no reply. */
	ATTACH_KICK = 5,
	/* Make the pool, whose file is sent, durable: what fsync(2) does. Reply when it is. */
	ATTACH_SYNC = 6
};

struct attach_request {
	uint32_t magic;
	uint16_t version;
	uint16_t type;
	uint32_t size; /* of this struct */
	uint32_t flags; /* 0 */
	uint32_t region;
	uint32_t reserved_here;
	uint64_t reserved[5];
};
_Static_assert(sizeof(struct attach_request) == 64, "shared with other processes");

struct attach_reply {
	uint32_t magic;
	uint16_t version;
	uint16_t type; /* of the request */
	uint32_t size;
	int32_t error; /* 0 or a negative errno; -EIO: the pool's generation is over */
	uint64_t generation;
	uint64_t mount_device; /* st_dev of the mount; 0: none */
	uint64_t pool_size;    /* bytes, as stat(2) says; the view is this, rounded up to whole pages */
	uint64_t ino;
	uint32_t view;	 /* its name in WPQ records */
	uint32_t domain; /* enum persistence_domain */
	uint64_t view_device; /* without a mount: st_dev of views' memory; else 0 */
	uint32_t region;
	uint32_t reserved;
	char message[56]; /* a few words for an error, NUL terminated */
};
_Static_assert(sizeof(struct attach_reply) == 128, "shared with other processes");

#endif
