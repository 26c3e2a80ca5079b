/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_SIGNAL_HANDLERS_H
#define CLIENT_SIGNAL_HANDLERS_H

/*
 * The program's signal handlers while it is recorded. All of them are called by a handler of ours: SIGSEGV,
 * SIGBUS and SIGTRAP go to the engine first, and other signals wait until a recorded store is done. libc's
 * sigaction() and its kin are interposed for that, in the library that `softpmem record` preloads only.
 *
 * SIGSEGV, SIGBUS and SIGTRAP are never blocked, whatever the program asks for. One that is sent by kill(2)
 * is delivered in spite of such a mask.
 */

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* The kernel's struct sigaction. */
struct client_kernel_action {
	void (*handler)(int number, siginfo_t *info, void *context);
	uint64_t flags;
	void (*restorer)(void);
	uint64_t mask;
};

/* These are NULL in the library of `softpmem run`. */

/* Take the handlers over that are installed. Once, by the process's only thread. 0 or a negative errno. */
int client_signal_handlers_own(void) __attribute__((weak));
/*
 * Take those over that the program has installed since by system calls of its own, before these were
 * patched. Not in a signal handler.
 */
void client_signal_handlers_own_again(void) __attribute__((weak));
/*
 * sigsetjmp() and other functions of libc call its pthread_sigmask() without the symbol: replace it where it
 * begins. Once, after record_start(). 0 or a negative errno.
 */
int client_signal_handlers_replace(void) __attribute__((weak));
/* In the child of a fork: the lock. */
void client_signal_handlers_fork_child(void) __attribute__((weak));

/* ---- For system calls that the program makes by itself; async-signal-safe ---------------------- */

/* Is this signal's handler one of those? */
bool client_signal_handlers_have(int number);
/* Install the handler, unless `action` is NULL. *old: the program's last one. 0 or a negative errno. */
long client_signal_handlers_set(int number, const struct client_kernel_action *action,
				struct client_kernel_action *old);
/* What is blocked if the program blocks `mask`: bit n - 1 is signal n. */
uint64_t client_signal_mask(uint64_t mask);

#endif
