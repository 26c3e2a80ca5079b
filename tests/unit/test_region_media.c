/* SPDX-License-Identifier: BSD-3-Clause */

/* The functions that read and write media, and what a fault in one of the pages does. */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "badpage.h"
#include "mediatest.h"
#include "region/region.h"
#include "rounds.h"

#define PAGE 4096u
#define SIZE (4u << 20)
#define BAD (100 * PAGE)

static struct region *open_memfd(void)
{
	struct region *region = NULL;

	assert_int_equal(region_open("memfd:4M", 0, &region, NULL), 0);
	badpage_catch();
	return region;
}

/* Open a file region of SIZE bytes. *fd is the file, so that the test can truncate it. */
static struct region *open_file(int *fd)
{
	char path[] = "/tmp/softpmem-media.XXXXXX", spec[64];
	struct region *region = NULL;

	badpage_catch();
	*fd = mkstemp(path);
	assert_true(*fd >= 0);
	assert_int_equal(ftruncate(*fd, SIZE), 0);
	snprintf(spec, sizeof(spec), "file:%s", path);
	assert_int_equal(region_open(spec, 0, &region, NULL), 0);
	unlink(path);
	return region;
}

/* Fill each page of the media with its own byte. */
static void fill(struct region *region)
{
	unsigned char *bytes = malloc(SIZE);

	for (unsigned page = 0; page < SIZE / PAGE; page++)
		memset(bytes + page * PAGE, 1 + (int)(page % 255), PAGE);
	mediatest_write(region, 0, bytes, SIZE);
	free(bytes);
}

static unsigned char filled_with(uint64_t offset)
{
	return (unsigned char)(1 + offset / PAGE % 255);
}

/* ---- Without a fault -------------------------------------------------------------------- */

static void ranges_outside_the_region_are_refused(void **state)
{
	static const uint64_t wrong[][2] = { { SIZE, 1 },	     { SIZE - 1, 2 },	 { 0, SIZE + 1 },
					     { UINT64_MAX, 1 },	     { UINT64_MAX, 2 },	 { 8, UINT64_MAX },
					     { 8, UINT64_MAX - 7 }, { SIZE + 1, 0 } };
	struct region *region = open_memfd();
	static unsigned char bytes[PAGE];
	const void *borrowed;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(media_read(region, wrong[i][0], bytes, wrong[i][1]), -EINVAL);
		assert_int_equal(media_write(region, wrong[i][0], bytes, wrong[i][1]), -EINVAL);
		assert_int_equal(media_zero(region, wrong[i][0], wrong[i][1]), -EINVAL);
		assert_int_equal(media_compare(region, wrong[i][0], bytes, wrong[i][1]), -EINVAL);
		assert_int_equal(media_is_zero(region, wrong[i][0], wrong[i][1]), -EINVAL);
		assert_int_equal(media_borrow(region, wrong[i][0], wrong[i][1], &borrowed), -EINVAL);
		assert_int_equal(media_probe(region, wrong[i][0], wrong[i][1]), -EINVAL);
	}
	assert_int_equal(media_compare_lines(region, SIZE - PAGE + 1, bytes, &(uint64_t){ 0 }), -EINVAL);
	region_close(region);
}

static void ranges_up_to_the_last_byte_are_accepted(void **state)
{
	struct region *region = open_memfd();
	unsigned char byte = 7;

	assert_int_equal(media_write(region, SIZE - 1, &byte, 1), 0);
	assert_int_equal(media_read(region, SIZE - 1, &byte, 1), 0);
	assert_int_equal(media_read(region, SIZE, &byte, 0), 0);
	assert_int_equal(media_zero(region, 0, SIZE), 0);
	assert_int_equal(media_is_zero(region, 0, SIZE), 1);
	region_close(region);
}

static void a_write_to_a_read_only_region_fails(void **state)
{
	char path[] = "/tmp/softpmem-media.XXXXXX", spec[64];
	struct region *region = NULL;
	int fd = mkstemp(path);

	assert_int_equal(ftruncate(fd, SIZE), 0);
	snprintf(spec, sizeof(spec), "file:%s", path);
	assert_int_equal(region_open(spec, REGION_READ_ONLY, &region, NULL), 0);
	assert_int_equal(media_write(region, 0, "x", 1), -EROFS);
	assert_int_equal(media_zero(region, 0, PAGE), -EROFS);
	assert_int_equal(mediatest_byte(region, 0), 0);
	region_close(region);
	unlink(path);
	close(fd);
}

static void comparisons_find_the_line_that_differs(void **state)
{
	struct region *region = open_memfd();
	unsigned char page[PAGE];
	uint64_t lines = 1;

	fill(region);
	mediatest_read(region, BAD, page, PAGE);
	assert_int_equal(media_compare(region, BAD, page, PAGE), 0);
	assert_int_equal(media_compare_lines(region, BAD, page, &lines), 0);
	assert_int_equal(lines, 0);
	page[63] ^= 1;
	page[5 * 64] ^= 1;
	page[PAGE - 1] ^= 1;
	assert_int_equal(media_compare(region, BAD, page, PAGE), 1);
	assert_int_equal(media_compare_lines(region, BAD, page, &lines), 0);
	assert_int_equal(lines, 1 | (uint64_t)1 << 5 | (uint64_t)1 << 63);
	assert_int_equal(media_is_zero(region, BAD, PAGE), 0);
	region_close(region);
}

static void a_region_without_a_fault_has_no_bad_place(void **state)
{
	struct region *region = open_memfd();
	struct region_bad bad;

	fill(region);
	assert_int_equal(media_probe(region, 0, SIZE), 0);
	assert_false(region_bad_place(region, 0, &bad));
	assert_false(region_failed(region));
	region_close(region);
}

/* ---- One bad page ------------------------------------------------------------------------- */

/* Assert that the pages [offset, offset + length), and no others, are bad, and that the region works. */
static void assert_bad(struct region *region, uint64_t offset, uint64_t length)
{
	struct region_bad bad = { 0 };

	assert_true(region_bad_place(region, 0, &bad));
	assert_int_equal(bad.offset, offset);
	assert_int_equal(bad.length, length);
	assert_false(region_bad_place(region, 1, &bad));
	assert_false(region_failed(region));
	for (uint64_t at = 0; at < SIZE; at += PAGE) {
		bool is_bad = at >= offset && at < offset + length;
		unsigned char byte = 0;

		assert_int_equal(media_read(region, at + 5, &byte, 1), is_bad ? -EIO : 0);
		if (!is_bad)
			assert_int_equal(byte, filled_with(at));
	}
}

static void an_unreadable_page_is_an_error_of_that_page_alone(void **state)
{
	struct region *region = open_memfd();

	fill(region);
	badpage_unreadable(region, BAD);
	assert_int_equal(media_probe(region, 0, SIZE), -EIO);
	assert_bad(region, BAD, PAGE);
	region_close(region);
}

static void an_unreadable_page_of_a_file_is_an_error_of_that_page_alone(void **state)
{
	int fd;
	struct region *region = open_file(&fd);

	fill(region);
	badpage_unreadable(region, BAD);
	assert_int_equal(media_probe(region, 0, SIZE), -EIO);
	assert_bad(region, BAD, PAGE);
	region_close(region);
	close(fd);
}

static void a_memory_error_is_an_error_of_that_page_alone(void **state)
{
	struct region *region = open_memfd();

	fill(region);
	badpage_memory_error(region, BAD, 0);
	assert_int_equal(media_probe(region, BAD, 1), -EIO);
	assert_bad(region, BAD, PAGE);
	region_close(region);
}

static void a_memory_error_makes_as_many_pages_bad_as_the_kernel_reports(void **state)
{
	struct region *region = open_memfd();

	fill(region);
	badpage_memory_error(region, 102 * PAGE, 2);
	assert_int_equal(media_probe(region, 102 * PAGE, 1), -EIO);
	assert_bad(region, 100 * PAGE, 4 * PAGE);
	region_close(region);
}

static void every_access_to_a_bad_page_is_an_error(void **state)
{
	unsigned char bytes[PAGE] = { 0 };
	struct region *region;
	const void *borrowed;
	uint64_t lines;

	/* Each access is the first one to its page. */
	for (int access = 0; access < 7; access++) {
		region = open_memfd();
		fill(region);
		badpage_unreadable(region, BAD);
		for (int again = 0; again < 2; again++) {
			switch (access) {
			case 0:
				assert_int_equal(media_read(region, BAD + 64, bytes, 64), -EIO);
				break;
			case 1:
				assert_int_equal(media_write(region, BAD + 64, bytes, 64), -EIO);
				break;
			case 2:
				assert_int_equal(media_zero(region, BAD, PAGE), -EIO);
				break;
			case 3:
				assert_int_equal(media_compare(region, BAD, bytes, 8), -EIO);
				break;
			case 4:
				assert_int_equal(media_compare_lines(region, BAD, bytes, &lines), -EIO);
				break;
			case 5:
				assert_int_equal(media_is_zero(region, BAD + 8, 8), -EIO);
				break;
			case 6:
				assert_int_equal(media_probe(region, BAD + 8, 8), -EIO);
				assert_int_equal(media_borrow(region, BAD, 8, &borrowed), -EIO);
				break;
			}
		}
		region_close(region);
	}
}

static void bytes_beside_a_bad_page_are_transferred(void **state)
{
	unsigned char bytes[3 * PAGE];
	struct region *region = open_memfd();

	fill(region);
	badpage_unreadable(region, BAD);
	assert_int_equal(media_read(region, BAD - PAGE, bytes, sizeof(bytes)), -EIO);
	assert_int_equal(bytes[PAGE - 1], filled_with(BAD - PAGE));
	assert_int_equal(bytes[2 * PAGE], filled_with(BAD + PAGE));
	memset(bytes, 0xee, sizeof(bytes));
	assert_int_equal(media_write(region, BAD - PAGE, bytes, sizeof(bytes)), -EIO);
	assert_int_equal(mediatest_byte(region, BAD - 1), 0xee);
	assert_int_equal(mediatest_byte(region, BAD + PAGE), 0xee);
	region_close(region);
}

static void a_system_call_on_a_bad_page_fails_with_efault_and_a_probe_finds_it(void **state)
{
	struct region *region = open_memfd();
	int sink = memfd_create("sink", MFD_CLOEXEC);
	const void *borrowed;

	fill(region);
	badpage_unreadable(region, BAD);
	assert_int_equal(media_borrow(region, BAD, PAGE, &borrowed), 0);
	assert_int_equal(write(sink, borrowed, PAGE), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(media_probe(region, BAD, PAGE), -EIO);
	assert_bad(region, BAD, PAGE);
	close(sink);
	region_close(region);
}

static void more_bad_places_than_the_limit_fail_the_region(void **state)
{
	struct message message = { "" };
	struct region *region = open_memfd();
	struct region_bad bad;

	fill(region);
	for (unsigned i = 0; i < REGION_BAD_MAX; i++) {
		badpage_unreadable(region, 2 * i * PAGE);
		assert_int_equal(media_probe(region, 2 * i * PAGE, 1), -EIO);
	}
	assert_false(region_failed(region));
	assert_true(region_bad_place(region, REGION_BAD_MAX - 1, &bad));
	assert_int_equal(mediatest_byte(region, PAGE), filled_with(PAGE));
	badpage_unreadable(region, 2 * REGION_BAD_MAX * PAGE);
	assert_int_equal(media_probe(region, 2 * REGION_BAD_MAX * PAGE, 1), -EIO);
	assert_true(region_failed(region));
	assert_int_equal(media_probe(region, PAGE, 1), -EIO);
	assert_int_equal(region_failure(region, &message), -EIO);
	assert_non_null(strstr(message.text, "cannot be read"));
	region_close(region);
}

/* ---- Threads ------------------------------------------------------------------------------- */

struct reader {
	struct region *region;
	pthread_barrier_t *barrier;
	int result;
};

static void *read_bad_page(void *argument)
{
	struct reader *reader = argument;
	unsigned char byte;

	pthread_barrier_wait(reader->barrier);
	reader->result = media_read(reader->region, BAD, &byte, 1);
	return NULL;
}

/* The bad page is replaced by empty memory once. A thread that reads the replacement must get an error. */
static void no_thread_reads_the_replacement_of_a_bad_page_as_media(void **state)
{
	unsigned attempts = rounds(50, 200);

	for (unsigned round = 0; round < attempts; round++) {
		struct region *region = open_memfd();
		struct reader readers[4];
		pthread_barrier_t barrier;
		pthread_t threads[4];

		fill(region);
		badpage_unreadable(region, BAD);
		pthread_barrier_init(&barrier, NULL, 4);
		for (int i = 0; i < 4; i++) {
			readers[i] = (struct reader){ .region = region, .barrier = &barrier };
			assert_int_equal(pthread_create(&threads[i], NULL, read_bad_page, &readers[i]), 0);
		}
		for (int i = 0; i < 4; i++) {
			pthread_join(threads[i], NULL);
			assert_int_equal(readers[i].result, -EIO);
		}
		pthread_barrier_destroy(&barrier);
		assert_bad(region, BAD, PAGE);
		region_close(region);
	}
}

/* ---- A revoked mapping ---------------------------------------------------------------------- */

static void truncating_the_file_fails_the_region(void **state)
{
	struct message message = { "" };
	int fd;
	struct region *region = open_file(&fd);
	struct region_bad bad;

	fill(region);
	assert_int_equal(ftruncate(fd, SIZE - PAGE), 0);
	assert_int_equal(mediatest_byte(region, 0), filled_with(0));
	assert_false(region_failed(region));
	assert_int_equal(media_probe(region, SIZE - 1, 1), -EIO);
	assert_true(region_failed(region));
	assert_false(region_bad_place(region, 0, &bad));
	assert_int_equal(media_probe(region, 0, 1), -EIO);
	assert_int_equal(region_failure(region, &message), -EIO);
	assert_non_null(strstr(message.text, "was taken away"));
	region_close(region);
	close(fd);
}

/*
 * AddressSanitizer's runtime calls this. Its own handler would end the process with exit(), not with the
 * signal.
 */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "handle_sigbus=0";
}

/* ---- Signals that are not a region's ----------------------------------------------------------- */

/* The exit status of a child that runs `run` with a region open. */
static int end_of_child(void (*run)(void))
{
	struct region *region = open_memfd();
	int status = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		run();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	region_close(region);
	return status;
}

static void touch_an_empty_file(void)
{
	volatile char *page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, memfd_create("empty", MFD_CLOEXEC), 0);

	(void)*page;
}

static void send_sigbus(void)
{
	kill(getpid(), SIGBUS);
}

static void a_fault_outside_of_regions_ends_the_process(void **state)
{
	int status = end_of_child(touch_an_empty_file);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
}

static void a_sigbus_from_kill_reaches_the_previous_handler(void **state)
{
	int status = end_of_child(send_sigbus);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_outside_the_region_are_refused),
		cmocka_unit_test(ranges_up_to_the_last_byte_are_accepted),
		cmocka_unit_test(a_write_to_a_read_only_region_fails),
		cmocka_unit_test(comparisons_find_the_line_that_differs),
		cmocka_unit_test(a_region_without_a_fault_has_no_bad_place),
		cmocka_unit_test(an_unreadable_page_is_an_error_of_that_page_alone),
		cmocka_unit_test(an_unreadable_page_of_a_file_is_an_error_of_that_page_alone),
		cmocka_unit_test(a_memory_error_is_an_error_of_that_page_alone),
		cmocka_unit_test(a_memory_error_makes_as_many_pages_bad_as_the_kernel_reports),
		cmocka_unit_test(every_access_to_a_bad_page_is_an_error),
		cmocka_unit_test(bytes_beside_a_bad_page_are_transferred),
		cmocka_unit_test(a_system_call_on_a_bad_page_fails_with_efault_and_a_probe_finds_it),
		cmocka_unit_test(more_bad_places_than_the_limit_fail_the_region),
		cmocka_unit_test(no_thread_reads_the_replacement_of_a_bad_page_as_media),
		cmocka_unit_test(truncating_the_file_fails_the_region),
		cmocka_unit_test(a_fault_outside_of_regions_ends_the_process),
		cmocka_unit_test(a_sigbus_from_kill_reaches_the_previous_handler),
	};

	badpage_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
