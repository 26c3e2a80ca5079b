/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SERVER_PEER_H
#define SERVER_PEER_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * The process at the other end of a connection, as it was when it connected.
 *
 * A pid alone names nobody: when its process has ended, another may get the number, and a number can be
 * made to come round within seconds. `pidfd` names the process itself. Whatever is read from /proc/PID
 * counts only if peer_is_alive() was true before the first byte was read and is still true after the last.
 */
struct peer {
	pid_t pid; /* 0: the process is not visible from here (another pid namespace) */
	uid_t uid;
	gid_t gid;
	int pidfd; /* -1: the process cannot be named */
};

/*
 * Ask the kernel who connected `fd`, a Unix socket. 0, or a negative errno if not even the credentials are
 * known. The caller ends with peer_clear(), also after an error.
 */
int peer_identify(struct peer *peer, int fd);
void peer_clear(struct peer *peer);

/* Has the process not ended yet? False without a pidfd. */
bool peer_is_alive(const struct peer *peer);

/*
 * For kernels before 6.5, which have no SO_PEERPIDFD: a pidfd of the process that has the pid now, or -1 if
 * that process is another user's, which then cannot be the one that connected. A process of the same user
 * that got the number between connect and accept is taken for the peer: it gives that user nothing new.
 */
int peer_pidfd_by_number(pid_t pid, uid_t uid);

#endif
