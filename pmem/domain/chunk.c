/* SPDX-License-Identifier: BSD-3-Clause */
#include "domain/chunk.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cleanup.h"

struct view_chunk *chunk_at(const struct view *view, uint64_t page)
{
	uint64_t node = page / NODE_PAGES;

	if (node >= view->node_count || !view->nodes[node])
		return NULL;
	return view->nodes[node]->chunks[page % NODE_PAGES / CHUNK_PAGES];
}

struct view_chunk *chunk_make(struct view *view, uint64_t page)
{
	uint64_t node = page / NODE_PAGES;
	struct view_chunk **slot;

	if (node >= view->node_count) {
		struct view_node **grown = realloc(view->nodes, (node + 1) * sizeof(struct view_node *));

		if (!grown)
			return NULL;
		memset(grown + view->node_count, 0,
		       (node + 1 - view->node_count) * sizeof(struct view_node *));
		view->nodes = grown;
		view->node_count = node + 1;
	}
	if (!view->nodes[node]) {
		view->nodes[node] = calloc(1, sizeof(struct view_node));
		if (!view->nodes[node])
			return NULL;
	}
	slot = &view->nodes[node]->chunks[page % NODE_PAGES / CHUNK_PAGES];
	if (!*slot)
		*slot = calloc(1, sizeof(struct view_chunk));
	return *slot;
}

uint64_t chunk_dirty(const struct view *view, uint64_t page)
{
	const struct view_chunk *chunk = chunk_at(view, page);

	return chunk ? chunk->dirty[page % CHUNK_PAGES] : 0;
}

/* The page's chunk is there: view_make_present() came before. */
void chunk_set_dirty(struct view *view, uint64_t page, uint64_t mask, enum view_store_kind kind)
{
	struct view_chunk *chunk = chunk_at(view, page);
	uint64_t *dirty = &chunk->dirty[page % CHUNK_PAGES];

	if (!*dirty && mask)
		view->dirty_pages++;
	*dirty |= mask;
	chunk->written[page % CHUNK_PAGES] |= mask;
	if (kind == VIEW_STORE_MAPPED)
		chunk->from_mapping |= page_bit(page);
}

void chunk_clear_dirty(struct view *view, uint64_t page, uint64_t mask)
{
	struct view_chunk *chunk = chunk_at(view, page);
	uint64_t *dirty;

	if (!chunk)
		return;
	dirty = &chunk->dirty[page % CHUNK_PAGES];
	if (*dirty && !(*dirty & ~mask)) {
		view->dirty_pages--;
		chunk->from_mapping &= ~page_bit(page);
	}
	*dirty &= ~mask;
}

void chunk_mark_present(struct view *view, uint64_t page)
{
	struct view_chunk *chunk = chunk_at(view, page);

	if (!(chunk->present & page_bit(page))) {
		chunk->present |= page_bit(page);
		view->present_pages++;
	}
}

bool chunk_from_mapping(const struct view *view, uint64_t page)
{
	const struct view_chunk *chunk = chunk_at(view, page);

	return chunk && chunk->from_mapping & page_bit(page);
}

void chunk_note_written(struct view *view, uint64_t page, uint64_t mask)
{
	struct view_chunk *chunk = chunk_make(view, page);

	if (chunk)
		chunk->written[page % CHUNK_PAGES] |= mask;
}

void chunk_forget_written(struct view *view, uint64_t page, uint64_t mask)
{
	struct view_chunk *chunk = chunk_at(view, page);

	if (chunk)
		chunk->written[page % CHUNK_PAGES] &= ~mask;
}

uint64_t view_written_lines(const struct view *view)
{
	uint64_t lines = view->settled_lines;

	for (uint64_t node = 0; node < view->node_count; node++) {
		for (unsigned i = 0; view->nodes[node] && i < NODE_CHUNKS; i++) {
			const struct view_chunk *chunk = view->nodes[node]->chunks[i];

			for (unsigned page = 0; chunk && page < CHUNK_PAGES; page++)
				lines += (uint64_t)__builtin_popcountll(chunk->written[page]);
		}
	}
	return lines;
}

void view_settle(struct view *view)
{
	for (uint64_t node = 0; node < view->node_count; node++) {
		for (unsigned i = 0; view->nodes[node] && i < NODE_CHUNKS; i++) {
			struct view_chunk *chunk = view->nodes[node]->chunks[i];

			if (!chunk)
				continue;
			chunk->from_mapping = 0;
			memset(chunk->dirty, 0, sizeof(chunk->dirty));
			memset(chunk->written, 0, sizeof(chunk->written));
		}
	}
	view->dirty_pages = 0;
	view->attached = false;
	view->attached_size = 0;
}

/* A view's memory, apart from the view: what is left to be given back. */
struct remains {
	struct domain *domain;
	struct view_node **nodes;
	uint64_t node_count;
	unsigned char *memory;
	uint64_t memory_size;
	int fd;
};

static void bury(const struct remains *remains)
{
	for (uint64_t node = 0; node < remains->node_count; node++) {
		if (!remains->nodes[node])
			continue;
		for (unsigned i = 0; i < NODE_CHUNKS; i++)
			free(remains->nodes[node]->chunks[i]);
		free(remains->nodes[node]);
	}
	free(remains->nodes);
	if (remains->memory)
		munmap(remains->memory, remains->memory_size);
	if (remains->fd >= 0)
		close(remains->fd);
}

static void *bury_later(void *argument)
{
	struct remains *remains = argument;
	struct domain *domain = remains->domain;

	bury(remains);
	free(remains);
	LOCK_SCOPE(&domain->lock);
	domain->burials--;
	pthread_cond_broadcast(&domain->buried);
	return NULL;
}

/* Giving back gigabytes takes the kernel a while, and nobody needs to wait for it. */
static bool bury_in_background(const struct remains *remains)
{
	struct remains *copy = malloc(sizeof(*copy));
	pthread_t thread;

	if (!copy)
		return false;
	*copy = *remains;
	LOCK_SCOPE(&remains->domain->lock);
	if (pthread_create(&thread, NULL, bury_later, copy) != 0) {
		free(copy);
		return false;
	}
	pthread_detach(thread);
	remains->domain->burials++;
	return true;
}

void view_drop(struct view *view)
{
	const uint64_t many_pages = 16384; /* 64 MiB: some ten milliseconds */
	const struct remains remains = {
		.domain = view->domain,
		.nodes = view->nodes,
		.node_count = view->node_count,
		.memory = view->memory,
		.memory_size = view->memory_size,
		.fd = view->fd,
	};

	if (view->present_pages < many_pages || !bury_in_background(&remains))
		bury(&remains);
	view->nodes = NULL;
	view->node_count = 0;
	view->memory = NULL;
	view->memory_size = 0;
	view->fd = -1;
	view->fd_size = 0;
	view->sealed = view->exact = false;
	view->present_pages = view->dirty_pages = 0;
	view->attached = false;
	view->attached_size = 0;
}

bool view_page_present(const struct view *view, uint64_t page)
{
	const struct view_chunk *chunk = chunk_at(view, page);

	return chunk && chunk->present & page_bit(page);
}

/* Skip what the two levels say is empty; returns the next page worth a look, below `end`, or `end`. */
static uint64_t skip_empty(const struct view *view, uint64_t page, uint64_t end)
{
	while (page < end) {
		uint64_t node = page / NODE_PAGES;

		if (node >= view->node_count)
			return end;
		if (!view->nodes[node])
			page = (node + 1) * NODE_PAGES;
		else if (!view->nodes[node]->chunks[page % NODE_PAGES / CHUNK_PAGES])
			page = align_down(page, CHUNK_PAGES) + CHUNK_PAGES;
		else
			return page;
	}
	return end;
}

uint64_t view_next_present(const struct view *view, uint64_t page, uint64_t end)
{
	while ((page = skip_empty(view, page, end)) < end) {
		uint64_t rest = chunk_at(view, page)->present >> (page % CHUNK_PAGES);

		if (rest)
			return min_u64(page + (uint64_t)__builtin_ctzll(rest), end);
		page = align_down(page, CHUNK_PAGES) + CHUNK_PAGES;
	}
	return end;
}

uint64_t view_next_dirty(const struct view *view, uint64_t page, uint64_t end)
{
	if (!view->dirty_pages)
		return end;
	while ((page = skip_empty(view, page, end)) < end) {
		const struct view_chunk *chunk = chunk_at(view, page);

		for (; page < end; page++) {
			if (chunk->dirty[page % CHUNK_PAGES])
				return page;
			if (page % CHUNK_PAGES == CHUNK_PAGES - 1) {
				page++;
				break;
			}
		}
	}
	return end;
}

