/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_STAT_H
#define CLI_STAT_H

/* The interface between cli_stat.c, which requests and prints, and cli_live.c, the full-screen view. */

#include "cli/cli.h"

struct stat_options {
	bool follow, json, dirty;
	const char *interval, *clean, *region;
};

struct stat_context {
	struct cli *cli;
	const struct stat_options *options;
	bool clean_sent; /* --clean was sent to the daemon */
};

/* The answers of the daemon at one moment. The objects have the members of softpmem-stat(1). */
struct sample {
	struct json_object *result, *pools, *clients;
};
/* Send the requests for what the command line selects. Returns an exit status; a failure has been printed. */
int sample_take(struct stat_context *context, struct sample *sample);
void sample_clear(struct sample *sample);
/* Add the members NAME_per_second to the objects of `now`, and sort them: the highest rates first. */
void sample_compare(struct sample *now, const struct sample *before);

#define ROW_BYTES 512
/* One line of a table, without its newline: of an object, or the table's head (NULL). */
void row_of_pool(char row[ROW_BYTES], const struct stat_options *options, const struct sample *sample,
		 struct json_object *pool);
void row_of_client(char row[ROW_BYTES], const struct stat_options *options, const struct sample *sample,
		   struct json_object *client);
/* The sums over all pools, for the caller to put; NULL without memory. */
struct json_object *sample_total(const struct sample *sample);

/* A full-screen view until q is pressed. Returns an exit status, or -1: the terminal cannot show one. */
int live_view(struct stat_context *context, unsigned interval_ms);

#endif
