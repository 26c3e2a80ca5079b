/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Draining: from the rings to the media. What a client has written is checked before
 * it is used. order.c knows which of two records of a line is newer, gather.c writes
 * lines to the media.
 */

#include "domain/drain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "domain/gather.h"
#include "domain/combining.h"
#include "domain/rights.h"
#include "model/settle.h"

/* ---- Records --------------------------------------------------------------- */

/* Where records have few lines, the processor does not prefetch their headers by itself. */
#define FETCH_AHEAD 1024u

/*
 * Copy the header of the record at `position`, once, because the client may change it
 * meanwhile, and check the copy. The lane's records end at `limit`.
 */
static int read_record(const struct wpq *wpq, unsigned lane, uint64_t position, uint64_t limit,
		       struct wpq_record *record, const unsigned char **payload)
{
	const unsigned char *at = wpq->map.rings[lane] + (position & (wpq->map.lane_size - 1));
	uint64_t room = limit - position;

	if (room < sizeof(*record))
		return -EPROTO;
	__builtin_prefetch(at + FETCH_AHEAD);
	memcpy(record, at, offsetof(struct wpq_record, padding));
	*payload = at + sizeof(*record);
	if (record->kind != WPQ_LINES && record->kind != WPQ_UNDO)
		return -EPROTO;
	if (record->kind == WPQ_UNDO && record->lines != 2)
		return -EPROTO;
	if (record->lines == 0 || record->lines > room / LINE_SIZE - 1)
		return -EPROTO;
	return 0;
}

/* Do the record's lines lie inside the view's memory? */
static bool record_is_inside(const struct view *view, const struct wpq_record *record)
{
	uint64_t length = (uint64_t)(record->kind == WPQ_UNDO ? 1 : record->lines) * LINE_SIZE;

	if (!view->attached || !is_aligned(record->offset, LINE_SIZE))
		return false;
	/* Not attached_size: a mapping may reach further, and lines past the size are dropped later. */
	return record->offset <= view->fd_size && length <= view->fd_size - record->offset;
}

int drain_find_view(const struct wpq *wpq, const struct wpq_record *record, struct view **view)
{
	if (!*view || (*view)->id != record->view) {
		*view = NULL;
		if (!rights_allow(wpq->rights, record->view))
			return -EPROTO;
		*view = domain_find_view(wpq->domain, record->view);
	}
	if (!*view)
		return record->view < wpq->domain->next_view_id ? 0 : -EPROTO;
	if (record_is_inside(*view, record))
		return 0;
	/* A view that was detached under its mappings takes no more records. */
	if ((*view)->attached)
		return -EPROTO;
	*view = NULL;
	return 0;
}

/* ---- Lanes -------------------------------------------------------------------- */

static void begin_lane(struct wpq *wpq, unsigned lane)
{
	gather_begin(wpq->domain->gather, wpq->domain, wpq->id * WPQ_LANES + lane, wpq->map.rings[lane],
		     &wpq->counts);
}

/* The counts of successive records of one view. */
struct tally {
	struct view *view;
	uint64_t flushes, persists, fences, lines;
};

static void tally_end(struct tally *tally, struct wpq *wpq)
{
	struct domain_counts *counts[] = { &wpq->counts, tally->view ? &tally->view->counts : NULL };

	for (unsigned i = 0; i < 2 && counts[i]; i++) {
		counts[i]->flushes += tally->flushes;
		counts[i]->persists += tally->persists;
		counts[i]->fences += tally->fences;
		counts[i]->lines += tally->lines;
	}
	*tally = (struct tally){ 0 };
}

static inline void count_record(struct tally *tally, const struct wpq_record *record, struct view *view,
				struct wpq *wpq)
{
	if (record->flags & WPQ_COUNTED)
		return;
	if (view != tally->view) {
		tally_end(tally, wpq);
		tally->view = view;
	}
	tally->flushes += !(record->flags & WPQ_CONTINUED);
	tally->persists += (record->flags & (WPQ_CONTINUED | WPQ_PERSIST)) == WPQ_PERSIST;
	tally->fences += !!(record->flags & WPQ_LAST);
	tally->lines += record->lines;
}

static int drain_record(struct wpq *wpq, struct view *view, const struct wpq_record *record,
			const unsigned char *payload, struct tally *tally)
{
	int error = gather_lines(wpq->domain->gather, view, record, payload);

	if (!error)
		count_record(tally, record, view, wpq);
	return error;
}

/* While much waits in a ring, room is given back to the client in steps of at least this many bytes. */
#define GIVE_BACK (256u << 10)

/* Write all records below `position` to the media, and give their room back to the client. */
static int give_back(struct wpq *wpq, unsigned lane, uint64_t position)
{
	int error = gather_write(wpq->domain->gather);

	if (error)
		return error;
	media_fence(wpq->domain->region);
	wpq->drained[lane] = position;
	atomic_store_explicit(&wpq->map.header->lanes[lane].drained, position, memory_order_release);
	return 0;
}

/* Drain the record at *position and advance *position past it. */
static int drain_next(struct wpq *wpq, unsigned lane, uint64_t *position, uint64_t published,
		      struct view **view, struct tally *tally)
{
	const unsigned char *payload;
	struct wpq_record record;
	int error = read_record(wpq, lane, *position, published, &record, &payload);

	if (!error)
		error = drain_find_view(wpq, &record, view);
	/* The other kind is a fenced non-temporal store under eADR, which the view has already. */
	if (!error && *view && record.kind == WPQ_LINES)
		error = drain_record(wpq, *view, &record, payload, tally);
	if (!error)
		*position += (uint64_t)(record.lines + 1) * LINE_SIZE;
	return error;
}

static int drain_lane(struct wpq *wpq, unsigned lane)
{
	uint64_t published =
		atomic_load_explicit(&wpq->map.header->lanes[lane].published, memory_order_acquire);
	uint64_t position = wpq->drained[lane];
	struct view *view = NULL;
	struct tally tally = { 0 };
	int error = 0, written;

	if (published - position > wpq->map.lane_size)
		return -EPROTO;
	begin_lane(wpq, lane);
	while (!error && position < published) {
		error = drain_next(wpq, lane, &position, published, &view, &tally);
		if (!error && position - wpq->drained[lane] >= GIVE_BACK)
			error = give_back(wpq, lane, position);
	}
	tally_end(&tally, wpq);
	if (error && error != -EPROTO)
		return error;
	/* Also the records before a malformed one. */
	written = gather_write(wpq->domain->gather);
	if (!written)
		wpq->drained[lane] = position;
	return error ? error : written;
}

/*
 * Number a batch: before any `published` is read, and after the last record is written. The order of a copy
 * that was taken in between is unknown.
 */
static void count_batch(struct domain *domain)
{
	domain->batch++;
	for (struct wpq *wpq = domain->wpqs; wpq; wpq = wpq->next)
		atomic_store_explicit(&wpq->map.header->batch, domain->batch, memory_order_seq_cst);
}

static int drain_wpq(struct wpq *wpq)
{
	/* Read before `published`: so the records that these flushes have to follow are drained first. */
	const uint64_t fenced = combining_fenced(wpq);
	int error = 0, result = 0;

	for (unsigned lane = 0; error != -EPROTO && lane < WPQ_LANES; lane++) {
		error = drain_lane(wpq, lane);
		if (error)
			result = error;
	}
	if (!result)
		result = combining_collect(wpq, fenced);
	if (result == -EPROTO || result == -ENOSPC) {
		wpq->fault = result;
		wpq->dead = true;
	}
	return result;
}

/* Tell the client how far its WPQ has been drained. */
static void tell_drained(const struct wpq *wpq)
{
	struct wpq_header *header = wpq->map.header;

	for (unsigned lane = 0; lane < WPQ_LANES; lane++)
		atomic_store_explicit(&header->lanes[lane].drained, wpq->drained[lane], memory_order_release);
	atomic_store_explicit(&header->combining.collected, wpq->combining.collected, memory_order_release);
}

int drain_all(struct domain *domain)
{
	int result = 0;

	count_batch(domain);
	for (struct wpq *wpq = domain->wpqs; wpq; wpq = wpq->next) {
		int error = wpq->dead ? 0 : drain_wpq(wpq);

		if (error)
			result = error;
	}
	media_fence(domain->region);
	count_batch(domain);
	for (struct wpq *wpq = domain->wpqs; wpq; wpq = wpq->next)
		tell_drained(wpq);
	return result;
}

int domain_drain(struct domain *domain)
{
	LOCK_SCOPE(&domain->lock);
	return drain_all(domain);
}

/* ---- Power failure ----------------------------------------------------------- */

/* Take back an unfenced non-temporal store, unless its line was stored to since. */
static void undo_store(struct view *view, const struct wpq_record *record, const unsigned char *payload)
{
	unsigned char *line = view->memory + record->offset;

	if (memcmp(line, payload + LINE_SIZE, LINE_SIZE) == 0)
		memcpy(line, payload, LINE_SIZE);
}

/* Decide about one record. False: it is malformed. */
static bool settle_record(struct wpq *wpq, unsigned lane, uint64_t position, uint64_t pending,
			  const struct chooser *lane_chooser, struct tally *tally)
{
	const unsigned char *payload;
	struct view *view = NULL;
	struct wpq_record record;

	if (read_record(wpq, lane, position, pending, &record, &payload) != 0)
		return false;
	if (drain_find_view(wpq, &record, &view) != 0)
		return false;
	if (!view)
		return true;
	/* What was there before a store is not given back to bytes that were cut off meanwhile. */
	if (record.kind == WPQ_UNDO && record.batch > view->superseded &&
	    settle_undo_store(lane_chooser, position))
		undo_store(view, &record, payload);
	if (record.kind == WPQ_LINES && settle_flushed_copy(lane_chooser, position))
		drain_record(wpq, view, &record, payload, tally);
	return true;
}

/*
 * Decide about records that were flushed and not fenced, the newest first, because an
 * undo record restores what was there before it.
 */
static void settle_lane(struct wpq *wpq, unsigned lane, const struct chooser *lane_chooser)
{
	uint64_t pending = atomic_load_explicit(&wpq->map.header->lanes[lane].pending, memory_order_acquire);
	uint64_t position = wpq->drained[lane];
	CLEANUP_FREE uint64_t *positions = NULL;
	struct tally tally = { 0 };
	size_t count = 0;

	if (wpq->dead || pending - position > wpq->map.lane_size)
		return;
	positions = calloc(wpq->map.lane_size / LINE_SIZE, sizeof(uint64_t));
	while (positions && position < pending) {
		const unsigned char *payload;
		struct wpq_record record;

		if (read_record(wpq, lane, position, pending, &record, &payload) != 0)
			break;
		positions[count++] = position;
		position += (uint64_t)(record.lines + 1) * LINE_SIZE;
	}
	begin_lane(wpq, lane);
	while (count && settle_record(wpq, lane, positions[count - 1], pending, lane_chooser, &tally))
		count--;
	tally_end(&tally, wpq);
	/* None of it was guaranteed, so what cannot be written is lost. */
	gather_write(wpq->domain->gather);
}

int domain_settle(struct domain *domain, const struct chooser *chooser)
{
	LOCK_SCOPE(&domain->lock);
	int error = drain_all(domain);

	for (struct wpq *wpq = domain->wpqs; wpq; wpq = wpq->next) {
		/* The places of lanes count up from 0, those of slots down from the other end. */
		const struct chooser slots = chooser_derive(chooser, ~wpq->id - 1);

		combining_settle(wpq, &slots);
		for (unsigned lane = 0; lane < WPQ_LANES; lane++) {
			const uint64_t place = wpq->id * WPQ_LANES + lane;
			const struct chooser lane_chooser = chooser_derive(chooser, place);

			settle_lane(wpq, lane, &lane_chooser);
		}
	}
	media_fence(domain->region);
	return error;
}
