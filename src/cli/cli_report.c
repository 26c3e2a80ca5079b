/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/output_file.h"
#include "cli/report.h"

struct report_options {
	const char *format, *output;
};

static const struct command_option options_table[] = {
	COMMAND_CHOICE(struct report_options, format, "format", "FORM", "html json junit sarif",
		       "of the report; default html"),
	{ .name = "output", .letter = 'o', .value = "FILE", .offset = offsetof(struct report_options, output),
	  .help = "write it there; default: standard output" },
	{ .name = NULL },
};

static void put_json(FILE *out, struct json_object *object)
{
	const int flags = JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE;

	fprintf(out, "%s\n", json_object_to_json_string_ext(object, flags));
}

static void put_report(FILE *out, const char *format, struct json_object *result)
{
	struct json_object *sarif;

	if (strcmp(format, "json") == 0) {
		put_json(out, result);
	} else if (strcmp(format, "junit") == 0) {
		report_junit(out, result);
	} else if (strcmp(format, "sarif") == 0) {
		sarif = report_sarif(result);
		put_json(out, sarif);
		json_object_put(sarif);
	} else {
		report_html(out, result);
	}
}

static int write_report(struct cli *cli, const struct report_options *options, struct json_object *result)
{
	const char *name = options->output ? options->output : "standard output";
	FILE *out = stdout;
	CLEANUP_OUTPUT_FILE struct output_file file = OUTPUT_FILE_CLOSED;
	struct message message = { "" };
	bool failed;

	if (options->output && output_file_open(&file, options->output, cli->arguments, &message) < 0)
		return cli_fail(cli, message.text);
	if (options->output)
		out = fdopen(fcntl(file.fd, F_DUPFD_CLOEXEC, 0), "w");
	if (out)
		put_report(out, options->format ? options->format : "html", result);
	failed = !out || ferror(out);
	if (out && (options->output ? fclose(out) : fflush(out)) != 0)
		failed = true;
	if (failed)
		message_fail(&message, -errno, "%s: cannot write the report: %s", name, strerror(errno));
	else if (options->output)
		failed = output_file_commit(&file, &message) < 0;
	return failed ? cli_fail(cli, message.text) : CLI_OK;
}

static int run(struct cli *cli, const void *values)
{
	struct json_object *result = NULL;
	struct message message = { "" };
	unsigned missing = 0;
	int status;

	if (report_merge(cli->arguments, &result, &missing, &message) < 0)
		return cli_fail(cli, message.text);
	status = write_report(cli, values, result);
	json_object_put(result);
	if (missing && !status) {
		message_fail(&message, 0, "%u shards are missing: see the report for which", missing);
		status = cli_fail(cli, message.text);
	}
	return status;
}

const struct cli_verb cli_report = {
	.name = "report",
	.summary = "Make a report of what explore found",
	.arguments = "FINDINGS...",
	.details = "  FINDINGS              files that explore --output has written; one a shard\n",
	.least = 1,
	.most = INT_MAX - 1,
	.options = options_table,
	.options_bytes = sizeof(struct report_options),
	.run = run,
};
