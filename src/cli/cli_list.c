/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/cli.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "wire/frame.h"

struct list_options {
	bool json, regions;
	const char *region;
};

static const struct command_option options_table[] = {
	COMMAND_SWITCH(struct list_options, json, "json", "print a JSON array"),
	COMMAND_VALUE(struct list_options, region, "region", "NAME",
		  "of this region only; PATH is then a path in it"),
	{ .name = "regions", .letter = 'R', .offset = offsetof(struct list_options, regions),
	  .help = "list the regions" },
	{ .name = NULL },
};

/* ---- Regions ----------------------------------------------------------------------- */

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

static int list_regions(struct cli *cli, const struct list_options *options)
{
	CLEANUP_JSON struct json_object *result = NULL;
	struct output_array array = { 0 };
	struct json_object *regions;
	int status = cli_ask_status(cli, &result);
	size_t count;

	if (status != CLI_OK)
		return status;
	count = cli_regions_of(result, &regions);
	if (!options->json)
		printf("%8s %9s %-10s %-24s %-17s %10s %5s %-6s %s %s\n", "SIZE", "AVAILABLE", "MODE", "TYPE",
		       "DOMAIN", "GENERATION", "DIRTY", "STATE", "NAME", "SPEC");
	for (size_t i = 0; i < count; i++) {
		struct json_object *region = json_object_array_get_idx(regions, i);

		if (options->json)
			output_array_item(&array, region);
		else
			print_row(region);
	}
	if (options->json)
		output_array_end(&array, true);
	return CLI_OK;
}

/* The head of a list: a line for each region that it covers. */
static void print_regions(struct json_object *answer, const struct list_options *options)
{
	struct json_object *regions;
	size_t count = cli_regions_of(answer, &regions);

	for (size_t i = 0; i < count; i++) {
		struct json_object *region = json_object_array_get_idx(regions, i);
		const char *name = output_string(region, "name");

		if (options->region && strcmp(options->region, name) != 0)
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
}

/* ---- Pools and directories ------------------------------------------------------------ */

/* "user:group". The names are looked up again only if the numbers change: most lists have one owner. */
struct owner {
	bool known;
	uint64_t uid, gid;
	char text[80];
};

static const char *owner_text(struct owner *owner, struct json_object *item)
{
	uint64_t uid = output_u64(item, "uid"), gid = output_u64(item, "gid");
	char numbers[2][24];
	struct passwd *user;
	struct group *group;

	if (owner->known && owner->uid == uid && owner->gid == gid)
		return owner->text;
	user = getpwuid((uid_t)uid);
	group = getgrgid((gid_t)gid);
	snprintf(numbers[0], sizeof(numbers[0]), "%llu", (unsigned long long)uid);
	snprintf(numbers[1], sizeof(numbers[1]), "%llu", (unsigned long long)gid);
	snprintf(owner->text, sizeof(owner->text), "%s:%s", user ? user->pw_name : numbers[0],
		 group ? group->gr_name : numbers[1]);
	owner->known = true;
	owner->uid = uid;
	owner->gid = gid;
	return owner->text;
}

static char type_letter(const char *type)
{
	static const struct {
		const char *type;
		char letter;
	} letters[] = { { "directory", 'd' }, { "symlink", 'l' }, { "fifo", 'p' }, { "socket", 's' } };

	for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
		if (strcmp(letters[i].type, type) == 0)
			return letters[i].letter;
	return '-';
}

struct listing {
	struct cli *cli;
	const struct list_options *options;
	struct json_object *answer; /* to "status" */
	bool begun;
	struct owner owner;
};

/* A list that fails before its first pool has no head. */
static void print_header(struct listing *listing)
{
	if (listing->begun)
		return;
	listing->begun = true;
	print_regions(listing->answer, listing->options);
	printf("%8s %9s %-10s %-8s %-5s %5s %-15s %s%s\n", "SIZE", "ALLOCATED", "MODE", "METADATA", "PERM",
	       "LINKS", "OWNER", listing->cli->verbose ? "UUID                                 " : "",
	       "PATH");
}

static void print_pool(void *context, struct json_object *item)
{
	struct listing *listing = context;

	output_progress_end(&listing->cli->progress);
	print_header(listing);
	printf("%8s %9s %-10s %-8s %c%-4s %5llu %-15s ", output_size(item, "size"),
	       output_size(item, "allocated"), output_mode(item), output_string(item, "metadata"),
	       type_letter(output_string(item, "type")), output_string(item, "perm"),
	       (unsigned long long)output_u64(item, "links"), owner_text(&listing->owner, item));
	if (listing->cli->verbose)
		printf("%-36s ", output_string(item, "uuid"));
	output_name(output_string(item, "path"), "\n");
}

static void add_pool(void *context, struct json_object *item)
{
	output_array_item(context, item);
}

static int print_json(struct cli *cli, struct json_object *request)
{
	CLEANUP_JSON struct json_object *result = NULL;
	struct output_array array = { 0 };
	int status = cli_ask(cli, request, add_pool, &array, &result);

	output_array_end(&array, status == CLI_OK);
	return status;
}

static int print_table(struct cli *cli, struct json_object *request, const struct list_options *options)
{
	CLEANUP_JSON struct json_object *answer = NULL;
	CLEANUP_JSON struct json_object *result = NULL;
	struct listing listing = { .cli = cli, .options = options };
	int status = cli_ask_status(cli, &answer);

	if (status != CLI_OK)
		return status;
	listing.answer = answer;
	status = cli_ask(cli, request, print_pool, &listing, &result);
	if (status == CLI_OK)
		print_header(&listing);
	return status;
}

static int run(struct cli *cli, const void *values)
{
	const struct list_options *options = values;
	CLEANUP_JSON struct json_object *request = NULL;

	if (options->regions && (cli->argument || options->region))
		return cli_usage(cli, "--regions lists all regions: leave '%s' out",
				 cli->argument ? cli->argument : options->region);
	if (options->regions)
		return list_regions(cli, options);
	request = cli_request("list");
	cli_put(request, "path", cli->argument);
	cli_put(request, "region", options->region);
	return options->json ? print_json(cli, request) : print_table(cli, request, options);
}

const struct cli_verb cli_list = {
	.name = "list",
	.summary = "List pools and directories, or regions",
	.arguments = "[PATH]",
	.most = 1,
	.options = options_table,
	.options_bytes = sizeof(struct list_options),
	.run = run,
};
