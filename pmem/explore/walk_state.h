/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_WALK_STATE_H
#define EXPLORE_WALK_STATE_H

/* Private to the walk: trace_walk.c, and walk_bytes.c, which has the events about the bytes of files. */

#include "explore/cut.h"
#include "explore/trace_walk.h"
#include "explore/walk_names.h"
#include "trace/idmap.h"

struct walk_mapping {
	uint64_t start, end; /* addresses in a process */
	uint64_t address;    /* of the first byte in the line model */
};

struct explore_walk {
	struct trace_reader *reader;
	char *name; /* of the trace, for messages */
	struct lines *lines;
	struct trace_event event;
	uint64_t count;
	bool guaranteed;
	uint32_t to_sync;  /* TRACE_WRITE_* flags of the write taken last, whose sync is the next step */
	uint64_t synced;   /* the file of that write */
	bool is_sync_step; /* the last step was such a sync */
	int failed; /* of a commit during an event */
	struct message cut;
	VECTOR(struct explore_file *) files;
	struct idmap by_id;   /* struct explore_file */
	struct idmap threads; /* the model's thread number + 1 */
	uint32_t thread_count;
	VECTOR(struct walk_mapping) mappings;
	VECTOR(struct explore_mark) marks;
	VECTOR(struct explore_cut *) cuts; /* of truncations that may be taken back */
	struct walk_names *names;
	uint64_t settled; /* the generation of the names that explore_walk_settle_names() saw */
};

/* The regular file of an event; NULL: it is none, for instance a directory that is synced. */
static inline struct explore_file *walk_file_of(const struct explore_walk *walk, uint64_t id)
{
	return idmap_get(&walk->by_id, id);
}

/* Each takes walk->event. 0 or a negative errno. */
int explore_walk_store(struct explore_walk *walk, struct explore_file *file);
int explore_walk_flush(struct explore_walk *walk, struct explore_file *file);
int explore_walk_fence(struct explore_walk *walk);
int explore_walk_msync(struct explore_walk *walk, struct explore_file *file);
/* Of a synchronous write the store alone; the sync is a step of its own. */
int explore_walk_write(struct explore_walk *walk, struct explore_file *file);
int explore_walk_truncate(struct explore_walk *walk, struct explore_file *file);
int explore_walk_fallocate(struct explore_walk *walk, struct explore_file *file);

/* Guarantee all bytes of the file that are undetermined. 0 or a negative errno. */
int explore_walk_sync_bytes(struct explore_walk *walk, const struct explore_file *file);
/* The size of a file, which the model says is guaranteed now. */
void explore_walk_commit_size(struct explore_walk *walk, const struct names_op *op);

#endif
