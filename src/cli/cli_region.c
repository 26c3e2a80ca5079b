/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "wire/checkreport.h"
#include "common/cleanup.h"
#include "wire/frame.h"
#include "region/region.h"
#include "wire/candidates.h"

/* ---- format ------------------------------------------------------------------------ */

int cli_format(struct cli *cli)
{
	struct pools_format_options options = {
		.label = cli->label, .uid = getuid(), .gid = getgid(), .force = cli->force
	};
	struct message message = { "" };
	struct region *region;
	int error;

	if (cli_parse_mode(cli, &options.mode) < 0)
		return CLI_WRONG_WORDS;
	if (cli->label && strlen(cli->label) > POOL_LABEL_MAX)
		return cli_wrong("label", cli->label, "give at most 63 bytes");
	if (strncmp(cli->argument, "memfd:", 6) == 0) {
		fprintf(stderr,
			"softpmem: %s: it would be gone when this command ends: give it to softpmemd\n",
			cli->argument);
		return CLI_WRONG_WORDS;
	}
	if (strcmp(cli->argument, "auto") == 0) {
		fputs("softpmem: auto: it never formats: name the region: 'softpmem regions' shows those "
		      "there are\n",
		      stderr);
		return CLI_WRONG_WORDS;
	}
	error = region_open(cli->argument, REGION_CREATE, &region, &message);
	if (error)
		return cli_fail(cli, message.text);
	error = pools_format(region, &options, &message);
	if (!error)
		error = region_failure(region, &message);
	region_close(region);
	return error ? cli_fail(cli, message.text) : CLI_OK;
}

/* ---- check -------------------------------------------------------------------------- */

/* What is found is printed at once, or collected for JSON. */
struct findings {
	struct cli *cli;
	struct json_object *problems; /* NULL: print */
};

static void take_problem(void *context, struct json_object *item)
{
	struct findings *findings = context;

	if (findings->problems) {
		if (json_object_array_add(findings->problems, json_object_get(item)) != 0)
			json_object_put(item);
		return;
	}
	output_progress_end(&findings->cli->progress);
	if (*output_string(item, "region")) {
		fputs("region ", stdout);
		output_name(output_string(item, "region"), ": ");
	}
	printf("%s at 0x%llx: ", output_string(item, "kind"), (unsigned long long)output_u64(item, "offset"));
	output_name(output_string(item, "text"), "\n");
}

static void found_offline(void *context, const struct pools_problem *problem)
{
	CLEANUP_JSON struct json_object *item = checkreport_problem(problem);

	if (item)
		take_problem(context, item);
}

static void offline_progress(void *context, const char *what, uint64_t done, uint64_t total)
{
	struct findings *findings = context;

	output_progress(&findings->cli->progress, what, done, total);
}

static int check_offline(struct cli *cli, struct findings *findings, struct json_object **result)
{
	struct pools_check_options options = { .problem = found_offline,
					       .progress = offline_progress,
					       .context = findings };
	struct pools_check_result counts = { 0 };
	struct message message = { "" };
	struct region *region;
	CLEANUP_FREE char *chosen = NULL;
	const char *spec = cli->argument;
	int error = strcmp(spec, "auto") == 0 ? regions_choose(&chosen, &message) : 0;

	if (chosen)
		spec = chosen;
	if (!error)
		error = region_open(spec, REGION_READ_ONLY, &region, &message);
	if (error)
		return cli_fail(cli, message.text);
	output_progress_start(&cli->progress, cli->verbose);
	error = pools_check(region, &options, &counts, &message);
	output_progress_end(&cli->progress);
	if (error == 0 || error == -EUCLEAN)
		*result = checkreport_result(region_spec(region), &counts);
	if (region_failure(region, &message))
		error = -EIO;
	region_close(region);
	return error ? cli_fail(cli, message.text) : CLI_OK;
}

static void print_summary(struct json_object *result)
{
	fputs("region ", stdout);
	if (*output_string(result, "name"))
		output_name(output_string(result, "name"), ", ");
	output_name(output_string(result, "region"), "");
	printf(": %llu files, %llu directories, %llu names, %s used\n",
	       (unsigned long long)output_u64(result, "files"),
	       (unsigned long long)output_u64(result, "directories"),
	       (unsigned long long)output_u64(result, "names"), output_size(result, "used"));
	printf("%llu damaged, %llu damaged in one of two copies, %llu left over from a crash\n",
	       (unsigned long long)output_u64(result, "damaged"),
	       (unsigned long long)output_u64(result, "redundant"),
	       (unsigned long long)output_u64(result, "leftovers"));
}

/* Of one region, or of each of several. */
static void print_summaries(struct json_object *result)
{
	struct json_object *regions;

	if (!json_object_object_get_ex(result, "regions", &regions)) {
		print_summary(result);
		return;
	}
	for (size_t i = 0; i < json_object_array_length(regions); i++)
		print_summary(json_object_array_get_idx(regions, i));
}

int cli_check(struct cli *cli)
{
	struct request request = { .verb = REQUEST_CHECK, .region = (char *)cli->region };
	CLEANUP_JSON struct json_object *problems = cli->json ? json_object_new_array() : NULL;
	CLEANUP_JSON struct json_object *result = NULL;
	struct findings findings = { .cli = cli, .problems = problems };
	int status;

	if (cli->region && cli->argument)
		return cli_wrong("region", cli->region, "it is for what the daemon serves: leave SPEC out");
	status = cli->argument ? check_offline(cli, &findings, &result)
			       : cli_ask(cli, &request, take_problem, &findings, &result);
	if (!result)
		return status;
	if (cli->json) {
		json_object_object_add(result, "problems", json_object_get(problems));
		output_object(result);
	} else {
		print_summaries(result);
	}
	return status;
}
