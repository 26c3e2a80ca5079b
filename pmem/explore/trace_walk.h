/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_TRACE_WALK_H
#define EXPLORE_TRACE_WALK_H

/*
 * A walk along a trace: after each event it knows what is guaranteed to be
 * durable (an image a file), what is undetermined (the line model, and the operations
 * on names, sizes and attributes that are pending in the metadata model), and what the
 * program had acknowledged (marks).
 *
 * The rules are those of the models (model/lines.h, model/names.h). File operations of the
 * mount are fed to both: a write is a store, and past the end of the file it changes the size;
 * a sync of a file guarantees all its lines, and of the names what the metadata mode says.
 * Where a file is cut, the lines that lose bytes count as synced, because the line model has no
 * event that takes a part of a line back: states in which older bytes of those lines are lost
 * are not explored. If the operation is lost, the bytes come back. A file that a recorded
 * process has mapped keeps its name, and each later size, as by the page faults of MAP_SYNC.
 *
 * Names are known only in a trace that names a root directory; else they are durable at once.
 *
 * Not thread safe. Walks of one trace in several processes are independent.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/message.h"
#include "common/vector.h"
#include "explore/image.h"
#include "model/lines.h"
#include "model/names.h"
#include "trace/reader.h"

struct explore_walk;
struct walk_names;

struct explore_walk_options {
	enum lines_mode mode;
	enum persistence_domain domain;
	enum metadata_mode metadata;
};

/*
 * Begin before the first event, at the start of the file. The descriptor must be seekable and belongs to the
 * caller, who keeps it open until the walk is destroyed. 0 or a negative errno with a message.
 */
int explore_walk_create(int fd, const char *name, const struct explore_walk_options *options,
			struct explore_walk **out, struct message *message);
/* NULL is ignored. */
void explore_walk_destroy(struct explore_walk *walk);

/* After a fork, if both processes go on to use the walk: share no file contents. 0 or a negative errno. */
int explore_walk_own(struct explore_walk *walk);

/*
 * Take the next event. 1: done, and explore_walk_event() is the event. 0: the trace has ended, in order or
 * not (explore_walk_cut()). A negative errno with a message: what follows cannot be used. A synchronous write
 * is taken in two steps: the write, and then a sync of its file, which has no number of its own.
 */
int explore_walk_next(struct explore_walk *walk, struct message *message);
/* Was the last step the sync of a synchronous write? */
bool explore_walk_is_sync_step(const struct explore_walk *walk);

/* Go on to the moment after so many events; with this bit, to before the sync of the last one. */
#define EXPLORE_BEFORE_SYNC ((uint64_t)1 << 63)
/* As explore_walk_next(). */
int explore_walk_to(struct explore_walk *walk, uint64_t after, struct message *message);

/* The event taken last; valid until the next one is taken. */
const struct trace_event *explore_walk_event(const struct explore_walk *walk);
/* How many events were taken. */
uint64_t explore_walk_count(const struct explore_walk *walk);
/* Did the event taken last guarantee bytes or a size that were undetermined before it? */
bool explore_walk_guaranteed(const struct explore_walk *walk);
/*
 * What is wrong with the trace: it has no proper end, it goes on after a power failure and is read no
 * further, events are missing, it has names but no root, or the metadata mode does not know its regions
 * apart. NULL: nothing so far.
 */
const char *explore_walk_cut(const struct explore_walk *walk);
const struct trace_catalog *explore_walk_catalog(const struct explore_walk *walk);

/* ---- Files -------------------------------------------------------------------- */

struct explore_file {
	uint64_t id;	  /* the trace's */
	uint64_t address; /* of its first byte in the line model */
	size_t index;	  /* its number among the files of the walk */
	struct explore_image *image;
	uint64_t size;	 /* that is guaranteed */
	uint64_t newest; /* as programs see it */
	bool removed;	 /* it has no name any more, as programs see it */
	bool mapped;	 /* a recorded process has mapped it */
	bool truncated;	 /* to 0, and not closed since; for auto_da_alloc */
	uint32_t sector; /* aligned bytes that writes leave whole; 0: lines */
	char *path;	 /* as reports name it; of a trace of a mount, the newest that it had in its tree */
};

/* Bring the paths of files, and which of them are removed, up to the last event. 0 or a negative errno. */
int explore_walk_settle_names(struct explore_walk *walk);
const struct walk_names *explore_walk_names(const struct explore_walk *walk);

/* In the order in which the trace named them. */
size_t explore_walk_files(const struct explore_walk *walk);
struct explore_file *explore_walk_file(const struct explore_walk *walk, size_t index);
/* The one with the id; NULL: it is no regular file. */
struct explore_file *explore_walk_find_file(const struct explore_walk *walk, uint64_t id);
/* The file that has an address of the line model; NULL: none. *offset: the byte of the file. */
struct explore_file *explore_walk_locate(const struct explore_walk *walk, uint64_t address, uint64_t *offset);

const struct lines *explore_walk_lines(const struct explore_walk *walk);
enum metadata_mode explore_walk_metadata(const struct explore_walk *walk);

/*
 * The offset that a stored pointer refers to: `value` is an address at which a process has mapped a file,
 * or else an offset in `file`. False: neither, or it is below the first line.
 */
bool explore_walk_points_to(const struct explore_walk *walk, const struct explore_file *file, uint64_t value,
			    uint64_t *address);

/* ---- Marks -------------------------------------------------------------------- */

struct explore_mark {
	uint64_t event;	 /* its number, counted from 1 */
	uint32_t source; /* enum trace_mark_source */
	char *text;	 /* NUL terminated; NUL bytes in it were replaced by a space */
	size_t length;
};

size_t explore_walk_marks(const struct explore_walk *walk);
const struct explore_mark *explore_walk_mark(const struct explore_walk *walk, size_t index);

#endif
