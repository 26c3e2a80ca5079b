/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "explore/digests.h"

/* How many states a point gets in its first round; each further round gives it four times as many in all. */
#define FIRST_ROUND 2u
#define ROUND_SHIFT 2u
#define ROUNDS_MAX 28u
/* So many random states in a row that were all checked before: there are hardly any others. */
#define EQUAL_MAX 4096u

struct search {
	struct explore_worker *worker;
	struct explore_checker *checker;
	struct explore_digests seen;
	struct explore_digests changes; /* of recoveries that were told */
	uint64_t *done;	   /* of each point: states generated */
	bool *exhausted;   /* of each point: its order has ended */
	uint64_t equal, legal;
	uint64_t sequence; /* of the next state that is new */
	uint64_t resumed;
	bool owns_end;	   /* the points' walk at the end of the trace is this process's own */
	enum explore_limit limit; /* what ends the search; CHANCE ends that of a point only */
	VECTOR(uint64_t) versions;
	struct explore_places places;
};

static int send_all(int fd, const void *bytes, size_t length)
{
	while (length) {
		ssize_t sent = write(fd, bytes, length);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return -errno;
		bytes = (const unsigned char *)bytes + sent;
		length -= (size_t)sent;
	}
	return 0;
}

static int report(struct search *search, uint32_t point, enum explore_phase phase,
		  const struct explore_verdict *verdict)
{
	struct explore_worker *worker = search->worker;
	struct explore_failure failure = {
		.sequence = search->sequence,
		.point = point,
		.phase = phase,
		.verdict = *verdict,
		.places = search->places.count,
	};
	int error = send_all(worker->results, &failure, sizeof(failure));

	atomic_fetch_add(&worker->state->failed, verdict->result != EXPLORE_PASSED);
	return error ? error :
		       send_all(worker->results, search->versions.items,
				search->places.count * sizeof(*search->versions.items));
}

static bool is_mine(const struct search *search)
{
	const struct explore_options *options = search->worker->options;
	const uint64_t shards = options->shards ? options->shards : 1;

	return search->sequence % shards == options->shard &&
	       search->sequence / shards % options->workers == search->worker->number;
}

static int check(struct search *search, const struct explore_walk *walk, uint32_t point,
		 enum explore_phase phase)
{
	struct explore_worker *worker = search->worker;
	struct explore_state state = { .walk = walk,
				       .places = &search->places,
				       .versions = search->versions.items };
	struct explore_verdict verdict;
	bool recovers = false;
	int error;

	if (worker->crash && worker->crash->sequence == search->sequence) {
		atomic_fetch_add(&worker->state->checked, 1);
		return report(search, point, phase, &worker->crash->verdict);
	}
	atomic_store(&worker->state->started_ms, clock_ms());
	atomic_store(&worker->state->running, search->sequence + 1);
	error = explore_checker_run(search->checker, &state, &verdict, &worker->state->message);
	atomic_store(&worker->state->running, 0);
	atomic_fetch_add(&worker->state->checked, 1);
	if (!error && verdict.result != EXPLORE_PASSED)
		return report(search, point, phase, &verdict);
	if (!error && (verdict.changes.low || verdict.changes.high))
		error = explore_digests_add(&search->changes, verdict.changes, &recovers);
	return !error && recovers ? report(search, point, phase, &verdict) : error;
}

static bool limit_reached(struct search *search)
{
	const struct explore_options *options = search->worker->options;

	if (options->states && search->sequence >= options->states)
		search->limit = EXPLORE_LIMIT_STATES;
	else if (clock_ms() >= search->worker->until_ms)
		search->limit = EXPLORE_LIMIT_TIME;
	else if (atomic_load_explicit(&search->worker->state->stop, memory_order_relaxed))
		search->limit = EXPLORE_LIMIT_FAILURES;
	return search->limit > EXPLORE_LIMIT_CHANCE;
}

/* Try states of one point, at which the walk stands, until it has had `target` of them. */
static int try_point(struct search *search, const struct explore_walk *walk, uint32_t point, uint64_t target)
{
	const struct explore_options *options = search->worker->options;
	struct explore_order *order;
	enum explore_phase phase;
	uint64_t skip = search->done[point];
	unsigned equal_run = 0;
	int error = explore_places_collect(walk, &search->places);

	search->versions.count = 0;
	if (!error && !skip && __builtin_add_overflow(search->legal, explore_places_states(&search->places),
						      &search->legal))
		search->legal = UINT64_MAX;
	if (!error)
		error = vector_reserve(&search->versions, search->places.count + 1);
	if (!error)
		error = explore_order_create(walk, &search->places, chooser_hash(options->seed, point),
					     options->exhaustive, &order);
	if (error)
		return error;
	while (!error && search->done[point] < target && !limit_reached(search)) {
		struct explore_digest digest;
		bool is_new = false;

		if (!explore_order_next(order, search->versions.items, &phase)) {
			search->exhausted[point] = true;
			break;
		}
		if (skip) {
			skip--;
			continue;
		}
		search->done[point]++;
		atomic_fetch_add_explicit(&search->worker->state->generated, 1, memory_order_relaxed);
		error = explore_places_digest(walk, &search->places, search->versions.items, &digest);
		if (!error)
			error = explore_digests_add(&search->seen, digest, &is_new);
		search->equal += !error && !is_new;
		equal_run = is_new ? 0 : equal_run + 1;
		if (equal_run >= EQUAL_MAX && phase == EXPLORE_RANDOM) {
			search->exhausted[point] = true;
			search->limit = EXPLORE_LIMIT_CHANCE;
			break;
		}
		if (error || !is_new)
			continue;
		if (is_mine(search)) {
			search->resumed += search->sequence < search->worker->resumed;
			if (search->sequence >= search->worker->from)
				error = check(search, walk, point, phase);
		}
		search->sequence++;
		if (!error && search->sequence > search->worker->from)
			atomic_store(&search->worker->state->passed, search->sequence);
	}
	explore_order_destroy(order);
	return error;
}

/* How many states point `rank` of a cluster has had after a round. */
static uint64_t target_of(uint32_t rank, unsigned round)
{
	unsigned delay = rank ? 32 - (unsigned)__builtin_clz(rank) : 0;

	return round < delay ? 0 : (uint64_t)FIRST_ROUND << (ROUND_SHIFT * (round - delay));
}

static bool takes_part(const struct search *search, const struct explore_point *point)
{
	uint64_t at = search->worker->options->at;

	return at == UINT64_MAX || at == (point->after & ~EXPLORE_BEFORE_SYNC);
}

/* The walk at the end of the trace, which this process shares with the others until now. */
static int reach_end(struct search *search, struct explore_walk **at)
{
	struct explore_walk *end = search->worker->points->end;
	int error = search->owns_end ? 0 : explore_walk_own(end);

	search->owns_end = true;
	explore_checker_new_walk(search->checker);
	*at = end;
	return error;
}

/* *walk, of this round, goes on to the point; it is NULL before the first one. */
static int walk_to(struct search *search, const struct explore_point *point, struct explore_walk **walk)
{
	struct explore_worker *worker = search->worker;
	struct message *message = &worker->state->message;
	int step = 0;

	if (!*walk) {
		step = explore_walk_create(worker->fd, worker->name, &worker->options->walk, walk, message);
		explore_checker_new_walk(search->checker);
	}
	if (!step)
		step = explore_walk_to(*walk, point->after, message);
	return step < 0 ? step : 0;
}

/* One walk, as far as a point has its turn. *more: some point has states left for another round. */
static int run_round(struct search *search, unsigned round, bool *more)
{
	const struct explore_points *points = search->worker->points;
	struct explore_walk *walk = NULL, *at;
	int error = 0;

	*more = false;
	for (uint32_t i = 0; !error && i < points->count && !limit_reached(search); i++) {
		const struct explore_point *point = &points->items[i];
		const uint64_t target = target_of(point->rank, round);

		if (search->exhausted[i] || !takes_part(search, point))
			continue;
		/* Its turn comes in a later round: a trace may have millions of such points. */
		if (search->done[i] >= target) {
			*more = true;
			continue;
		}
		if (i == points->count - 1 && points->end) {
			error = reach_end(search, &at);
		} else {
			error = walk_to(search, point, &walk);
			at = walk;
		}
		if (!error)
			error = explore_walk_settle_names(at);
		if (!error)
			error = try_point(search, at, i, target);
		*more = *more || !search->exhausted[i];
	}
	explore_walk_destroy(walk);
	return error;
}

static int search_all(struct search *search)
{
	bool more = true;
	int error = 0;

	for (unsigned round = 0;
	     !error && more && search->limit <= EXPLORE_LIMIT_CHANCE && round < ROUNDS_MAX; round++)
		error = run_round(search, round, &more);
	/* So many rounds are more states than any other limit allows. */
	if (more && search->limit < EXPLORE_LIMIT_STATES)
		search->limit = EXPLORE_LIMIT_STATES;
	return error;
}

static int prepare(struct search *search)
{
	struct explore_worker *worker = search->worker;
	struct explore_checker_options checker = explore_search_checker(worker->options, worker->directory);

	checker.worker = worker->number;
	search->done = calloc(worker->points->count + 1, sizeof(*search->done));
	search->exhausted = calloc(worker->points->count + 1, sizeof(*search->exhausted));
	if (!search->done || !search->exhausted)
		return message_fail(&worker->state->message, -ENOMEM, "out of memory");
	return explore_checker_create(&checker, &search->checker, &worker->state->message);
}

void explore_worker_run(struct explore_worker *worker)
{
	struct search search = { .worker = worker };
	struct explore_worker_state *state = worker->state;
	int error = prepare(&search);

	if (!error)
		error = search_all(&search);
	if (error && !state->message.text[0])
		message_fail(&state->message, error, "%s", strerror(-error));
	for (size_t i = 0; !error && i < worker->points->count; i++) {
		state->points += !!search.done[i];
		state->exhausted += search.exhausted[i];
	}
	state->equal = search.equal;
	state->resumed = search.resumed;
	state->legal = search.legal;
	state->limit = search.limit;
	state->error = error;
	state->done = true;
	/* What the process holds ends with it. */
	_exit(0);
}
