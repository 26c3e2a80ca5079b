/* SPDX-License-Identifier: BSD-3-Clause */

/* The state of a view's pages and the index of dirty ones, compared with a model: an array of pages. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/rng.h"
#include "domain/chunk.h"
#include "domain/domain_state.h"
#include "domain/view_memory.h"

/* Pages in three nodes, and at the end of the largest pool. */
#define PAGES 600u
#define STEPS 30000u
#define END ((uint64_t)1 << 32)

struct model {
	uint64_t number[PAGES]; /* ascending */
	uint64_t dirty[PAGES], durable[PAGES];
	bool present[PAGES];
};

static void place_pages(struct model *model)
{
	for (unsigned i = 0; i < PAGES; i++) {
		if (i < 300)
			model->number[i] = i;
		else if (i < 500)
			model->number[i] = NODE_PAGES - 100 + (i - 300);
		else if (i < 550)
			model->number[i] = 100 * NODE_PAGES + 1000 * (uint64_t)(i - 500);
		else
			model->number[i] = END - PAGES + i;
	}
}

static unsigned model_next(const struct model *model, uint64_t page,
			   bool (*is)(const struct model *, unsigned))
{
	for (unsigned i = 0; i < PAGES; i++)
		if (model->number[i] >= page && is(model, i))
			return i;
	return PAGES;
}

static bool is_dirty(const struct model *model, unsigned i)
{
	return model->dirty[i];
}

static bool is_present(const struct model *model, unsigned i)
{
	return model->present[i];
}

static void assert_next(const struct view *view, const struct model *model, uint64_t page)
{
	unsigned dirty = model_next(model, page, is_dirty), present = model_next(model, page, is_present);

	assert_int_equal(view_next_dirty(view, page, END), dirty < PAGES ? model->number[dirty] : END);
	assert_int_equal(view_next_present(view, page, END), present < PAGES ? model->number[present] : END);
	if (dirty < PAGES && model->number[dirty] > page)
		assert_int_equal(view_next_dirty(view, page, model->number[dirty]), model->number[dirty]);
}

static void assert_same(const struct view *view, const struct model *model, struct rng *rng)
{
	uint64_t dirty = 0, present = 0, durable = 0;

	for (unsigned i = 0; i < PAGES; i++) {
		dirty += model->dirty[i] != 0;
		present += model->present[i];
		durable += (uint64_t)__builtin_popcountll(model->durable[i]);
	}
	assert_int_equal(view->dirty_pages, dirty);
	assert_int_equal(view->present_pages, present);
	assert_int_equal(view->durable_lines, durable);
	assert_next(view, model, 0);
	assert_next(view, model, model->number[rng_below(rng, PAGES)]);
	assert_next(view, model, model->number[rng_below(rng, PAGES)] + 1);
	assert_next(view, model, rng_below(rng, END));
}

static void change(struct view *view, struct model *model, struct rng *rng)
{
	const unsigned i = (unsigned)rng_below(rng, PAGES);
	const uint64_t page = model->number[i], mask = rng_next(rng) & rng_next(rng);

	switch (rng_below(rng, 6)) {
	case 0:
	case 1:
		assert_non_null(chunk_make(view, page));
		chunk_mark_present(view, page);
		chunk_set_dirty(view, page, mask);
		model->present[i] = true;
		model->dirty[i] |= mask;
		break;
	case 2:
		chunk_clear_dirty(view, page, mask);
		model->durable[i] |= model->dirty[i] & mask;
		model->dirty[i] &= ~mask;
		break;
	case 3:
		chunk_clear_dirty(view, page, ALL_LINES);
		model->durable[i] |= model->dirty[i];
		model->dirty[i] = 0;
		break;
	case 4:
		if (!model->present[i])
			break;
		chunk_mark_absent(view, page);
		model->present[i] = false;
		model->dirty[i] = model->durable[i] = 0;
		break;
	case 5:
		chunk_note_durable(view, page, mask);
		model->durable[i] |= mask;
		break;
	}
	assert_int_equal(chunk_dirty(view, page), model->dirty[i]);
	assert_int_equal(view_page_present(view, page), model->present[i]);
}

static void random_changes_agree_with_an_array_of_pages(void **state)
{
	struct model *model = calloc(1, sizeof(*model));
	struct domain domain = { 0 };
	struct view view = { .domain = &domain, .fd = -1 };
	struct rng rng = { .state = 50 };

	(void)state;
	place_pages(model);
	for (unsigned step = 0; step < STEPS; step++) {
		change(&view, model, &rng);
		assert_same(&view, model, &rng);
	}
	view_drop(&view);
	free(model);
}

static void a_view_that_is_marked_clean_keeps_its_pages_and_nothing_else(void **state)
{
	struct model *model = calloc(1, sizeof(*model));
	struct domain domain = { 0 };
	struct view view = { .domain = &domain, .fd = -1 };
	struct rng rng = { .state = 51 };

	(void)state;
	place_pages(model);
	for (unsigned step = 0; step < STEPS; step++)
		change(&view, model, &rng);
	view_mark_clean(&view);
	memset(model->dirty, 0, sizeof(model->dirty));
	memset(model->durable, 0, sizeof(model->durable));
	assert_same(&view, model, &rng);
	for (unsigned i = 0; i < PAGES; i++)
		assert_int_equal(chunk_dirty(&view, model->number[i]), 0);
	for (unsigned step = 0; step < STEPS / 10; step++) {
		change(&view, model, &rng);
		assert_same(&view, model, &rng);
	}
	view_drop(&view);
	free(model);
}

static const uint64_t memory_pages = 2048;

/* A view of `memory_pages` pages in memory, each with a volatile line and a durable one. */
static void fill_memory(struct view *view)
{
	assert_int_equal(view_memory_extend(view, memory_pages * PAGE_BYTES), 0);
	for (uint64_t page = 0; page < memory_pages; page++) {
		memset(view->memory + page * PAGE_BYTES, 0xaa, PAGE_BYTES);
		assert_non_null(chunk_make(view, page));
		chunk_mark_present(view, page);
		chunk_set_dirty(view, page, 1);
		chunk_note_durable(view, page, 2);
	}
}

static void pages_that_are_discarded_are_zero_when_they_are_made_present_again(void **state)
{
	static const uint64_t pages[] = { memory_pages - 1, memory_pages, END };

	(void)state;
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		const uint64_t left = pages[i] < memory_pages ? memory_pages - pages[i] : 0;
		struct domain domain = { 0 };
		struct view view = { .domain = &domain, .fd = -1 };

		fill_memory(&view);
		view_discard(&view, 0, pages[i]);
		assert_int_equal(view.present_pages, left);
		assert_int_equal(view.dirty_pages, left);
		assert_int_equal(view.durable_lines, left);
		assert_int_equal(view_memory_extend(&view, memory_pages * PAGE_BYTES), 0);
		assert_int_equal(view.memory[0], 0);
		assert_int_equal(view.memory[(memory_pages - 1) * PAGE_BYTES], left ? 0xaa : 0);
		view_drop(&view);
	}
}

/* Clients map the memory: it stays where it is. */
static void an_attached_view_keeps_its_memory_when_all_of_it_is_discarded(void **state)
{
	struct domain domain = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct view view = { .domain = &domain, .fd = -1, .attached = true };
	int fd;

	(void)state;
	fill_memory(&view);
	fd = view.fd;
	view_discard(&view, 0, END);
	assert_int_equal(view.fd, fd);
	assert_true(view.attached);
	assert_int_equal(view.memory[0], 0);
	assert_int_equal(view.present_pages, 0);
	view_drop(&view);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_changes_agree_with_an_array_of_pages),
		cmocka_unit_test(a_view_that_is_marked_clean_keeps_its_pages_and_nothing_else),
		cmocka_unit_test(pages_that_are_discarded_are_zero_when_they_are_made_present_again),
		cmocka_unit_test(an_attached_view_keeps_its_memory_when_all_of_it_is_discarded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
