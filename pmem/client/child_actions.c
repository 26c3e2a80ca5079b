/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/child_actions.h"

#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>

#include "abi/rawcall.h"

struct child_actions {
	struct child_actions *next;
	pthread_t thread;
	struct client_kernel_action actions[CLIENT_SIGNALS];
};

/* Never shorter: libc gives the same pthread_t to another thread later, which then uses the same entry. */
static struct child_actions *all;

struct client_kernel_action *child_actions_find(void)
{
	const pthread_t self = pthread_self();
	struct child_actions *found = all;
	long at;

	while (found && found->thread != self)
		found = found->next;
	if (found)
		return found->actions;
	at = RAW6(mmap, NULL, sizeof(*found), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (raw_failed(at))
		return NULL;
	found = (struct child_actions *)at;
	found->next = all;
	found->thread = self;
	all = found;
	return found->actions;
}
