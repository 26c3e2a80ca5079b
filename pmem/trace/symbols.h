/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRACE_SYMBOLS_H
#define TRACE_SYMBOLS_H

/*
 * Functions and source lines of the places in a trace, from the modules' files and their debug
 * information where those are found: libdw looks for separate files by build id. A file whose
 * build id is not that of the trace is not used. No thread safety.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/event.h"

struct trace_catalog;
struct trace_symbols;

/* The catalog is asked for modules and sites as they are needed; it outlives the struct. NULL: no memory. */
struct trace_symbols *trace_symbols_create(const struct trace_catalog *catalog);
void trace_symbols_destroy(struct trace_symbols *symbols);

/*
 * A frame of a site's call stack in printable ASCII: "function file.c:12", "function prog+0x1234" or
 * "prog+0x1234". Of frames after the first it is the call that the return address follows. "" if there is
 * no such site or frame. It belongs to the struct. NULL: no memory.
 */
const char *trace_symbols_frame(struct trace_symbols *symbols, uint32_t site, uint32_t frame);

/*
 * Is the frame, as trace_symbols_frame() has it, to be named where one line has room for some? These are the
 * first, and up to three that called it, but not libc's start of a process or thread.
 */
bool trace_symbols_fit_line(const char *text, size_t frame);

/*
 * The path of the source file and the line of a frame, as the debug information names them, with the
 * directory that the compiler ran in: a path that need not exist, and may be any. NULL: it is not known.
 * Valid until the struct is destroyed.
 */
const char *trace_symbols_source(struct trace_symbols *symbols, uint32_t site, uint32_t frame, int *line);

#endif
