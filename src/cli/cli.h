/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_CLI_H
#define SRC_CLI_H

/* softpmem's one context, and its verbs. */

#include <stdbool.h>

#include "cli/client.h"
#include "cli/output.h"

/* Exit statuses. */
enum cli_status { CLI_OK = 0, CLI_FAILED = 1, CLI_WRONG_WORDS = 2 };

/* What the command line said; what it did not say is NULL or false. */
struct cli {
	char *socket;
	bool verbose;
	bool json, directory, parents, recursive, force, through, follow, dirty, regions;
	const char *size, *mode, *perm, *policy, *seed, *label, *test, *interval, *clean, *region;
	const char *argument; /* PATH, TEXT or SPEC */
	char **arguments;	/* all of them, NULL at the end */
	struct output_progress progress;
	bool clean_said; /* to the daemon */
	/* While something else has the terminal: what failed waits in `held`, and progress is not shown. */
	bool holds;
	char *held;
};

typedef int cli_verb_fn(struct cli *cli);
cli_verb_fn cli_status, cli_list, cli_create, cli_destroy, cli_path, cli_mark, cli_powerfail, cli_format,
	cli_check, cli_regions, cli_run, cli_stat;
/* softpmem regions --test RANGE: cli->test. */
int cli_memtest(struct cli *cli);

/* cli_status.c: list -R; and what a list begins with, a line for each region that it may be of. */
cli_verb_fn cli_list_regions, cli_list_head;

/* "softpmem: MESSAGE" on stderr, safe for a terminal; returns CLI_FAILED. */
int cli_fail(struct cli *cli, const char *text);
/* The value of an option will not do; returns CLI_WRONG_WORDS. */
int cli_wrong(const char *option, const char *value, const char *way_out);
/* cli->mode, parsed. */
int cli_parse_mode(struct cli *cli, enum pool_mode *mode);

/*
 * Ask the daemon one thing. `item` may be NULL. *result is for the caller to
 * put. Returns an exit status; what failed has been said.
 */
int cli_ask(struct cli *cli, const struct request *request, void (*item)(void *, struct json_object *),
	    void *item_context, struct json_object **result);

#endif
