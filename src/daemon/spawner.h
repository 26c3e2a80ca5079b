/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_SPAWNER_H
#define SRC_SPAWNER_H

/*
 * Serve the socket that is standard input by wire/spawner_protocol.h. `run` is the daemon's main(), and is
 * called in children. Returns an exit status. The process must have one thread.
 */
int spawner_run(int (*run)(int argc, char **argv));

#endif
