/* SPDX-License-Identifier: BSD-3-Clause */

/* What the daemon serves: status, and list -R. */

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "wire/frame.h"

static size_t regions_of(struct json_object *status, struct json_object **regions)
{
	if (!json_object_object_get_ex(status, "regions", regions) ||
	    !json_object_is_type(*regions, json_type_array))
		return 0;
	return json_object_array_length(*regions);
}

/* ---- status ---------------------------------------------------------------------- */

static void print_region(struct json_object *region)
{
	time_t created = (time_t)output_u64(region, "created");
	bool read_only = false;
	char date[64] = "";
	struct tm tm;

	control_get_bool(region, "read_only", &read_only);
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
	printf("generation:         %llu\n", (unsigned long long)output_u64(region, "generation"));
	printf("dirty shutdowns:    %llu\n", (unsigned long long)output_u64(region, "dirty_shutdowns"));
	printf("pools:              %llu in %llu directories\n",
	       (unsigned long long)output_u64(region, "pools"),
	       (unsigned long long)output_u64(region, "directories"));
}

static void print_status(struct json_object *status)
{
	struct json_object *regions;
	size_t count = regions_of(status, &regions);

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

int cli_status(struct cli *cli)
{
	struct request request = { .verb = REQUEST_STATUS };
	CLEANUP_JSON struct json_object *result = NULL;
	int status = cli_ask(cli, &request, NULL, NULL, &result);

	if (status != CLI_OK)
		return status;
	if (cli->json)
		output_object(result);
	else
		print_status(result);
	return CLI_OK;
}

/* ---- list -R, and the head of a list ---------------------------------------------- */

static void print_row(struct json_object *region)
{
	printf("%8s %9s %-10s %-24s %-17s %10llu %5llu %-6s ", output_size(region, "size"),
	       output_size(region, "available_size"), output_mode(region),
	       output_string(region, "memory_type"), output_string(region, "persistence_domain"),
	       (unsigned long long)output_u64(region, "generation"),
	       (unsigned long long)output_u64(region, "dirty_shutdowns"), output_string(region, "state"));
	output_name(output_string(region, "name"), " ");
	output_name(output_string(region, "region"), "\n");
}

int cli_list_regions(struct cli *cli)
{
	struct request request = { .verb = REQUEST_STATUS };
	CLEANUP_JSON struct json_object *result = NULL;
	struct output_array array = { 0 };
	struct json_object *regions;
	int status = cli_ask(cli, &request, NULL, NULL, &result);
	size_t count;

	if (status != CLI_OK)
		return status;
	count = regions_of(result, &regions);
	if (!cli->json)
		printf("%8s %9s %-10s %-24s %-17s %10s %5s %-6s %s %s\n", "SIZE", "AVAILABLE", "MODE", "TYPE",
		       "DOMAIN", "GENERATION", "DIRTY", "STATE", "NAME", "SPEC");
	for (size_t i = 0; i < count; i++) {
		struct json_object *region = json_object_array_get_idx(regions, i);

		if (cli->json)
			output_array_item(&array, region);
		else
			print_row(region);
	}
	if (cli->json)
		output_array_end(&array);
	return CLI_OK;
}

int cli_list_head(struct cli *cli)
{
	struct request request = { .verb = REQUEST_STATUS };
	CLEANUP_JSON struct json_object *result = NULL;
	struct json_object *regions;
	int status = cli_ask(cli, &request, NULL, NULL, &result);
	size_t count;

	if (status != CLI_OK)
		return status;
	count = regions_of(result, &regions);
	for (size_t i = 0; i < count; i++) {
		struct json_object *region = json_object_array_get_idx(regions, i);
		const char *name = output_string(region, "name");

		if (cli->region && strcmp(cli->region, name) != 0)
			continue;
		printf("region ");
		if (count > 1)
			output_name(name, ", ");
		output_name(output_string(region, "region"), "");
		printf(": size %s, available %s, generation %llu, dirty shutdowns %llu\n",
		       output_size(region, "size"), output_size(region, "available_size"),
		       (unsigned long long)output_u64(region, "generation"),
		       (unsigned long long)output_u64(region, "dirty_shutdowns"));
	}
	return CLI_OK;
}
