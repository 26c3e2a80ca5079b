/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ATTACH_MAPPERS_H
#define ATTACH_MAPPERS_H

/* Which processes map a view, as /proc/PID/maps tells, and how they are ended. */

#include <stdbool.h>
#include <stddef.h>

#include "attach/attach_views.h"
#include "common/log_sink.h"
#include "server/peer.h"

/*
 * SIGKILL to every other process that maps one of the views, again and again until none does. False: some
 * could not be killed, or did not end.
 */
bool mappers_kill(const struct log_sink *log, const struct view_memory *views, size_t count);

/*
 * Send the signal (0: none) to each process other than this one that can store to one of the views, to those
 * in `first` before all others. The number of these processes. One that is forked meanwhile may be missed.
 */
size_t mappers_signal(const struct view_memory *views, size_t count, const pid_t *first, size_t first_count,
		      int signal);

/*
 * Mark the views that processes other than this one map. 0, or a negative errno if a process may have been
 * missed.
 */
int mappers_mark(const struct view_memory *views, size_t count, bool *mapped);

/*
 * Which of the views the peer maps. *mapped: indices of views, ascending, for the caller to free. -ESRCH:
 * the peer has ended, and what was read may have been another process's. -EPERM: it runs a program of another
 * user than the one that connected. -ENOMEM.
 */
int mappers_views_of(const struct peer *peer, const struct view_memory *views, size_t count,
		     size_t **mapped, size_t *mapped_count);

/* Wait until the process has ended. False: it has not after so many milliseconds. */
bool process_ends(int pidfd, int milliseconds);
/* SIGKILL. 0 or a negative errno; -ESRCH: it has ended. */
int process_kill(int pidfd);

#endif
