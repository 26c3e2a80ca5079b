/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_MODULES_H
#define CLIENT_MODULES_H

/*
 * Definitions of a recorded process: the loaded objects, and the sites of its events in them, each defined
 * in the trace before the first event that refers to it.
 */

#include <stdbool.h>
#include <stdint.h>

/*
 * Learn which objects are loaded now. Thread-safe; not in signal handlers. Objects that are not known are
 * taken for no object, and sites in them for bare addresses.
 */
void client_modules_refresh(void);
/*
 * For record_setup.on_site. Signals are blocked. A site that stores has the call stack with which it is
 * executed now, as deep as the settings say.
 */
void client_modules_define_site(uint32_t site, uintptr_t address, bool stores);
/*
 * The site of the call of one of our functions that returns to `address`, with its call stack at the first
 * time; 0 if there are too many. Thread-safe, async-signal-safe.
 */
uint32_t client_modules_caller(uintptr_t address);
/* In the child of a fork: its locks. Definitions are inherited. */
void client_modules_fork_child(void);

#endif
