/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "region/region.h"
#include "regions/candidates.h"
#include "regions/checkreport.h"
#include "wire/frame.h"

struct check_options {
	bool json;
	const char *region;
};

static const struct command_option options_table[] = {
	COMMAND_SWITCH(struct check_options, json, "json", "print a JSON object"),
	COMMAND_VALUE(struct check_options, region, "region", "NAME",
		      "only this one of the daemon's regions"),
	{ .name = NULL },
};

/* Problems are printed at once, or collected for JSON. */
struct findings {
	struct cli *cli;
	struct json_object *problems; /* NULL: print */
};

static void add_problem(void *context, struct json_object *item)
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

static void add_offline(void *context, const struct pools_problem *problem)
{
	CLEANUP_JSON struct json_object *item = checkreport_problem(problem);

	if (item)
		add_problem(context, item);
}

static void offline_progress(void *context, const char *what, uint64_t done, uint64_t total)
{
	struct findings *findings = context;

	output_progress(&findings->cli->progress, what, done, total);
}

/* A result of the daemon's form: an array of one report, which this takes over. */
static struct json_object *one_report(struct json_object *report)
{
	struct json_object *result = json_object_new_object(), *regions = json_object_new_array();

	if (report && result && regions && json_object_array_add(regions, report) == 0 &&
	    json_object_object_add(result, "regions", regions) == 0)
		return result;
	json_object_put(result);
	return NULL;
}

static int check_offline(struct cli *cli, struct findings *findings, struct json_object **result)
{
	struct pools_check_options options = { .problem = add_offline,
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
		*result = one_report(checkreport_result(region_spec(region), &counts));
	if (region_failure(region, &message))
		error = -EIO;
	region_close(region);
	return error ? cli_fail(cli, message.text) : CLI_OK;
}

static void print_summary(struct json_object *result, bool named)
{
	fputs("region ", stdout);
	if (named)
		output_name(output_string(result, "name"), ", ");
	output_name(output_string(result, "region"), "");
	printf(": %s, %s, %s, %s used\n", output_count(output_u64(result, "files"), "file", NULL),
	       output_count(output_u64(result, "directories"), "directory", "directories"),
	       output_count(output_u64(result, "names"), "name", NULL), output_size(result, "used"));
	printf("%llu damaged, %llu damaged in one of two copies, %llu left over from a crash\n",
	       (unsigned long long)output_u64(result, "damaged"),
	       (unsigned long long)output_u64(result, "redundant"),
	       (unsigned long long)output_u64(result, "leftovers"));
}

static void print_summaries(struct json_object *result)
{
	struct json_object *regions;
	size_t count = cli_regions_of(result, &regions);

	for (size_t i = 0; i < count; i++)
		print_summary(json_object_array_get_idx(regions, i), count > 1);
}

static int run(struct cli *cli, const void *values)
{
	const struct check_options *options = values;
	CLEANUP_JSON struct json_object *problems = options->json ? json_object_new_array() : NULL;
	CLEANUP_JSON struct json_object *request = cli_request("check");
	CLEANUP_JSON struct json_object *result = NULL;
	struct findings findings = { .cli = cli, .problems = problems };
	int status;

	if (options->region && cli->argument)
		return cli_usage(cli, "--region is for a region that the daemon serves: leave '%s' out",
				 cli->argument);
	cli_put(request, "region", options->region);
	status = cli->argument ? check_offline(cli, &findings, &result) :
				 cli_ask(cli, request, add_problem, &findings, &result);
	if (!result)
		return status;
	if (options->json) {
		json_object_object_add(result, "problems", json_object_get(problems));
		output_object(result);
	} else {
		print_summaries(result);
	}
	return status;
}

const struct cli_verb cli_check = {
	.name = "check",
	.summary = "Look for damage in the daemon's regions, or in one region",
	.arguments = "[SPEC]",
	.details = "  SPEC                  a region that no daemon serves: file:PATH, dax:DEVICE,\n"
		   "                        devmem:START+SIZE, ndctl:NAME or auto\n",
	.most = 1,
	.options = options_table,
	.options_bytes = sizeof(struct check_options),
	.run = run,
};
