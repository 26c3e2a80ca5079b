/* SPDX-License-Identifier: BSD-3-Clause */
#include "mappedtest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "pooltest.h"

#define MAPPED_LANE_BYTES 65536u

static bool never_full(void *context, struct wpq_header *header)
{
	return false;
}

static void mapped_attach(struct mapped *scene)
{
	struct pool_attachment attachment;

	scene->handle = pooltest_handle(scene->pools, MAPPED_PATH);
	assert_int_equal(pool_attach(pool_of(scene->handle), &attachment), 0);
	scene->view = attachment.view;
	scene->memory = mmap(NULL, MAPPED_GROWN_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, attachment.fd, 0);
	assert_ptr_not_equal(scene->memory, MAP_FAILED);
	close(attachment.fd);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pools_create_wpq(scene->pools, MAPPED_LANE_BYTES, &scene->wpqs[i]), 0);
		assert_int_equal(wpq_producer_open(wpq_fd(scene->wpqs[i]), &scene->producers[i]), 0);
		scene->producers[i].full = never_full;
	}
}

static void mapped_detach(struct mapped *scene)
{
	if (!scene->memory)
		return;
	for (int i = 0; i < 2; i++) {
		wpq_producer_close(&scene->producers[i]);
		pools_destroy_wpqs(scene->pools, &scene->wpqs[i], 1);
	}
	munmap(scene->memory, MAPPED_GROWN_BYTES);
	scene->memory = NULL;
	mapped_close(scene);
}

void mapped_close(struct mapped *scene)
{
	if (scene->handle)
		pool_close(scene->handle);
	scene->handle = NULL;
}

void mapped_begin(struct mapped *scene)
{
	const struct pools_options options = { 0 };

	mapped_begin_with(scene, &options);
}

void mapped_begin_with(struct mapped *scene, const struct pools_options *options)
{
	*scene = (struct mapped){ .region = pooltest_region("memfd:4M") };
	assert_int_equal(pools_open(scene->region, options, &scene->pools, NULL), 0);
	pooltest_make(scene->pools, MAPPED_PATH, S_IFREG | 0644, MAPPED_BYTES);
	mapped_attach(scene);
}

void mapped_end(struct mapped *scene)
{
	mapped_detach(scene);
	assert_int_equal(pools_close(scene->pools, NULL), 0);
	region_close(scene->region);
}

void mapped_outage(struct mapped *scene, enum chooser_policy policy, uint64_t seed)
{
	const struct chooser chooser = { .policy = policy, .seed = seed };
	const struct pools_outage outage = { .mappers_are_gone = true };

	pools_stop(scene->pools);
	assert_int_equal(pools_decide(scene->pools, &chooser, &outage), 0);
	pools_resume(scene->pools);
	mapped_detach(scene);
}

void mapped_flush(struct mapped *scene, int thread, uint64_t offset, uint64_t length)
{
	assert_true(wpq_flush(&scene->producers[thread], scene->view, scene->memory, offset, length, 0));
}

void mapped_fence(struct mapped *scene, int thread)
{
	wpq_fence(&scene->producers[thread]);
}

void mapped_persist(struct mapped *scene, uint64_t offset, unsigned char byte)
{
	scene->memory[offset] = byte;
	mapped_flush(scene, 0, offset, 1);
	mapped_fence(scene, 0);
}

unsigned char mapped_byte_at(struct mapped *scene, uint64_t offset)
{
	struct pool_handle *handle = pooltest_handle(scene->pools, MAPPED_PATH);
	unsigned char byte = 0xff;

	assert_int_equal(pool_read(handle, &byte, 1, offset), 1);
	pool_close(handle);
	return byte;
}

void mapped_assert_zero(struct mapped *scene, uint64_t offset, uint64_t length)
{
	struct pool_handle *handle = pooltest_handle(scene->pools, MAPPED_PATH);
	unsigned char *bytes = malloc(length);
	unsigned char *zeros = calloc(1, length);
	const ssize_t got = pool_read(handle, bytes, length, offset);

	/* What an outage leaves of the size is another test's subject. */
	assert_true(got >= 0);
	assert_memory_equal(bytes, zeros, (size_t)got);
	free(bytes);
	free(zeros);
	pool_close(handle);
}

/* ---- What waits in a WPQ ---------------------------------------------------------- */

static void flush_page(struct mapped *scene)
{
	mapped_flush(scene, 0, MAPPED_WAITS_AT, PAGE_BYTES);
}

static void fence_it(struct mapped *scene)
{
	mapped_fence(scene, 0);
}

static void persist_page(struct mapped *scene)
{
	flush_page(scene);
	fence_it(scene);
}

static void nothing(struct mapped *scene)
{
}

static void flush_lines_one_by_one(struct mapped *scene)
{
	for (uint64_t at = 0; at < PAGE_BYTES; at += LINE_SIZE)
		mapped_flush(scene, 0, MAPPED_WAITS_AT + at, LINE_SIZE);
}

/* Lines that are flushed again are no records any more. */
static void flush_lines_again(struct mapped *scene)
{
	for (int i = 0; i < 3; i++)
		flush_lines_one_by_one(scene);
}

static void persist_lines_again(struct mapped *scene)
{
	flush_lines_again(scene);
	fence_it(scene);
}

static void clflush_lines(struct mapped *scene)
{
	for (uint64_t at = 0; at < PAGE_BYTES; at += LINE_SIZE)
		assert_true(wpq_clflush(&scene->producers[0], scene->view, scene->memory,
					MAPPED_WAITS_AT + at));
}

static void flush_in_two_threads(struct mapped *scene)
{
	flush_page(scene);
	mapped_flush(scene, 1, MAPPED_WAITS_AT, PAGE_BYTES);
	mapped_fence(scene, 1);
}

const struct mapped_wait mapped_waits[MAPPED_WAITS] = {
	{ "published record", persist_page, nothing, true },
	{ "record fenced after the change", flush_page, fence_it, true },
	{ "record never fenced", flush_page, nothing, false },
	{ "published lines", persist_lines_again, nothing, true },
	{ "lines fenced after the change", flush_lines_again, fence_it, true },
	{ "clflush", clflush_lines, nothing, true },
	{ "records of two threads", flush_in_two_threads, fence_it, true },
};
