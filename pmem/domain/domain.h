/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DOMAIN_DOMAIN_H
#define DOMAIN_DOMAIN_H

/*
 * The persistence domain: what is durable, and when. It knows bytes and lines, and no
 * files, sockets or mounts.
 *
 * A view is what CPUs see of one pool; the media is what a power failure
 * leaves. Between them are the WPQs, one for each client thread. The model is
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

/* The outcome of a power failure, in lines of 64 bytes. undetermined = kept + lost. */
struct domain_lines {
	/*
	 * Made durable since power-up. A line that was stored to again later is undetermined as well.
	 * After the pool's memory was given back a line may be counted again.
	 */
	uint64_t guaranteed;
	uint64_t undetermined; /* written, and not all of it was durable */
	uint64_t kept;
	uint64_t lost;
};

/* What was drained from WPQs: counts of one WPQ, or of one view. */
struct domain_counts {
	uint64_t flushes;     /* calls, not lines; a range in two mappings counts twice */
	uint64_t persists;    /* flushes that were one call with their fence */
	uint64_t fences;      /* that made something durable; for a view: whose last flush was of it */
	uint64_t lines;	      /* of 64 bytes */
	uint64_t clean_lines; /* lines that the media had already; see domain_count_clean() */
};

/* ---- The domain --------------------------------------------------------- */

/* Create the domain of a region, which must outlive it. 0 or -ENOMEM. */
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

/* The owner of a view (a pool) knows its places. All are called with the owner's lock held. */
struct view_owner_ops {
	/* Where `page` lives now; at most `want` pages. Never fails. */
	struct placement (*find)(void *owner, uint64_t page, uint64_t want);
	/* As find(), but give the page media if it has none. 0, -ENOMEM or -ENOSPC. */
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
/* Its volatile content is lost. NULL does nothing. */
void view_destroy(struct view *view);

/* May it have bytes that the media does not have? */
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
	VIEW_STORE_FILE,  /* every byte given was stored */
	VIEW_STORE_MAPPED /* a mapped page is written back: lines that did not change were not stored */
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
 * Attach the view: clients may map its memory from here on. Their stores are not
 * noticed, so a power failure compares the memory with the media. Attaches `length` bytes
 * from offset 0, a multiple of 4096. All pages become present; those that were not must have a placement.
 */
int view_attach(struct view *view, uint64_t length);
/*
 * The same for a whole view that never changes its size. Its memory has exactly `size`
 * bytes and cannot grow, so that its descriptor behaves like that of a file of this
 * size. -EBUSY: clients have it with another size.
 */
int view_attach_exact(struct view *view, uint64_t size);
/*
 * The owner's size is about to grow from `from` to `to` bytes. If the view is attached, it covers the new
 * size afterwards, and what CPUs stored to pages past `from` is gone. The new pages need no placement: they
 * are placed when what is stored there becomes durable. -ENOMEM, -EIO.
 */
int view_extend(struct view *view, uint64_t from, uint64_t to);
/* What CPUs stored and did not persist is lost. Their mappings remain, and belong to no view any more. */
void view_detach(struct view *view);
/*
 * Have lines that CPUs stored to become durable since the last call, by their flushes or by view_persist()? A
 * flush of a line that nobody stored to counts, too.
 */
bool view_take_stored(struct view *view);
/* Has a line of the view other bytes than the media? Compares all of its memory at most. */
bool view_has_volatile_lines(const struct view *view);
/*
 * Take back the memory that clients took past the end of an attached view, or of its file: they can make
 * the file of a view that may grow longer. Returns the number of bytes. The owner's lock may be held shared.
 */
uint64_t view_take_back(struct view *view);
/* The number of pages that the view's file has memory for. */
uint64_t view_memory_pages(const struct view *view);
/*
 * The first page at or after `page` and below `end` that has memory in an attached view, as those that CPUs
 * have touched; *stop is the end of a run of such pages. `end` if there is none.
 */
uint64_t view_next_memory(const struct view *view, uint64_t page, uint64_t end, uint64_t *stop);
/* The name of the view in WPQ records. */
uint32_t view_id(const struct view *view);
/* The memory of an attached view, in this process; NULL if it is not attached. */
unsigned char *view_memory(struct view *view);
/* The memfd; belongs to the view. -1 before the first page is present. */
int view_fd(const struct view *view);
/*
 * A descriptor of the memory of an attached view, for a client to map; the caller closes it. Or a negative
 * errno, such as -EMFILE.
 */
int view_share(const struct view *view);
/*
 * May clients still use the memory of an attached view? They do while a process maps it or has a descriptor
 * from view_share(). Always true of an exact view, which they open by its path.
 */
bool view_in_use(const struct view *view);
/*
 * Detach an attached view that is not in use, and drop its memory, if all of its bytes are on the media.
 * False: nothing was done. Compares all of its memory at most.
 */
bool view_release(struct view *view);

/* Write one line back, as a cache may do at any time. 0, -ENOSPC or -EIO. */
int view_evict(struct view *view, uint64_t offset);

/* ---- Power failure ---------------------------------------------------------- */

/*
 * Write all published records of all WPQs to the media and fence. The owners of
 * the views are locked by the caller, or do not change. -EPROTO if a WPQ has
 * a malformed record, -ENOSPC if there is no media for the page of a record: the WPQ is
 * dead from there on (wpq_is_dead()); its earlier records are drained, and other WPQs are
 * not affected. Records of views that were destroyed are dropped, and so are
 * lines past the size of a view.
 */
int domain_drain(struct domain *domain);

/* The number of bytes that domain_drain() would find, by what clients say. */
uint64_t domain_published(struct domain *domain);

/*
 * Tell clients that they need not ask for a drain (true), or that they must. After `false`, look at
 * domain_published() again: a client may have published just before.
 */
void domain_set_awake(struct domain *domain, bool awake);

/*
 * Let clients announce each fence before it publishes (wpq_header.announce), or let them cease. Fences that
 * have begun are not announced. Off at first.
 */
void domain_announce_fences(struct domain *domain, bool announce);

/* Count lines that were flushed without a change; draining then reads the media. Off at first. */
void domain_count_clean(struct domain *domain, bool count);
/* The counts since the view was created. Thread safe. */
void view_counts(const struct view *view, struct domain_counts *out);
/*
 * The number of lines that were stored to and are not durable: those that differ from the
 * media. Drain what is published first. Compares all memory of an attached view.
 */
uint64_t view_volatile_lines(const struct view *view);

/*
 * In an outage, after the clients have ended and before view_power_failure():
 * drain what is published, and let the chooser pick which records that were flushed and
 * not fenced take effect. Errors as domain_drain().
 */
int domain_settle(struct domain *domain, const struct chooser *chooser);

struct power_failure {
	struct chooser chooser; /* derived for this view; its places are byte offsets of tearing units */
	uint32_t sector; /* in bytes, how writes to the file tear: LINE_SIZE, 512 or 4096 */
	uint64_t size;	 /* bytes at or past it are never kept */
	/*
	 * No process has the memory of the attached view any more. So it may be kept, with the media's
	 * content, instead of being copied anew at the next attach.
	 */
	bool keep_memory;
};

/*
 * Choose for each line of the view that is not durable whether it is kept, write the
 * kept ones to the media, and drop the view's memory, or make it clean. The view is
 * detached. domain_settle() comes before. Returns the first error; lines that could not be
 * written count as lost.
 */
int view_power_failure(struct view *view, const struct power_failure *failure, struct domain_lines *lines);

#endif
