/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_EXPLORE_CAUSE_H
#define CLI_EXPLORE_CAUSE_H

/* Findings of several traces that have one cause: the same places in programs, lost or kept. */

#include "explore/finding.h"
#include "trace/catalog.h"

struct explore_causes {
	VECTOR_FIELDS(char *);
};

/*
 * Remember the causes of the findings of a trace, and drop the findings whose causes were known. 0 or a
 * negative errno with a message.
 */
int explore_causes_keep_new(struct explore_causes *causes, int fd, const char *trace,
			    struct explore_findings *findings, struct message *message);
void explore_causes_clear(struct explore_causes *causes);

struct trace_reader;
/*
 * Read a trace to its end, for all of its definitions. The reader is for the caller to destroy. 0 or a
 * negative errno with a message.
 */
int explore_read_definitions(int fd, const char *trace, struct trace_reader **out, struct message *message);

/* The same of a trace that is named. */
int explore_open_definitions(const char *trace, struct trace_reader **out, struct message *message);

/* "list_insert.c+0x40": module and offset of a site; "" if it is not known. For the caller to free. */
char *explore_site_text(const struct trace_catalog *catalog, uint32_t site);

#endif
