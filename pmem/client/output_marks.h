/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_OUTPUT_MARKS_H
#define CLIENT_OUTPUT_MARKS_H

/*
 * syscall(2) has done a system call of this number with these arguments, and returned `written`: if it was
 * output of the program, it becomes a mark. In the library that `softpmem record` preloads only. Thread safe.
 */
void client_mark_output(long number, long fd, long bytes, long length, long written);

#endif
