/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SERVER_PEER_H
#define SERVER_PEER_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * The process at the other end of a connection, as it was when it connected.
 *
 * A pid alone does not identify a process: when the process has ended, another one may get the number,
 * within seconds if somebody forces it. `pidfd` identifies the process itself. What is read from
 * /proc/PID is valid only if peer_is_alive() was true before the first byte was read and is still true
 * after the last. It gives rights only if peer_has_same_user() is true then.
 */
struct peer {
	pid_t pid; /* 0: the process is not visible in this pid namespace */
	uid_t uid;
	gid_t gid;
	int pidfd; /* -1: there is none */
};

/*
 * Ask the kernel which process connected `fd`, a Unix socket. 0, or a negative errno if not even the
 * credentials are known. The caller calls peer_clear(), also after an error.
 */
int peer_identify(struct peer *peer, int fd);
void peer_clear(struct peer *peer);

/* Is the process still alive? False without a pidfd. */
bool peer_is_alive(const struct peer *peer);

/*
 * Is it alive, and does it have the effective user and group that it connected with? Else it runs a program
 * of another user since, as by sudo(8) or a set-user-ID bit, while other processes may have the connection:
 * what that program does gives the connection no rights. Always true of root's process that is alive.
 */
bool peer_has_same_user(const struct peer *peer);

/*
 * For kernels before 6.5, which have no SO_PEERPIDFD: a pidfd of the process that has the pid now; -1 if
 * that process belongs to another user, because then it is not the one that connected. If a process of
 * the same user got the number between connect and accept, it is taken for the peer, which gives that
 * user no new rights.
 */
int peer_pidfd_by_number(pid_t pid, uid_t uid);

#endif
