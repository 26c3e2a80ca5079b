/* SPDX-License-Identifier: BSD-3-Clause */

/* A recorder attached to the client is told of each store, flush and fence of the library, in order. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>
#include <libpmem.h>

#include "client/connection.h"
#include "client/events.h"
#include "clienttest.h"

#define PAGES 4u

static unsigned char *pool;
/* The events since the last expect(), each as "WHAT(OFFSET,LENGTH) ". */
static char events[400];

static void note(const char *what, const void *address, size_t length)
{
	size_t used = strlen(events);

	snprintf(events + used, sizeof(events) - used, "%s(%td,%zu) ", what,
		 (const unsigned char *)address - pool, length);
}

static const char *name(enum client_store_kind kind, const char *cached, const char *nontemporal)
{
	return kind == CLIENT_STORE_NONTEMPORAL ? nontemporal : cached;
}

static void on_copy(void *to, const void *from, size_t length, enum client_store_kind kind)
{
	memmove(to, from, length);
	note(name(kind, "copy", "ntcopy"), to, length);
}

static void on_set(void *to, int value, size_t length, enum client_store_kind kind)
{
	memset(to, value, length);
	note(name(kind, "set", "ntset"), to, length);
}

static void on_flush(uintptr_t address, size_t length)
{
	note("flush", (const void *)address, length);
}

static void on_fence(void)
{
	strcat(events, "fence ");
}

static const struct client_recorder recorder = { on_copy, on_set, on_flush, on_fence };

static void expect(const char *expected)
{
	assert_string_equal(events, expected);
	events[0] = '\0';
}

static int open_recorded(void **state)
{
	(void)state;
	pool = clienttest_open(PAGES, PERSISTENCE_MEMORY_CONTROLLER);
	/* As in a program that runs already: the fast path has found its range and its WPQ. */
	pmem_persist(pool, 1);
	client_recorder_attach(&recorder);
	events[0] = '\0';
	return 0;
}

static int close_recorded(void **state)
{
	(void)state;
	client_recorder_attach(NULL);
	clienttest_close(pool, PAGES);
	return 0;
}

static void test_flush_and_fence_are_recorded(void **state)
{
	(void)state;
	pmem_flush(pool + 8, 100);
	expect("flush(8,100) ");
	pmem_drain();
	expect("fence ");
	pmem_persist(pool, 8);
	expect("flush(0,8) fence ");
	pmem_deep_flush(pool, 8);
	expect("flush(0,8) ");
	assert_int_equal(pmem_msync(pool, 8), 0);
	expect("flush(0,4096) fence ");
}

static void test_cached_stores_are_recorded_with_their_flush(void **state)
{
	unsigned char source[128];

	(void)state;
	memset(source, 3, sizeof(source));
	pmem_memcpy_persist(pool + 64, source, 100);
	expect("copy(64,100) flush(64,100) fence ");
	assert_memory_equal(pool + 64, source, 100);
	pmem_memset_nodrain(pool, 4, 60);
	expect("set(0,60) flush(0,60) ");
	pmem_memmove(pool, source, 60, PMEM_F_MEM_NOFLUSH);
	expect("copy(0,60) ");
}

static void test_nontemporal_stores_are_recorded_without_a_flush(void **state)
{
	static unsigned char source[4096];

	(void)state;
	memset(source, 3, sizeof(source));
	pmem_memcpy_persist(pool + 10, source, sizeof(source));
	expect("ntcopy(10,4096) fence ");
	assert_memory_equal(pool + 10, source, sizeof(source));
	pmem_memset(pool, 4, 2048, PMEM_F_MEM_NODRAIN);
	expect("ntset(0,2048) ");
}

/* What is recorded as durable has reached the WPQ. */
static void test_recorded_stores_reach_the_wpq(void **state)
{
	const uint64_t before = clienttest_published();
	static unsigned char source[PAGE_BYTES];

	(void)state;
	memset(source, 3, sizeof(source));
	pmem_memcpy_persist(pool, source, sizeof(source));
	assert_int_equal(clienttest_published() - before, sizeof(source) + LINE_SIZE);
	assert_memory_equal(clienttest_record(before) + 1, source, sizeof(source));
	pmem_memset_nodrain(pool, 5, 256);
	assert_int_equal(clienttest_pending(), 256 + LINE_SIZE);
}

/* The recorder makes the stores: one that does not leaves the memory as it was. */
static void copy_nothing(void *to, const void *from, size_t length, enum client_store_kind kind)
{
	(void)from;
	note(name(kind, "copy", "ntcopy"), to, length);
}

static void test_the_recorder_alone_makes_the_stores(void **state)
{
	static const struct client_recorder idle = { copy_nothing, on_set, on_flush, on_fence };
	static unsigned char source[4096];
	static const size_t lengths[] = { 1, 64, 256, 4096 };

	(void)state;
	memset(source, 3, sizeof(source));
	client_recorder_attach(&idle);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		pmem_memcpy_persist(pool, source, lengths[i]);
	for (size_t i = 0; i < sizeof(source); i++)
		assert_int_equal(pool[i], 0);
}

static void test_eadr_nontemporal_stores_are_recorded_by_line(void **state)
{
	static unsigned char source[256];

	(void)state;
	connection_domain_known = PERSISTENCE_CPU_CACHE;
	pmem_memcpy_nodrain(pool + 32, source, 256);
	expect("ntcopy(32,32) ntcopy(64,64) ntcopy(128,64) ntcopy(192,64) ntcopy(256,32) ");
	pmem_flush(pool, 8);
	expect("");
	pmem_persist(pool, 8);
	expect("fence ");
}

static void test_nothing_is_recorded_after_detaching(void **state)
{
	(void)state;
	client_recorder_attach(NULL);
	pmem_memset_persist(pool, 1, 4096);
	pmem_memset_persist(pool, 1, 8);
	pmem_persist(pool, 8);
	expect("");
	assert_int_equal(pool[4095], 1);
}

#define recorded(test) cmocka_unit_test_setup_teardown(test, open_recorded, close_recorded)

int main(void)
{
	const struct CMUnitTest tests[] = {
		recorded(test_flush_and_fence_are_recorded),
		recorded(test_cached_stores_are_recorded_with_their_flush),
		recorded(test_nontemporal_stores_are_recorded_without_a_flush),
		recorded(test_recorded_stores_reach_the_wpq),
		recorded(test_the_recorder_alone_makes_the_stores),
		recorded(test_eadr_nontemporal_stores_are_recorded_by_line),
		recorded(test_nothing_is_recorded_after_detaching),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
