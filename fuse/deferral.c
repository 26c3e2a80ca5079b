/* SPDX-License-Identifier: BSD-3-Clause */
#include "deferral.h"

#include <stddef.h>

static _Thread_local struct gate_token *handled;

void fusefs_handling(struct gate_token *token)
{
	handled = token;
}

struct gate_token fusefs_defer_reply(void)
{
	return fusefs_gate_token_steal(handled);
}
