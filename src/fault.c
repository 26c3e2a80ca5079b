/* SPDX-License-Identifier: BSD-3-Clause */
#include "fault.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

/* A signal handler gets no context: this is the daemon's, written once, before the handler is there. */
static struct {
	uintptr_t begin, end;
	char line[768]; /* ready to be written: a handler cannot format */
	size_t length;
} watched;

static void on_bus_error(int number, siginfo_t *info, void *context)
{
	uintptr_t address = (uintptr_t)info->si_addr;

	if (address >= watched.begin && address < watched.end) {
		(void)!write(STDERR_FILENO, watched.line, watched.length);
		_exit(1);
	}
	/* Not the region: fault again, and die of it as anybody would. */
	signal(SIGBUS, SIG_DFL);
}

void fault_watch(const struct region *region)
{
	struct sigaction action = { .sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO };
	int length = snprintf(
		watched.line, sizeof(watched.line),
		"softpmemd: region %.512s: its memory was taken away (a file cut short, or a namespace "
		"enabled over it): this daemon ends; softpmem check tells what is left\n",
		region_spec(region));

	watched.begin = (uintptr_t)region_media(region);
	watched.end = watched.begin + region_size(region);
	watched.length = (size_t)length < sizeof(watched.line) ? (size_t)length : sizeof(watched.line) - 1;
	sigaction(SIGBUS, &action, NULL);
}
