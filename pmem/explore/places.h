/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_PLACES_H
#define EXPLORE_PLACES_H

/*
 * What is undetermined at a crash point: the places of which each has several
 * legal versions. A crash state of the point is one version for each place; any
 * combination is legal. Places are lines (or words) and the sizes of files.
 *
 * Not thread safe.
 */

#include "common/vector.h"
#include "explore/trace_walk.h"
#include "model/chooser.h"

enum explore_place_kind { EXPLORE_PLACE_LINE, EXPLORE_PLACE_SIZE };

struct explore_place {
	enum explore_place_kind kind;
	struct explore_file *file;
	uint64_t address;  /* in the line model; of a size, the file's address */
	uint64_t versions; /* at least 2. 0 is the guaranteed one, versions - 1 the newest */
	/* The store that the newest version has and no lower one: its event, and the site of it (0: unknown).
	 */
	uint64_t last_event;
	uint32_t last_length; /* bytes of the place that it stored */
};

struct explore_places {
	VECTOR_FIELDS(struct explore_place);
	size_t place_size; /* bytes of a line's place: 64, or 8 in mode word */
	VECTOR(struct chooser_range) ranges; /* of each place: all its versions */
};

/* Those of the walk's present moment, lines by ascending address, then sizes. 0 or -ENOMEM. */
int explore_places_collect(const struct explore_walk *walk, struct explore_places *places);
void explore_places_clear(struct explore_places *places);

/* How many states there are; UINT64_MAX stands for that many or more. */
uint64_t explore_places_states(const struct explore_places *places);

/* The content of a line's place in one version: place_size bytes. */
int explore_place_content(const struct explore_walk *walk, const struct explore_places *places, size_t index,
			  uint64_t version, unsigned char *content);

/* The size of a file in the state that the versions make. */
uint64_t explore_places_size(const struct explore_places *places, const uint64_t *versions,
			     const struct explore_file *file);

/*
 * The content, in the state that the versions make, of the line that the place *index is in. *index must be
 * the first place of that line, and moves past its last one.
 */
int explore_places_line(const struct explore_walk *walk, const struct explore_places *places,
			const uint64_t *versions, size_t *index, unsigned char line[LINE_SIZE]);

/*
 * The digest of the state that the versions make: equal states have equal ones. Bytes past the end of a file
 * do not count.
 */
int explore_places_digest(const struct explore_walk *walk, const struct explore_places *places,
			  const uint64_t *versions, struct explore_digest *digest);

#endif
