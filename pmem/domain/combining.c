/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Collecting: from the slots of a WPQ to the media, with one write for all flushes of a
 * line since the last drain. The client goes on while we read. A copy is complete, and
 * the newest one, if the numbers of its slot are the same before and after. All that
 * is read is checked before it is used.
 *
 * A slot must be written neither before older records of its line in the ring nor after
 * newer ones. So each slot says between which positions of the ring it belongs, and
 * is compared with the position up to which the ring has been drained.
 */

#include "domain/combining.h"

#include <errno.h>
#include <string.h>

#include "domain/gather.h"
#include "domain/rights.h"
#include "model/settle.h"

/*
 * The client may overwrite a copy while we read it, if it flushes the line twice in the meantime. After some
 * tries it is told to use no slots for now; then the copies stay once it has finished the current flush.
 */
#define TRIES 4
#define TRIES_MAX 100000

struct copies {
	struct wpq *wpq;
	uint64_t number[WPQ_SLOTS]; /* 0: not there */
	_Alignas(LINE_SIZE) unsigned char lines[WPQ_SLOTS][LINE_SIZE];
};

bool combining_is_allowed(const struct domain *domain)
{
	/* Media that outlives the daemon gets all flushes in order; counting clean lines needs each flush. */
	return !region_outlives_process(domain->region) && !domain->count_clean;
}

uint64_t combining_fenced(const struct wpq *wpq)
{
	return atomic_load_explicit(&wpq->map.header->combining.fenced, memory_order_acquire);
}

uint64_t combining_waiting(const struct wpq *wpq)
{
	return min_u64(combining_fenced(wpq) - wpq->combining.collected, WPQ_SLOTS) * LINE_SIZE;
}

enum outcome { NOTHING, FOUND, OVERWRITTEN };

/*
 * Read the newest copy, or the newest durable one, if its number is greater than `above` and the slot belongs
 * to where the ring has been drained to. If a number changes meanwhile, a newer copy may have been lost.
 */
static enum outcome try_to_read(struct copies *copies, unsigned index, uint64_t above, bool durable,
				struct wpq_record *record)
{
	const struct wpq_combining *combining = &copies->wpq->map.header->combining;
	const uint64_t drained = copies->wpq->drained[WPQ_FENCED];
	const struct wpq_slot *slot = &combining->slots[index];
	uint64_t before[WPQ_COPIES], after[WPQ_COPIES], up_to, from = 0, until = 0;
	unsigned newest;
	bool is_new;

	wpq_read_numbers(slot, before);
	/* Read after the numbers: so one of these copies is what the fence covered. */
	up_to = durable ? combining_fenced(copies->wpq) : UINT64_MAX;
	newest = wpq_newest_of(before, up_to);
	is_new = newest != WPQ_COPIES && before[newest] > above;
	if (is_new) {
		from = combining->from[index];
		until = atomic_load_explicit(&combining->until[index], memory_order_relaxed);
		*record = (struct wpq_record){
			.kind = WPQ_LINES,
			.view = slot->view,
			.offset = slot->offset,
			.batch = slot->batch[newest],
			.lines = 1,
		};
		memcpy(copies->lines[index], slot->copies[newest], LINE_SIZE);
	}
	atomic_thread_fence(memory_order_acquire);
	wpq_read_numbers(slot, after);
	if (memcmp(before, after, sizeof(before)) != 0)
		return OVERWRITTEN;
	copies->number[index] = is_new ? before[newest] : 0;
	return is_new && from <= drained && drained <= until ? FOUND : NOTHING;
}

/* Read the newest durable copy that has not been collected. -EPROTO: the client never leaves it alone. */
static int read_durable(struct copies *copies, unsigned index, struct wpq_record *record, bool *found)
{
	struct wpq *wpq = copies->wpq;
	_Atomic uint32_t *may_combine = &wpq->map.header->may_combine;
	enum outcome outcome = OVERWRITTEN;
	unsigned tries = 0;

	for (; outcome == OVERWRITTEN && tries < TRIES_MAX; tries++) {
		if (tries == TRIES)
			atomic_store_explicit(may_combine, false, memory_order_seq_cst);
		outcome = try_to_read(copies, index, wpq->combining.number[index], true, record);
	}
	if (tries > TRIES)
		atomic_store_explicit(may_combine, combining_is_allowed(wpq->domain), memory_order_relaxed);
	*found = outcome == FOUND;
	return outcome == OVERWRITTEN ? -EPROTO : 0;
}

static void begin(const struct copies *copies)
{
	struct wpq *wpq = copies->wpq;

	/* The writer is the FENCED lane: of its records and these copies, what is written later is newer. */
	gather_begin(wpq->domain->gather, wpq->domain, wpq->id * WPQ_LANES + WPQ_FENCED, copies->lines[0],
		     &wpq->counts);
}

static int write_copy(const struct copies *copies, unsigned index, const struct wpq_record *record,
		      struct view **view)
{
	struct wpq *wpq = copies->wpq;
	int error = drain_find_view(wpq, record, view);

	if (error || !*view)
		return error;
	return gather_lines(wpq->domain->gather, *view, record, copies->lines[index]);
}

/* Add what the client has counted since the last collection. */
static int count(struct wpq *wpq)
{
	const struct wpq_combining *shared = &wpq->map.header->combining;
	uint32_t counted = atomic_load_explicit(&shared->counted, memory_order_acquire);

	if (counted > WPQ_SLOT_VIEWS)
		return -EPROTO;
	for (uint32_t i = 0; i < counted; i++) {
		const struct wpq_slot_counts *now = &shared->counts[i];
		const uint64_t flushes = atomic_load_explicit(&now->flushes, memory_order_relaxed);
		const uint64_t persists = atomic_load_explicit(&now->persists, memory_order_relaxed);
		const uint64_t fences = atomic_load_explicit(&now->fences, memory_order_relaxed);
		const uint32_t id = now->view;
		struct view *view = rights_allow(wpq->rights, id) ? domain_find_view(wpq->domain, id) : NULL;
		struct domain_counts *to[] = { &wpq->counts, view ? &view->counts : NULL };

		for (unsigned at = 0; at < 2 && to[at]; at++) {
			to[at]->flushes += flushes - wpq->combining.counted[i].flushes;
			to[at]->lines += flushes - wpq->combining.counted[i].flushes;
			to[at]->persists += persists - wpq->combining.counted[i].persists;
			to[at]->fences += fences - wpq->combining.counted[i].fences;
		}
		wpq->combining.counted[i].flushes = flushes;
		wpq->combining.counted[i].persists = persists;
		wpq->combining.counted[i].fences = fences;
	}
	return 0;
}

int combining_collect(struct wpq *wpq, uint64_t fenced)
{
	struct copies copies = { .wpq = wpq };
	struct view *view = NULL;
	int error, written;

	if (fenced == wpq->combining.collected)
		return 0;
	error = count(wpq);
	begin(&copies);
	for (unsigned i = 0; !error && i < WPQ_SLOTS; i++) {
		struct wpq_record record;
		bool found;

		error = read_durable(&copies, i, &record, &found);
		if (!error && found)
			error = write_copy(&copies, i, &record, &view);
		if (error || !found)
			copies.number[i] = 0;
	}
	/* Also the slots before a malformed one. */
	written = gather_write(wpq->domain->gather);
	if (written)
		return error ? error : written;
	for (unsigned i = 0; i < WPQ_SLOTS; i++)
		if (copies.number[i])
			wpq->combining.number[i] = copies.number[i];
	if (!error)
		wpq->combining.collected = fenced;
	return error;
}

void combining_settle(struct wpq *wpq, const struct chooser *chooser)
{
	const struct wpq_combining *shared = &wpq->map.header->combining;
	struct copies copies = { .wpq = wpq };
	struct view *view = NULL;

	if (wpq->dead)
		return;
	begin(&copies);
	for (unsigned i = 0; i < WPQ_SLOTS; i++) {
		struct wpq_record record;

		/* A slot that a record has superseded is decided with that record. */
		if (!settle_flushed_copy(chooser, i) ||
		    atomic_load_explicit(&shared->until[i], memory_order_relaxed) != UINT64_MAX)
			continue;
		if (try_to_read(&copies, i, combining_fenced(wpq), false, &record) == FOUND &&
		    write_copy(&copies, i, &record, &view) != 0)
			break;
	}
	/* None of it was guaranteed, so what cannot be written is lost. */
	gather_write(wpq->domain->gather);
}
