/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MODEL_SETTLE_H
#define MODEL_SETTLE_H

/*
 * The choices of a live power failure. The domain does not record every store as
 * lines.h does: it has the newest content of each line (the view), the content
 * that is durable (the media), and in WPQs copies that were flushed. Each function
 * here decides about one of these. What they choose between is legal by lines.h;
 * a line has two versions, or three while a flushed copy waits for its fence.
 *
 * A seed decides as in softpmem 0.1. All functions are pure and thread safe.
 */

#include "common/align.h"
#include "common/persistence.h"
#include "model/chooser.h"

/*
 * The chooser for what is in the processor's caches. Under eADR they are written
 * back, whatever the policy; what is not in a cache (non-temporal stores) goes by
 * the policy itself.
 */
static inline struct chooser settle_caches(const struct chooser *chooser, enum persistence_domain domain)
{
	return (struct chooser){
		.policy = domain == PERSISTENCE_CPU_CACHE ? CHOOSER_KEEP : chooser->policy,
		.seed = chooser->seed,
		.limit = chooser->limit,
	};
}

/* The lines of page `page` (bit i: line i) that begin below `size` bytes. */
uint64_t settle_lines_inside(uint64_t page, uint64_t size);

/*
 * Of the lines of a page that are not durable (bit i: line i), those whose newest
 * content is kept. `page` is the page's number in its pool. Lines tear apart in
 * units of `unit` bytes (LINE_SIZE, 512 or PAGE_BYTES), which are kept or lost as
 * a whole; the unit's offset in the pool is the place of the choice. Lines at or
 * past `size`, the pool's size in bytes after the outage, are never kept.
 */
uint64_t settle_lines(const struct chooser *chooser, uint64_t page, uint64_t undetermined, uint32_t unit,
		      uint64_t size);

/*
 * A copy of lines that was flushed and whose fence did not come: is it written to
 * the media? CHOOSER_KEEP keeps the view's content, which is the same or newer, so
 * the copy is of no use. CHOOSER_RANDOM may write it, and may still keep the view
 * on top of it.
 */
static inline bool settle_flushed_copy(const struct chooser *chooser, uint64_t place)
{
	return chooser->policy == CHOOSER_RANDOM && chooser_keeps(chooser, place);
}

/*
 * eADR, where the view is durable: is a non-temporal store whose fence did not
 * come taken back from it? Under CHOOSER_RANDOM a set bit of the hash does so.
 */
static inline bool settle_undo_store(const struct chooser *chooser, uint64_t place)
{
	if (!chooser_may_lose(chooser, place))
		return false;
	return chooser->policy == CHOOSER_RANDOM ? chooser_keeps(chooser, place) :
						   chooser->policy == CHOOSER_LOSE;
}

/* The size of a pool after an outage: the one that a sync made durable, or the newest one. */
static inline uint64_t settle_size(const struct chooser *chooser, uint64_t durable, uint64_t newest)
{
	return chooser_keeps(chooser, CHOOSER_WHOLE) ? newest : durable;
}

/*
 * Does a file keep its newest times, or those that a sync made durable? `settled` is
 * the size that settle_size() chose. If it is the newest size, the newest times come
 * with it. A limit of what is lost keeps them where it keeps the size.
 */
static inline bool settle_keeps_times(const struct chooser *chooser, uint64_t durable, uint64_t settled)
{
	return chooser->policy == CHOOSER_KEEP || settled != durable ||
	       !chooser_may_lose(chooser, CHOOSER_WHOLE);
}

/*
 * Where a copy of a line was taken, and when. The beginnings and ends of drains are
 * numbered; such a number is a batch.
 */
struct settle_copy {
	uint64_t writer; /* the queue it is in; copies of one queue are in order */
	uint64_t batch;	 /* the last batch when it was taken, or for the media, written */
};

/*
 * May what `written` says of the media be newer than `copy`? A drain that was over
 * before the copy was taken wrote older content, and so did the same queue
 * before; of anything else the order is unknown. Then the view's content is
 * written, which is at least as new as both, and legal at any time: a cache may
 * write a line back whenever it likes.
 */
static inline bool settle_maybe_newer(const struct settle_copy *written, const struct settle_copy *copy)
{
	return written->batch >= copy->batch && written->writer != copy->writer;
}

/*
 * The writes of lines to the media, as far as they are remembered: of one line, or of several lines for which
 * one memory has to do. Zeroed: none.
 */
struct settle_writes {
	struct settle_copy newest;
	uint64_t others_batch; /* of the newest write by a writer other than newest.writer; 0: none */
};

/* `writer` writes one of the lines in `batch`, which is not below the batch of any earlier write. */
static inline void settle_note_write(struct settle_writes *writes, uint64_t writer, uint64_t batch)
{
	if (writes->newest.writer != writer)
		writes->others_batch = writes->newest.batch;
	writes->newest = (struct settle_copy){ .writer = writer, .batch = batch };
}

/* settle_maybe_newer() of any of the writes. */
static inline bool settle_any_maybe_newer(const struct settle_writes *writes, const struct settle_copy *copy)
{
	/* Where `others_batch` is of the copy's own writer, the first condition is as wide as the second. */
	return settle_maybe_newer(&writes->newest, copy) || writes->others_batch >= copy->batch;
}

#endif
