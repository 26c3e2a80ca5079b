/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * descriptors POOL [seen]: what a program that maps pools sees of the library's descriptors and thread, and
 * what it can do to them. Stores and persists the numbers 1 to 6 in the first bytes of pages 1 to 6. With
 * `seen` the library has no thread of its own, and its descriptor may be seen.
 */

#include <dirent.h>
#include <fcntl.h>
#include <libpmem.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../e2e/tap.h"

#define PAGE 4096
#define DESCRIPTORS 1024

unsigned tap_run, tap_failed;
static const char *pool;
static bool seen;

/* Map the pool, persist a number in its page, and unmap it. */
static bool persist_number(unsigned char number)
{
	size_t length;
	unsigned char *at = pmem_map_file(pool, 0, 0, 0, &length, NULL);

	if (!at)
		return false;
	at[number * PAGE] = number;
	pmem_persist(at + number * PAGE, 1);
	return pmem_unmap(at, length) == 0;
}

static int open_descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < DESCRIPTORS; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* The field of all threads' status files; true if it is `value` in each. */
static bool all_threads_have(const char *field, const char *value)
{
	DIR *threads = opendir("/proc/self/task");
	struct dirent *entry;
	bool all = true;

	while (threads && (entry = readdir(threads))) {
		char path[300], line[200], found[100] = "";
		FILE *status;

		if (*entry->d_name == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%s/status", entry->d_name);
		status = fopen(path, "r");
		while (status && fgets(line, sizeof(line), status))
			if (strncmp(line, field, strlen(field)) == 0)
				sscanf(line + strlen(field), " %99s", found);
		if (status)
			fclose(status);
		all = all && strcmp(found, value) == 0;
	}
	if (threads)
		closedir(threads);
	return all;
}

static bool in_child(bool (*test)(void))
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(test() ? 0 : 1);
	return waitpid(child, &status, 0) == child && status == 0;
}

static bool persist_two(void)
{
	return persist_number(2);
}

static void *persist_three(void *result)
{
	*(bool *)result = persist_number(3);
	return NULL;
}

/* Root becomes a user without rights; the pool is mapped before. */
static bool drop_privileges(void)
{
	size_t length;
	unsigned char *at = pmem_map_file(pool, 0, 0, 0, &length, NULL);

	if (!at || setgid(65534) != 0 || setuid(65534) != 0)
		return false;
	at[5 * PAGE] = 5;
	/* The first flush of this process: it gets a queue by the connection that root made. */
	pmem_persist(at + 5 * PAGE, 1);
	return all_threads_have("CapEff:", "0000000000000000") &&
	       all_threads_have("CapPrm:", "0000000000000000");
}

static void check_closing(void)
{
	closefrom(3);
	OK(persist_number(1), "after closefrom(3) a pool is mapped and persisted to");
	OK(in_child(persist_two), "a forked child maps a pool and persists to it");
	for (int fd = 3; fd < DESCRIPTORS; fd++)
		if (dup2(0, fd) != fd)
			break;
	closefrom(3);
	close_range(3, ~0u, 0);
	OK(persist_number(4), "after dup2() onto all descriptors a pool is mapped and persisted to");
}

static void *finish(void *argument)
{
	const pthread_t *first = argument;

	pthread_join(*first, NULL);
	OK(persist_number(6), "when the first thread has ended a pool is mapped");
	exit(tap_done());
}

static void check_hidden(bool is_hidden, const char *what)
{
	if (seen)
		printf("ok %u - %s # SKIP the library has no thread of its own\n", ++tap_run, what);
	else
		OK(is_hidden, what);
}

int main(int argc, char **argv)
{
	int before = open_descriptors();
	bool done = false;
	pthread_t thread;
	static pthread_t self;

	if (argc < 2)
		return 2;
	pool = argv[1];
	seen = argc == 3 && strcmp(argv[2], "seen") == 0;
	OK(persist_number(1), "a pool is mapped and persisted to");
	check_hidden(open_descriptors() == before, "the program sees no descriptor of the library");
	check_closing();
	check_hidden(open_descriptors() == 3, "nor after it has closed all others and mapped a pool again");
	pthread_create(&thread, NULL, persist_three, &done);
	pthread_join(thread, NULL);
	OK(done, "another thread maps a pool and persists to it");
	if (getuid() == 0)
		OK(in_child(drop_privileges), "once root has become another user no thread has capabilities");
	else
		printf("ok %u - a user has no capabilities # SKIP only root has them\n", ++tap_run);
	self = pthread_self();
	pthread_create(&thread, NULL, finish, &self);
	pthread_exit(NULL);
}
