/* SPDX-License-Identifier: BSD-3-Clause */
#include "deferral.h"

#include <stddef.h>

static _Thread_local struct gate_token *handled;

void fusefs_deferral_begin(struct gate_token *token)
{
	handled = token;
}

void fusefs_deferral_end(void)
{
	handled = NULL;
}

struct gate_token fusefs_defer_reply(void)
{
	return fusefs_gate_token_steal(handled);
}
