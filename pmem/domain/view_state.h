/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DOMAIN_VIEW_STATE_H
#define DOMAIN_VIEW_STATE_H

/*
 * Private to pmem/domain: the state of a view. The owner's lock guards all fields,
 * except for those that name domain->lock.
 */

#include "domain/domain.h"

#include "common/align.h"

struct view_node;

struct view {
	struct domain *domain;
	const struct view_owner_ops *ops;
	void *owner;
	struct view *next, **link; /* in the domain's list; domain->lock */
	uint32_t id;		   /* names the view in WPQ records; never reused */

	int fd; /* the memfd; -1 before the first page is present */
	uint64_t fd_size;
	bool sealed; /* other processes may have the descriptor */
	bool exact;  /* view_attach_exact(): other processes opened it by a name, and may have it still */
	unsigned char *memory; /* our mapping of the memfd, of memory_size bytes */
	uint64_t memory_size;
	struct view_node **nodes; /* see chunk.h */
	uint64_t node_count;
	/* A bit for each node: those with a bit set in their own words of that name. */
	uint64_t *dirty_nodes, *written_nodes;
	uint64_t present_pages, dirty_pages;
	uint64_t durable_lines; /* made durable since power-up; those of dropped memory included */
	bool attached;
	bool stored; /* see view_take_stored() */
	uint64_t attached_size; /* bytes from offset 0, whole pages; 0 if it is not attached */
	/*
	 * The batch in which bytes of the view were last cut off or made zero; domain->lock. Copies of this
	 * batch or an earlier one may have been taken before that.
	 */
	uint64_t superseded;
	struct domain_counts counts; /* domain->lock */
};

/* How many bytes of the view are its owner's. */
static inline uint64_t view_size(const struct view *view)
{
	const uint64_t size = view->ops->size ? view->ops->size(view->owner) : UINT64_MAX;

	return view->attached ? min_u64(size, view->attached_size) : size;
}

/* The pages from 0 on that are attached: each of them reads from the view's memory. */
static inline uint64_t view_attached_pages(const struct view *view)
{
	return view->attached_size / PAGE_BYTES;
}

/* Does the page read from the view's memory? */
static inline bool view_in_memory(const struct view *view, uint64_t page)
{
	return page < view_attached_pages(view) || view_page_present(view, page);
}

#endif
