/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MODEL_CHOOSER_H
#define MODEL_CHOOSER_H

/*
 * Which of the legal states a power failure leaves. The models (lines.h,
 * names.h) say what is legal; a chooser picks. Only this file interprets a
 * policy and a seed.
 *
 * A choice is made at a *place*: a number that names what is decided, for
 * instance the byte offset of a line in its pool. A random choice is a hash of
 * seed and place, not the next number of a generator. The same seed therefore
 * decides the same at a place, in whatever order places are visited and
 * whatever other places there are.
 *
 * Nothing here allocates or has state of its own; all functions are thread safe.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/rng.h"

/* What becomes of what the model leaves open. The values are indexes of tables, from 0 without gaps. */
enum chooser_policy {
	CHOOSER_LOSE,  /* only what is guaranteed survives */
	CHOOSER_KEEP,  /* everything survives */
	CHOOSER_RANDOM /* each place by a hash of the seed and the place */
};
/* "lose", "keep" or "random"; "unknown" for a number that is no policy. Static. */
const char *chooser_policy_name(enum chooser_policy policy);
/* 0, or -EINVAL and *policy is unchanged. */
int chooser_policy_parse(const char *text, enum chooser_policy *policy);

/*
 * What a policy may lose can be limited to some of the choices; of all others the newest version survives.
 * The hash of seed and place stands for a choice, and ranges of hashes for a set of choices. To divide a
 * range divides the set, so a few numbers name a small set among any number of choices.
 */
#define CHOOSER_RANGES_MAX 32u
struct chooser_limit {
	unsigned count;
	struct chooser_hashes {
		uint64_t first, last; /* first <= last */
	} ranges[CHOOSER_RANGES_MAX]; /* in any order */
};
/* "0-7fffffffffffffff,c000000000000000-ffffffffffffffff", in hexadecimal. 0, or -EINVAL: it is malformed. */
int chooser_limit_parse(const char *text, struct chooser_limit *limit);
bool chooser_limit_has(const struct chooser_limit *limit, uint64_t hash);

struct chooser {
	enum chooser_policy policy;
	uint64_t seed; /* any; matters under CHOOSER_RANDOM, and to the limit */
	const struct chooser_limit *limit; /* outlives the chooser; NULL: there is none */
};

/* The place of a choice that concerns all of what a chooser was derived for: its hash is the seed's own. */
#define CHOOSER_WHOLE UINT64_MAX

/* The hash of seed and place, of which a random choice is made. */
static inline uint64_t chooser_hash(uint64_t seed, uint64_t place)
{
	return rng_mix(seed ^ rng_mix(place + 1));
}

/* Does the limit leave this choice to the policy? If not, the newest version survives. */
static inline bool chooser_may_lose(const struct chooser *chooser, uint64_t place)
{
	return !chooser->limit || chooser_limit_has(chooser->limit, chooser_hash(chooser->seed, place));
}

/* A choice between two: is the newer one kept? A policy that is none loses. */
static inline bool chooser_keeps(const struct chooser *chooser, uint64_t place)
{
	if (!chooser_may_lose(chooser, place))
		return true;
	switch (chooser->policy) {
	case CHOOSER_LOSE:
		return false;
	case CHOOSER_KEEP:
		return true;
	case CHOOSER_RANDOM:
		return chooser_hash(chooser->seed, place) & 1;
	}
	return false;
}

/*
 * One of the versions guaranteed..newest (guaranteed <= newest), within the limit: the first under
 * CHOOSER_LOSE, the last under CHOOSER_KEEP, each equally likely under
 * CHOOSER_RANDOM. Of two versions it picks as chooser_keeps() does.
 */
uint64_t chooser_pick(const struct chooser *chooser, uint64_t place, uint64_t guaranteed, uint64_t newest);

/* A chooser of the same policy for the places inside `place`, for instance the lines of one pool. */
static inline struct chooser chooser_derive(const struct chooser *chooser, uint64_t place)
{
	return (struct chooser){ .policy = chooser->policy,
				 .seed = chooser_hash(chooser->seed, place),
				 .limit = chooser->limit };
}

/*
 * The same for the places inside a thing that has a name, for instance a region
 * among several: its choices do not depend on the order of the names.
 */
struct chooser chooser_derive_name(const struct chooser *chooser, const char *name);

/* ---- All choices, one after another -------------------------------------- */

/* The versions that are legal at one place; first <= last. */
struct chooser_range {
	uint64_t first, last;
};

/*
 * How many combinations of one version from each range there are; UINT64_MAX
 * stands for that many or more. Of no ranges there is one combination.
 */
uint64_t chooser_combinations(const struct chooser_range *ranges, size_t count);

/*
 * The combinations have a canonical order: that of numbers whose most
 * significant digit is range 0. So the first one has the guaranteed version of
 * each place, the last one the newest. chooser_first() and chooser_next() visit
 * them; versions[] has `count` elements and is the only state. chooser_next()
 * returns false after the last one, and versions[] is the first one again.
 */
void chooser_first(const struct chooser_range *ranges, size_t count, uint64_t *versions);
bool chooser_next(const struct chooser_range *ranges, size_t count, uint64_t *versions);

/* Combination `index`, from 0, in that order. -EINVAL: there are not that many; versions[] is undefined. */
int chooser_nth(const struct chooser_range *ranges, size_t count, uint64_t index, uint64_t *versions);

#endif
