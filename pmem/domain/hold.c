/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Sweeping: from the lines that a WPQ holds to the media, once for all the flushes
 * that a line had meanwhile. The client goes on while we read: a copy is whole, and
 * the newest one, if all numbers of its line are the same before and after. Nothing
 * that is read is believed before it is checked.
 *
 * A sweep must not get ahead of the ring, whose older records would then be
 * written over it; nor may it come after newer ones. So each held line says
 * between which records it belongs, and we look where the ring has been drained to.
 */

#include "domain/hold.h"

#include <errno.h>
#include <string.h>

#include "domain/gather.h"
#include "domain/rights.h"
#include "model/settle.h"

/*
 * Copies are taken away while we read them by who flushes their line two times meanwhile. After some
 * tries the client is told to hold nothing for now: it may finish what it has begun, and then they stay.
 */
#define TRIES 4
#define TRIES_MOST 100000

struct copies {
	struct wpq *wpq;
	uint64_t number[WPQ_HELD]; /* 0: not there */
	_Alignas(LINE_SIZE) unsigned char lines[WPQ_HELD][LINE_SIZE];
};

bool hold_is_allowed(const struct domain *domain)
{
	/* Media that outlives us gets every flush in its order; who counts clean lines wants to see each. */
	return !region_outlives_process(domain->region) && !domain->count_clean;
}

uint64_t hold_fenced(const struct wpq *wpq)
{
	return atomic_load_explicit(&wpq->map.header->hold.fenced, memory_order_acquire);
}

uint64_t hold_waiting(const struct wpq *wpq)
{
	return min_u64(hold_fenced(wpq) - wpq->hold.swept, WPQ_HELD) * LINE_SIZE;
}

enum outcome { NOTHING, FOUND, TAKEN_AWAY };

/*
 * The newest copy, or the newest durable one, if that is above a flush, and neither ahead of nor behind the
 * ring. All three numbers must have stayed as they were: else one that was newer may be gone.
 */
static enum outcome try_to_read(struct copies *copies, unsigned index, uint64_t above, bool durable,
				struct wpq_record *record)
{
	const struct wpq_hold *hold = &copies->wpq->map.header->hold;
	const uint64_t drained = copies->wpq->drained[WPQ_FENCED];
	const struct wpq_held *held = &hold->held[index];
	uint64_t before[WPQ_COPIES], after[WPQ_COPIES], up_to, from = 0, until = 0;
	unsigned newest;
	bool is_new;

	wpq_read_numbers(held, before);
	/* While these are there, not before: so one of them is what this fence was of. */
	up_to = durable ? hold_fenced(copies->wpq) : UINT64_MAX;
	newest = wpq_newest_of(before, up_to);
	is_new = newest != WPQ_COPIES && before[newest] > above;
	if (is_new) {
		from = hold->from[index];
		until = atomic_load_explicit(&hold->until[index], memory_order_relaxed);
		*record = (struct wpq_record){
			.kind = WPQ_LINES,
			.view = held->view,
			.offset = held->offset,
			.batch = held->batch[newest],
			.lines = 1,
		};
		memcpy(copies->lines[index], held->copies[newest], LINE_SIZE);
	}
	atomic_thread_fence(memory_order_acquire);
	wpq_read_numbers(held, after);
	if (memcmp(before, after, sizeof(before)) != 0)
		return TAKEN_AWAY;
	copies->number[index] = is_new ? before[newest] : 0;
	return is_new && from <= drained && drained <= until ? FOUND : NOTHING;
}

/* The newest durable one that has not been swept. -EPROTO: there is never an end to it. */
static int read_durable(struct copies *copies, unsigned index, struct wpq_record *record, bool *found)
{
	struct wpq *wpq = copies->wpq;
	_Atomic uint32_t *may_hold = &wpq->map.header->may_hold;
	enum outcome outcome = TAKEN_AWAY;
	unsigned tries = 0;

	for (; outcome == TAKEN_AWAY && tries < TRIES_MOST; tries++) {
		if (tries == TRIES)
			atomic_store_explicit(may_hold, false, memory_order_seq_cst);
		outcome = try_to_read(copies, index, wpq->hold.number[index], true, record);
	}
	if (tries > TRIES)
		atomic_store_explicit(may_hold, hold_is_allowed(wpq->domain), memory_order_relaxed);
	*found = outcome == FOUND;
	return outcome == TAKEN_AWAY ? -EPROTO : 0;
}

static void begin(const struct copies *copies)
{
	struct wpq *wpq = copies->wpq;

	/* As the FENCED lane: of a line's records there and its copies here, what comes later is newer. */
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

/* By view: what the client has counted since it was asked last. */
static int count(struct wpq *wpq)
{
	const struct wpq_hold *shared = &wpq->map.header->hold;
	uint32_t counted = atomic_load_explicit(&shared->counted, memory_order_acquire);

	if (counted > WPQ_HELD_VIEWS)
		return -EPROTO;
	for (uint32_t i = 0; i < counted; i++) {
		const struct wpq_held_counts *now = &shared->counts[i];
		const uint64_t flushes = atomic_load_explicit(&now->flushes, memory_order_relaxed);
		const uint64_t persists = atomic_load_explicit(&now->persists, memory_order_relaxed);
		const uint64_t fences = atomic_load_explicit(&now->fences, memory_order_relaxed);
		const uint32_t id = now->view;
		struct view *view = rights_allow(wpq->rights, id) ? domain_find_view(wpq->domain, id) : NULL;
		struct domain_counts *to[] = { &wpq->counts, view ? &view->counts : NULL };

		for (unsigned at = 0; at < 2 && to[at]; at++) {
			to[at]->flushes += flushes - wpq->hold.counted[i].flushes;
			to[at]->lines += flushes - wpq->hold.counted[i].flushes;
			to[at]->persists += persists - wpq->hold.counted[i].persists;
			to[at]->fences += fences - wpq->hold.counted[i].fences;
		}
		wpq->hold.counted[i].flushes = flushes;
		wpq->hold.counted[i].persists = persists;
		wpq->hold.counted[i].fences = fences;
	}
	return 0;
}

int hold_sweep(struct wpq *wpq, uint64_t fenced)
{
	struct copies copies = { .wpq = wpq };
	struct view *view = NULL;
	int error, written;

	if (fenced == wpq->hold.swept)
		return 0;
	error = count(wpq);
	begin(&copies);
	for (unsigned i = 0; !error && i < WPQ_HELD; i++) {
		struct wpq_record record;
		bool found;

		error = read_durable(&copies, i, &record, &found);
		if (!error && found)
			error = write_copy(&copies, i, &record, &view);
		if (error || !found)
			copies.number[i] = 0;
	}
	/* Also what came before a line that cannot be. */
	written = gather_write(wpq->domain->gather);
	if (written)
		return error ? error : written;
	for (unsigned i = 0; i < WPQ_HELD; i++)
		if (copies.number[i])
			wpq->hold.number[i] = copies.number[i];
	if (!error)
		wpq->hold.swept = fenced;
	return error;
}

void hold_settle(struct wpq *wpq, const struct chooser *chooser)
{
	const struct wpq_hold *shared = &wpq->map.header->hold;
	struct copies copies = { .wpq = wpq };
	struct view *view = NULL;

	if (wpq->dead)
		return;
	begin(&copies);
	for (unsigned i = 0; i < WPQ_HELD; i++) {
		struct wpq_record record;

		/* A line that a record has passed is decided with that record. */
		if (!settle_flushed_copy(chooser, i) ||
		    atomic_load_explicit(&shared->until[i], memory_order_relaxed) != UINT64_MAX)
			continue;
		if (try_to_read(&copies, i, hold_fenced(wpq), false, &record) == FOUND &&
		    write_copy(&copies, i, &record, &view) != 0)
			break;
	}
	/* Nobody was promised any of it: what cannot be written is lost. */
	gather_write(wpq->domain->gather);
}
