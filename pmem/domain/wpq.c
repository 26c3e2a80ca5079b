/* SPDX-License-Identifier: BSD-3-Clause */

/* The daemon's end of a WPQ: creation, state and destruction. drain.c drains it. */

#include "domain/domain.h"
#include "domain/wpq.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/write_all.h"
#include "domain/drain.h"
#include "domain/gather.h"
#include "domain/combining.h"
#include "domain/order.h"

static size_t mapped_size(uint64_t lane_size)
{
	return WPQ_HEADER_BYTES + WPQ_LANES * lane_size;
}

static int make_memory(struct wpq *wpq)
{
	struct wpq_header header = {
		.magic = WPQ_MAGIC,
		.version = WPQ_VERSION,
		.header_size = WPQ_HEADER_BYTES,
		.lane_size = (uint32_t)wpq->map.lane_size,
	};
	int error;

	wpq->fd = memfd_create("softpmem-wpq", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (wpq->fd < 0)
		return -errno;
	atomic_init(&header.batch, wpq->domain->batch);
	atomic_init(&header.may_combine, combining_is_allowed(wpq->domain));
	atomic_init(&header.announce, wpq->domain->announce_fences);
	if (ftruncate(wpq->fd, (off_t)mapped_size(wpq->map.lane_size)) < 0 ||
	    fcntl(wpq->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	error = write_all_at(wpq->fd, &header, sizeof(header), 0);
	return error ? error : wpq_producer_open(wpq->fd, &wpq->map);
}

int wpq_create(struct domain *domain, uint32_t lane_size, struct wpq **out)
{
	struct wpq *wpq = calloc(1, sizeof(*wpq));
	int error;

	if (!wpq)
		return -ENOMEM;
	LOCK_SCOPE(&domain->lock);
	if (!domain->recent)
		domain->recent = order_create();
	if (!domain->gather)
		domain->gather = gather_create();
	wpq->domain = domain;
	wpq->fd = -1;
	wpq->map.lane_size = lane_size ? lane_size : WPQ_LANE_SIZE_DEFAULT;
	wpq->id = domain->next_wpq_id++;
	error = domain->recent && domain->gather ? make_memory(wpq) : -ENOMEM;
	if (error) {
		cleanup_fd_fn(&wpq->fd);
		free(wpq);
		return error;
	}
	wpq->next = domain->wpqs;
	wpq->link = &domain->wpqs;
	if (wpq->next)
		wpq->next->link = &wpq->next;
	domain->wpqs = wpq;
	*out = wpq;
	return 0;
}

int wpq_fd(const struct wpq *wpq)
{
	return wpq->fd;
}

bool wpq_is_dead(const struct wpq *wpq)
{
	return wpq->dead;
}

int wpq_fault(const struct wpq *wpq)
{
	return wpq->fault;
}

uint32_t view_id(const struct view *view)
{
	return view->id;
}

uint64_t domain_published(struct domain *domain)
{
	uint64_t bytes = 0;
	LOCK_SCOPE(&domain->lock);

	for (const struct wpq *wpq = domain->wpqs; wpq; wpq = wpq->next) {
		for (unsigned lane = 0; !wpq->dead && lane < WPQ_LANES; lane++) {
			uint64_t published = atomic_load_explicit(&wpq->map.header->lanes[lane].published,
								  memory_order_relaxed);

			bytes += min_u64(published - wpq->drained[lane], wpq->map.lane_size);
		}
		bytes += wpq->dead ? 0 : combining_waiting(wpq);
	}
	return bytes;
}

void domain_set_awake(struct domain *domain, bool awake)
{
	LOCK_SCOPE(&domain->lock);
	for (struct wpq *wpq = domain->wpqs; wpq; wpq = wpq->next)
		atomic_store_explicit(&wpq->map.header->awake, awake, memory_order_seq_cst);
}

void domain_announce_fences(struct domain *domain, bool announce)
{
	LOCK_SCOPE(&domain->lock);
	domain->announce_fences = announce;
	for (struct wpq *wpq = domain->wpqs; wpq; wpq = wpq->next)
		atomic_store_explicit(&wpq->map.header->announce, announce, memory_order_seq_cst);
}

void domain_count_clean(struct domain *domain, bool count)
{
	LOCK_SCOPE(&domain->lock);
	/* What is in slots now was flushed before counting began. */
	drain_all(domain);
	domain->count_clean = count;
	for (struct wpq *wpq = domain->wpqs; wpq; wpq = wpq->next)
		atomic_store_explicit(&wpq->map.header->may_combine, combining_is_allowed(domain),
				      memory_order_relaxed);
}

void wpq_usage(struct wpq *wpq, struct wpq_usage *out)
{
	LOCK_SCOPE(&wpq->domain->lock);
	*out = (struct wpq_usage){ .counts = wpq->counts, .lane_size = wpq->map.lane_size };
	for (unsigned lane = 0; lane < WPQ_LANES; lane++) {
		const struct wpq_lane *shared = &wpq->map.header->lanes[lane];
		uint64_t waiting =
			atomic_load_explicit(&shared->pending, memory_order_relaxed) - wpq->drained[lane];

		out->waiting[lane] = min_u64(waiting, wpq->map.lane_size);
	}
	out->idle_fences =
		atomic_load_explicit(&wpq->map.header->lanes[WPQ_FENCED].idle_fences, memory_order_relaxed);
}

void wpq_limit(struct wpq *wpq, const struct wpq_rights *rights)
{
	LOCK_SCOPE(&wpq->domain->lock);
	wpq->rights = rights;
}

void view_counts(const struct view *view, struct domain_counts *out)
{
	LOCK_SCOPE(&view->domain->lock);
	*out = view->counts;
}

void wpq_destroy(struct wpq *wpq)
{
	struct domain *domain;

	if (!wpq)
		return;
	domain = wpq->domain;
	{
		LOCK_SCOPE(&domain->lock);
		/* A client that publishes from here on reads CLOSING, or the drain finds its records. */
		atomic_store_explicit(&wpq->map.header->state, WPQ_CLOSING, memory_order_seq_cst);
		syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
		drain_all(domain);
		*wpq->link = wpq->next;
		if (wpq->next)
			wpq->next->link = wpq->link;
		atomic_store_explicit(&wpq->map.header->state, WPQ_CLOSED, memory_order_release);
	}
	wpq_producer_close(&wpq->map);
	close(wpq->fd);
	free(wpq);
}
