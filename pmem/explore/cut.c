/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/cut.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int explore_cut_create(const struct explore_image *image, uint64_t address, uint64_t offset, uint64_t end,
		       struct explore_cut **out)
{
	struct explore_cut *cut = calloc(1, sizeof(*cut));
	uint64_t page = offset / PAGE_BYTES;

	if (!cut)
		return -ENOMEM;
	cut->address = address;
	cut->offset = offset;
	cut->end = end;
	for (; (page = explore_image_next_page(image, page)) < align_up(end, PAGE_BYTES) / PAGE_BYTES;
	     page++) {
		struct explore_cut_page *kept = vector_append_zero(&cut->pages);

		if (!kept) {
			explore_cut_destroy(cut);
			return -ENOMEM;
		}
		kept->page = page;
		memcpy(kept->bytes, explore_image_page(image, page), PAGE_BYTES);
	}
	*out = cut;
	return 0;
}

void explore_cut_destroy(struct explore_cut *cut)
{
	if (!cut)
		return;
	vector_free(&cut->pages);
	free(cut);
}

static const struct explore_cut_page *find_page(const struct explore_cut *cut, uint64_t page)
{
	size_t low = 0, high = cut->pages.count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (cut->pages.items[middle].page < page)
			low = middle + 1;
		else
			high = middle;
	}
	return low < cut->pages.count && cut->pages.items[low].page == page ? &cut->pages.items[low] : NULL;
}

void explore_cut_restore(const struct explore_cut *cut, uint64_t line_offset, unsigned char line[LINE_SIZE])
{
	const uint64_t from = max_u64(line_offset, cut->offset);
	const uint64_t to = min_u64(line_offset + LINE_SIZE, cut->end);
	const struct explore_cut_page *page;

	if (from >= to)
		return;
	page = find_page(cut, line_offset / PAGE_BYTES);
	if (page)
		memcpy(line + (from - line_offset), page->bytes + from % PAGE_BYTES, to - from);
	else
		memset(line + (from - line_offset), 0, to - from);
}
