/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/verbs.h"
#include "wire/frame.h"

/* The members that describe a region. */
static void put_region(struct json_object *object, const struct daemon *daemon,
		       const struct served_region *served)
{
	struct pools_info info;
	struct message why;
	bool failed = region_failure(served->region, &why);

	pools_info(served->pools, &info);
	control_put_string(object, "name", served->name);
	control_put_string(object, "region", served->spec);
	control_put_string(object, "state", failed ? "failed" : "active");
	if (failed)
		control_put_string(object, "reason", why.text);
	job_put_uuid(object, info.uuid);
	control_put_string(object, "label", info.label);
	control_put_u64(object, "size", info.size);
	control_put_u64(object, "available_size", info.free);
	control_put_u64(object, "volatile_size", info.volatile_bytes);
	control_put_string(object, "memory_type", region_memory_type(served->region));
	control_put_string(object, "persistence_domain", persistence_domain_name(info.domain));
	job_put_mode(object, info.mode);
	control_put_string(object, "metadata", metadata_mode_name(info.metadata));
	control_put_u64(object, "own_metadata", info.own_metadata);
	control_put_bool(object, "auto_da_alloc", daemon->options.auto_da_alloc);
	control_put_bool(object, "read_only", info.read_only);
	control_put_u64(object, "generation", info.generation);
	control_put_u64(object, "dirty_shutdowns", info.dirty_shutdowns);
	control_put_u64(object, "pools", info.pools);
	control_put_u64(object, "directories", info.directories);
	control_put_u64(object, "created", (uint64_t)info.created);
}

/* "active", "degraded" (some have failed) or "failed" */
static const char *state_of_all(const struct daemon *daemon)
{
	unsigned failed = 0;

	for (unsigned i = 0; i < daemon->region_count; i++)
		failed += region_failed(daemon->regions[i].region);
	if (!failed)
		return "active";
	return failed == daemon->region_count ? "failed" : "degraded";
}

static int run(struct job *job)
{
	struct daemon *daemon = job->daemon;
	CLEANUP_JSON struct json_object *regions = json_object_new_array();
	struct json_object *result = json_object_new_object();
	char mark[REQUEST_MARK_MAX + 1];

	job->result = result;
	if (!result || !regions)
		return job_fail(job, -ENOMEM, "status");
	for (unsigned i = 0; i < daemon->region_count; i++) {
		struct json_object *object = json_object_new_object();

		if (!object || json_object_array_add(regions, object) != 0)
			return job_fail(job, -ENOMEM, "status");
		put_region(object, daemon, &daemon->regions[i]);
	}
	control_put_string(result, "state", state_of_all(daemon));
	daemon_last_mark(daemon, mark);
	json_object_object_add(result, "regions", steal_pointer(&regions));
	if (daemon->mountpoint)
		control_put_string(result, "mount", daemon->mountpoint);
	control_put_string(result, "mark", mark);
	control_put_bool(result, "awaits_event", moment_is_awaited(daemon));
	control_put_u64(result, "pid", (uint64_t)getpid());
	control_put_string(result, "version", PACKAGE_VERSION);
	return 0;
}

static const struct request_field fields[] = { REQUEST_FIELDS_END };

const struct verb verb_status = { .name = "status", .fields = fields, .run = run };
