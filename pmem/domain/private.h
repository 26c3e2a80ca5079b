/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DOMAIN_PRIVATE_H
#define DOMAIN_PRIVATE_H

/* Private to pmem/domain. */

#include <pthread.h>

#include "common/align.h"
#include "domain/domain.h"

#define ALL_LINES UINT64_MAX

/* 64 pages of a view; a bit a page, and in the masks a bit a line. */
#define CHUNK_PAGES 64u
struct view_chunk {
	uint64_t present;
	uint64_t from_mapping; /* pages some of whose dirty lines were stored through a mapping */
	uint64_t dirty_pages;  /* pages whose dirty mask is not 0 */
	uint64_t dirty[CHUNK_PAGES];
	uint64_t written[CHUNK_PAGES]; /* since power-up; dirty is a subset */
};

/*
 * Two levels of pointers, so that one byte at 16 TiB costs a megabyte of pointers and not half a gigabyte.
 * Beside the pointers, a bit for each: what is dirty or written is found without looking at
 * what is not.
 */
#define NODE_CHUNKS 512u
#define NODE_PAGES (NODE_CHUNKS * CHUNK_PAGES)
#define NODE_WORDS (NODE_CHUNKS / 64)
struct view_node {
	uint64_t dirty[NODE_WORDS];   /* chunks that have dirty pages */
	uint64_t written[NODE_WORDS]; /* chunks that may have written lines */
	struct view_chunk *chunks[NODE_CHUNKS];
};

struct view {
	struct domain *domain;
	const struct view_owner_ops *ops;
	void *owner;
	struct view *next, **link; /* in the domain's list; domain->lock */
	uint32_t id;		   /* names the view in WPQ records; never reused */

	int fd;
	uint64_t fd_size;
	bool sealed; /* others may have the descriptor */
	bool exact;  /* view_attach_exact(): others have it by a name, and may have it still */
	unsigned char *memory;
	uint64_t memory_size;
	struct view_node **nodes;
	uint64_t node_count;
	/* A bit for each node: those with a bit set in their own words of that name. */
	uint64_t *dirty_nodes, *written_nodes;
	uint64_t present_pages, dirty_pages;
	uint64_t written_lines; /* since power-up; those of dropped memory included */
	bool attached;
	uint64_t attached_size;
	struct domain_counts counts; /* domain->lock */
};

struct domain {
	struct region *region;
	enum persistence_domain kind;
	pthread_mutex_t lock; /* guards the lists and the drain */
	struct view *views;
	struct wpq *wpqs;
	uint32_t next_view_id, next_wpq_id;
	uint64_t batch; /* counts the beginnings and ends of drains; see order.c */
	struct recent *recent; /* NULL before the first WPQ */
	struct gather *gather; /* the same */
	bool count_clean;
	unsigned frees_running; /* threads that free the memory of dropped views */
	pthread_cond_t free_ended;
};

/* The view that WPQ records call `id`, or NULL. domain->lock is held. */
struct view *domain_find_view(struct domain *domain, uint32_t id);

/*
 * Copy the masked lines of a page to the media: those of `content` (a page) if
 * given, else those of the view. Durable after the next media_fence(). Lines of
 * a page that had no media and that are not masked become zero there. Errors are
 * those of view_owner_ops.place() and media_write().
 */
int view_write_lines(struct view *view, uint64_t page, uint64_t mask, const unsigned char *content);
/* The same where the page's media is known, and `content` is nobody else's to change. */
int view_write_masked(struct view *view, uint64_t media_offset, const unsigned char *content, uint64_t mask);

/* The lines of a page that are not all zero. */
uint64_t view_nonzero_lines(const unsigned char *page);

#endif
