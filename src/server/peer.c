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

/* The effective user of the process that has the pid now; -1 if there is none. */
static long long current_uid(pid_t pid)
{
	char path[40], line[256];
	unsigned effective;
	long long uid = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	while (file && uid < 0 && fgets(line, sizeof(line), file))
		if (sscanf(line, "Uid: %*u %u", &effective) == 1)
			uid = effective;
	if (file)
		fclose(file);
	return uid;
}

int peer_pidfd_by_number(pid_t pid, uid_t uid)
{
	CLEANUP_FD int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	/* It is still alive after the file was read, so no other process had its number meanwhile. */
	if (pidfd < 0 || current_uid(pid) != (long long)uid || !pidfd_is_alive(pidfd))
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
