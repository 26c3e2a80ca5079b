/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_SPECIAL_CALLS_H
#define CLIENT_SPECIAL_CALLS_H

/*
 * System calls of which the results alone do not say what to do. Private to kernel_calls.c and
 * kernel_call_table.c.
 */

#include "client/kernel_calls.h"

special_call special_parts, special_io_submit, special_recvmsg, special_recvmmsg, special_process_vm_writev,
	special_vmsplice, special_output, special_sendmmsg, special_file_handle, special_msgrcv,
	special_fcntl, special_shmctl, special_msgctl, special_semctl, special_prctl, special_arch_prctl,
	special_seccomp, special_ioctl, special_ring, special_sigaction, special_sigmask,
	special_sigaltstack, special_clone, special_robust_list, special_futex, special_mapping,
	special_sync;

/* What one of them that was made has still to do. */
void special_call_returned(struct record_system_call *call, long result);

#endif
