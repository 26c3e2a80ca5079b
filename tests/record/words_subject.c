/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * words_subject POOL: one thread copies words of 2, 4 and 8 bytes to the pool with memcpy(3), all of whose
 * bytes are equal, and another one reads them. Fails if it sees a word of which only a part was stored.
 */

#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define COPIES 1000000u

static unsigned char *pool;
static volatile int done;

/* On a processor of its own, if there are as many. */
static void run_on(int which)
{
	cpu_set_t all, one;

	CPU_ZERO(&one);
	if (sched_getaffinity(0, sizeof(all), &all) != 0)
		err(1, "sched_getaffinity");
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &all) && which-- == 0)
			CPU_SET(i, &one);
	if (CPU_COUNT(&one) && sched_setaffinity(0, sizeof(one), &one) != 0)
		err(1, "sched_setaffinity");
}

static void *copy_words(void *unused)
{
	(void)unused;
	run_on(1);
	for (unsigned i = 0; i < COPIES; i++) {
		unsigned char word[8];
		/* The compiler must not know it: it is a call of memcpy(). */
		volatile size_t length = (size_t)2 << i % 3;

		memset(word, i / 3 % 2 ? 0xff : 0, sizeof(word));
		memcpy(pool + 64 * length, word, length);
	}
	done = 1;
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	int fd;

	if (argc != 2)
		errx(1, "usage: words_subject POOL");
	fd = open(argv[1], O_RDWR);
	pool = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (pool != MAP_FAILED)
		memset(pool, 0, 4096);
	if (pool == MAP_FAILED || pthread_create(&thread, NULL, copy_words, NULL) != 0)
		err(1, "%s", argv[1]);
	run_on(0);
	while (!done) {
		const uint16_t two = *(volatile uint16_t *)(void *)(pool + 128);
		const uint32_t four = *(volatile uint32_t *)(void *)(pool + 256);
		const uint64_t eight = *(volatile uint64_t *)(void *)(pool + 512);

		if ((uint16_t)(two + 1) > 1 || four + 1 > 1 || eight + 1 > 1)
			errx(1, "a part of a word: %x %x %llx", two, four, (unsigned long long)eight);
	}
	pthread_join(thread, NULL);
	puts("words are whole");
	return 0;
}
