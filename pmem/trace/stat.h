/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRACE_STAT_H
#define TRACE_STAT_H

/*
 * What a trace shows without a checker: how much was stored, flushed and fenced, what of it
 * had no effect, and what was never made durable. Memory is taken for each line, site, thread
 * and file that the trace touched. No thread safety.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/event.h"

/* Counts of the whole trace, and of each site. A flush of several lines counts as several. */
struct trace_counts {
	uint64_t stores;      /* instructions or ranges; of a split one each piece */
	uint64_t store_bytes; /* that they stored */
	uint64_t nontemporal; /* of the stores */
	uint64_t flushes;     /* lines that were flushed */
	/*
	 * Of those, lines that had nothing to write back: none was stored since they last became durable, or
	 * since the trace began.
	 */
	uint64_t clean_flushes;
	/* Of the flushes, those of a line that the thread flushed before, with no store or fence since. */
	uint64_t redundant_flushes;
	uint64_t fences;      /* sfence and mfence; locked instructions are not counted */
	uint64_t idle_fences; /* of those: their thread had flushed nothing since its last fence */
	/* Stores of which a byte was stored again before it became durable: counted at the later store. */
	uint64_t overwritten;
	uint64_t unflushed; /* stores whose line was not flushed after them when the trace ended */
	uint64_t unfenced;  /* stores whose line was flushed, and the flush not fenced */
};

struct trace_site_counts {
	uint32_t site;
	struct trace_counts counts; /* `unflushed` and `unfenced`: of the site that stored last to the line */
};

struct trace_file_counts {
	uint64_t file;
	uint64_t stores, writes; /* and other operations that change it; of a directory, its names */
	uint64_t syncs;		 /* fsync, fdatasync, msync, writes with O_SYNC or O_DSYNC, sync */
	bool changed;		 /* by the mount since its last sync, or since the trace began */
};

struct trace_stat;

/* NULL: no memory. */
struct trace_stat *trace_stat_create(void);
void trace_stat_destroy(struct trace_stat *stat);

/* Take the next event of a trace, in order. 0 or -ENOMEM. */
int trace_stat_add(struct trace_stat *stat, const struct trace_event *event);

/* The trace has ended: count what is not durable, and sort. Nothing is added afterwards. 0 or -ENOMEM. */
int trace_stat_end(struct trace_stat *stat);

/* What was counted, once it has ended. It belongs to the struct. */
const struct trace_counts *trace_stat_counts(const struct trace_stat *stat);
/* How many events of a kind there were. */
uint64_t trace_stat_events(const struct trace_stat *stat, enum trace_kind kind);
/* How many bytes were written on the mount. */
uint64_t trace_stat_write_bytes(const struct trace_stat *stat);
/* How many lines were stored to or flushed. */
uint64_t trace_stat_lines(const struct trace_stat *stat);

/* The sites by what is wrong there, the most first, then by stores; site 0 stands for unknown ones. */
const struct trace_site_counts *trace_stat_sites(const struct trace_stat *stat, size_t *count);
/* The files and directories by id. */
const struct trace_file_counts *trace_stat_files(const struct trace_stat *stat, size_t *count);

/* What of the counts points at a mistake or wasted time: all but stores, flushes and fences themselves. */
uint64_t trace_counts_suspicious(const struct trace_counts *counts);

#endif
