/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The limit for large copies, without softpmem: the MiB/s of a thread that stores warm bytes past the
 * caches, in pieces, repeatedly over MIB.
 *
 *	handover_time alone MIB SECONDS	the thread does nothing else
 *	handover_time both MIB SECONDS	the thread also puts each piece into a ring, and
 *					another thread stores it to memory of its own
 *
 * The second is the minimum of an emulator, which keeps what a program sees and what is durable apart.
 */

#include <errno.h>
#include <libpmem.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "now.h"

#define MIB ((size_t)1 << 20)
#define PIECE ((size_t)16 << 10)
#define RING (4 * MIB)
#define PAUSES 100

static size_t size;
static unsigned char *ring;
static _Alignas(64) _Atomic uint64_t left;  /* bytes that were put into the ring since the start */
static _Alignas(64) _Atomic uint64_t taken; /* bytes of these that were taken out */
static atomic_bool over;

static void die(const char *what, int error)
{
	fprintf(stderr, "handover_time: %s: %s\n", what, strerror(error));
	exit(1);
}

/* Shared memory with small pages, as a pool. */
static unsigned char *shared(size_t length)
{
	int fd = memfd_create("handover_time", MFD_CLOEXEC);
	unsigned char *memory;

	if (fd < 0 || ftruncate(fd, (off_t)length) != 0)
		die("memfd", errno);
	memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		die("mmap", errno);
	close(fd);
	memset(memory, 1, length);
	return memory;
}

static void rest(void)
{
	for (int i = 0; i < PAUSES; i++)
		__builtin_ia32_pause();
}

static void past_caches(unsigned char *memory, uint64_t at, const unsigned char *piece)
{
	pmem_memcpy(memory + at % size, piece, PIECE, PMEM_F_MEM_NONTEMPORAL);
}

static void *take(void *argument)
{
	unsigned char *memory = argument;

	for (uint64_t at = 0; !over;) {
		if (at == atomic_load_explicit(&left, memory_order_acquire)) {
			rest();
			continue;
		}
		past_caches(memory, at, ring + at % RING);
		at += PIECE;
		atomic_store_explicit(&taken, at, memory_order_release);
	}
	return NULL;
}

static void leave(uint64_t at, const unsigned char *piece)
{
	while (at + PIECE - atomic_load_explicit(&taken, memory_order_acquire) > RING)
		rest();
	memcpy(ring + at % RING, piece, PIECE);
	atomic_store_explicit(&left, at + PIECE, memory_order_release);
}

static double rate(unsigned char *memory, double seconds, bool both)
{
	static unsigned char source[PIECE];
	double start = now(), end;
	uint64_t at = 0;

	memset(source, 2, sizeof(source));
	do {
		for (unsigned i = 0; i < 256; i++, at += PIECE) {
			past_caches(memory, at, source);
			if (both)
				leave(at, source);
		}
		end = now();
	} while (end - start < seconds);
	return (double)(at / MIB) / (end - start);
}

int main(int argc, char **argv)
{
	const bool both = argc == 4 && strcmp(argv[1], "both") == 0;
	pthread_t other;
	int error;

	if (argc == 4)
		size = strtoull(argv[2], NULL, 10) * MIB;
	if (size == 0 || (!both && strcmp(argv[1], "alone") != 0)) {
		fprintf(stderr, "usage: handover_time alone|both MIB SECONDS\n");
		return 2;
	}
	if (both) {
		ring = shared(RING);
		error = pthread_create(&other, NULL, take, shared(size));
		if (error)
			die("pthread_create", error);
	}
	printf("%.0f\n", rate(shared(size), strtod(argv[3], NULL), both));
	if (both) {
		over = true;
		pthread_join(other, NULL);
	}
	return 0;
}
