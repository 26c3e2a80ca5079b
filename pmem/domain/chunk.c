/* SPDX-License-Identifier: BSD-3-Clause */
#include "domain/chunk.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cleanup.h"
#include "domain/domain_state.h"

struct view_chunk *chunk_at(const struct view *view, uint64_t page)
{
	const uint64_t number = page / NODE_PAGES, chunk = page % NODE_PAGES / CHUNK_PAGES;
	const struct view_node *node = number < view->node_count ? view->nodes[number] : NULL;

	return node && chunk < node->room ? node->chunks[chunk] : NULL;
}

/* Make room for node number `node`, and for its bit in both indexes. */
static bool nodes_reserve(struct view *view, uint64_t node)
{
	const uint64_t count = node + 1, words = (count + 63) / 64, old_words = (view->node_count + 63) / 64;
	struct view_node **nodes = realloc(view->nodes, count * sizeof(*nodes));
	uint64_t *dirty = realloc(view->dirty_nodes, words * sizeof(*dirty));
	uint64_t *written = realloc(view->written_nodes, words * sizeof(*written));

	if (nodes)
		view->nodes = nodes;
	if (dirty)
		view->dirty_nodes = dirty;
	if (written)
		view->written_nodes = written;
	if (!nodes || !dirty || !written)
		return false;
	memset(nodes + view->node_count, 0, (count - view->node_count) * sizeof(*nodes));
	memset(dirty + old_words, 0, (words - old_words) * sizeof(*dirty));
	memset(written + old_words, 0, (words - old_words) * sizeof(*written));
	view->node_count = count;
	return true;
}

/* Make the node, or more room in it, for its chunk number `chunk`. */
static bool node_reserve(struct view_node **node, uint64_t chunk)
{
	const uint64_t room = chunk < NODE_CHUNKS_FIRST ? NODE_CHUNKS_FIRST : NODE_CHUNKS;
	struct view_node *grown;

	if (*node && chunk < (*node)->room)
		return true;
	grown = alloc_zeroed(sizeof(*grown) + room * sizeof(grown->chunks[0]));
	if (!grown)
		return false;
	if (*node)
		memcpy(grown, *node, sizeof(*grown) + (*node)->room * sizeof(grown->chunks[0]));
	free(*node);
	grown->room = room;
	*node = grown;
	return true;
}

struct view_chunk *chunk_make(struct view *view, uint64_t page)
{
	const uint64_t node = page / NODE_PAGES, chunk = page % NODE_PAGES / CHUNK_PAGES;
	struct view_chunk **slot;

	if (node >= view->node_count && !nodes_reserve(view, node))
		return NULL;
	if (!node_reserve(&view->nodes[node], chunk))
		return NULL;
	slot = &view->nodes[node]->chunks[chunk];
	if (!*slot)
		*slot = alloc_zeroed(sizeof(struct view_chunk));
	return *slot;
}

/* ---- The indexes of dirty and of written chunks ---------------------------------- */

static uint64_t bit(uint64_t number)
{
	return (uint64_t)1 << (number % 64);
}

static bool is_empty(const uint64_t words[NODE_WORDS])
{
	uint64_t all = 0;

	for (unsigned i = 0; i < NODE_WORDS; i++)
		all |= words[i];
	return !all;
}

/* The chunk of `page` has dirty pages now. */
static void index_dirty(struct view *view, uint64_t page)
{
	uint64_t node = page / NODE_PAGES, chunk = page % NODE_PAGES / CHUNK_PAGES;

	view->nodes[node]->dirty[chunk / 64] |= bit(chunk);
	view->dirty_nodes[node / 64] |= bit(node);
}

/* The chunk of `page` has no dirty pages any more. */
static void index_clean(struct view *view, uint64_t page)
{
	uint64_t node = page / NODE_PAGES, chunk = page % NODE_PAGES / CHUNK_PAGES;

	view->nodes[node]->dirty[chunk / 64] &= ~bit(chunk);
	if (is_empty(view->nodes[node]->dirty))
		view->dirty_nodes[node / 64] &= ~bit(node);
}

static void index_written(struct view *view, uint64_t page)
{
	uint64_t node = page / NODE_PAGES, chunk = page % NODE_PAGES / CHUNK_PAGES;

	view->nodes[node]->written[chunk / 64] |= bit(chunk);
	view->written_nodes[node / 64] |= bit(node);
}

/* The first bit that is set at or after `from` and before `end`; `end` if there is none. */
static uint64_t next_bit(const uint64_t *words, uint64_t from, uint64_t end)
{
	while (from < end) {
		uint64_t rest = words[from / 64] >> (from % 64);

		if (rest)
			return min_u64(from + (uint64_t)__builtin_ctzll(rest), end);
		from = align_down(from, 64) + 64;
	}
	return end;
}

/* ---- Lines ------------------------------------------------------------------------- */

uint64_t chunk_dirty(const struct view *view, uint64_t page)
{
	const struct view_chunk *chunk = chunk_at(view, page);

	return chunk ? chunk->dirty[page % CHUNK_PAGES] : 0;
}

static void note_durable(struct view *view, struct view_chunk *chunk, uint64_t page, uint64_t mask)
{
	uint64_t *durable = &chunk->durable[page % CHUNK_PAGES];

	if (!(mask & ~*durable))
		return;
	if (!*durable)
		index_written(view, page);
	view->durable_lines += (uint64_t)__builtin_popcountll(mask & ~*durable);
	*durable |= mask;
}

void chunk_set_dirty(struct view *view, uint64_t page, uint64_t mask)
{
	struct view_chunk *chunk = chunk_at(view, page);
	uint64_t *dirty = &chunk->dirty[page % CHUNK_PAGES];

	if (!*dirty && mask) {
		view->dirty_pages++;
		if (!chunk->dirty_pages) {
			index_dirty(view, page);
			index_written(view, page);
		}
		chunk->dirty_pages |= page_bit(page);
	}
	*dirty |= mask;
}

static void clear_dirty(struct view *view, struct view_chunk *chunk, uint64_t page, uint64_t mask)
{
	uint64_t *dirty = &chunk->dirty[page % CHUNK_PAGES];

	if (*dirty && !(*dirty & ~mask)) {
		view->dirty_pages--;
		chunk->dirty_pages &= ~page_bit(page);
		if (!chunk->dirty_pages)
			index_clean(view, page);
	}
	*dirty &= ~mask;
}

void chunk_clear_dirty(struct view *view, uint64_t page, uint64_t mask)
{
	struct view_chunk *chunk = chunk_at(view, page);

	if (!chunk)
		return;
	note_durable(view, chunk, page, mask & chunk->dirty[page % CHUNK_PAGES]);
	clear_dirty(view, chunk, page, mask);
}

void chunk_mark_present(struct view *view, uint64_t page)
{
	struct view_chunk *chunk = chunk_at(view, page);

	if (!(chunk->present & page_bit(page))) {
		chunk->present |= page_bit(page);
		view->present_pages++;
	}
}

void chunk_mark_absent(struct view *view, uint64_t page)
{
	struct view_chunk *chunk = chunk_at(view, page);

	clear_dirty(view, chunk, page, ALL_LINES);
	view->durable_lines -= (uint64_t)__builtin_popcountll(chunk->durable[page % CHUNK_PAGES]);
	chunk->durable[page % CHUNK_PAGES] = 0;
	if (chunk->present & page_bit(page)) {
		chunk->present &= ~page_bit(page);
		view->present_pages--;
	}
}

void chunk_note_durable(struct view *view, uint64_t page, uint64_t mask)
{
	struct view_chunk *chunk = chunk_make(view, page);

	if (chunk)
		note_durable(view, chunk, page, mask);
}

static void clean_chunk(struct view_chunk *chunk)
{
	if (!chunk)
		return;
	chunk->dirty_pages = 0;
	memset(chunk->dirty, 0, sizeof(chunk->dirty));
	memset(chunk->durable, 0, sizeof(chunk->durable));
}

/* The index of written chunks finds all chunks to clean. */
static void clean_node(struct view_node *node)
{
	for (uint64_t at = 0; (at = next_bit(node->written, at, NODE_CHUNKS)) < NODE_CHUNKS; at++)
		clean_chunk(node->chunks[at]);
	memset(node->dirty, 0, sizeof(node->dirty));
	memset(node->written, 0, sizeof(node->written));
}

void view_mark_clean(struct view *view)
{
	const uint64_t count = view->node_count;

	for (uint64_t at = 0; (at = next_bit(view->written_nodes, at, count)) < count; at++) {
		clean_node(view->nodes[at]);
		view->written_nodes[at / 64] &= ~bit(at);
		view->dirty_nodes[at / 64] &= ~bit(at);
	}
	view->dirty_pages = view->durable_lines = 0;
	view->attached = false;
	view->attached_size = 0;
}

/* ---- Giving memory back ------------------------------------------------------------ */

/* The memory of a view, which is freed apart from it. */
struct view_memory {
	struct domain *domain;
	struct view_node **nodes;
	uint64_t node_count;
	uint64_t *dirty_nodes, *written_nodes;
	unsigned char *memory;
	uint64_t memory_size;
	int fd;
};

static void free_memory(const struct view_memory *owned)
{
	for (uint64_t node = 0; node < owned->node_count; node++) {
		if (!owned->nodes[node])
			continue;
		for (uint64_t i = 0; i < owned->nodes[node]->room; i++)
			free(owned->nodes[node]->chunks[i]);
		free(owned->nodes[node]);
	}
	free(owned->nodes);
	free(owned->dirty_nodes);
	free(owned->written_nodes);
	if (owned->memory)
		munmap(owned->memory, owned->memory_size);
	if (owned->fd >= 0)
		close(owned->fd);
}

static void *free_later(void *argument)
{
	struct view_memory *owned = argument;
	struct domain *domain = owned->domain;

	free_memory(owned);
	free(owned);
	LOCK_SCOPE(&domain->lock);
	domain->frees_running--;
	pthread_cond_broadcast(&domain->free_ended);
	return NULL;
}

/* Freeing gigabytes takes the kernel a while, and no caller needs to wait. False: no thread was started. */
static bool free_in_background(const struct view_memory *owned)
{
	struct view_memory *copy = malloc(sizeof(*copy));
	pthread_t thread;

	if (!copy)
		return false;
	*copy = *owned;
	LOCK_SCOPE(&owned->domain->lock);
	if (pthread_create(&thread, NULL, free_later, copy) != 0) {
		free(copy);
		return false;
	}
	pthread_detach(thread);
	owned->domain->frees_running++;
	return true;
}

void view_drop(struct view *view)
{
	const uint64_t many_pages = 16384; /* 64 MiB: some ten milliseconds */
	const struct view_memory owned = {
		.domain = view->domain,
		.nodes = view->nodes,
		.node_count = view->node_count,
		.dirty_nodes = view->dirty_nodes,
		.written_nodes = view->written_nodes,
		.memory = view->memory,
		.memory_size = view->memory_size,
		.fd = view->fd,
	};

	if (view->present_pages < many_pages || !free_in_background(&owned))
		free_memory(&owned);
	view->nodes = NULL;
	view->dirty_nodes = view->written_nodes = NULL;
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

/* The first page at or after `page` that has a chunk; `end` if there is none below. */
static uint64_t skip_empty(const struct view *view, uint64_t page, uint64_t end)
{
	while (page < end) {
		const uint64_t number = page / NODE_PAGES, chunk = page % NODE_PAGES / CHUNK_PAGES;
		const struct view_node *node;

		if (number >= view->node_count)
			return end;
		node = view->nodes[number];
		if (!node || chunk >= node->room)
			page = (number + 1) * NODE_PAGES;
		else if (!node->chunks[chunk])
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

uint64_t view_next_in_memory(const struct view *view, uint64_t page, uint64_t end)
{
	const uint64_t attached = min_u64(view_attached_pages(view), end);

	if (page < attached && !view_page_present(view, page)) {
		const off_t data = lseek(view->fd, (off_t)(page * PAGE_BYTES), SEEK_DATA);
		const uint64_t stored = data < 0 ? attached : min_u64((uint64_t)data / PAGE_BYTES, attached);
		const uint64_t present = view_next_present(view, page, attached);

		page = min_u64(stored, present);
	}
	return page < attached ? page : view_next_present(view, page, end);
}

uint64_t view_next_dirty(const struct view *view, uint64_t page, uint64_t end)
{
	uint64_t node = page / NODE_PAGES, chunk = page % NODE_PAGES / CHUNK_PAGES;

	if (!view->dirty_pages || page >= end)
		return end;
	if (chunk_at(view, page)) {
		uint64_t rest = chunk_at(view, page)->dirty_pages >> (page % CHUNK_PAGES);

		if (rest)
			return min_u64(page + (uint64_t)__builtin_ctzll(rest), end);
	}
	for (chunk++; (node = next_bit(view->dirty_nodes, node, view->node_count)) < view->node_count;
	     node++, chunk = 0) {
		const struct view_node *at = view->nodes[node];

		/* The search begins in the middle of the first node only. */
		if (node != page / NODE_PAGES)
			chunk = 0;
		chunk = next_bit(at->dirty, chunk, NODE_CHUNKS);
		if (chunk == NODE_CHUNKS)
			continue;
		page = node * NODE_PAGES + chunk * CHUNK_PAGES;
		return min_u64(page + (uint64_t)__builtin_ctzll(at->chunks[chunk]->dirty_pages), end);
	}
	return end;
}
