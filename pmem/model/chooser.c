/* SPDX-License-Identifier: BSD-3-Clause */
#include "model/chooser.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const policy_names[] = {
	[CHOOSER_LOSE] = "lose",
	[CHOOSER_KEEP] = "keep",
	[CHOOSER_RANDOM] = "random",
};
#define POLICIES (sizeof(policy_names) / sizeof(policy_names[0]))

const char *chooser_policy_name(enum chooser_policy policy)
{
	return (size_t)policy < POLICIES ? policy_names[policy] : "unknown";
}

int chooser_policy_parse(const char *text, enum chooser_policy *policy)
{
	for (size_t i = 0; i < POLICIES; i++)
		if (strcmp(text, policy_names[i]) == 0) {
			*policy = (enum chooser_policy)i;
			return 0;
		}
	return -EINVAL;
}

/* ---- The limit --------------------------------------------------------------------- */

/* At most 16 hexadecimal digits; *text moves past them. */
static bool parse_hash(const char **text, uint64_t *hash)
{
	const size_t digits = strspn(*text, "0123456789abcdef");

	if (digits == 0 || digits > 16)
		return false;
	*hash = strtoull(*text, NULL, 16);
	*text += digits;
	return true;
}

int chooser_limit_parse(const char *text, struct chooser_limit *limit)
{
	*limit = (struct chooser_limit){ 0 };
	for (;; text++) {
		struct chooser_hashes *range = &limit->ranges[limit->count];

		if (limit->count == CHOOSER_RANGES_MAX || !parse_hash(&text, &range->first) ||
		    *text++ != '-' || !parse_hash(&text, &range->last) || range->first > range->last)
			return -EINVAL;
		limit->count++;
		if (!*text)
			return 0;
		if (*text != ',')
			return -EINVAL;
	}
}

bool chooser_limit_has(const struct chooser_limit *limit, uint64_t hash)
{
	for (unsigned i = 0; i < limit->count; i++)
		if (hash >= limit->ranges[i].first && hash <= limit->ranges[i].last)
			return true;
	return false;
}

/* ---- Choices ------------------------------------------------------------------------ */

/* The versions of a range; 0 stands for 2^64. */
static uint64_t range_size(const struct chooser_range *range)
{
	return range->last - range->first + 1;
}

uint64_t chooser_pick(const struct chooser *chooser, uint64_t place, uint64_t guaranteed, uint64_t newest)
{
	const struct chooser_range range = { guaranteed, newest };
	uint64_t hash, size;

	if (!chooser_may_lose(chooser, place))
		return newest;
	switch (chooser->policy) {
	case CHOOSER_LOSE:
		return guaranteed;
	case CHOOSER_KEEP:
		return newest;
	case CHOOSER_RANDOM:
		/* The bias of the modulo is below 2^-32 for less than 2^32 versions. */
		hash = chooser_hash(chooser->seed, place);
		size = range_size(&range);
		return guaranteed + (size ? hash % size : hash);
	}
	return guaranteed;
}

/* FNV-1a (Fowler, Noll, Vo), 64 bits. */
static uint64_t hash_name(const char *name)
{
	const uint64_t prime = 0x100000001b3u;
	uint64_t hash = 0xcbf29ce484222325u;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * prime;
	return hash;
}

struct chooser chooser_derive_name(const struct chooser *chooser, const char *name)
{
	return (struct chooser){
		.policy = chooser->policy,
		.seed = chooser->seed ^ rng_mix(hash_name(name)),
		.limit = chooser->limit,
	};
}

uint64_t chooser_combinations(const struct chooser_range *ranges, size_t count)
{
	uint64_t product = 1;

	for (size_t i = 0; i < count; i++) {
		const uint64_t size = range_size(&ranges[i]);

		if (!size || __builtin_mul_overflow(product, size, &product))
			return UINT64_MAX;
	}
	return product;
}

void chooser_first(const struct chooser_range *ranges, size_t count, uint64_t *versions)
{
	for (size_t i = 0; i < count; i++)
		versions[i] = ranges[i].first;
}

bool chooser_next(const struct chooser_range *ranges, size_t count, uint64_t *versions)
{
	for (size_t i = count; i-- > 0;) {
		if (versions[i] < ranges[i].last) {
			versions[i]++;
			return true;
		}
		versions[i] = ranges[i].first;
	}
	return false;
}

int chooser_nth(const struct chooser_range *ranges, size_t count, uint64_t index, uint64_t *versions)
{
	for (size_t i = count; i-- > 0;) {
		const uint64_t size = range_size(&ranges[i]);

		versions[i] = ranges[i].first + (size ? index % size : index);
		index = size ? index / size : 0;
	}
	return index ? -EINVAL : 0;
}
