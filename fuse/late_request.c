/* SPDX-License-Identifier: BSD-3-Clause */
#include "late_request.h"

#include <errno.h>
#include <stdlib.h>

#include "deferral.h"

void *fusefs_late_request(fuse_req_t request, size_t size,
			  void (*run)(struct fusefs *fs, struct late_work *work, bool kernel_answers))
{
	struct late_request *late = calloc(1, size);

	if (!late) {
		fuse_reply_err(request, ENOMEM);
		return NULL;
	}
	late->work.run = run;
	late->request = request;
	late->token = fusefs_defer_reply();
	return late;
}

void fusefs_late_request_end(struct late_request *late)
{
	fusefs_gate_leave(&late->token);
	free(late);
}
