/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The side of the service manager in sd_notify(3): creates a socket, and prints what arrives there, up to
 * STOPPING=1.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	char text[4096];
	ssize_t length;

	if (argc != 2 || strlen(argv[1]) >= sizeof(address.sun_path))
		return 2;
	strcpy(address.sun_path, argv[1]);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		perror(argv[1]);
		return 1;
	}
	/* Do not wait for ever for a daemon that sends nothing. */
	alarm(60);
	while ((length = recv(fd, text, sizeof(text) - 1, 0)) >= 0) {
		text[length] = '\0';
		puts(text);
		fflush(stdout);
		if (strstr(text, "STOPPING=1"))
			return 0;
	}
	return 1;
}
