/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * crowd COUNT: holds so many attach connections, each of which has greeted the daemon; prints "held N" and
 * waits for the end of stdin.
 */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "attaching.h"

int main(int argc, char **argv)
{
	const int count = argc == 2 ? atoi(argv[1]) : 0;
	struct attach_reply reply;
	char byte;
	int held = 0;

	while (held < count) {
		int connection = attach_connect(NULL);

		if (connection < 0 || attach_ask(connection, ATTACH_HELLO, -1, &reply, NULL) != 0)
			break;
		held++;
	}
	printf("held %d\n", held);
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	return 0;
}
