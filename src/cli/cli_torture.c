/* SPDX-License-Identifier: BSD-3-Clause */
#include <limits.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/torture_print.h"
#include "common/processors.h"
#include "common/size.h"

struct torture_cli_options {
	const char *workload, *check, *setup, *jobs, *time, *runs, *seed, *timeout, *size, *policy, *mode,
		*metadata, *only, *lose_only;
	bool auto_da_alloc, json;
};

/* A signal ended the campaign, and nothing was found: as a shell reports a program that Ctrl-C ended. */
#define INTERRUPTED 130

/* softpmemd makes no smaller region. */
#define SIZE_MIN (2u << 20)

static const struct command_option options_table[] = {
	COMMAND_VALUE(struct torture_cli_options, workload, "workload", "CMD",
		      "the program to be cut, for sh -c, in the mount"),
	COMMAND_VALUE(struct torture_cli_options, check, "check", "CMD",
		      "recovers after a cut; fails if something is wrong"),
	COMMAND_VALUE(struct torture_cli_options, setup, "setup", "CMD",
		      "makes the files that each run begins with"),
	COMMAND_VALUE(struct torture_cli_options, jobs, "jobs", "N",
		      "run N at once; default: a processor each"),
	COMMAND_VALUE(struct torture_cli_options, time, "time", "SECONDS", "start no run after this time"),
	COMMAND_VALUE(struct torture_cli_options, runs, "runs", "N", "let the power fail N times"),
	COMMAND_VALUE(struct torture_cli_options, seed, "seed", "N", "of the first random cut; default 1"),
	COMMAND_VALUE(struct torture_cli_options, timeout, "timeout", "SECONDS",
		      "of each command; default 30"),
	COMMAND_VALUE(struct torture_cli_options, size, "size", "SIZE", "of the region; default 64M"),
	COMMAND_CHOICE(struct torture_cli_options, policy, "policy", "POLICY", "lose keep random",
		       "only this one; default: all"),
	COMMAND_CHOICE(struct torture_cli_options, mode, "mode", "MODE", COMMAND_MODE_CHOICES,
		       "how writes tear; default: fsdax"),
	COMMAND_CHOICE(struct torture_cli_options, metadata, "metadata", "MODE", "durable ordered strict",
		       "only this one; default: ordered and strict"),
	COMMAND_SWITCH(struct torture_cli_options, auto_da_alloc, "auto-da-alloc",
		       "as ext4: a rename over a file keeps the bytes"),
	COMMAND_VALUE(struct torture_cli_options, only, "only", "N",
		      "before operation N, 'end', before-fence:N, after-fence:N"),
	COMMAND_VALUE(struct torture_cli_options, lose_only, "lose-only", "SET",
		      "with --only: lose no more than a finding did"),
	COMMAND_SWITCH(struct torture_cli_options, json, "json", "print the result as JSON"),
	{ .name = NULL },
};

static int parse_only(const struct cli *cli, const char *text, struct torture_cut *only)
{
	static const char before[] = "before-fence:", after[] = "after-fence:";

	if (strcmp(text, "end") == 0)
		return 0;
	only->after = strncmp(text, after, strlen(after)) == 0;
	if (only->after || strncmp(text, before, strlen(before)) == 0)
		return cli_whole_number(cli, "only", strchr(text, ':') + 1, 1, UINT64_MAX, &only->fence);
	if (*text < '0' || *text > '9')
		return cli_usage(cli, "--only '%s': write the number of an operation, end, before-fence:N or "
				      "after-fence:N",
				 text);
	return cli_whole_number(cli, "only", text, 1, UINT64_MAX, &only->operation);
}

static int parse_options(const struct cli *cli, const struct torture_cli_options *given,
			 struct torture_settings *settings, struct torture_cut *only)
{
	uint64_t seconds = 0, timeout = TORTURE_TIMEOUT_DEFAULT, jobs = processors_usable();
	int status;

	*settings = (struct torture_settings){ .workload = given->workload,
					       .check = given->check,
					       .setup = given->setup,
					       .size = TORTURE_SIZE_DEFAULT,
					       .seed = TORTURE_SEED_DEFAULT,
					       .policy = given->policy,
					       .mode = given->mode,
					       .metadata = given->metadata,
					       .auto_da_alloc = given->auto_da_alloc };
	if (!given->workload || !given->check)
		return cli_usage(cli, "--workload and --check are required");
	if (given->auto_da_alloc && given->metadata && strcmp(given->metadata, "strict") == 0)
		return cli_usage(cli, "--auto-da-alloc: POSIX does not promise it: give --metadata ordered");
	if (given->size && (size_parse(given->size, &settings->size) < 0 || settings->size < SIZE_MIN))
		return cli_usage(cli, "--size '%s': write a size such as 64M, at least 2M", given->size);
	status = cli_whole_number(cli, "time", given->time, 1, UINT_MAX, &seconds);
	if (!status)
		status = cli_whole_number(cli, "timeout", given->timeout, 1, 86400, &timeout);
	if (!status)
		status = cli_whole_number(cli, "jobs", given->jobs, 1, 1024, &jobs);
	if (!status)
		status = cli_whole_number(cli, "runs", given->runs, 1, UINT64_MAX - 1, &settings->runs);
	if (!status)
		status = cli_whole_number(cli, "seed", given->seed, 0, UINT64_MAX, &settings->seed);
	if (!status && given->only)
		status = parse_only(cli, given->only, only);
	if (!status && given->lose_only && !given->only)
		status = cli_usage(cli, "--lose-only requires --only: it is a part of one finding");
	settings->seconds = (unsigned)seconds;
	settings->timeout_ms = (unsigned)timeout * 1000;
	settings->jobs = given->only && !given->runs && !given->time ? 1 : (unsigned)jobs;
	only->policy = given->policy ? given->policy : "lose";
	only->mode = given->metadata ? given->metadata : torture_mode_most(settings);
	only->seed = settings->seed;
	only->lose_only = (char *)given->lose_only;
	return status;
}

static int conclude(const struct torture_campaign *campaign)
{
	if (campaign->findings.items.count)
		return CLI_FAILED;
	if (campaign->interrupted)
		return INTERRUPTED;
	/* Nothing can be said of a moment that never came. */
	if (campaign->uncut.result != TORTURE_PASSED || !campaign->runs)
		return CLI_USAGE;
	return CLI_OK;
}

static int run(struct cli *cli, const void *values)
{
	const struct torture_cli_options *given = values;
	struct torture_settings settings;
	struct torture_campaign campaign;
	struct torture_cut only = { 0 };
	struct message message = { "" };
	int status = parse_options(cli, given, &settings, &only), error;

	if (status)
		return status;
	torture_campaign_init(&campaign);
	error = torture_campaign_run(&campaign, &settings, given->only ? &only : NULL, &message);
	/* What was found before an error is found. */
	if (!error || campaign.runs)
		torture_print(&campaign, &settings, given->json);
	status = conclude(&campaign);
	if (error && !campaign.interrupted) {
		cli_fail(cli, message.text);
		/* It could not be run, which is no finding. */
		status = campaign.findings.items.count ? CLI_FAILED : CLI_USAGE;
	}
	torture_campaign_destroy(&campaign);
	return status;
}

const struct cli_verb cli_torture = {
	.name = "torture",
	.summary = "Let the power fail at each moment of a workload",
	.arguments = "",
	.options = options_table,
	.options_bytes = sizeof(struct torture_cli_options),
	.run = run,
};
