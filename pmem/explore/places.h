/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_PLACES_H
#define EXPLORE_PLACES_H

/*
 * What is undetermined at a crash point: the places of which each has several
 * versions. Places are lines (or words), and groups of pending operations on
 * names, sizes and attributes (names_groups()), of which version n keeps the first
 * n. A combination of one version for each place makes a crash state. Groups may need
 * each other: where a version is not legal beside the others, operations that cannot survive
 * are lost. So several combinations may make one state; each legal state has one.
 *
 * Not thread safe.
 */

#include "common/vector.h"
#include "explore/state_tree.h"
#include "explore/trace_walk.h"
#include "model/chooser.h"

enum explore_place_kind {
	EXPLORE_PLACE_LINE,
	EXPLORE_PLACE_SIZE, /* the group changes the size of one file */
	EXPLORE_PLACE_NAMES
};

struct explore_place {
	enum explore_place_kind kind;
	struct explore_file *file; /* NULL: EXPLORE_PLACE_NAMES */
	uint64_t address;	   /* in the line model; of a group, the id of its first operation */
	uint64_t versions; /* at least 2. 0 is the guaranteed one, versions - 1 the newest */
	/* The store that the newest version has and no lower one: its event, and the bytes of the place that
	 * it stored. 0: not known. */
	uint64_t last_event;
	uint32_t last_length;
	/*
	 * Of a line in a file whose writes leave sectors whole: how many stores are pending, whose events are
	 * in explore_places.events from this index on. Version n has the first n of them as a whole. 0: the
	 * versions are those of the line model.
	 */
	uint32_t stores;
	size_t first_store;
	/*
	 * How the newest version of a whole line changes the digest of the file, once it was computed: states
	 * of many lines have most of them newest.
	 */
	struct explore_digest newest;
	bool newest_known;
};

/* A pending operation: the place that decides about it, and in how many of its versions it is lost. */
struct explore_place_operation {
	size_t place;
	uint64_t index;
};

struct explore_tree_slot {
	uint64_t hash; /* of the versions and the mode that the tree was made of */
	struct explore_tree *tree;
};
#define EXPLORE_TREE_SLOTS 64u

struct explore_places {
	VECTOR_FIELDS(struct explore_place);
	size_t lines;	   /* how many are EXPLORE_PLACE_LINE; they come first */
	size_t place_size; /* bytes of a line's place: 64, or 8 in mode word */
	VECTOR(unsigned char) newest; /* content of each line's place, place_size bytes */
	VECTOR(uint64_t) events; /* of the stores to lines in sectors */
	VECTOR(struct chooser_range) ranges; /* of each place: all its versions */
	VECTOR(struct explore_place_operation) operations; /* the oldest first */
	/* The metadata mode in which versions make a state: that of the walk, or a stronger one. */
	enum metadata_mode mode;
	struct explore_tree_slot *trees; /* those that were made last */
};

/* Those of the walk's present moment: lines by ascending address, then groups. 0 or a negative errno. */
int explore_places_collect(const struct explore_walk *walk, struct explore_places *places);
void explore_places_clear(struct explore_places *places);

/* How many combinations there are; UINT64_MAX stands for that many or more. */
uint64_t explore_places_states(const struct explore_places *places);

/* The line model's version for one of a line's place, apart from other places of its sector. */
uint64_t explore_place_version(const struct explore_walk *walk, const struct explore_place *place,
			       uint64_t version);
/*
 * The versions of the line model for all lines' places. Of lines in one sector the first store that any of
 * them lacks, and all later ones, are in none: so several combinations may make one state here, too.
 */
void explore_places_settle(const struct explore_walk *walk, const struct explore_places *places,
			   const uint64_t *versions, uint64_t *settled);

/* The content of a line's place in one version: place_size bytes. */
int explore_place_content(const struct explore_walk *walk, const struct explore_places *places, size_t index,
			  uint64_t version, unsigned char *content);

/*
 * The names and sizes of the state that the versions make. *tree is valid until this is called again, or the
 * walk goes on. 0 or a negative errno.
 */
int explore_places_tree(const struct explore_walk *walk, const struct explore_places *places,
			const uint64_t *versions, const struct explore_tree **tree);

/*
 * Call back for each line of the file, by ascending offset, whose content in the state that the versions make
 * may differ from the guaranteed one. Bytes past the end of the file are what was stored there. The first
 * result that is not 0 ends it and is returned.
 */
int explore_places_lines(const struct explore_walk *walk, const struct explore_places *places,
			 const uint64_t *versions, const struct explore_file *file,
			 int (*line)(void *context, uint64_t offset, const unsigned char *bytes),
			 void *context);

/*
 * The digest of the state that the versions make: equal states have equal ones. Bytes past the end of a file
 * do not count, nor do those of files without a name.
 */
int explore_places_digest(const struct explore_walk *walk, const struct explore_places *places,
			  const uint64_t *versions, struct explore_digest *digest);

#endif
