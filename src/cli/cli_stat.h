/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_CLI_STAT_H
#define SRC_CLI_STAT_H

/* Between cli_stat.c, which asks and prints, and cli_live.c, which fills a terminal. */

#include "cli/cli.h"

/* What the daemon said at one moment. Objects with the members of softpmem-stat(1). */
struct sample {
	struct json_object *result, *pools, *clients;
};
/* Ask for what the command line wants. Returns an exit status; what failed has been said. */
int sample_take(struct cli *cli, struct sample *sample);
void sample_clear(struct sample *sample);
/* Give what is in `now` its members NAME_per_second, and put first what moves most. */
void sample_compare(struct sample *now, const struct sample *before);

#define ROW_BYTES 512
/* One line of a table, without its newline: its head (NULL for the object), or an object. */
void row_of_pool(char row[ROW_BYTES], const struct cli *cli, const struct sample *sample,
		 struct json_object *pool);
void row_of_client(char row[ROW_BYTES], const struct cli *cli, const struct sample *sample,
		   struct json_object *client);
/* All pools together. */
struct json_object *sample_total(const struct sample *sample);

/* A view, drawn anew each interval until somebody presses q. -1: this terminal cannot; else exit status. */
int live_view(struct cli *cli, unsigned interval_ms);

#endif
