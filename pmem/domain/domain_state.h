/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DOMAIN_DOMAIN_STATE_H
#define DOMAIN_DOMAIN_STATE_H

/* Private to pmem/domain: the state of a domain. */

#include <pthread.h>

#include "domain/domain.h"

struct recent;
struct gather;

struct domain {
	struct region *region;
	enum persistence_domain kind;
	int descriptors; /* the directory /proc/self/fd, for view_share(), or a negative errno */
	pthread_mutex_t lock; /* guards all fields below, and is held throughout a drain */
	struct view *views;
	struct wpq *wpqs;
	uint32_t next_view_id, next_wpq_id;
	uint64_t batch;	       /* counts the beginnings and ends of drains; see order.c. Never 0 */
	struct recent *recent; /* NULL before the first WPQ */
	struct gather *gather; /* the same */
	bool count_clean;      /* see domain_count_clean() */
	bool announce_fences;  /* see domain_announce_fences() */
	unsigned frees_running; /* threads that free the memory of dropped views */
	pthread_cond_t free_ended;
};

/* The view that WPQ records call `id`, or NULL; it belongs to its owner. domain->lock is held. */
struct view *domain_find_view(struct domain *domain, uint32_t id);

#endif
