/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_CHECKREPORT_H
#define SRC_CHECKREPORT_H

/* The findings of a check as JSON, for the daemon and for regions that no daemon serves. */

#include <json-c/json.h>

#include "pool/pool.h"

/* NULL without memory. */
struct json_object *checkreport_problem(const struct pools_problem *problem);
struct json_object *checkreport_result(const char *region, const struct pools_check_result *result);

#endif
