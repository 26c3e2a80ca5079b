/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Draining. The order of two records of one line in different lanes is not
 * known from the rings: thread A may have flushed first and fenced last, and
 * writing its older snapshot over B's newer one would lose what B was
 * guaranteed. So the daemon counts when a drain begins and when it ends, tells
 * the producers, and remembers for each line the last batch that wrote it and from which lane
 * (in a hash table: lines that collide share an entry). A record that read batch
 * number b before its snapshot, when the line was last written by another lane
 * in batch d < b, is newer: the batch d was over before the snapshot was taken.
 * With d >= b the order is unknown; then the line's content in the view now is
 * written instead, which is at least as new as every snapshot, and legal at any
 * time, for a cache may write a line back whenever it likes.
 */

#include "domain/domain.h"
#include "domain/wpq.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/rng.h"
#include "domain/chunk.h"

#define RECENT_LINES (1u << 16)

struct drained_line {
	uint64_t key;	/* the line: view id and number */
	uint64_t batch; /* of the last write to this or any line that shares the entry */
	uint64_t lane;	/* who: wpq id * WPQ_LANES + lane, or: */
};
#define FROM_VIEW UINT64_MAX /* the view's own content: newer than anything that waits */

struct wpq {
	struct wpq *next, **link; /* domain->lock */
	struct domain *domain;
	uint64_t id;
	int fd;
	bool dead;
	/* Our own mapping. The client writes here too: nothing in it is believed without a look. */
	struct wpq_producer map;
	uint64_t drained[WPQ_LANES];
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
		domain->recent = calloc(RECENT_LINES, sizeof(struct drained_line));
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

/* The view the record is for, if its lines lie inside it. */
static struct view *record_view(struct domain *domain, const struct wpq_record *record)
{
	struct view *view = domain_find_view(domain, record->view);
	uint64_t length = (uint64_t)(record->kind == WPQ_UNDO ? 1 : record->lines) * LINE_SIZE;

	if (!view || !view->attached || !is_aligned(record->offset, LINE_SIZE))
		return NULL;
	if (record->offset > view->attached_size || length > view->attached_size - record->offset)
		return NULL;
	return view;
}

/* For a view that was there once, and was destroyed or detached under its mappings. */
static bool record_is_orphan(struct domain *domain, const struct wpq_record *record)
{
	const struct view *view = domain_find_view(domain, record->view);

	return view ? !view->attached : record->view < domain->next_view_id;
}

static uint64_t line_key(uint32_t view, uint64_t line)
{
	/* Lines of the largest pool take 38 bits; ids that collide above share entries, which is only slower. */
	return ((uint64_t)view << 38) ^ line;
}

static struct drained_line *recent_line(struct domain *domain, uint64_t key)
{
	/* The lines of a page stand together: drained together, alone each would miss the cache. */
	uint64_t first = rng_mix(key / LINES_PER_PAGE) * LINES_PER_PAGE;

	return &domain->recent[(first + key % LINES_PER_PAGE) % RECENT_LINES];
}

/* May the snapshot be older than what the media has? Notes this write, either way. */
static bool order_unknown(struct wpq *wpq, unsigned lane, const struct wpq_record *record, uint64_t line)
{
	uint64_t key = line_key(record->view, line), who = wpq->id * WPQ_LANES + lane;
	struct drained_line *recent = recent_line(wpq->domain, key);
	bool same = recent->key == key && recent->lane == who;
	bool unknown = recent->batch >= record->batch && !same;

	*recent = (struct drained_line){ .key = key, .batch = wpq->domain->batch, .lane = unknown ? FROM_VIEW : who };
	return unknown;
}

void wpq_note_direct(struct view *view, uint64_t page, uint64_t mask)
{
	struct domain *domain = view->domain;

	if (!domain->recent)
		return;
	for (; mask; mask &= mask - 1) {
		uint64_t key = line_key(view->id, page * LINES_PER_PAGE + (uint64_t)__builtin_ctzll(mask));

		*recent_line(domain, key) =
			(struct drained_line){ .key = key, .batch = domain->batch, .lane = FROM_VIEW };
	}
}

static int drain_lines(struct wpq *wpq, unsigned lane, struct view *view, const struct wpq_record *record,
		       const unsigned char *payload)
{
	uint64_t line = record->offset / LINE_SIZE, end = line + record->lines;

	while (line < end) {
		uint64_t page = line / LINES_PER_PAGE, mask = 0;
		unsigned char content[PAGE_BYTES];
		int error;

		for (; line < end && line / LINES_PER_PAGE == page; line++, payload += LINE_SIZE) {
			size_t in_page = line % LINES_PER_PAGE * LINE_SIZE;

			if (order_unknown(wpq, lane, record, line))
				line_snapshot(content + in_page, view->memory + line * LINE_SIZE);
			else
				memcpy(content + in_page, payload, LINE_SIZE);
			mask |= (uint64_t)1 << (line % LINES_PER_PAGE);
		}
		error = view_write_lines(view, page, mask, content);
		/* The view has shrunk under a mapping: these bytes are no longer anybody's. */
		if (error == -ENOSPC)
			continue;
		if (error)
			return error;
		chunk_note_written(view, page, mask);
	}
	return 0;
}

static int drain_lane(struct wpq *wpq, unsigned lane)
{
	uint64_t published =
		atomic_load_explicit(&wpq->map.header->lanes[lane].published, memory_order_acquire);
	int error = 0;

	if (published - wpq->drained[lane] > wpq->map.lane_size)
		return -EPROTO;
	while (!error && wpq->drained[lane] < published) {
		const unsigned char *payload;
		struct wpq_record record;
		struct view *view;

		error = read_record(wpq, lane, wpq->drained[lane], published, &record, &payload);
		if (error)
			break;
		view = record_view(wpq->domain, &record);
		if (!view && !record_is_orphan(wpq->domain, &record))
			return -EPROTO;
		/* A fenced non-temporal store under eADR: the view has it, and keeps it. */
		if (view && record.kind == WPQ_LINES)
			error = drain_lines(wpq, lane, view, &record, payload);
		if (!error)
			wpq->drained[lane] += (uint64_t)(record.lines + 1) * LINE_SIZE;
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

bool domain_has_published(struct domain *domain)
{
	LOCK_SCOPE(&domain->lock);
	for (const struct wpq *wpq = domain->wpqs; wpq; wpq = wpq->next)
		for (unsigned lane = 0; !wpq->dead && lane < WPQ_LANES; lane++)
			if (atomic_load_explicit(&wpq->map.header->lanes[lane].published, memory_order_relaxed) !=
			    wpq->drained[lane])
				return true;
	return false;
}

void wpq_destroy(struct wpq *wpq)
{
	struct domain *domain;

	if (!wpq)
		return;
	domain = wpq->domain;
	{
		LOCK_SCOPE(&domain->lock);
		drain_all(domain);
		*wpq->link = wpq->next;
		if (wpq->next)
			wpq->next->link = wpq->link;
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
		view = record_view(wpq->domain, &record);
		if (!view)
			return;
		if (record.kind == WPQ_UNDO && coin_says(settle, positions[count], false, true))
			undo_store(view, &record, payload);
		if (record.kind == WPQ_LINES && coin_says(settle, positions[count], false, false))
			drain_lines(wpq, lane, view, &record, payload);
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
