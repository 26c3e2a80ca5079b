/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRACE_SOURCE_H
#define TRACE_SOURCE_H

/*
 * For merge.c only: the slots of one thread's buffer, checked and decoded one by one, with
 * the ids of the trace in place of the process's own.
 */

#include <pthread.h>

#include "trace/buffer.h"
#include "trace/encode.h"
#include "trace/idmap.h"

/* What a process calls by numbers of its own. The values are the numbers of the trace, made pointers. */
struct source_process {
	uint32_t id;
	struct source_process *forked_from; /* has what is not found here; or NULL. Never changed */
	struct idmap sites, modules;	    /* of the thread that decodes */
	uint32_t site_definitions;	    /* how many, of the same thread */
	pthread_mutex_t *lock;		    /* guards the pools, and those of every other process */
	struct idmap pools;
	_Atomic uint32_t *grants; /* changed with the lock held, when any process is granted a pool */
};

/* A power of two. */
#define SOURCE_SITES 512u

struct source {
	struct trace_buffer *buffer;
	struct source_process *process;
	uint32_t thread;

	unsigned char *bytes; /* a private copy of what was taken: checked once, it stays as it is */
	size_t start, end, room;
	uint64_t moved; /* bytes, to make room; for tests */
	uint64_t high;	/* of the stamps, from the last rebase */
	uint64_t stamp; /* of the next event, or of the last one if there is none */
	size_t length;	/* of the next slot; 0: there is no event */

	/* The last place that was looked up, and when: with the lock not taken. */
	uint32_t pool, grants;
	uint64_t file;
	/* Sites that were looked up since the process defined one, by the low bits of its number. */
	uint32_t site_definitions;
	struct {
		uint32_t own, number; /* 0: none */
	} sites[SOURCE_SITES];

	const char *wrong; /* why nothing more is read; NULL: nothing is wrong */
	bool gone;	   /* the producer is dead */
};

/*
 * Find the next event, if there is none at hand. True: its stamp is in `stamp`. False: nothing was published,
 * or source->wrong is set.
 */
bool source_fill(struct source *source);

/* Go on after the event that source_fill() found. */
void source_drop(struct source *source);

/*
 * Take what the producer has published, at most `most` bytes, so that it need not wait for room. Returns how
 * many bytes it took. source_fill() finds what is wrong with them.
 */
size_t source_take_ahead(struct source *source, size_t most);
/* The bytes that were taken and not decoded yet. */
size_t source_held(const struct source *source);

/* May the producer hold a stamp whose event has not come? */
bool source_may_hold(const struct source *source);

/* Numbers for modules and sites that are defined. */
struct source_ids {
	uint32_t modules, sites;
};

/*
 * Decode the event that source_fill() found. It refers to the source's bytes, which stay until source_drop(),
 * and to `arrays`. 1, 0: the slot stands for no event, or -EBADMSG with the reason, or -ENOMEM.
 */
int source_decode(struct source *source, struct source_ids *ids, struct trace_arrays *arrays,
		  struct trace_event *event, const char **wrong);

void source_destroy(struct source *source);

#endif
