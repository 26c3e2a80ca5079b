/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/torture_findings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/torture_plan.h"
#include "cli/torture_reduce.h"
#include "common/cleanup.h"

#define GROUPS_MAX 200u
/* A workload with threads does not come to the same state each time. */
#define REPEATS_MAX 3

void torture_findings_init(struct torture_findings *findings)
{
	*findings = (struct torture_findings){ 0 };
	pthread_mutex_init(&findings->lock, NULL);
}

void torture_findings_destroy(struct torture_findings *findings)
{
	for (size_t i = 0; i < findings->items.count; i++) {
		torture_outcome_clear(&findings->items.items[i].outcome);
		free(findings->items.items[i].cut.lose_only);
		free(findings->items.items[i].group);
	}
	for (size_t i = 0; i < findings->groups.count; i++)
		free(findings->groups.items[i].name);
	vector_free(&findings->items);
	vector_free(&findings->groups);
	pthread_mutex_destroy(&findings->lock);
}

/* ---- Groups --------------------------------------------------------------------------------- */

static int by_text(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

/* "/wal.#", or "rename /tmp.#" of an operation. For the caller to free. */
static char *lost_pattern(const struct torture_lost *lost)
{
	CLEANUP_FREE char *path = torture_pattern(lost->path);
	char *pattern;

	if (!path || asprintf(&pattern, "%s%s%s", lost->operation ? lost->operation : "",
			      lost->operation ? " " : "", path) < 0)
		return NULL;
	return pattern;
}

/* The patterns of what was lost, each once. For the caller to free. */
static char *lost_patterns(const struct torture_outcome *outcome)
{
	CLEANUP_FREE char **patterns = calloc(outcome->lost.count + 1, sizeof(*patterns));
	size_t length = 1, count = 0;
	char *text = NULL;

	for (; patterns && count < outcome->lost.count; count++) {
		patterns[count] = lost_pattern(&outcome->lost.items[count]);
		if (!patterns[count])
			break;
		length += strlen(patterns[count]) + 1;
	}
	if (patterns && count == outcome->lost.count)
		text = calloc(1, length);
	if (text)
		qsort(patterns, count, sizeof(*patterns), by_text);
	for (size_t i = 0; text && i < count; i++)
		if (i == 0 || strcmp(patterns[i - 1], patterns[i]) != 0)
			strcat(strcat(text, " "), patterns[i]);
	for (size_t i = 0; i < count; i++)
		free(patterns[i]);
	return text;
}

static char *group_name(const struct torture_outcome *outcome)
{
	CLEANUP_FREE char *path = torture_pattern(outcome->path ? outcome->path : "");
	CLEANUP_FREE char *lost = lost_patterns(outcome);
	char *name;

	if (!path || !lost ||
	    asprintf(&name, "%s %s:%s", outcome->operation ? outcome->operation : "end", path, lost) < 0)
		return NULL;
	return name;
}

/* The lock is held. Takes the name over. SIZE_MAX without memory. */
static size_t find_group(struct torture_findings *findings, char *name)
{
	for (size_t i = 0; i < findings->groups.count; i++)
		if (strcmp(findings->groups.items[i].name, name) == 0) {
			free(name);
			return i;
		}
	if (vector_append(&findings->groups,
			  (struct torture_group){ .name = name, .finding = SIZE_MAX }) < 0) {
		free(name);
		return SIZE_MAX;
	}
	return findings->groups.count - 1;
}

/* True: the caller is to investigate it. */
static bool count_failure(struct torture_findings *findings, size_t *group, char *name)
{
	LOCK_SCOPE(&findings->lock);
	struct torture_group *one;
	bool is_first;

	findings->failures++;
	*group = find_group(findings, name);
	if (*group == SIZE_MAX)
		return false;
	one = &findings->groups.items[*group];
	is_first = one->failures++ == 0;
	return is_first && findings->groups.count <= GROUPS_MAX;
}

/* ---- Investigation ---------------------------------------------------------------------------- */

/* The lock is not held. Takes over the outcome and cut->lose_only. */
static int add_finding(struct torture_findings *findings, size_t group, struct torture_cut *cut,
		       struct torture_outcome *outcome)
{
	struct torture_finding finding = { .cut = *cut, .outcome = *outcome, .group = group_name(outcome) };
	LOCK_SCOPE(&findings->lock);
	size_t at = 0;

	if (!finding.group)
		return -ENOMEM;
	while (at < findings->items.count && strcmp(findings->items.items[at].group, finding.group) != 0)
		at++;
	findings->groups.items[group].finding = at;
	if (at == findings->items.count) {
		if (vector_append(&findings->items, finding) == 0) {
			*outcome = (struct torture_outcome){ 0 };
			cut->lose_only = NULL;
			return 0;
		}
		findings->groups.items[group].finding = SIZE_MAX;
	}
	free(finding.group);
	return 0;
}

static int investigate(struct torture_findings *findings, struct torture_job *job, size_t group,
		       const struct torture_cut *cut, struct message *message)
{
	struct torture_outcome outcome = { 0 };
	struct torture_cut reduced = *cut;
	int failed = torture_reduce_repeat(job, cut, REPEATS_MAX, &outcome, message), error = 0;

	reduced.lose_only = cut->lose_only ? strdup(cut->lose_only) : NULL;
	if (failed == 1)
		error = torture_reduce(job, &reduced, &outcome, message);
	if (failed == 1) {
		int result = add_finding(findings, group, &reduced, &outcome);

		if (!error && result)
			error = message_fail(message, result, "out of memory");
	}
	torture_outcome_clear(&outcome);
	free(reduced.lose_only);
	if (failed >= 0) {
		LOCK_SCOPE(&findings->lock);

		findings->groups.items[group].investigated = true;
	}
	return failed < 0 ? failed : error;
}

int torture_findings_add(struct torture_findings *findings, struct torture_job *job,
			 const struct torture_cut *cut, struct torture_outcome *outcome,
			 struct message *message)
{
	char *name = group_name(outcome);
	size_t group;

	if (!name)
		return message_fail(message, -ENOMEM, "out of memory");
	if (!count_failure(findings, &group, name))
		return 0;
	return investigate(findings, job, group, cut, message);
}

void torture_findings_finish(struct torture_findings *findings)
{
	LOCK_SCOPE(&findings->lock);

	for (size_t i = 0; i < findings->groups.count; i++) {
		const struct torture_group *group = &findings->groups.items[i];

		if (group->finding != SIZE_MAX)
			findings->items.items[group->finding].failures += group->failures;
		else if (group->investigated)
			findings->unreproduced += group->failures;
		else
			findings->unexamined += group->failures;
	}
}
