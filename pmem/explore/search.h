/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_SEARCH_H
#define EXPLORE_SEARCH_H

/*
 * The search for crash states on which the checker fails. Worker processes walk the
 * trace side by side. Each generates all states in the same order and checks its share of
 * them, so that what is checked and found does not depend on how many workers there are
 * (a limit of time does depend on it). Shards of a search in other processes do the same.
 *
 * The search goes in rounds. In each round a point gets four times the states that it
 * had so far; points whose cluster came before begin with later rounds: so every kind of
 * point is tried before any is tried deeply.
 */

#include "explore/checker.h"
#include "explore/state_order.h"
#include "explore/points.h"

struct explore_checkpoint;

struct explore_failures;

struct explore_options {
	struct explore_walk_options walk;
	uint64_t seed;
	uint64_t exhaustive;	/* points with at most so many states have all of them tried */
	uint64_t states;	/* at most so many are checked; 0: no limit */
	/*
	 * No new state is checked after this time. Reducing the failures, which comes then, takes at most
	 * half of it again, and a few checks. 0: no limit.
	 */
	unsigned seconds;
	unsigned workers;	/* at least 1 */
	/*
	 * Of `shards` searches of one trace with the same options, this is number `shard`, from 0, and checks
	 * its share of the states. 0 shards: one search has all.
	 */
	unsigned shard, shards;
	unsigned timeout_ms;	/* of the checker, for one state */
	uint64_t most_failures; /* the search ends once so many states have failed */
	uint64_t at;		/* only the point after so many events; UINT64_MAX: all points */
	enum explore_checker_how how;
	/*
	 * Its words, NULL at the end; with an oracle, those that print the dump; of an engine the words that
	 * tell it from others.
	 */
	char *const *checker;
	const struct explore_engine *engine; /* for EXPLORE_CHECKER_ENGINE */
	const struct explore_oracle *oracle; /* NULL: the checker decides */
	const char *directory;	/* private to this search, for the workers' files */
	const struct explore_first_crash *first; /* NULL: power fails for the first time */
	/*
	 * If not NULL: gets states that a command recovers from by changing them (checker.h, `changes`),
	 * as failures whose verdict is that it passed. Of states that it changes in the same way the first
	 * one is there.
	 */
	struct explore_failures *recovered;
	struct explore_checkpoint *checkpoint; /* of the search's progress; NULL: none is kept */
	/* Called about once a second; may be NULL. */
	void (*progress)(void *context, uint64_t checked, uint64_t failed);
	void *context;
};

/* A state on which the checker failed, or from which it recovered. */
struct explore_failure {
	uint64_t sequence; /* its number among the states that were checked */
	uint32_t point;	   /* index among the points */
	enum explore_phase phase;
	struct explore_verdict verdict;
	uint64_t *versions; /* of each place of the point */
	size_t places;
};

/* What ended a search before every order was followed to its end. Of several it is the last one here. */
enum explore_limit {
	EXPLORE_LIMIT_NONE,
	EXPLORE_LIMIT_CHANCE,	/* random states of some point were all equal to ones before */
	EXPLORE_LIMIT_STATES,	/* explore_options.states */
	EXPLORE_LIMIT_FAILURES, /* explore_options.most_failures */
	EXPLORE_LIMIT_TIME	/* explore_options.seconds */
};
/* "none", "chance", "states", "failures", "time". Static. */
const char *explore_limit_name(enum explore_limit limit);

struct explore_summary {
	uint64_t generated; /* states, equal ones included */
	uint64_t equal;	    /* of these, had been generated before */
	uint64_t legal;	    /* combinations at all points of which a state was checked; UINT64_MAX: more */
	uint64_t checked;   /* by this search, and by one that it goes on with */
	uint64_t points;    /* of which a state was checked */
	uint64_t exhausted; /* of these, had all their states checked */
	enum explore_limit limit; /* what ended the search; with NONE all states were checked */
};

struct explore_failures {
	VECTOR_FIELDS(struct explore_failure);
};

/*
 * 0, even if states failed; or a negative errno with a message. Failures are sorted by sequence. With a
 * checkpoint they begin as explore_checkpoint_open() has left them.
 */
int explore_search(int fd, const char *name, const struct explore_points *points,
		   const struct explore_options *options, struct explore_failures *failures,
		   struct explore_summary *summary, struct message *message);
void explore_failures_clear(struct explore_failures *failures);

/* What a checker of the search's states is created with; `directory` is its own. */
struct explore_checker_options explore_search_checker(const struct explore_options *options,
						      const char *directory);

#endif
