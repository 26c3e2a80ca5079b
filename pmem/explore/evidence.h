/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_EVIDENCE_H
#define EXPLORE_EVIDENCE_H

/* Evidence: the stores and operations by which two states of a moment differ. Not thread safe. */

#include "explore/trial.h"

/*
 * A store, or an operation on a name, size or attribute, that the failing state has and the passing one has
 * not, or the other way round.
 */
struct explore_evidence {
	bool lost;	 /* the failing state lacks it; else it has it, while older ones are lost */
	bool written;	 /* a store of a write to a file on the mount */
	uint64_t event;	 /* its number in the trace, from 1 */
	enum names_kind kind; /* of the operation */
	char *operation; /* "rename of db/new to db/wal"; NULL: it is a store */
	char *path;	 /* of the file */
	const struct explore_file *file; /* private to evidence.c and finding.c; NULL: an operation */
	uint64_t offset; /* in the file; of an operation, 0 */
	uint32_t length; /* bytes of the line that it stored; of an operation, 0 */
	uint32_t site;	 /* 0: not known */
	uint32_t thread;
};

struct explore_evidence_list {
	VECTOR_FIELDS(struct explore_evidence); /* ascending by event, then by offset */
};

/* Which code made an event, and on which thread; 0: not known. */
struct explore_origin {
	uint32_t site, thread;
	bool written; /* by a write to a file on the mount */
};
struct explore_origins {
	VECTOR_FIELDS(struct explore_origin); /* event N is item N - 1 */
};

/*
 * Of the events of a trace up to the moment `after` (explore_walk_to()), into an empty list. 0 or a negative
 * errno with a message.
 */
int explore_origins_read(int fd, const char *name, uint64_t after, struct explore_origins *origins,
			 struct message *message);

/*
 * Fill an empty list with what the two states differ by. 0 or a negative errno with a message. In either case
 * the list is to be cleared.
 */
int explore_evidence_collect(const struct explore_trial *trial, const struct explore_origins *origins,
			     const uint64_t *failing, const uint64_t *passing,
			     struct explore_evidence_list *list, struct message *message);
/*
 * The evidence of one is in the other, whatever the order and how often. Stores are the same if their sites
 * are; where one has no site, if they are to the same place, or both written to the same file.
 * Operations are if they are of one kind on one path.
 */
bool explore_evidence_covered(const struct explore_evidence_list *one,
			      const struct explore_evidence_list *other);
void explore_evidence_clear(struct explore_evidence_list *list);

#endif
