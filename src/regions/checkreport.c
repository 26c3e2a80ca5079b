/* SPDX-License-Identifier: BSD-3-Clause */
#include "regions/checkreport.h"

#include "wire/frame.h"

static const char *const kinds[] = {
	[POOLS_LEFTOVER] = "leftover",
	[POOLS_REDUNDANT] = "redundant",
	[POOLS_DAMAGE] = "damage",
};

struct json_object *checkreport_problem(const struct pools_problem *problem)
{
	struct json_object *item = json_object_new_object();

	if (item) {
		control_put_string(item, "kind", kinds[problem->kind]);
		control_put_u64(item, "offset", problem->offset);
		control_put_string(item, "text", problem->text);
	}
	return item;
}

struct json_object *checkreport_result(const char *region, const struct pools_check_result *result)
{
	struct json_object *object = json_object_new_object();

	if (object) {
		control_put_string(object, "region", region);
		control_put_u64(object, "entries", result->entries);
		control_put_u64(object, "files", result->files);
		control_put_u64(object, "directories", result->directories);
		control_put_u64(object, "names", result->names);
		control_put_u64(object, "used", result->used);
		control_put_u64(object, "leftovers", result->leftovers);
		control_put_u64(object, "redundant", result->redundant);
		control_put_u64(object, "damaged", result->damaged);
	}
	return object;
}
