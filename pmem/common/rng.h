/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_RNG_H
#define COMMON_RNG_H

#include <stdint.h>

/*
 * SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number
 * generators", OOPSLA 2014). Its whole state is one word, so a seed names a
 * run, and hashing a (seed, place) pair through it gives each place its own
 * coin whatever the order in which places are visited.
 */
struct rng {
	uint64_t state;
};

static inline uint64_t rng_mix(uint64_t value)
{
	value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
	value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
	return value ^ (value >> 31);
}

static inline uint64_t rng_next(struct rng *rng)
{
	rng->state += 0x9e3779b97f4a7c15u;
	return rng_mix(rng->state);
}

/* A number below `bound` (not 0); the bias of the modulo is below 2^-32 for the bounds used here. */
static inline uint64_t rng_below(struct rng *rng, uint64_t bound)
{
	return rng_next(rng) % bound;
}

#endif
