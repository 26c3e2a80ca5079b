/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_TIMELINE_H
#define EXPLORE_TIMELINE_H

/*
 * What happened to the lines and names of a finding before the crash: events in their order, and for each row
 * (a line of a file, or an operation of the evidence) what became of it in the failing state. Private to
 * finding.c and the reports.
 */

#include "common/vector.h"
#include "explore/trial.h"

enum explore_fate {
	EXPLORE_FATE_NONE, /* of a fence, a sync, a mark: nothing of it can be lost */
	EXPLORE_FATE_GUARANTEED,
	EXPLORE_FATE_KEPT,
	EXPLORE_FATE_LOST
};
/* "", "guaranteed", "kept", "lost". Static. */
const char *explore_fate_name(enum explore_fate fate);

struct explore_row {
	char *path;
	bool is_line;
	uint64_t offset; /* of the line in the file */
	uint64_t file;	 /* the trace's id */
	char *operation; /* NULL: a line */
	uint64_t event;	 /* of the operation */
};

struct explore_moment {
	uint64_t event;
	const char *name; /* trace_event_name(); static */
	uint32_t thread, site;
	size_t row; /* EXPLORE_ALL_ROWS: of a fence and such */
	enum explore_fate fate;
};
#define EXPLORE_ALL_ROWS SIZE_MAX

/* All-zero it is empty. */
struct explore_timeline {
	VECTOR(struct explore_row) rows;
	VECTOR(struct explore_moment) moments;
	uint64_t left_out; /* older moments, and rows, beyond the limits */
};

/* Add a row for a line of a file; it is there once. 0 or -ENOMEM. */
int explore_timeline_add_line(struct explore_timeline *timeline, const struct explore_file *file,
			      uint64_t offset);
int explore_timeline_add_operation(struct explore_timeline *timeline, const char *operation, const char *path,
				   uint64_t event);

/*
 * With all rows there: read the trace up to the trial's moment, `after`, and fill in the events that concern
 * them. `versions` is the failing state. 0 or a negative errno with a message.
 */
int explore_timeline_fill(struct explore_timeline *timeline, int fd, const char *name,
			  const struct explore_trial *trial, uint64_t after, const uint64_t *versions,
			  struct message *message);
void explore_timeline_clear(struct explore_timeline *timeline);

#endif
