/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_ADDRESS_SPACE_H
#define CLIENT_ADDRESS_SPACE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Whose memory, and so whose connection, rings and threads these are. The child of vfork(2) has its parent's
 * memory, and runs in the place of the thread that has called vfork(): what it does belongs to that thread. A
 * shell's child, for instance, prints that it cannot find the program.
 *
 * All functions are thread-safe and async-signal-safe. They are called between two instructions of a recorded
 * program, and use no vector registers: raw system calls, and a function of libc that only reads a number.
 */

/*
 * The process that has this memory: getpid(2), but the parent in a child of vfork(2). The child of fork(2)
 * has memory of its own, also if it was made by the bare system call.
 */
long address_space_owner(void);

/*
 * Is the caller in a child of vfork(2), or of a clone() like it? What the kernel keeps for it, as what its
 * signals do, is its own.
 */
bool address_space_is_anothers(void);

/* The calling thread: gettid(2), but the thread that waits for it in a child of vfork(2). */
long address_space_thread(void);

/*
 * Has the thread with this number ended, of whatever process? One that nobody has waited for still has its
 * number. Async-signal-safe.
 */
bool address_space_thread_has_ended(uint32_t thread);

#endif
