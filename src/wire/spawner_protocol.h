/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef WIRE_SPAWNER_PROTOCOL_H
#define WIRE_SPAWNER_PROTOCOL_H

/*
 * A softpmemd that starts others by fork(2), for a program that needs one many times a second (softpmem
 * torture): loading the program and its libraries takes several times as long as all that a daemon does until
 * it serves.
 *
 * It is started with this option alone. Its standard input is a socket (SOCK_SEQPACKET). A request has the
 * arguments of a daemon, argv[0] first, each ended by a NUL. Its answer is an int, 0 or a negative errno, and
 * with 0 carries a pidfd of the daemon. The daemons get SIGTERM when the spawner ends, and it ends with its
 * socket. Both ends are of one build.
 */

#define SPAWNER_OPTION "--spawner"
/* The most bytes and the most arguments of a request. */
#define SPAWNER_BYTES 16384
#define SPAWNER_ARGUMENTS 64

#endif
