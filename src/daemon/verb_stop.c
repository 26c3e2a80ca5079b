/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/verbs.h"

static int run(struct job *job)
{
	log_line(&job->daemon->log, LOG_NOTICE, "pid %d asks for the end", (int)job->peer->pid);
	job->stops = true;
	return 0;
}

static const struct request_field fields[] = { REQUEST_FIELDS_END };

const struct verb verb_stop = { .name = "stop", .fields = fields, .run = run };
