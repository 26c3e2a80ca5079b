/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_SPECIAL_CALLS_H
#define CLIENT_SPECIAL_CALLS_H

/*
 * System calls of which the results alone do not say what to do. Private to kernel_calls.c and
 * kernel_call_table.c.
 */

#include "client/kernel_calls.h"

special_call special_recvfrom, special_parts, special_recvmsg, special_recvmmsg, special_process_vm_readv,
	special_output, special_ioctl, special_ring, special_sigaction, special_sigmask, special_clone,
	special_robust_list, special_futex, special_mapping, special_sync, special_arch_prctl;

/* What one of them that was made has still to do. */
void special_call_returned(struct record_system_call *call, long result);

#endif
