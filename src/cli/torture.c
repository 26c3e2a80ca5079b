/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/torture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

const char *const torture_modes[] = { "durable", "ordered", "strict", NULL };

const char *torture_mode_most(const struct torture_settings *settings)
{
	return settings->auto_da_alloc ? torture_modes[1] : torture_modes[2];
}

void torture_outcome_clear(struct torture_outcome *outcome)
{
	for (size_t i = 0; i < outcome->lost.count; i++) {
		free(outcome->lost.items[i].operation);
		free(outcome->lost.items[i].path);
		free(outcome->lost.items[i].to_path);
	}
	vector_free(&outcome->lost);
	free(outcome->operation);
	free(outcome->path);
	*outcome = (struct torture_outcome){ 0 };
}

void torture_verdict_text(const struct torture_verdict *verdict, unsigned timeout_ms, char *text, size_t size)
{
	if (verdict->timed_out)
		snprintf(text, size, "did not end in %u s", timeout_ms / 1000);
	else if (verdict->status < 0)
		snprintf(text, size, "killed its parent process");
	else if (WIFSIGNALED(verdict->status))
		snprintf(text, size, "was killed by SIG%s", sigabbrev_np(WTERMSIG(verdict->status)));
	else if (WEXITSTATUS(verdict->status))
		snprintf(text, size, "failed with status %d", WEXITSTATUS(verdict->status));
	else
		snprintf(text, size, "passed");
}
