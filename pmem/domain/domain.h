/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DOMAIN_DOMAIN_H
#define DOMAIN_DOMAIN_H

/*
 * The persistence domain: what is durable, and when. Knows bytes and lines; no
 * files, sockets or mounts.
 *
 * A view is what CPUs see of one pool; the media is what a power failure
 * leaves. Between them stand the WPQs, one a client thread. The model is
 * Px86 as in Khyzha and Lahav, "Taming x86-TSO persistency" (POPL'21);
 * docs/semantics has the table.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "common/persistence.h"
#include "model/chooser.h"
#include "region/media.h"
#include "region/region.h"

struct domain;
struct view;
struct wpq;

/* A power failure, counted in lines of 64 bytes. undetermined = kept + lost. */
struct domain_lines {
	/* Written, and all of it was durable already; anew each time the pool's memory was given back. */
	uint64_t guaranteed;
	uint64_t undetermined; /* written, and some of it was not */
	uint64_t kept;
	uint64_t lost;
};

/* What came out of WPQs, as it was drained: for one of them, or for a view. */
struct domain_counts {
	uint64_t flushes;     /* calls, not lines; of a range in two mappings, two */
	uint64_t persists;    /* those of them that were one call with their fence */
	uint64_t fences;      /* that made something durable; of a view: whose last flush was of it */
	uint64_t lines;	      /* of 64 bytes */
	uint64_t clean_lines; /* those of them that the media had already; see domain_count_clean() */
};

/* ---- The domain --------------------------------------------------------- */

/* One of a region; the region must outlive it. */
int domain_create(struct region *region, enum persistence_domain kind, struct domain **out);
void domain_destroy(struct domain *domain);
enum persistence_domain domain_persistence(const struct domain *domain);

/* ---- Views -------------------------------------------------------------- */

/* Where pages of a view live in the media. */
struct placement {
	uint64_t media_offset; /* of the first page; meaningless unless `placed` */
	uint64_t pages;	       /* how many pages, from the asked one on, this holds for */
	bool placed;	       /* false: the pages have no media bytes, and read as zero */
	bool fresh;	       /* place() only: the media bytes are undefined, all of them must be written */
};

/* The owner of a view (a pool) answers for where it lives. All are called with the owner's lock held. */
struct view_owner_ops {
	/* Where `page` lives now; at most `want` pages. Never fails. */
	struct placement (*find)(void *owner, uint64_t page, uint64_t want);
	/* As find, but give it media to live on: -ENOSPC. */
	int (*place)(void *owner, uint64_t page, uint64_t want, struct placement *out);
	/*
	 * How many bytes of the view are the owner's. What is stored past them is not, and
	 * does not reach the media. NULL: all of them. Never fails.
	 */
	uint64_t (*size)(const void *owner);
};

/*
 * A view costs nothing until it is written to: then a memfd holds the pages
 * that were written (`present`); all others are read from the media. Not thread
 * safe: the owner locks, shared for the functions that take a const view and
 * exclusively for the others.
 */
int view_create(struct domain *domain, const struct view_owner_ops *ops, void *owner, struct view **out);
/* What is volatile in it is lost. */
void view_destroy(struct view *view);

/* Are there bytes in it that the media does not have? */
bool view_is_dirty(const struct view *view);
uint64_t view_dirty_pages(const struct view *view);
uint64_t view_present_pages(const struct view *view);
/* Is this page present? Present pages without placement need one when they persist. */
bool view_page_present(const struct view *view, uint64_t page);
/* The first present page at or after `page` and below `end`; `end` if there is none. */
uint64_t view_next_present(const struct view *view, uint64_t page, uint64_t end);
/*
 * The same for pages whose content is in the view's memory: in an attached view these are not the present
 * ones only, but all that CPUs stored to.
 */
uint64_t view_next_in_memory(const struct view *view, uint64_t page, uint64_t end);
/* The same for pages with dirty lines. */
uint64_t view_next_dirty(const struct view *view, uint64_t page, uint64_t end);

enum view_store_kind {
	VIEW_STORE_FILE,  /* every byte given was stored; the sector size rules how it tears */
	VIEW_STORE_MAPPED /* a page came back from a mapping: lines that did not change were not stored */
};
/*
 * Store bytes in the view. -ENOMEM, -EMFILE: nothing was stored. -EIO: a page that is stored to in part
 * cannot be read from the media.
 */
int view_store(struct view *view, uint64_t offset, const void *bytes, size_t length,
	       enum view_store_kind kind);
/* Store zeros, without populating pages that have none and are not placed. */
int view_store_zero(struct view *view, uint64_t offset, uint64_t length);
/*
 * Forget the pages' volatile content, without persisting it: they read from the media
 * again, or in an attached view as zeros. To be called after each change that makes
 * bytes zero on the media (truncating, punching, zeroing), with no pages if all of the
 * change is in one page: copies of lines that clients took before wait in WPQs, and
 * a drain then writes the view's content instead.
 */
void view_discard(struct view *view, uint64_t page, uint64_t pages);

/*
 * The bytes [offset, offset+length) as at most `max` pieces, in order, for the
 * kernel to read (writev(2)); returns how many, and how many bytes they cover in
 * *covered. -EOPNOTSUPP: some are media that the kernel cannot read, as by
 * media_borrow(); use view_load(). -EIO: a media error.
 */
int view_pieces(const struct view *view, uint64_t offset, size_t length, struct iovec *iov, int max,
		size_t *covered);
/* Copy the bytes [offset, offset+length): 0, or -EIO. */
int view_load(const struct view *view, uint64_t offset, void *buffer, size_t length);

/*
 * Flush and fence the dirty lines of pages [page, page+pages): durable on
 * return. -ENOSPC from place(): what was reached is durable, the rest is
 * dirty still. -EIO: pages with a media error are dirty still, the others are durable.
 */
int view_persist(struct view *view, uint64_t page, uint64_t pages);

/* Drop the memory of a view that is not dirty. */
void view_drop_clean(struct view *view);

/* ---- A view that CPUs store to -------------------------------------------- */

/*
 * From here on every page of the view is present and stores to its memory are
 * seen by nobody: a power failure compares it with the media. `length` bytes
 * from offset 0, a multiple of 4096; all of them must have a placement.
 */
int view_attach(struct view *view, uint64_t length);
/*
 * The same for all of a view that never changes its size: its memory is `size`
 * bytes, to the byte, and cannot be made larger, so that it is like a file of
 * that size to who has its descriptor.
 */
int view_attach_exact(struct view *view, uint64_t size);
/*
 * The owner's size is about to grow from `from` to `to` bytes. If the view is attached, it covers the new
 * size afterwards, and what CPUs stored to pages past `from` is gone. The new pages need no placement: they
 * are placed when what is stored there becomes durable. -ENOMEM, -EIO.
 */
int view_extend(struct view *view, uint64_t from, uint64_t to);
/* What CPUs stored since and did not persist is lost; their mappings remain, and are nobody's. */
void view_detach(struct view *view);
/* What WPQ records call the view. */
uint32_t view_id(const struct view *view);
/* The memory of an attached view, in this process; NULL if it is not attached. */
unsigned char *view_memory(struct view *view);
/*
 * The memfd, for a client to map, sealed once the view is attached; belongs to the view. -1 before the first
 * page is present.
 */
int view_fd(const struct view *view);

/* The cache writes one line back of its own accord: legal at any time, for any line. */
int view_evict(struct view *view, uint64_t offset);

/* ---- Power failure ---------------------------------------------------------- */

/*
 * Write all published records of all WPQs to the media and fence. The owners of
 * the views must be locked by the caller, or stand still. -EPROTO if a WPQ held
 * a record that cannot be: the WPQ is dead from there on (wpq_is_dead), its
 * earlier records are drained, other WPQs are not affected. Records for what a
 * view no longer has (it was destroyed or shrunk) are dropped.
 */
int domain_drain(struct domain *domain);

/* How many bytes of the rings domain_drain() would find: a look at their positions, which clients write. */
uint64_t domain_published(struct domain *domain);

/*
 * Tell clients that they need not ask for a drain, or that they must. Look at domain_published() after taking
 * it back.
 */
void domain_set_awake(struct domain *domain, bool awake);

/* Count lines flushed without a change: draining reads the media then, and is slower. Off at first. */
void domain_count_clean(struct domain *domain, bool count);
/* Thread safe. They start with the view. */
void view_counts(const struct view *view, struct domain_counts *out);
/*
 * Lines of the view that differ from the media: stored, and not durable. What is
 * published should have been drained before. Compares all of its memory.
 */
uint64_t view_volatile_lines(const struct view *view);

/*
 * In an outage, after the clients have ended and before view_power_failure():
 * drain what is published, and let the chooser pick which of the records that
 * were flushed and not fenced take effect.
 */
int domain_settle(struct domain *domain, const struct chooser *chooser);

struct power_failure {
	struct chooser chooser; /* of this view: its places are byte offsets of tearing units */
	uint32_t sector; /* how file writes tear: LINE_SIZE, 512 or 4096 */
	uint64_t size;	 /* bytes at or past it are never kept */
	/*
	 * Nobody is left who has the memory of a view that was attached: it may be
	 * made what the media is and go on, instead of being copied anew by who attaches next.
	 */
	bool keep_memory;
};

/*
 * Decide the fate of each line of the view that is not durable, write those
 * that are kept to the media, and drop the view's memory, or make it clean; the view is
 * detached. WPQs must have been settled before.
 */
int view_power_failure(struct view *view, const struct power_failure *failure, struct domain_lines *lines);

#endif
