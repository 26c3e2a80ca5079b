/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_SET_ID_BITS_H
#define FUSE_SET_ID_BITS_H

/* The set-user-ID and set-group-ID bits of a file that is changed. */

#include "mount_context.h"

/*
 * Clear the bits that a change of a file's bytes or size by the request's client clears: set-user-ID, and
 * set-group-ID if the file is executable for its group or the client is not in the group. Clients of user
 * 0 are taken to have CAP_FSETID, and clear none. 0, or a negative errno of pool_set_attributes().
 *
 * The kernel does the same before it sends a request, with two gaps: it does not see to an open with O_TRUNC
 * (FUSE_CAP_ATOMIC_O_TRUNC), and it never clears set-group-ID of a file without execute permission for its
 * group. FUSE_HANDLE_KILLPRIV_V2 is not used: a FALLOCATE request has no flag for it.
 */
int fusefs_drop_set_id_bits(fuse_req_t request, struct pool *pool);

#endif
