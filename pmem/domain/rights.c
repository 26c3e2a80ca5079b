/* SPDX-License-Identifier: BSD-3-Clause */
#include "domain/rights.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "domain/domain_state.h"
#include "domain/wpq.h"

struct wpq_rights {
	struct domain *domain;
	/* Sorted; guarded by domain->lock. */
	uint32_t *views;
	size_t count, room;
};

int wpq_rights_create(struct domain *domain, struct wpq_rights **out)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	(*out)->domain = domain;
	return 0;
}

void wpq_rights_destroy(struct wpq_rights *rights)
{
	if (!rights)
		return;
	free(rights->views);
	free(rights);
}

/* The index of a view's id, or where it would be inserted. */
static size_t search(const struct wpq_rights *rights, uint32_t view)
{
	size_t low = 0, high = rights->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (rights->views[middle] < view)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool rights_allow(const struct wpq_rights *rights, uint32_t view)
{
	size_t at = rights ? search(rights, view) : 0;

	return !rights || (at < rights->count && rights->views[at] == view);
}

int wpq_rights_add(struct wpq_rights *rights, uint32_t view)
{
	LOCK_SCOPE(&rights->domain->lock);
	size_t at = search(rights, view);

	if (at < rights->count && rights->views[at] == view)
		return 0;
	if (rights->count == rights->room) {
		size_t room = rights->room ? 2 * rights->room : 8;
		void *grown = reallocarray(rights->views, room, sizeof(*rights->views));

		if (!grown)
			return -ENOMEM;
		rights->views = grown;
		rights->room = room;
	}
	memmove(rights->views + at + 1, rights->views + at, (rights->count - at) * sizeof(*rights->views));
	rights->views[at] = view;
	rights->count++;
	return 0;
}

bool wpq_rights_have(const struct wpq_rights *rights, uint32_t view)
{
	if (!rights)
		return false;
	LOCK_SCOPE(&rights->domain->lock);
	return rights_allow(rights, view);
}
