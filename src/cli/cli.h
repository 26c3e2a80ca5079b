/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_CLI_H
#define CLI_CLI_H

/* The context of softpmem, and its verbs. */

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "command/command_options.h"
#include "cli/client.h"
#include "cli/output.h"

/* Exit statuses. */
enum cli_status { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

struct cli;

/* A verb: declared in its own file, listed in softpmem.c, documented in docs/softpmem-NAME.1. */
struct cli_verb {
	const char *name;
	const char *summary;   /* one line, without a full stop */
	const char *arguments; /* its arguments in the usage: "PATH"; "": none */
	/* Lines of the help that explain the arguments; NULL: none. */
	const char *details;
	int least, most; /* maximum number of arguments; INT_MAX: a command, with options of its own */
	const struct command_option *options;
	size_t options_bytes; /* size of the structure of the options' values */
	/* Returns an exit status. `options` is that structure. */
	int (*run)(struct cli *cli, const void *options);
};
extern const struct cli_verb cli_check, cli_create, cli_destroy, cli_explore, cli_format, cli_list, cli_mark,
	cli_path, cli_powerfail, cli_record, cli_regions, cli_rename, cli_report, cli_resize, cli_restore,
	cli_run, cli_snapshot, cli_stat, cli_status, cli_stop, cli_sync, cli_torture, cli_trace;

/* The parsed command line, apart from the options of the verb. */
struct cli {
	char *socket; /* NULL: the default */
	bool verbose;
	const struct cli_verb *verb;
	const char *argument; /* the first; NULL: none */
	char **arguments;     /* all, NULL at the end */
	struct output_progress progress;
	/*
	 * While a full-screen view uses the terminal, a failure waits in `held`, and progress is not
	 * printed.
	 */
	bool holds;
	char *held;
};

/* For verbs whose argument is the path of a pool: its help, and the option --region, a member of `type`. */
#define CLI_PATH_DETAILS "  PATH                  from the root of the tree: /db/wal\n"
#define CLI_PATH_REGION(type) \
	COMMAND_VALUE(type, region, "region", "NAME", "in this region; PATH is then a path in it")

/* Print "softpmem: TEXT" on stderr, safe for a terminal. Returns CLI_FAILED. */
int cli_fail(struct cli *cli, const char *text);
/* Print "softpmem VERB: ..." for a usage error. Returns CLI_USAGE. */
int cli_usage(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * The value of an option that takes a whole number from `least` to `most`, in decimal; *value stays if `text`
 * is NULL. Returns CLI_OK, or CLI_USAGE with the failure printed. `option` is the name without dashes.
 */
int cli_whole_number(const struct cli *cli, const char *option, const char *text, uint64_t least,
		     uint64_t most, uint64_t *value);

/* A request with this verb, for the caller to put; NULL without memory. */
struct json_object *cli_request(const char *verb);
/* Add a member, unless the value is NULL or false. */
void cli_put(struct json_object *request, const char *key, const char *value);
void cli_put_true(struct json_object *request, const char *key, bool value);

/*
 * Send the request (NULL: there was no memory for it) and receive the answer. `item` may be NULL. *result
 * is for the caller to put; it is not NULL if the status is CLI_OK. Returns an exit status; a failure has
 * been printed.
 */
int cli_ask(struct cli *cli, struct json_object *request, void (*item)(void *, struct json_object *),
	    void *item_context, struct json_object **result);
/* The same for a request whose answer has neither items nor a result. */
int cli_ask_only(struct cli *cli, struct json_object *request);
/* Request the answer to "status". */
int cli_ask_status(struct cli *cli, struct json_object **result);
/* The regions of a "status" answer: their number, and the array, which belongs to `status`. */
size_t cli_regions_of(struct json_object *status, struct json_object **regions);

#endif
