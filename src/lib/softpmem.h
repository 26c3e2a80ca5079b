/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SOFTPMEM_H
#define SOFTPMEM_H

/* What a program can tell softpmem. Compile and link with pkg-config softpmem; see softpmem_mark(3). */

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Name this moment, as the command `softpmem mark TEXT` does: the report of a power failure names the last
 * mark. `text` has 1 to 255 bytes. Returns 0 once the daemon has it, and at once if the program does not run
 * under `softpmem run`. -1 with errno: EINVAL, the text is empty or too long; another error, the daemon
 * cannot be reached. Thread-safe; not async-signal-safe.
 */
int softpmem_mark(const char *text);

#ifdef __cplusplus
}
#endif

#endif
