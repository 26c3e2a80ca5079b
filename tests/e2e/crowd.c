/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * crowd COUNT [WPQS]: holds so many attach connections, each of which has greeted the daemon, and gets so
 * many WPQs on each; prints "held N" or "held N, M WPQs" and waits for the end of stdin.
 */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "attaching.h"

static bool get_wpq(int connection)
{
	struct attach_reply reply;
	int fd = -1;
	const bool got = attach_ask(connection, ATTACH_WPQ, -1, &reply, &fd) == 0;

	if (fd >= 0)
		close(fd);
	return got;
}

int main(int argc, char **argv)
{
	const int count = argc >= 2 ? atoi(argv[1]) : 0, wanted = argc == 3 ? atoi(argv[2]) : 0;
	struct attach_reply reply;
	int held = 0, wpqs = 0;
	char byte;

	while (held < count) {
		int connection = attach_connect(NULL);

		if (connection < 0 || attach_ask(connection, ATTACH_HELLO, -1, &reply, NULL) != 0)
			break;
		held++;
		for (int i = 0; i < wanted && get_wpq(connection); i++)
			wpqs++;
	}
	if (wanted)
		printf("held %d, %d WPQs\n", held, wpqs);
	else
		printf("held %d\n", held);
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	return 0;
}
