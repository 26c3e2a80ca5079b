/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * stores_time THREADS MIB SECONDS: the MiB/s that each of so many threads stores past the caches, the
 * slowest's, round and round in as many MiB of its own. Where each byte is written by the program and
 * again by a daemon on the next processor, two threads' figure to one's is all that a copy can reach.
 */

#include <errno.h>
#include <libpmem.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define PIECE ((size_t)64 << 10)
#define THREADS_MOST 64

static size_t size;
static double seconds;
static pthread_barrier_t all_there;

struct thread {
	pthread_t id;
	double rate;
};

static void die(const char *what, int error)
{
	fprintf(stderr, "stores_time: %s: %s\n", what, strerror(error));
	exit(1);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* As a pool is: shared memory, of small pages. */
static unsigned char *own_memory(void)
{
	int fd = memfd_create("stores_time", MFD_CLOEXEC);
	unsigned char *memory;

	if (fd < 0 || ftruncate(fd, (off_t)size) != 0)
		die("memfd", errno);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		die("mmap", errno);
	close(fd);
	memset(memory, 1, size);
	return memory;
}

static void *store(void *argument)
{
	struct thread *thread = argument;
	unsigned char *memory = own_memory(), source[PIECE];
	double start, end;
	size_t done = 0;

	memset(source, 2, sizeof(source));
	pthread_barrier_wait(&all_there);
	start = now();
	do {
		for (unsigned i = 0; i < 64; i++, done += PIECE)
			pmem_memcpy(memory + done % size, source, PIECE, PMEM_F_MEM_NONTEMPORAL);
		end = now();
	} while (end - start < seconds);
	thread->rate = (double)(done / MIB) / (end - start);
	munmap(memory, size);
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned count = argc == 4 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
	struct thread threads[THREADS_MOST];
	double slowest;

	if (argc == 4) {
		size = strtoull(argv[2], NULL, 10) * MIB;
		seconds = strtod(argv[3], NULL);
	}
	if (count == 0 || count > THREADS_MOST || size == 0) {
		fprintf(stderr, "usage: stores_time THREADS MIB SECONDS, of at most %d threads\n",
			THREADS_MOST);
		return 2;
	}
	pthread_barrier_init(&all_there, NULL, count);
	for (unsigned i = 0; i < count; i++) {
		int error = pthread_create(&threads[i].id, NULL, store, &threads[i]);

		if (error)
			die("pthread_create", error);
	}
	for (unsigned i = 0; i < count; i++)
		pthread_join(threads[i].id, NULL);
	slowest = threads[0].rate;
	for (unsigned i = 1; i < count; i++)
		if (threads[i].rate < slowest)
			slowest = threads[i].rate;
	printf("%.0f\n", slowest);
	return 0;
}
