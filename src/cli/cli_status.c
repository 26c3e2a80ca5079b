/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "wire/frame.h"

struct status_options {
	bool json;
};

static const struct command_option options_table[] = {
	COMMAND_SWITCH(struct status_options, json, "json", "print a JSON object"),
	{ .name = NULL },
};

static void print_region(struct json_object *region)
{
	time_t created = (time_t)output_u64(region, "created");
	bool read_only = false, auto_da_alloc = false;
	char date[64] = "";
	struct tm tm;

	control_get_bool(region, "read_only", &read_only);
	control_get_bool(region, "auto_da_alloc", &auto_da_alloc);
	if (localtime_r(&created, &tm))
		strftime(date, sizeof(date), "%F %T", &tm);
	fputs("region:             ", stdout);
	output_name(output_string(region, "region"), read_only ? " (read-only)\n" : "\n");
	if (strcmp(output_string(region, "state"), "failed") == 0) {
		fputs("state:              failed: ", stdout);
		output_name(output_string(region, "reason"), "\n");
	}
	fputs("label:              ", stdout);
	output_name(output_string(region, "label"), "\n");
	printf("uuid:               %s\n", output_string(region, "uuid"));
	printf("created:            %s\n", date);
	printf("size:               %s, %s available, %s volatile\n", output_size(region, "size"),
	       output_size(region, "available_size"), output_size(region, "volatile_size"));
	printf("memory type:        %s\n", output_string(region, "memory_type"));
	printf("persistence domain: %s\n", output_string(region, "persistence_domain"));
	printf("mode:               %s\n", output_mode(region));
	printf("metadata:           %s%s", output_string(region, "metadata"),
	       auto_da_alloc ? " with auto_da_alloc" : "");
	if (output_u64(region, "own_metadata"))
		printf(", but for %s",
		       output_count(output_u64(region, "own_metadata"), "directory", "directories"));
	putchar('\n');
	printf("generation:         %llu\n", (unsigned long long)output_u64(region, "generation"));
	printf("dirty shutdowns:    %llu\n", (unsigned long long)output_u64(region, "dirty_shutdowns"));
	printf("pools:              %llu in %s\n", (unsigned long long)output_u64(region, "pools"),
	       output_count(output_u64(region, "directories"), "directory", "directories"));
}

static void print_status(struct json_object *status)
{
	struct json_object *regions;
	size_t count = cli_regions_of(status, &regions);

	for (size_t i = 0; i < count; i++) {
		struct json_object *region = json_object_array_get_idx(regions, i);

		if (count > 1) {
			fputs("name:               ", stdout);
			output_name(output_string(region, "name"), "\n");
		}
		print_region(region);
		if (count > 1)
			putchar('\n');
	}
	fputs("mount:              ", stdout);
	output_name(*output_string(status, "mount") ? output_string(status, "mount") : "none", "\n");
	fputs("last mark:          ", stdout);
	output_name(*output_string(status, "mark") ? output_string(status, "mark") : "none", "\n");
	printf("daemon:             pid %llu, version %s\n", (unsigned long long)output_u64(status, "pid"),
	       output_string(status, "version"));
}

static int run(struct cli *cli, const void *values)
{
	const struct status_options *options = values;
	CLEANUP_JSON struct json_object *result = NULL;
	int status = cli_ask_status(cli, &result);

	if (status != CLI_OK)
		return status;
	if (options->json)
		output_object(result);
	else
		print_status(result);
	return CLI_OK;
}

const struct cli_verb cli_status = {
	.name = "status",
	.summary = "Show what the daemon serves",
	.arguments = "",
	.options = options_table,
	.options_bytes = sizeof(struct status_options),
	.run = run,
};
