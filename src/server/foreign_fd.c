/* SPDX-License-Identifier: BSD-3-Clause */
#include "server/foreign_fd.h"

#include <pthread.h>
#include <stdint.h>
#include <unistd.h>

static void *close_thread(void *argument)
{
	close((int)(intptr_t)argument);
	return NULL;
}

void server_close_foreign(int fd)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, close_thread, (void *)(intptr_t)fd) == 0)
		pthread_detach(thread);
	else
		close(fd);
}
