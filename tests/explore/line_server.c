/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A server that keeps lines in a file, and answers each connection to its socket with them.
 *
 *   line_server serve FILE SOCKET
 *   line_server ask SOCKET          prints what the server answers; 75 if there is none yet
 *
 * A file that is missing has no lines. Recovery drops bytes that are 0, which were never written, and what
 * follows the last newline. Exit status 2 for errors.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

static char lines[4096];

static int open_socket(const char *path, struct sockaddr_un *address)
{
	address->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(address->sun_path))
		return -1;
	strcpy(address->sun_path, path);
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

/* The length of the lines. */
static size_t recover(const char *path)
{
	FILE *file = fopen(path, "re");
	size_t length = 0;

	for (int byte; file && length < sizeof(lines) && (byte = getc(file)) != EOF;)
		if (byte)
			lines[length++] = (char)byte;
	if (file)
		fclose(file);
	while (length && lines[length - 1] != '\n')
		length--;
	return length;
}

static int serve(const char *path, const char *socket_path)
{
	struct sockaddr_un address = { 0 };
	const size_t length = recover(path);
	const int fd = open_socket(socket_path, &address);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 4) < 0) {
		perror(socket_path);
		return 2;
	}
	puts("it serves");
	fflush(stdout);
	for (;;) {
		const int client = accept(fd, NULL, NULL);

		if (client < 0 || write(client, lines, length) != (ssize_t)length)
			return 2;
		close(client);
	}
}

static int ask(const char *socket_path)
{
	struct sockaddr_un address = { 0 };
	const int fd = open_socket(socket_path, &address);
	ssize_t got;

	if (fd < 0)
		return 2;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return errno == ENOENT || errno == ECONNREFUSED ? EX_TEMPFAIL : 2;
	while ((got = read(fd, lines, sizeof(lines))) > 0)
		if (write(STDOUT_FILENO, lines, (size_t)got) != got)
			return 2;
	return got < 0 ? 2 : 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "serve") == 0)
		return serve(argv[2], argv[3]);
	if (argc == 3 && strcmp(argv[1], "ask") == 0)
		return ask(argv[2]);
	return 2;
}
