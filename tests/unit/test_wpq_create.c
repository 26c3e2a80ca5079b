/* SPDX-License-Identifier: BSD-3-Clause */

/* wpq_create() when the kernel refuses memory or writes less than it was asked to. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/align.h"
#include "domain/domain.h"
#include "domain/wpq.h"

/* ---- System calls that fail on request ------------------------------------- */

#define LARGE_BYTES (8u << 20)
#define LANE_BYTES 16384u

static bool refuse_large_mappings;
static size_t large_mappings_refused;
/* The results of the next calls of pwrite(2): a byte count or a negative errno. */
static ssize_t pwrite_results[4];
static size_t pwrite_planned;

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
	if (refuse_large_mappings && length >= LARGE_BYTES) {
		large_mappings_refused++;
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
	if (pwrite_planned) {
		const ssize_t result = pwrite_results[--pwrite_planned];

		if (result < 0) {
			errno = (int)-result;
			return -1;
		}
		length = min_u64(length, (uint64_t)result);
	}
	return length ? syscall(SYS_pwrite64, fd, bytes, length, offset) : 0;
}

/* ---- Tests ------------------------------------------------------------------- */

struct fixture {
	struct region *region;
	struct domain *domain;
};

static int set_up(void **state)
{
	static struct fixture fixture;

	assert_int_equal(region_open("memfd:2M", 0, &fixture.region, NULL), 0);
	assert_int_equal(domain_create(fixture.region, PERSISTENCE_MEMORY_CONTROLLER, &fixture.domain), 0);
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	refuse_large_mappings = false;
	pwrite_planned = 0;
	domain_destroy(fixture->domain);
	region_close(fixture->region);
	return 0;
}

static void assert_created(struct fixture *fixture)
{
	struct wpq_producer producer;
	struct wpq *wpq;

	assert_int_equal(wpq_create(fixture->domain, LANE_BYTES, &wpq), 0);
	assert_int_equal(wpq_producer_open(wpq_fd(wpq), &producer), 0);
	assert_int_equal(producer.lane_size, LANE_BYTES);
	wpq_producer_close(&producer);
	wpq_destroy(wpq);
}

/* Descriptor 0 is open meanwhile, whatever the caller of the test gave it. */
static void wpq_create_without_memory_leaves_descriptor_0_open(void **state)
{
	struct fixture *fixture = *state;
	const int saved = fcntl(0, F_DUPFD_CLOEXEC, 3), null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct wpq *wpq;
	int status, error;

	assert_true(null >= 0);
	assert_true(null == 0 || dup2(null, 0) == 0);
	large_mappings_refused = 0;
	refuse_large_mappings = true;
	error = wpq_create(fixture->domain, LANE_BYTES, &wpq);
	refuse_large_mappings = false;
	status = fcntl(0, F_GETFD);
	if (saved >= 0) {
		dup2(saved, 0);
		close(saved);
	}
	if (null > 0)
		close(null);
	assert_int_equal(error, -ENOMEM);
	assert_int_equal(large_mappings_refused, 1);
	assert_true(status >= 0);
	/* With memory the same call succeeds. */
	assert_created(fixture);
}

static void plan_pwrite(ssize_t first, ssize_t second)
{
	pwrite_results[1] = first;
	pwrite_results[0] = second;
	pwrite_planned = 2;
}

static void wpq_create_goes_on_after_a_short_or_interrupted_write(void **state)
{
	plan_pwrite(4, -EINTR);
	assert_created(*state);
	assert_int_equal(pwrite_planned, 0);
}

static void wpq_create_reports_a_write_of_nothing_as_eio_whatever_errno_was(void **state)
{
	struct fixture *fixture = *state;
	struct wpq *wpq;

	plan_pwrite(4, 0);
	errno = EEXIST;
	assert_int_equal(wpq_create(fixture->domain, LANE_BYTES, &wpq), -EIO);
}

static void wpq_create_reports_the_error_of_a_failed_write(void **state)
{
	struct fixture *fixture = *state;
	struct wpq *wpq;

	plan_pwrite(4, -ENOSPC);
	assert_int_equal(wpq_create(fixture->domain, LANE_BYTES, &wpq), -ENOSPC);
}

#define create_test(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		create_test(wpq_create_without_memory_leaves_descriptor_0_open),
		create_test(wpq_create_goes_on_after_a_short_or_interrupted_write),
		create_test(wpq_create_reports_a_write_of_nothing_as_eio_whatever_errno_was),
		create_test(wpq_create_reports_the_error_of_a_failed_write),
	};

	return cmocka_run_group_tests_name("wpq_create", tests, NULL, NULL);
}
