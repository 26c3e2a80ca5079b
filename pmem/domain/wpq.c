/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Draining: from the rings to the media. Nothing that a client has written is
 * believed before it is checked. Which of two records of a line is the newer:
 * order.c.
 */

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
#include "common/rng.h"
#include "domain/chunk.h"
#include "domain/order.h"
#include "domain/rights.h"

struct wpq {
	struct wpq *next, **link; /* domain->lock */
	struct domain *domain;
	uint64_t id;
	int fd;
	_Atomic bool dead; /* written under domain->lock */
	/* Our own mapping. The client writes here too: nothing in it is believed without a look. */
	struct wpq_producer map;
	uint64_t drained[WPQ_LANES];
	const struct wpq_rights *rights; /* NULL: none are asked for */
	struct domain_counts counts;
};

static size_t mapped_size(uint64_t lane_size)
{
	return PAGE_BYTES + WPQ_LANES * lane_size;
}

static int make_memory(struct wpq *wpq)
{
	struct wpq_header header = {
		.magic = WPQ_MAGIC,
		.version = WPQ_VERSION,
		.header_size = PAGE_BYTES,
		.lane_size = (uint32_t)wpq->map.lane_size,
	};

	wpq->fd = memfd_create("softpmem-wpq", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (wpq->fd < 0)
		return -errno;
	atomic_init(&header.batch, wpq->domain->batch);
	if (ftruncate(wpq->fd, (off_t)mapped_size(wpq->map.lane_size)) < 0 ||
	    fcntl(wpq->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0 ||
	    pwrite(wpq->fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header))
		return errno ? -errno : -EIO;
	return wpq_producer_open(wpq->fd, &wpq->map);
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
	wpq->domain = domain;
	wpq->map.lane_size = lane_size ? lane_size : WPQ_LANE_SIZE_DEFAULT;
	wpq->id = domain->next_wpq_id++;
	error = domain->recent ? make_memory(wpq) : -ENOMEM;
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

uint32_t view_id(const struct view *view)
{
	return view->id;
}

/* ---- Records --------------------------------------------------------------- */

/*
 * Copy the header of the record at `position` and check all of it: what may
 * change under us is read once. `limit` is where the lane's records end.
 */
static int read_record(const struct wpq *wpq, unsigned lane, uint64_t position, uint64_t limit,
		       struct wpq_record *record, const unsigned char **payload)
{
	const unsigned char *at = wpq->map.rings[lane] + (position & (wpq->map.lane_size - 1));
	uint64_t room = limit - position;

	if (room < sizeof(*record))
		return -EPROTO;
	memcpy(record, at, sizeof(*record));
	*payload = at + sizeof(*record);
	if (record->kind != WPQ_LINES && record->kind != WPQ_UNDO)
		return -EPROTO;
	if (record->kind == WPQ_UNDO && record->lines != 2)
		return -EPROTO;
	if (record->lines == 0 || record->lines > room / LINE_SIZE - 1)
		return -EPROTO;
	return 0;
}

static struct snapshot record_snapshot(const struct wpq *wpq, unsigned lane, const struct wpq_record *record)
{
	return (struct snapshot){ .writer = wpq->id * WPQ_LANES + lane, .batch = record->batch };
}

/* Do the record's lines lie inside the view? */
static bool record_is_inside(const struct view *view, const struct wpq_record *record)
{
	uint64_t length = (uint64_t)(record->kind == WPQ_UNDO ? 1 : record->lines) * LINE_SIZE;

	if (!view || !view->attached || !is_aligned(record->offset, LINE_SIZE))
		return false;
	return record->offset <= view->attached_size && length <= view->attached_size - record->offset;
}

/* For a view that was there once, and was destroyed or detached under its mappings. */
static bool record_is_orphan(const struct domain *domain, const struct view *view, const struct wpq_record *record)
{
	return view ? !view->attached : record->view < domain->next_view_id;
}

/* ---- Writing ----------------------------------------------------------------- */

/* A record that is being drained. */
struct draining {
	struct wpq *wpq;
	struct snapshot snapshot;
	struct view *view;
	const struct wpq_record *record;
};

/* How many lines of the media have these bytes already. */
static uint64_t clean_lines(const struct domain *domain, uint64_t media_offset, const unsigned char *bytes,
			    uint64_t length)
{
	const unsigned char *media = region_media(domain->region) + media_offset;
	uint64_t clean = 0;

	for (uint64_t at = 0; at < length; at += LINE_SIZE)
		clean += memcmp(media + at, bytes + at, LINE_SIZE) == 0;
	return clean;
}

/* Lines on their way to the media: those that follow each other in the ring and there go together. */
struct media_run {
	struct domain *domain;
	uint64_t media_offset;
	const unsigned char *bytes;
	uint64_t length, clean;
};

static void run_write(struct media_run *run)
{
	if (!run->length)
		return;
	if (run->domain->count_clean)
		run->clean += clean_lines(run->domain, run->media_offset, run->bytes, run->length);
	media_write(run->domain->region, run->media_offset, run->bytes, run->length);
	run->length = 0;
}

static void run_add(struct media_run *run, uint64_t media_offset, const unsigned char *bytes, uint64_t length)
{
	if (run->length && run->bytes + run->length == bytes && run->media_offset + run->length == media_offset) {
		run->length += length;
		return;
	}
	run_write(run);
	run->media_offset = media_offset;
	run->bytes = bytes;
	run->length = length;
}

/* Lines of one page, some of them as they are in the view by now, or to media that is fresh. */
static int write_mixed(const struct draining *draining, uint64_t page, uint64_t mask, uint64_t from_view,
		       const unsigned char *payload, uint64_t *clean)
{
	struct view *view = draining->view;
	struct placement at = view->ops->find(view->owner, page, 1);
	_Alignas(LINE_SIZE) unsigned char content[PAGE_BYTES];
	int error;

	for (uint64_t rest = mask; rest; rest &= rest - 1, payload += LINE_SIZE) {
		size_t line = (size_t)__builtin_ctzll(rest) * LINE_SIZE;

		if (from_view & rest & -rest)
			line_snapshot(content + line, view->memory + page * PAGE_BYTES + line);
		else
			memcpy(content + line, payload, LINE_SIZE);
		if (view->domain->count_clean && at.placed)
			*clean += clean_lines(view->domain, at.media_offset + line, content + line, LINE_SIZE);
	}
	error = view_write_lines(view, page, mask, content);
	/* The view has shrunk under a mapping: these bytes are no longer anybody's. */
	return error == -ENOSPC ? 0 : error;
}

static void count_record(const struct draining *draining, uint64_t clean)
{
	struct domain_counts *counts[] = { &draining->view->counts, &draining->wpq->counts };
	const struct wpq_record *record = draining->record;

	for (unsigned i = 0; i < 2; i++) {
		counts[i]->flushes += !(record->flags & WPQ_CONTINUED);
		counts[i]->persists += (record->flags & (WPQ_CONTINUED | WPQ_PERSIST)) == WPQ_PERSIST;
		counts[i]->fences += !!(record->flags & WPQ_LAST);
		counts[i]->lines += record->lines;
		counts[i]->clean_lines += clean;
	}
}

static int drain_lines(const struct draining *draining, const unsigned char *payload)
{
	const struct wpq_record *record = draining->record;
	uint64_t line = record->offset / LINE_SIZE, end = line + record->lines;
	struct view *view = draining->view;
	struct media_run run = { .domain = view->domain };
	struct placement at = { 0 };
	uint64_t at_page = 0;
	int error = 0;

	while (!error && line < end) {
		uint64_t page = line / LINES_PER_PAGE, first = line % LINES_PER_PAGE;
		uint64_t count = min_u64(LINES_PER_PAGE - first, end - line);
		uint64_t mask = (ALL_LINES >> (LINES_PER_PAGE - count)) << first;
		uint64_t from_view = order_unknown(view, page, mask, &draining->snapshot);

		if (page - at_page >= at.pages) {
			at = view->ops->find(view->owner, page, (end - 1) / LINES_PER_PAGE - page + 1);
			at_page = page;
		}
		if (at.placed && !from_view) {
			run_add(&run, at.media_offset + (page - at_page) * PAGE_BYTES + first * LINE_SIZE, payload,
				count * LINE_SIZE);
		} else {
			error = write_mixed(draining, page, mask, from_view, payload, &run.clean);
			/* It may have been given its media with many pages after it. */
			at.pages = 0;
		}
		chunk_note_written(view, page, mask);
		payload += count * LINE_SIZE;
		line += count;
	}
	run_write(&run);
	if (!error)
		count_record(draining, run.clean);
	return error;
}

/* What the ring is given back of, at least, while much waits in it. */
#define GIVE_BACK (64u << 10)

/* All records below `drained` are on the media: the client may use their room. */
static void give_back(struct wpq *wpq, unsigned lane)
{
	media_fence(wpq->domain->region);
	atomic_store_explicit(&wpq->map.header->lanes[lane].drained, wpq->drained[lane], memory_order_release);
}

/* The view of the record before, or another; NULL if there is none of that id. */
static int next_view(const struct wpq *wpq, uint32_t id, struct view **view)
{
	if (*view && (*view)->id == id)
		return 0;
	*view = NULL;
	if (!rights_allow(wpq->rights, id))
		return -EPROTO;
	*view = domain_find_view(wpq->domain, id);
	return 0;
}

/* How far ahead of the draining what small records will ask for is fetched. */
#define AHEAD_BYTES 1024u

/*
 * Records of single lines, all over a pool, miss the processor's caches at each
 * thing they look up; so that is asked for some records before. A hint: what a
 * client may have written here is checked by who drains it. Returns how far it looked.
 */
static uint64_t look_ahead(const struct wpq *wpq, unsigned lane, const struct view *view, uint64_t position,
			   uint64_t published)
{
	position = max_u64(position, wpq->drained[lane]);
	while (position < published && position - wpq->drained[lane] < AHEAD_BYTES) {
		const unsigned char *at = wpq->map.rings[lane] + (position & (wpq->map.lane_size - 1));
		struct wpq_record record;

		memcpy(&record, at, sizeof(record));
		if (record.lines > (published - position) / LINE_SIZE)
			return published;
		if (record_is_inside(view, &record) && view->id == record.view) {
			order_prefetch(view, record.offset / LINE_SIZE);
			chunk_prefetch(view, record.offset / PAGE_BYTES);
		}
		position += ((uint64_t)record.lines + 1) * LINE_SIZE;
	}
	return position;
}

static int drain_lane(struct wpq *wpq, unsigned lane)
{
	uint64_t published =
		atomic_load_explicit(&wpq->map.header->lanes[lane].published, memory_order_acquire);
	uint64_t given_back = wpq->drained[lane], ahead = given_back;
	struct view *view = NULL;
	int error = 0;

	if (published - wpq->drained[lane] > wpq->map.lane_size)
		return -EPROTO;
	while (!error && wpq->drained[lane] < published) {
		const unsigned char *payload;
		struct wpq_record record;
		struct draining draining = { .wpq = wpq, .record = &record };

		ahead = look_ahead(wpq, lane, view, ahead, published);
		error = read_record(wpq, lane, wpq->drained[lane], published, &record, &payload);
		if (!error)
			error = next_view(wpq, record.view, &view);
		if (error)
			break;
		draining.snapshot = record_snapshot(wpq, lane, &record);
		if (record_is_inside(view, &record))
			draining.view = view;
		else if (!record_is_orphan(wpq->domain, view, &record))
			return -EPROTO;
		/* A fenced non-temporal store under eADR: the view has it, and keeps it. */
		if (draining.view && record.kind == WPQ_LINES)
			error = drain_lines(&draining, payload);
		if (!error)
			wpq->drained[lane] += (uint64_t)(record.lines + 1) * LINE_SIZE;
		if (wpq->drained[lane] - given_back >= GIVE_BACK) {
			give_back(wpq, lane);
			given_back = wpq->drained[lane];
		}
	}
	return error;
}

/* Before any `published` is read, and after the last record is written: who reads the number in between is unordered. */
static void count_batch(struct domain *domain)
{
	domain->batch++;
	for (struct wpq *wpq = domain->wpqs; wpq; wpq = wpq->next)
		atomic_store_explicit(&wpq->map.header->batch, domain->batch, memory_order_seq_cst);
}

static int drain_all(struct domain *domain)
{
	int result = 0;

	count_batch(domain);
	for (struct wpq *wpq = domain->wpqs; wpq; wpq = wpq->next) {
		for (unsigned lane = 0; !wpq->dead && lane < WPQ_LANES; lane++) {
			int error = drain_lane(wpq, lane);

			if (error == -EPROTO)
				wpq->dead = true;
			if (error)
				result = error;
		}
	}
	media_fence(domain->region);
	count_batch(domain);
	for (struct wpq *wpq = domain->wpqs; wpq; wpq = wpq->next)
		for (unsigned lane = 0; lane < WPQ_LANES; lane++)
			atomic_store_explicit(&wpq->map.header->lanes[lane].drained, wpq->drained[lane],
					      memory_order_release);
	return result;
}

int domain_drain(struct domain *domain)
{
	LOCK_SCOPE(&domain->lock);
	return drain_all(domain);
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
	}
	return bytes;
}

void domain_set_awake(struct domain *domain, bool awake)
{
	LOCK_SCOPE(&domain->lock);
	for (struct wpq *wpq = domain->wpqs; wpq; wpq = wpq->next)
		atomic_store_explicit(&wpq->map.header->awake, awake, memory_order_seq_cst);
}

void domain_count_clean(struct domain *domain, bool count)
{
	LOCK_SCOPE(&domain->lock);
	domain->count_clean = count;
}

void wpq_usage(struct wpq *wpq, struct wpq_usage *out)
{
	LOCK_SCOPE(&wpq->domain->lock);
	*out = (struct wpq_usage){ .counts = wpq->counts, .lane_size = wpq->map.lane_size };
	for (unsigned lane = 0; lane < WPQ_LANES; lane++) {
		const struct wpq_lane *shared = &wpq->map.header->lanes[lane];
		uint64_t waiting = atomic_load_explicit(&shared->pending, memory_order_relaxed) - wpq->drained[lane];

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
		/* Whatever a client publishes now, it finds out, or we find it. */
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

/* ---- Power failure ----------------------------------------------------------- */

struct settle {
	enum domain_policy policy;
	uint64_t coin;
};

static bool coin_says(const struct settle *settle, uint64_t position, bool if_kept, bool if_lost)
{
	switch (settle->policy) {
	case DOMAIN_LOSE:
		return if_lost;
	case DOMAIN_KEEP:
		return if_kept;
	case DOMAIN_RANDOM:
		return rng_mix(settle->coin ^ rng_mix(position + 1)) & 1;
	}
	return if_lost;
}

/* Take back an unfenced non-temporal store, if nothing was stored to its line since. */
static void undo_store(struct view *view, const struct wpq_record *record, const unsigned char *payload)
{
	unsigned char *line = view->memory + record->offset;

	if (memcmp(line, payload + LINE_SIZE, LINE_SIZE) == 0)
		memcpy(line, payload, LINE_SIZE);
}

/*
 * Records that were flushed and not fenced, the newest first: an undo gives back
 * what was there before it. A flush may have taken effect or not; under `keep`
 * the view's own content is newer, and under `lose` it has not.
 */
static void settle_lane(struct wpq *wpq, unsigned lane, const struct settle *settle)
{
	uint64_t pending = atomic_load_explicit(&wpq->map.header->lanes[lane].pending, memory_order_acquire);
	uint64_t position = wpq->drained[lane];
	CLEANUP_FREE uint64_t *positions = NULL;
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
	while (count--) {
		const unsigned char *payload;
		struct wpq_record record;
		struct view *view;

		if (read_record(wpq, lane, positions[count], pending, &record, &payload) != 0)
			return;
		if (!rights_allow(wpq->rights, record.view))
			return;
		view = domain_find_view(wpq->domain, record.view);
		if (!record_is_inside(view, &record))
			return;
		if (record.kind == WPQ_UNDO && coin_says(settle, positions[count], false, true))
			undo_store(view, &record, payload);
		if (record.kind == WPQ_LINES && coin_says(settle, positions[count], false, false)) {
			const struct draining draining = {
				.wpq = wpq,
				.view = view,
				.record = &record,
				.snapshot = record_snapshot(wpq, lane, &record),
			};

			drain_lines(&draining, payload);
		}
	}
}

int domain_settle(struct domain *domain, enum domain_policy policy, uint64_t seed)
{
	LOCK_SCOPE(&domain->lock);
	int error = drain_all(domain);

	for (struct wpq *wpq = domain->wpqs; wpq; wpq = wpq->next) {
		for (unsigned lane = 0; lane < WPQ_LANES; lane++) {
			struct settle settle = { .policy = policy, .coin = rng_mix(seed ^ rng_mix(wpq->id * WPQ_LANES + lane + 1)) };

			settle_lane(wpq, lane, &settle);
		}
	}
	media_fence(domain->region);
	return error;
}
