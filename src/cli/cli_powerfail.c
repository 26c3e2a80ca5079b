/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/frame.h"
#include "wire/request.h"

struct powerfail_options {
	const char *policy, *seed, *metadata, *lose_only;
	const char *before_op, *after_op, *before_sync, *after_sync, *before_fence, *after_fence;
	const char *at_mark, *path, *wait;
	bool kill, json;
};

static const struct command_option options_table[] = {
	COMMAND_CHOICE(struct powerfail_options, policy, "policy", "POLICY", "lose keep random",
		   "lose, keep or random: what becomes of volatile lines"),
	COMMAND_VALUE(struct powerfail_options, seed, "seed", "N",
		  "of random: the same state and seed leave the same bytes"),
	COMMAND_CHOICE(struct powerfail_options, metadata, "metadata", "MODE", "durable ordered strict",
		       "durable, ordered or strict: which names may be lost"),
	COMMAND_VALUE(struct powerfail_options, lose_only, "lose-only", "SET",
		      "lose no more than this set, which torture prints"),
	COMMAND_VALUE(struct powerfail_options, before_op, "before-op", "N",
		      "wait for the Nth change of files; it is not done"),
	COMMAND_VALUE(struct powerfail_options, after_op, "after-op", "N", "the same; it is done"),
	COMMAND_VALUE(struct powerfail_options, before_sync, "before-sync", "N",
		      "wait for the Nth fsync; it is not done"),
	COMMAND_VALUE(struct powerfail_options, after_sync, "after-sync", "N", "the same; it is done"),
	COMMAND_VALUE(struct powerfail_options, before_fence, "before-fence", "N",
		      "wait for the Nth fence of programs; it is not done"),
	COMMAND_VALUE(struct powerfail_options, after_fence, "after-fence", "N", "the same; it is done"),
	COMMAND_VALUE(struct powerfail_options, at_mark, "at-mark", "TEXT",
		      "wait until 'softpmem mark' sets it"),
	COMMAND_VALUE(struct powerfail_options, path, "path", "PATTERN",
		      "count only files whose path matches"),
	COMMAND_VALUE(struct powerfail_options, wait, "wait", "SECONDS",
		      "wait no longer; exit with 1"),
	COMMAND_SWITCH(struct powerfail_options, kill, "kill", "kill the processes that use the mount"),
	COMMAND_SWITCH(struct powerfail_options, json, "json", "print the whole report as a JSON object"),
	{ .name = NULL },
};

/* What the daemon sends one by one. */
struct items {
	struct json_object *pools, *operations;
};

static void collect(void *context, struct json_object *item)
{
	const struct items *items = context;
	struct json_object *to =
		json_object_object_get_ex(item, "operation", NULL) ? items->operations : items->pools;

	if (json_object_array_add(to, json_object_get(item)) != 0)
		json_object_put(item);
}

static void print_lines(struct json_object *object)
{
	printf("%10llu %12llu %8llu %8llu ", (unsigned long long)output_u64(object, "lines_guaranteed"),
	       (unsigned long long)output_u64(object, "lines_undetermined"),
	       (unsigned long long)output_u64(object, "lines_kept"),
	       (unsigned long long)output_u64(object, "lines_lost"));
}

/* The outage had nothing to decide for this region: leave it out of the table. */
static bool is_unaffected(struct json_object *pool)
{
	return output_u64(pool, "lines_guaranteed") == 0 && output_u64(pool, "lines_undetermined") == 0 &&
	       output_u64(pool, "size_before") == output_u64(pool, "size_after");
}

static void print_generation(struct json_object *object, const char *end)
{
	printf("generation %llu, dirty shutdowns %llu%s",
	       (unsigned long long)output_u64(object, "generation"),
	       (unsigned long long)output_u64(object, "dirty_shutdowns"), end);
}

static void print_region(struct json_object *region)
{
	fputs("region ", stdout);
	output_name(output_string(region, "name"), ": ");
	if (strcmp(output_string(region, "state"), "failed") == 0)
		puts("it has failed, and took no part in the outage");
	else
		print_generation(region, "\n");
}

/* Which event it was: "before sync 3: fdatasync of /db/wal". */
static void print_moment(struct json_object *report)
{
	struct json_object *moment, *killed;

	if (json_object_object_get_ex(report, "moment", &moment)) {
		const char *path = output_string(moment, "path");

		if (strcmp(output_string(moment, "event"), "mark") == 0) {
			fputs("at the mark ", stdout);
			output_name(output_string(moment, "mark"), "\n");
		} else if (strcmp(output_string(moment, "event"), "fence") == 0) {
			printf("%s fence %llu, of process %llu\n", output_string(moment, "when"),
			       (unsigned long long)output_u64(moment, "number"),
			       (unsigned long long)output_u64(moment, "pid"));
		} else {
			printf("%s %s %llu: %s of ", output_string(moment, "when"),
			       output_string(moment, "event"),
			       (unsigned long long)output_u64(moment, "number"),
			       output_string(moment, "operation"));
			output_name(*path ? path : "a file without a name", "\n");
		}
	}
	if (json_object_object_get_ex(report, "killed", &killed))
		printf("%s killed\n",
		       output_count(output_u64(report, "killed"), "process that used the mount was",
				    "processes that used the mount were"));
}

/* At most so many lines: --json has all. */
#define OPERATIONS_SHOWN 20

/* "lost: rename /a -> /b", the oldest first. */
static void print_operations(struct json_object *operations, uint64_t total)
{
	const size_t count = json_object_array_length(operations);

	for (size_t i = count; i-- > 0 && count - i <= OPERATIONS_SHOWN;) {
		struct json_object *item = json_object_array_get_idx(operations, i);
		const char *path = output_string(item, "path"), *to = output_string(item, "to_path");

		printf("lost: %s ", output_string(item, "operation"));
		output_name(*path ? path : "(no name)", *to ? " -> " : "\n");
		if (*to)
			output_name(to, "\n");
	}
	if (total > OPERATIONS_SHOWN)
		printf("lost: %llu more operations: --json lists them\n",
		       (unsigned long long)(total - OPERATIONS_SHOWN));
}

static void print_report(struct json_object *report, const struct items *items)
{
	struct json_object *pools = items->pools;
	struct json_object *seed, *regions;
	size_t count = cli_regions_of(report, &regions);

	printf("power failed: policy %s", output_string(report, "policy"));
	if (json_object_object_get_ex(report, "seed", &seed))
		printf(", seed %llu", (unsigned long long)output_u64(report, "seed"));
	fputs("; ", stdout);
	if (count == 1)
		print_generation(json_object_array_get_idx(regions, 0), "; ");
	fputs("last mark: ", stdout);
	output_name(*output_string(report, "mark") ? output_string(report, "mark") : "none", "\n");
	print_moment(report);
	for (size_t i = 0; count > 1 && i < count; i++)
		print_region(json_object_array_get_idx(regions, i));
	printf("%10s %12s %8s %8s %-10s %10s %10s %s\n", "GUARANTEED", "UNDETERMINED", "KEPT", "LOST", "MODE",
	       "BEFORE", "AFTER", "PATH");
	for (size_t i = 0; i < json_object_array_length(pools); i++) {
		struct json_object *pool = json_object_array_get_idx(pools, i);
		const char *path = output_string(pool, "path");

		if (is_unaffected(pool))
			continue;
		print_lines(pool);
		printf("%-10s %10s %10s ", output_mode(pool), output_size(pool, "size_before"),
		       output_size(pool, "size_after"));
		output_name(*path ? path : "(no name)", "\n");
	}
	print_lines(report);
	puts("total, in lines of 64 bytes");
	print_operations(items->operations, output_u64(report, "operations_lost"));
	if (output_u64(report, "unreported_pools"))
		printf("%llu more pools are in the total only: the daemon ran out of memory\n",
		       (unsigned long long)output_u64(report, "unreported_pools"));
}

/* Put the moment and what belongs to it into the request. */
static int put_moment(struct cli *cli, const struct powerfail_options *options, struct json_object *request)
{
	const struct {
		const char *option, *key, *value;
		uint64_t least, most;
	} numbers[] = {
		{ "before-op", "before_op", options->before_op, 1, UINT64_MAX },
		{ "after-op", "after_op", options->after_op, 1, UINT64_MAX },
		{ "before-sync", "before_sync", options->before_sync, 1, UINT64_MAX },
		{ "after-sync", "after_sync", options->after_sync, 1, UINT64_MAX },
		{ "before-fence", "before_fence", options->before_fence, 1, UINT64_MAX },
		{ "after-fence", "after_fence", options->after_fence, 1, UINT64_MAX },
		{ "wait", "wait", options->wait, 0, UINT32_MAX },
	};
	int events = 0;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		uint64_t number = 0;
		int status = cli_whole_number(cli, numbers[i].option, numbers[i].value, numbers[i].least,
					      numbers[i].most, &number);

		if (status != CLI_OK)
			return status;
		if (!numbers[i].value)
			continue;
		control_put_u64(request, numbers[i].key, number);
		events += strcmp(numbers[i].option, "wait") != 0;
	}
	if (options->path && (!events || options->before_fence || options->after_fence))
		return cli_usage(cli, "--path requires operations or syncs to count: give --before-sync 1");
	events += options->at_mark != NULL;
	if (options->at_mark && strlen(options->at_mark) > REQUEST_MARK_MAX)
		return cli_usage(cli, "--at-mark: the text of a mark has at most %d bytes", REQUEST_MARK_MAX);
	if (events > 1)
		return cli_usage(cli, "a power failure has one moment: give one of --before-op, --after-op, "
				      "--before-sync, --after-sync, --before-fence, --after-fence and "
				      "--at-mark");
	if (options->wait && !events)
		return cli_usage(cli, "--wait requires an event to wait for, such as --before-sync 1");
	cli_put(request, "at_mark", options->at_mark);
	cli_put(request, "pattern", options->path);
	cli_put_true(request, "kill", options->kill);
	return CLI_OK;
}

static int run(struct cli *cli, const void *values)
{
	const struct powerfail_options *options = values;
	CLEANUP_JSON struct json_object *pools = json_object_new_array();
	CLEANUP_JSON struct json_object *operations = json_object_new_array();
	struct items items = { .pools = pools, .operations = operations };
	CLEANUP_JSON struct json_object *request = cli_request("powerfail");
	CLEANUP_JSON struct json_object *report = NULL;
	uint64_t seed = 0;
	char *end;
	int status;

	if (!pools || !operations || !request)
		return cli_fail(cli, "out of memory");
	if (options->seed && !options->lose_only &&
	    (!options->policy || strcmp(options->policy, "random") != 0))
		return cli_usage(cli, "--seed requires --policy random");
	if (options->seed) {
		errno = 0;
		seed = strtoull(options->seed, &end, 0);
		if (!isdigit((unsigned char)*options->seed) || *end || errno)
			return cli_usage(cli, "--seed '%s': write a number from 0 to 2^64-1", options->seed);
		control_put_u64(request, "seed", seed);
	}
	cli_put(request, "policy", options->policy);
	cli_put(request, "metadata", options->metadata);
	cli_put(request, "lose_only", options->lose_only);
	status = put_moment(cli, options, request);
	if (status != CLI_OK)
		return status;
	status = cli_ask(cli, request, collect, &items, &report);
	if (status != CLI_OK)
		return status;
	if (options->json) {
		json_object_object_add(report, "pools", json_object_get(pools));
		json_object_object_add(report, "operations", json_object_get(operations));
		output_object(report);
	} else {
		print_report(report, &items);
	}
	return CLI_OK;
}

const struct cli_verb cli_powerfail = {
	.name = "powerfail",
	.summary = "Emulate a power failure",
	.arguments = "",
	.options = options_table,
	.options_bytes = sizeof(struct powerfail_options),
	.run = run,
};
