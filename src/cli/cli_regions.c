/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/cli_memtest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/size.h"
#include "wire/frame.h"
#include "regions/candidates.h"

struct regions_options {
	bool json, force;
	const char *test;
};

static const struct command_option options_table[] = {
	COMMAND_SWITCH(struct regions_options, json, "json", "print JSON"),
	COMMAND_VALUE(struct regions_options, test, "test", "RANGE",
		  "test memory, START+SIZE or a region; its content is lost"),
	COMMAND_SWITCH(struct regions_options, force, "force", "of --test: also memory that holds pools"),
	{ .name = NULL },
};

/* The reason without the name of the region, which the previous line has. */
static const char *without_spec(const struct region_candidate *candidate)
{
	const char *why = candidate->why.text;
	size_t length = strlen(candidate->spec);

	if (strncmp(why, "region ", 7) == 0 && strncmp(why + 7, candidate->spec, length) == 0 &&
	    strncmp(why + 7 + length, ": ", 2) == 0)
		return why + 7 + length + 2;
	return why;
}

/* ---- JSON ------------------------------------------------------------------------------ */

static struct json_object *to_json(const struct region_candidate *candidate, enum regions_holds holds)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		return NULL;
	control_put_string(object, "region", candidate->spec);
	if (candidate->device[0])
		control_put_string(object, "dev", candidate->device);
	if (candidate->mode[0])
		control_put_string(object, "mode", candidate->mode);
	if (candidate->size) {
		control_put_u64(object, "size", candidate->size);
		control_put_u64(object, "resource", candidate->start);
	}
	control_put_string(object, "set_aside_by", candidate->set_aside_by);
	if (candidate->memory_type[0])
		control_put_string(object, "memory_type", candidate->memory_type);
	if (candidate->numa_node >= 0)
		control_put_u64(object, "numa_node", (uint64_t)candidate->numa_node);
	if (candidate->persistence_domain[0])
		control_put_string(object, "persistence_domain", candidate->persistence_domain);
	if (candidate->dirty_shutdowns >= 0)
		control_put_u64(object, "dirty_shutdowns", (uint64_t)candidate->dirty_shutdowns);
	if (candidate->badblocks)
		control_put_u64(object, "badblock_count", candidate->badblocks);
	if (holds != REGIONS_UNKNOWN)
		control_put_string(object, "holds", regions_holds_name(holds));
	control_put_string(object, "verdict", region_verdict_name(candidate->verdict));
	if (candidate->why.text[0])
		control_put_string(object, "reason", without_spec(candidate));
	return object;
}

/* ---- For people -------------------------------------------------------------------------- */

static void print_details(const struct region_candidate *candidate)
{
	if (candidate->mode[0])
		printf("    mode:               %s\n", candidate->mode);
	printf("    memory type:        %s\n",
	       candidate->memory_type[0] ? candidate->memory_type : "write-back (requested; not mapped now)");
	if (candidate->numa_node >= 0)
		printf("    NUMA node:          %d\n", candidate->numa_node);
	printf("    persistence domain: %s\n", candidate->persistence_domain[0] ?
						       candidate->persistence_domain :
						       "memory_controller (the platform does not say)");
	if (candidate->dirty_shutdowns >= 0)
		printf("    dirty shutdowns:    %lld (of the DIMMs)\n",
		       (long long)candidate->dirty_shutdowns);
	if (candidate->badblocks)
		printf("    bad blocks:         %u\n", candidate->badblocks);
}

static void print_candidate(const struct cli *cli, const struct region_candidate *candidate,
			    enum regions_holds holds)
{
	char size[32];

	printf("%s: %s", candidate->spec, region_verdict_name(candidate->verdict));
	if (holds != REGIONS_UNKNOWN)
		printf("; holds %s", regions_holds_name(holds));
	putchar('\n');
	if (candidate->size) {
		size_format(candidate->size, size, sizeof(size));
		printf("    %s at %#llx-%#llx", size, (unsigned long long)candidate->start,
		       (unsigned long long)(candidate->start + candidate->size - 1));
		if (candidate->set_aside_by[0])
			printf(", set aside by %s", candidate->set_aside_by);
		putchar('\n');
	}
	if (candidate->why.text[0]) {
		fputs(candidate->verdict == REGION_REFUSED ? "    why:  " : "    mind: ", stdout);
		output_name(without_spec(candidate), "\n");
	}
	if (cli->verbose)
		print_details(candidate);
	if (holds == REGIONS_BLANK || holds == REGIONS_POOLS)
		printf("    use:  softpmemd --region %s --mount DIR\n", candidate->spec);
	else if (holds == REGIONS_FOREIGN)
		printf("    use:  softpmem format --force %s   (what it holds is lost)\n", candidate->spec);
}

static void print_advice(const struct region_candidates *found)
{
	for (size_t i = 0; i < found->count; i++) {
		if (found->items[i].verdict != REGION_REFUSED)
			return;
	}
	puts("No memory of this machine can be used now.");
	if (found->advice[0])
		printf("To set some aside, put %s on the kernel command line and boot again\n"
		       "(in GRUB's configuration write \\\\\\$ for the dollar sign); or use memfd: or "
		       "file:.\n",
		       found->advice);
}

static int run(struct cli *cli, const void *values)
{
	const struct regions_options *options = values;
	struct output_array array = { 0 };
	struct region_candidates found;
	struct message message = { "" };
	int error;

	if (options->test)
		return memtest_verb(cli, options->test, options->force, options->json);
	if (options->force)
		return cli_usage(cli, "--force requires --test");
	error = region_discover(&found, &message);
	if (error) {
		char text[sizeof(message.text) + 64];

		snprintf(text, sizeof(text), "regions: %s%s", message.text,
			 error == -EACCES || error == -EPERM ? ": this needs root" : "");
		return cli_fail(cli, text);
	}
	for (size_t i = 0; i < found.count; i++) {
		enum regions_holds holds = regions_look(&found.items[i]);

		if (options->json) {
			CLEANUP_JSON struct json_object *object = to_json(&found.items[i], holds);

			if (object)
				output_array_item(&array, object);
		} else {
			print_candidate(cli, &found.items[i], holds);
		}
	}
	if (options->json)
		output_array_end(&array, true);
	else
		print_advice(&found);
	region_candidates_free(&found);
	return CLI_OK;
}

const struct cli_verb cli_regions = {
	.name = "regions",
	.summary = "Show which memory can be a region, and why other memory cannot",
	.arguments = "",
	.options = options_table,
	.options_bytes = sizeof(struct regions_options),
	.run = run,
};
