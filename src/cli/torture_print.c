/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/torture_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/output.h"
#include "common/cleanup.h"
#include "wire/frame.h"
#include "wire/text.h"

#define LOST_MOST 20u

/* ---- Text ----------------------------------------------------------------------------------- */

static void print_safe(const char *text, const char *end)
{
	CLEANUP_FREE char *safe = text_printable(text);

	printf("%s%s", safe ? safe : "?", end);
}

/* A word of a shell command. */
static void print_quoted(const char *word)
{
	putchar('\'');
	for (; *word; word++)
		if (*word == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*word);
	putchar('\'');
}

static void print_option(const char *option, const char *value)
{
	if (!value)
		return;
	printf(" --%s ", option);
	print_quoted(value);
}

static void print_replay(const struct torture_finding *finding, const struct torture_settings *settings)
{
	const struct torture_cut *cut = &finding->cut;

	fputs("softpmem torture", stdout);
	print_option("setup", settings->setup);
	print_option("workload", settings->workload);
	print_option("check", settings->check);
	if (settings->size != TORTURE_SIZE_DEFAULT)
		printf(" --size %" PRIu64, settings->size);
	if (settings->mode)
		printf(" --mode %s", settings->mode);
	if (cut->operation)
		printf(" --only %" PRIu64, cut->operation);
	else if (cut->fence)
		printf(" --only %s-fence:%" PRIu64, cut->after ? "after" : "before", cut->fence);
	else
		fputs(" --only end", stdout);
	printf(" --policy %s", cut->policy);
	if (strcmp(cut->policy, "random") == 0 || cut->lose_only)
		printf(" --seed %" PRIu64, cut->seed);
	printf(" --metadata %s", cut->mode);
	if (settings->auto_da_alloc)
		fputs(" --auto-da-alloc", stdout);
	if (cut->lose_only)
		printf(" --lose-only %s", cut->lose_only);
	putchar('\n');
}

static void print_lost(const struct torture_lost *lost)
{
	if (lost->operation) {
		printf("  lost: %s of ", lost->operation);
		output_name(*lost->path ? lost->path : "a file without a name", "");
		if (lost->to_path) {
			fputs(" to ", stdout);
			output_name(lost->to_path, "");
		}
		putchar('\n');
		return;
	}
	printf("  lost: %" PRIu64 " %s of ", lost->lines, lost->lines == 1 ? "line" : "lines");
	output_name(*lost->path ? lost->path : "a file without a name", "");
	if (lost->size_before != lost->size_after)
		printf(", whose size went from %" PRIu64 " to %" PRIu64, lost->size_before, lost->size_after);
	putchar('\n');
}

/* The finding is reduced: modes that lose less than this one pass. */
static const char *mode_text(const char *mode)
{
	if (strcmp(mode, "durable") == 0)
		return "fails even if names are durable at once (metadata mode durable)";
	if (strcmp(mode, "ordered") == 0)
		return "fails on file systems such as ext4 and xfs (metadata mode ordered)";
	return "fails only by the letter of POSIX (metadata mode strict)";
}

static void print_finding(const struct torture_finding *finding, const struct torture_settings *settings,
			  size_t number)
{
	const struct torture_outcome *outcome = &finding->outcome;
	char verdict[128];

	torture_verdict_text(&outcome->verdict, settings->timeout_ms, verdict, sizeof(verdict));
	printf("\nfinding %zu: the check %s (%" PRIu64 " %s)\n", number, verdict, finding->failures,
	       finding->failures == 1 ? "time" : "times");
	if (finding->cut.operation) {
		printf("  power fails right before operation %" PRIu64 ": %s of ", finding->cut.operation,
		       outcome->operation ? outcome->operation : "?");
		output_name(outcome->path && *outcome->path ? outcome->path : "a file without a name", "\n");
	} else if (finding->cut.fence) {
		printf("  power fails right %s fence %" PRIu64 " of the program\n",
		       finding->cut.after ? "after" : "before", finding->cut.fence);
	} else {
		puts("  power fails after the workload has ended");
	}
	for (size_t i = 0; i < outcome->lost.count && i < LOST_MOST; i++)
		print_lost(&outcome->lost.items[i]);
	if (outcome->lost.count > LOST_MOST)
		printf("  and %zu more files: see --json\n", outcome->lost.count - LOST_MOST);
	if (!outcome->lost.count)
		puts("  nothing was lost: the check fails on what the files had at that moment");
	printf("  %s\n", mode_text(finding->cut.mode));
	if (*outcome->last_acknowledged) {
		fputs("  the last line that the workload had printed: ", stdout);
		print_safe(outcome->last_acknowledged, "\n");
	}
	if (*outcome->verdict.output.text) {
		fputs("  the check printed: ", stdout);
		print_safe(outcome->verdict.output.text, "\n");
	}
	fputs("  replay: ", stdout);
	print_replay(finding, settings);
}

static void print_uncut(const struct torture_campaign *campaign, const struct torture_settings *settings)
{
	const struct torture_outcome *uncut = &campaign->uncut;
	const bool check = uncut->result == TORTURE_FAILED;
	char verdict[128];

	torture_verdict_text(&uncut->verdict, settings->timeout_ms, verdict, sizeof(verdict));
	printf("the %s %s without a power failure: nothing was tried\n", check ? "check" : "workload",
	       verdict);
	if (*uncut->verdict.output.text) {
		fputs("it printed: ", stdout);
		print_safe(uncut->verdict.output.text, "\n");
	}
}

static void print_text(const struct torture_campaign *campaign, const struct torture_settings *settings)
{
	const struct torture_findings *findings = &campaign->findings;
	const double seconds = (double)campaign->milliseconds / 1000;

	if (campaign->uncut.result != TORTURE_PASSED) {
		print_uncut(campaign, settings);
		return;
	}
	fputs(output_count(campaign->events.count, "operation", NULL), stdout);
	if (campaign->events.fence_count)
		printf(" and %s", output_count(campaign->events.fence_count, "fence", NULL));
	printf(", at %s\n", output_count(campaign->kinds, "kind of place", "kinds of places"));
	if (campaign->fences < campaign->events.fence_count)
		printf("power fails at %" PRIu64 " of the fences\n", campaign->fences);
	if (campaign->events.fences_omitted)
		puts("later fences were not counted: power did not fail there");
	if (campaign->events.omitted)
		printf("%s not listed: power did not fail there\n",
		       output_count(campaign->events.omitted, "later operation was",
				    "later operations were"));
	printf("%s in %.1f s (%.1f/s): the check failed after %" PRIu64 "\n",
	       output_count(campaign->runs, "power failure", NULL), seconds,
	       seconds > 0 ? (double)campaign->runs / seconds : 0, findings->failures);
	if (campaign->not_reached)
		printf("%s: %s\n",
		       output_count(campaign->not_reached, "run ended before its operation or fence",
				    "runs ended before their operation or fence"),
		       campaign->runs ? "the workload varies from run to run" :
					"the workload has no such one");
	if (campaign->hung)
		printf("%s in %u s\n",
		       output_count(campaign->hung, "run neither ended nor came to its operation or fence",
				    "runs neither ended nor came to their operation or fence"),
		       settings->timeout_ms / 1000);
	if (campaign->workload_failed)
		printf("%s failed without a power failure\n",
		       output_count(campaign->workload_failed, "run", NULL));
	if (findings->unreproduced)
		printf("%s not reported, because the check did not fail again\n",
		       output_count(findings->unreproduced, "failure is", "failures are"));
	if (findings->unexamined)
		printf("%s not looked into\n",
		       output_count(findings->unexamined, "failure of a further kind was",
				    "failures of further kinds were"));
	if (campaign->interrupted)
		puts("a signal ended the campaign");
	for (size_t i = 0; i < findings->items.count; i++)
		print_finding(&findings->items.items[i], settings, i + 1);
	if (!findings->items.count)
		puts(campaign->runs ? "no finding" : "nothing was tried");
}

/* ---- JSON ------------------------------------------------------------------------------------- */

static void put_text(struct json_object *object, const char *key, const char *text)
{
	CLEANUP_FREE char *utf8 = NULL;
	bool changed;

	utf8 = text_utf8(text ? text : "", &changed);
	control_put_string(object, key, utf8 ? utf8 : "");
}

static struct json_object *lost_json(const struct torture_outcome *outcome)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < outcome->lost.count; i++) {
		const struct torture_lost *lost = &outcome->lost.items[i];
		struct json_object *object = json_object_new_object();

		put_text(object, "path", lost->path);
		if (lost->operation) {
			control_put_string(object, "operation", lost->operation);
			if (lost->to_path)
				put_text(object, "to_path", lost->to_path);
		} else {
			control_put_u64(object, "lines", lost->lines);
			control_put_u64(object, "size_before", lost->size_before);
			control_put_u64(object, "size_after", lost->size_after);
		}
		json_object_array_add(array, object);
	}
	return array;
}

static void put_verdict(struct json_object *object, const struct torture_outcome *outcome,
			const struct torture_settings *settings)
{
	char verdict[128];

	torture_verdict_text(&outcome->verdict, settings->timeout_ms, verdict, sizeof(verdict));
	control_put_string(object, "verdict", verdict);
	put_text(object, "output", outcome->verdict.output.text);
}

static struct json_object *finding_json(const struct torture_finding *finding,
					const struct torture_settings *settings)
{
	struct json_object *object = json_object_new_object();
	const struct torture_cut *cut = &finding->cut;

	put_verdict(object, &finding->outcome, settings);
	control_put_u64(object, "failures", finding->failures);
	/* 0: at the end of the workload, or at a fence. */
	control_put_u64(object, "before_operation", cut->operation);
	if (cut->fence)
		control_put_u64(object, cut->after ? "after_fence" : "before_fence", cut->fence);
	put_text(object, "operation", finding->outcome.operation);
	put_text(object, "path", finding->outcome.path);
	control_put_string(object, "policy", cut->policy);
	if (strcmp(cut->policy, "random") == 0 || cut->lose_only)
		control_put_u64(object, "seed", cut->seed);
	control_put_string(object, "metadata", cut->mode);
	if (cut->lose_only)
		control_put_string(object, "lose_only", cut->lose_only);
	json_object_object_add(object, "lost", lost_json(&finding->outcome));
	put_text(object, "last_acknowledged", finding->outcome.last_acknowledged);
	return object;
}

static void print_json(const struct torture_campaign *campaign, const struct torture_settings *settings)
{
	static const char *const uncut[] = {
		[TORTURE_PASSED] = "passed",
		[TORTURE_FAILED] = "check failed",
		[TORTURE_WORKLOAD_HUNG] = "workload hung",
		[TORTURE_WORKLOAD_FAILED] = "workload failed",
		[TORTURE_NOT_REACHED] = "workload failed",
	};
	const struct torture_findings *findings = &campaign->findings;
	struct json_object *object = json_object_new_object(), *array = json_object_new_array();

	control_put_string(object, "without_power_failure", uncut[campaign->uncut.result]);
	if (campaign->uncut.result != TORTURE_PASSED)
		put_verdict(object, &campaign->uncut, settings);
	control_put_u64(object, "operations", campaign->events.count);
	control_put_u64(object, "operations_omitted", campaign->events.omitted);
	control_put_u64(object, "fences", campaign->events.fence_count);
	control_put_bool(object, "fences_omitted", campaign->events.fences_omitted);
	control_put_u64(object, "fences_tried", campaign->fences);
	control_put_u64(object, "kinds", campaign->kinds);
	control_put_u64(object, "power_failures", campaign->runs);
	control_put_u64(object, "failures", findings->failures);
	control_put_u64(object, "not_reproduced", findings->unreproduced);
	control_put_u64(object, "not_examined", findings->unexamined);
	control_put_u64(object, "not_reached", campaign->not_reached);
	control_put_u64(object, "workload_hung", campaign->hung);
	control_put_u64(object, "workload_failed", campaign->workload_failed);
	control_put_u64(object, "milliseconds", campaign->milliseconds);
	control_put_bool(object, "interrupted", campaign->interrupted);
	for (size_t i = 0; i < findings->items.count; i++)
		json_object_array_add(array, finding_json(&findings->items.items[i], settings));
	json_object_object_add(object, "findings", array);
	output_object(object);
	json_object_put(object);
}

void torture_print(const struct torture_campaign *campaign, const struct torture_settings *settings,
		   bool json)
{
	if (json)
		print_json(campaign, settings);
	else
		print_text(campaign, settings);
}
