/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_ERRORMSG_H
#define CLIENT_ERRORMSG_H

/* Messages to the program and its user. */

/*
 * What pmem_errormsg() returns in this thread from now on. If `error` is not 0, ": strerror(error)" is added
 * and errno becomes `error`.
 */
void client_set_errormsg(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Print "softpmem: WHAT DETAIL" to stderr in one write. Async-signal-safe. Each at most 150 bytes. */
void client_complain(const char *what, const char *detail);

#endif
