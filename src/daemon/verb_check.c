/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "common/vector.h"
#include "daemon/verbs.h"
#include "regions/checkreport.h"
#include "wire/frame.h"

struct check_request {
	const char *region;
};

static const struct request_field fields[] = {
	REQUEST_FIELD("region", REQUEST_STRING, struct check_request, region),
	REQUEST_FIELDS_END,
};

/* The findings of one pass over a region. */
struct findings {
	struct job *job;
	VECTOR_FIELDS(struct pools_problem);
	bool overflow; /* there was not enough memory for all problems */
};

static void note_problem(void *context, const struct pools_problem *problem)
{
	struct findings *findings = context;

	if (vector_append(findings, *problem) < 0)
		findings->overflow = true;
}

static void check_progress(void *context, const char *what, uint64_t done, uint64_t total)
{
	struct findings *findings = context;

	reply_progress(findings->job->reply, what, done, total);
}

static int pass(struct job *job, const struct served_region *region, struct findings *findings,
		struct pools_check_result *result)
{
	struct pools_check_options options = { .problem = note_problem,
					       .progress = check_progress,
					       .context = findings };
	int error;

	*findings = (struct findings){ .job = job };
	error = pools_check(region->region, &options, result, &job->message);
	return findings->overflow ? job_fail(job, -ENOMEM, "check") : error;
}

static bool is_among(const struct findings *findings, const struct pools_problem *problem)
{
	for (size_t i = 0; i < findings->count; i++)
		if (findings->items[i].kind == problem->kind &&
		    findings->items[i].offset == problem->offset &&
		    strcmp(findings->items[i].text, problem->text) == 0)
			return true;
	return false;
}

/* Send the problems that both passes found, and count them. */
static void send_problems(struct job *job, const struct served_region *region, const struct findings *first,
			  const struct findings *second, struct pools_check_result *result)
{
	uint64_t counts[] = { [POOLS_LEFTOVER] = 0, [POOLS_REDUNDANT] = 0, [POOLS_DAMAGE] = 0 };

	for (size_t i = 0; i < second->count; i++) {
		struct json_object *item;

		if (!is_among(first, &second->items[i]))
			continue;
		counts[second->items[i].kind]++;
		item = checkreport_problem(&second->items[i]);
		if (item)
			job_put_region(job, region, item);
		reply_item(job->reply, item);
	}
	result->leftovers = counts[POOLS_LEFTOVER];
	result->redundant = counts[POOLS_REDUNDANT];
	result->damaged = counts[POOLS_DAMAGE];
}

/*
 * The metadata changes while it is read, and a half-written entry looks like a damaged one. So only a
 * problem that two passes find in the same place is reported.
 */
static int check_region(struct job *job, const struct served_region *region, struct json_object **report)
{
	struct findings first, second = { 0 };
	struct pools_check_result result;
	int error = pass(job, region, &first, &result);

	if ((error == 0 || error == -EUCLEAN) && first.count)
		error = pass(job, region, &second, &result);
	if (region_failed(region->region))
		error = region_failure(region->region, &job->message);
	if (error == 0 || error == -EUCLEAN) {
		send_problems(job, region, &first, &second, &result);
		*report = checkreport_result(region->spec, &result);
		error = 0;
		if (result.damaged)
			error = message_fail(&job->message, -EUCLEAN,
					     "region %s: damaged in %llu places: stop the daemon, "
					     "then save what is there with softpmemd --read-only",
					     region->spec, (unsigned long long)result.damaged);
	}
	vector_free(&first);
	vector_free(&second);
	return error;
}

/* Check one region, or all (NULL), and report on each. The message is that of the last region that failed. */
static int check_regions(struct job *job, const struct served_region *only)
{
	struct json_object *reports = json_object_new_array();
	int result = 0;

	job->result = json_object_new_object();
	if (!reports || !job->result || json_object_object_add(job->result, "regions", reports) != 0)
		return job_fail(job, -ENOMEM, "check");
	for (unsigned i = 0; i < job->daemon->region_count; i++) {
		const struct served_region *region = &job->daemon->regions[i];
		struct json_object *report = NULL;
		int error = only && region != only ? 0 : check_region(job, region, &report);

		if (report) {
			control_put_string(report, "name", region->name);
			json_object_array_add(reports, report);
		}
		result = error ? error : result;
	}
	return result;
}

static int run(struct job *job)
{
	const struct check_request *request = job->request;
	int error = job_region(job, request->region);

	if (error)
		return error;
	return check_regions(job, job->region);
}

const struct verb verb_check = {
	.name = "check",
	.fields = fields,
	.request_bytes = sizeof(struct check_request),
	.run = run,
};
