/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRACE_PMEMCHECK_H
#define TRACE_PMEMCHECK_H

/*
 * The log of pmemcheck (Valgrind's --log-stores=yes), which PMDK's pmreorder reads:
 *
 *	START|REGISTER_FILE;path;address;size;offset|STORE;address;value;size|FLUSH;address;size|FENCE|STOP
 *
 * Numbers are hexadecimal; a value is little-endian. Sources: pmemcheck/pmc_main.c of
 * pmem/valgrind, src/tools/pmreorder of pmem/pmdk. The log knows neither threads nor
 * kinds of flushes and fences, so what is exported and imported again has less in it.
 */

#include <stdint.h>
#include <stdio.h>

#include "common/message.h"
#include "trace/event.h"

/* Events that have no counterpart on the other side. */
struct trace_pmemcheck_skipped {
	/* Exported: operations of the mount, and msync. Imported: stores and flushes outside every file. */
	uint64_t operations;
	/* Exported: marks whose text is no marker of pmreorder, NAME.BEGIN or NAME.END. */
	uint64_t marks;
};

struct trace_pmemcheck;

/*
 * Export to `out`, which the caller closes after the end. When a file is first stored to or flushed it is
 * registered with the path that `path_fn` gives, which stays valid until the next call, and the size that
 * `size_fn` gives. NULL: no memory.
 *
 * - A store is split at 8-byte boundaries, and a masked one into what is stored, since pmreorder takes each
 *   STORE for atomic. A non-temporal store is followed by a flush of its bytes. A fence comes before the
 *   store of a locked instruction.
 * - clflush becomes a flush and a fence. That fences other flushes of the thread too; no clflush does.
 * - Fences of all threads become one thread's: pmreorder takes any fence for all flushes before it.
 */
struct trace_pmemcheck *trace_pmemcheck_create(FILE *out,
					       const char *(*path_fn)(void *context, uint64_t file),
					       uint64_t (*size_fn)(void *context, uint64_t file),
					       void *context);
/*
 * Take the next event. 0, -ENOMEM, -E2BIG: the trace has more files than addresses can be given to, or
 * -EINVAL: a path has a '|', a ';' or an end of line, which the log cannot hold.
 */
int trace_pmemcheck_add(struct trace_pmemcheck *log, const struct trace_event *event);
/* Write the end. -EIO: some of it could not be written. */
int trace_pmemcheck_end(struct trace_pmemcheck *log, struct trace_pmemcheck_skipped *skipped);
void trace_pmemcheck_destroy(struct trace_pmemcheck *log);

/*
 * Import a log: `take` is called for each event of a trace with one thread, in order; TRACE_END is not among
 * them. An event and what it points to are valid during the call. A negative result of `take` ends the import
 * and is returned. `name` is for messages. Elements that are not known become marks. 0, -EBADMSG: the log is
 * malformed, -ENOMEM, or -EIO.
 */
int trace_pmemcheck_import(FILE *in, const char *name,
			   int (*take)(void *context, const struct trace_event *event), void *context,
			   struct trace_pmemcheck_skipped *skipped, struct message *message);

#endif
