/* SPDX-License-Identifier: BSD-3-Clause */
#include "server/peer.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* from asm-generic/socket.h of Linux 6.5 */
#endif

static bool pidfd_is_alive(int pidfd)
{
	struct pollfd fd = { .fd = pidfd, .events = POLLIN };
	int ready;

	do
		ready = poll(&fd, 1, 0);
	while (ready < 0 && errno == EINTR);
	return ready == 0;
}

/* The effective user and group of the process that has the pid now. */
static bool current_user(pid_t pid, uid_t *uid, gid_t *gid)
{
	char path[40], line[256];
	unsigned found = 0, id;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	while (file && found < 2 && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Uid: %*u %u", &id) == 1) {
			*uid = id;
			found++;
		} else if (sscanf(line, "Gid: %*u %u", &id) == 1) {
			*gid = id;
			found++;
		}
	}
	if (file)
		fclose(file);
	return found == 2;
}

int peer_pidfd_by_number(pid_t pid, uid_t uid)
{
	CLEANUP_FD int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	uid_t now;
	gid_t group;

	/* It is still alive after the file was read, so no other process had its number meanwhile. */
	if (pidfd < 0 || !current_user(pid, &now, &group) || now != uid || !pidfd_is_alive(pidfd))
		return -1;
	return steal_fd(&pidfd);
}

int peer_identify(struct peer *peer, int fd)
{
	struct ucred credentials;
	socklen_t size = sizeof(credentials);
	int pidfd = -1;

	*peer = (struct peer){ .pidfd = -1 };
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
		return -errno;
	*peer = (struct peer){
		.pid = credentials.pid, .uid = credentials.uid, .gid = credentials.gid, .pidfd = -1
	};
	size = sizeof(pidfd);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0)
		peer->pidfd = pidfd;
	else if (errno == ENOPROTOOPT && peer->pid > 0)
		peer->pidfd = peer_pidfd_by_number(peer->pid, peer->uid);
	return 0;
}

void peer_clear(struct peer *peer)
{
	if (peer->pidfd >= 0)
		close(peer->pidfd);
	*peer = (struct peer){ .pidfd = -1 };
}

bool peer_is_alive(const struct peer *peer)
{
	return peer->pidfd >= 0 && pidfd_is_alive(peer->pidfd);
}

bool peer_has_same_user(const struct peer *peer)
{
	uid_t uid;
	gid_t gid;

	/* What root's process has become later has no rights that root had not. */
	if (peer->uid == 0)
		return peer_is_alive(peer);
	return current_user(peer->pid, &uid, &gid) && uid == peer->uid && gid == peer->gid &&
	       peer_is_alive(peer);
}
