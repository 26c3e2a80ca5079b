/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_COURIER_H
#define CLIENT_COURIER_H

/*
 * The thread that owns the library's descriptors. It has a descriptor table of its own, so that the program
 * neither sees the library's socket in /proc/self/fd nor closes it by closefrom(3), close_range(2) or
 * dup2(2). libc does not know the thread; it executes system calls only, and blocks all signals.
 *
 * Where the thread cannot be had (Valgrind, sanitizers, a container that forbids pidfd_getfd(2), Linux before
 * 5.9), the calling thread does its work, and the library's descriptors are in the program's table.
 *
 * The thread keeps the user ids with which it was started, but no capabilities, when the program changes its
 * own. A program that calls unshare(CLONE_NEWUSER) must do so before it maps a pool: the kernel refuses it to
 * a process of several threads.
 *
 * All functions are thread-safe and async-signal-safe, and may be called with the table of ranges or the
 * connection locked. Errors are negative errnos.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Run function(argument) in the courier, and return what it returns. The function has the library's
 * descriptors; it may not use thread-local variables, libc, or the functions below that call the courier.
 */
long courier_call(long (*function)(void *argument), void *argument);
/*
 * The same without waiting for it: the result is lost, and the argument must live on. Calls and posts are run
 * in their order. For what is done often: a call waits until the kernel has switched to the thread and back,
 * which takes a millisecond on some machines.
 */
void courier_post(long (*function)(void *argument), void *argument);
/* Within such a function: a copy of a descriptor of the program, for courier_return(). */
int courier_borrow(int fd);
void courier_return(int copy);

/* True if the library's descriptors are hidden from the program. Starts the courier if need be. */
bool courier_hides(void);
/* How many threads this process has for it now: 0 or 1. */
unsigned courier_threads(void);
/* Move a descriptor of the program to the library's. Returns its number there. */
int courier_adopt(int fd);
/* mmap(2) and close(2) of a descriptor of the library's. */
long courier_mmap(void *address, size_t length, int prot, int flags, int fd, off_t offset);
void courier_close(int fd);

/* Handlers for pthread_atfork(3); queues.c calls them, in the order of the locks. */
void courier_fork_prepare(void);
void courier_fork_parent(void);
void courier_fork_child(void);

#endif
