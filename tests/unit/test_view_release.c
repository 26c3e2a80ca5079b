/* SPDX-License-Identifier: BSD-3-Clause */

/* Views that clients had and have no more are given back, and nothing that was stored to them is lost. */

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "mappedtest.h"
#include "pool/pools.h"
#include "pool/view_limits.h"
#include "pooltest.h"

#define AT MAPPED_WAITS_AT

static struct pool *pool(struct mapped *scene)
{
	return pool_of(scene->handle);
}

static void unmap(struct mapped *scene)
{
	munmap(scene->memory, MAPPED_GROWN_BYTES);
}

/* Another descriptor of the memory. */
static int share(struct mapped *scene)
{
	struct pool_attachment attachment;

	assert_int_equal(pool_attach(pool(scene), &attachment), 0);
	return attachment.fd;
}

static void map_again(struct mapped *scene)
{
	int fd = share(scene);

	scene->memory = mmap(NULL, MAPPED_GROWN_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(scene->memory, MAP_FAILED);
	close(fd);
}

/* Close the file, let views go, and open it again. */
static bool release(struct mapped *scene)
{
	bool released;

	mapped_close(scene);
	released = pools_release_attached(scene->pools);
	scene->handle = pooltest_handle(scene->pools, MAPPED_PATH);
	return released;
}

static bool release_clean(struct mapped *scene)
{
	struct pool *clean = pool(scene);
	bool released;

	mapped_close(scene);
	pthread_rwlock_wrlock(&clean->lock);
	released = pool_release_view(clean);
	pthread_rwlock_unlock(&clean->lock);
	scene->handle = pooltest_handle(scene->pools, MAPPED_PATH);
	return released;
}

static void a_view_is_released_when_no_process_has_its_memory(void **state)
{
	struct mapped scene;

	mapped_begin(&scene);
	mapped_persist(&scene, AT, 'a');
	assert_int_equal(pools_drain(scene.pools), 0);
	assert_false(release(&scene));
	assert_false(release_clean(&scene));
	unmap(&scene);
	/* The mount may have pages of an open file. */
	assert_false(pools_release_attached(scene.pools));
	assert_true(release(&scene));
	assert_false(pool_is_attached(pool(&scene)));
	assert_true(pool_was_attached(pool(&scene)));
	assert_int_equal(scene.pools->populated, 0);
	assert_false(release(&scene));
	assert_int_equal(mapped_byte_at(&scene, AT), 'a');
	map_again(&scene);
	assert_int_equal(scene.memory[AT], 'a');
	mapped_persist(&scene, AT + 1, 'b');
	mapped_outage(&scene, CHOOSER_LOSE, 0);
	assert_int_equal(mapped_byte_at(&scene, AT + 1), 'b');
	mapped_end(&scene);
}

static void send_fd(int socket, int fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS,
				  .cmsg_len = CMSG_LEN(sizeof(int)) } };
	struct iovec iov = { .iov_base = (char[]){ 'f' }, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	assert_int_equal(sendmsg(socket, &message, 0), 1);
}

static void a_descriptor_on_its_way_to_a_process_keeps_the_view(void **state)
{
	struct mapped scene;
	int fd, pair[2];

	mapped_begin(&scene);
	fd = share(&scene);
	unmap(&scene);
	assert_false(release(&scene));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	send_fd(pair[0], fd);
	close(fd);
	assert_false(release(&scene));
	close(pair[0]);
	close(pair[1]);
	assert_true(release(&scene));
	map_again(&scene);
	mapped_end(&scene);
}

/* Processes of other users than the daemon's cannot open it anew, so that they have no descriptor unseen. */
static void the_memory_is_closed_to_other_users(void **state)
{
	struct mapped scene;
	struct stat st;
	int fd;

	mapped_begin(&scene);
	fd = share(&scene);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	close(fd);
	mapped_end(&scene);
}

static void stores_that_are_not_durable_keep_the_view_or_become_durable(void **state)
{
	struct mapped scene;

	mapped_begin(&scene);
	scene.memory[AT] = 'a';
	unmap(&scene);
	assert_false(release_clean(&scene));
	assert_true(pool_is_attached(pool(&scene)));
	assert_int_equal(mapped_byte_at(&scene, AT), 'a');
	assert_true(release(&scene));
	assert_int_equal(mapped_byte_at(&scene, AT), 'a');
	map_again(&scene);
	mapped_outage(&scene, CHOOSER_LOSE, 0);
	assert_int_equal(mapped_byte_at(&scene, AT), 'a');
	mapped_end(&scene);
}

static void clean_views_are_released_before_others_become_durable(void **state)
{
	struct pool_attachment attachment;
	struct pool_handle *other;
	struct mapped scene;

	mapped_begin(&scene);
	pooltest_make(scene.pools, "/other", S_IFREG | 0644, PAGE_BYTES);
	other = pooltest_handle(scene.pools, "/other");
	assert_int_equal(pool_attach(pool_of(other), &attachment), 0);
	close(attachment.fd);
	pool_close(other);
	scene.memory[AT] = 'a';
	unmap(&scene);
	assert_true(release(&scene));
	other = pooltest_handle(scene.pools, "/other");
	assert_false(pool_is_attached(pool_of(other)));
	assert_true(pool_is_attached(pool(&scene)));
	pool_close(other);
	map_again(&scene);
	mapped_outage(&scene, CHOOSER_LOSE, 0);
	assert_int_equal(mapped_byte_at(&scene, AT), 0);
	mapped_end(&scene);
}

struct looking {
	struct pool *pool;
	sem_t begun;
};

static void *look_for_a_while(void *argument)
{
	struct looking *looking = argument;

	pthread_rwlock_rdlock(&looking->pool->lock);
	sem_post(&looking->begun);
	usleep(20000);
	pthread_rwlock_unlock(&looking->pool->lock);
	return NULL;
}

static void a_view_that_is_just_looked_at_is_released_all_the_same(void **state)
{
	struct looking looking;
	struct mapped scene;
	pthread_t thread;

	mapped_begin(&scene);
	unmap(&scene);
	looking.pool = pool(&scene);
	assert_int_equal(sem_init(&looking.begun, 0, 0), 0);
	assert_int_equal(pthread_create(&thread, NULL, look_for_a_while, &looking), 0);
	while (sem_wait(&looking.begun) < 0)
		;
	assert_true(release(&scene));
	assert_int_equal(pthread_join(thread, NULL), 0);
	map_again(&scene);
	mapped_end(&scene);
}

static void too_many_views_release_those_of_closed_pools(void **state)
{
	struct mapped scene;

	mapped_begin(&scene);
	scene.pools->populated_max = 0;
	mapped_close(&scene);
	pools_limit_views(scene.pools);
	assert_int_equal(scene.pools->populated, 1);
	unmap(&scene);
	pools_limit_views(scene.pools);
	assert_int_equal(scene.pools->populated, 0);
	scene.handle = pooltest_handle(scene.pools, MAPPED_PATH);
	map_again(&scene);
	mapped_end(&scene);
}

static void check_byte(struct mapped *scene, const char *what, uint64_t offset, unsigned char expected)
{
	const unsigned char byte = mapped_byte_at(scene, offset);

	if (byte != expected)
		fail_msg("%s: byte %llu is %d, not %d", what, (unsigned long long)offset, byte, expected);
}

/*
 * Whatever of a view waits in a WPQ when it is released: it is not lost, and does no harm later. One line was
 * stored to before it was flushed; others of the page are written later.
 */
static void release_while_it_waits(const struct mapped_wait *wait, bool written_later)
{
	const uint64_t other = AT + LINE_SIZE;
	const unsigned char expected = written_later ? 'c' : 0;
	struct mapped scene;

	mapped_begin(&scene);
	mapped_persist(&scene, AT, 'a');
	assert_int_equal(pools_drain(scene.pools), 0);
	scene.memory[AT] = 'b';
	wait->before(&scene);
	unmap(&scene);
	assert_true(release(&scene));
	if (written_later) {
		assert_int_equal(pool_write(scene.handle, "c", 1, other, POOL_WRITE_FILE), 1);
		assert_int_equal(pool_sync(scene.handle, false), 0);
	}
	map_again(&scene);
	wait->after(&scene);
	assert_int_equal(pools_drain(scene.pools), 0);
	check_byte(&scene, wait->name, AT, 'b');
	check_byte(&scene, wait->name, other, expected);
	mapped_outage(&scene, CHOOSER_LOSE, 0);
	check_byte(&scene, wait->name, AT, 'b');
	check_byte(&scene, wait->name, other, expected);
	mapped_end(&scene);
}

static void what_waits_in_a_wpq_is_neither_lost_nor_written_over_newer_bytes(void **state)
{
	for (unsigned i = 0; i < MAPPED_WAITS; i++) {
		release_while_it_waits(&mapped_waits[i], false);
		release_while_it_waits(&mapped_waits[i], true);
	}
}

#define ATTACHED_MOST 1024u /* view_limits.c */

/* As the daemon has it: half of the descriptors are for views. */
static void raise_the_limit(struct pools *pools)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	pools_set_limits(pools);
}

static void of_very_many_pools_one_after_the_other_few_stay_attached(void **state)
{
	struct pooltest_bench *bench = *state;
	struct pools *pools = bench->pools;
	struct pool_attachment attachment;
	struct pool_handle *handle;
	unsigned number;
	uint64_t most;
	char path[16];

	raise_the_limit(pools);
	most = min_u64(ATTACHED_MOST, pools->populated_max);
	for (unsigned i = 0; i < 1500; i++) {
		snprintf(path, sizeof(path), "/%u", i);
		pooltest_make(pools, path, S_IFREG | 0644, PAGE_BYTES);
		handle = pooltest_handle(pools, path);
		assert_int_equal(pool_attach(pool_of(handle), &attachment), 0);
		assert_int_equal(pwrite(attachment.fd, &i, sizeof(i), 0), sizeof(i));
		close(attachment.fd);
		/* Some are not durable, and stay attached. */
		if (i % 10)
			assert_int_equal(pool_sync(handle, false), 0);
		pool_close(handle);
	}
	assert_in_range(pools->attached_count, most - 24, most + 1);
	for (unsigned i = 0; i < 1500; i++) {
		snprintf(path, sizeof(path), "/%u", i);
		handle = pooltest_handle(pools, path);
		assert_int_equal(pool_read(handle, &number, sizeof(number), 0), sizeof(number));
		assert_int_equal(number, i);
		pool_close(handle);
	}
	pooltest_fail_power(pools, METADATA_DURABLE, &(struct chooser){ .policy = CHOOSER_LOSE });
	assert_int_equal(pools->attached_count, 0);
}

/* ---- The limit of descriptors -------------------------------------------------------- */

#define FEW 64u
#define MANY 200u

static void name_pool(char path[16], unsigned number)
{
	snprintf(path, 16, "/%u", number);
}

/* So few descriptors that only the limit itself makes views be dropped. */
static struct rlimit lower_the_limit(struct mapped *scene)
{
	struct rlimit before, few;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = (struct rlimit){ .rlim_cur = FEW, .rlim_max = before.rlim_max };
	scene->pools->populated_max = MANY * 2;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	return before;
}

static void attach_needs_no_descriptor_that_an_unused_view_has(void **state)
{
	struct pool_attachment attachment;
	struct pool_handle *handle;
	struct rlimit before;
	struct mapped scene;
	char path[16];

	mapped_begin(&scene);
	before = lower_the_limit(&scene);
	for (unsigned i = 0; i < MANY; i++) {
		name_pool(path, i);
		pooltest_make(scene.pools, path, S_IFREG | 0644, PAGE_BYTES);
		handle = pooltest_handle(scene.pools, path);
		assert_int_equal(pool_attach(pool_of(handle), &attachment), 0);
		assert_int_equal(pwrite(attachment.fd, &i, sizeof(i), 0), sizeof(i));
		close(attachment.fd);
		pool_close(handle);
	}
	setrlimit(RLIMIT_NOFILE, &before);
	mapped_end(&scene);
}

static void write_needs_no_descriptor_that_another_open_file_has(void **state)
{
	static struct pool_handle *handles[MANY];
	struct rlimit before;
	struct mapped scene;
	char path[16];

	mapped_begin(&scene);
	before = lower_the_limit(&scene);
	for (unsigned i = 0; i < MANY; i++) {
		name_pool(path, i);
		pooltest_make(scene.pools, path, S_IFREG | 0644, PAGE_BYTES);
		handles[i] = pooltest_handle(scene.pools, path);
		assert_int_equal(pool_write(handles[i], &i, sizeof(i), 0, POOL_WRITE_FILE), sizeof(i));
	}
	for (unsigned i = 0; i < MANY; i++) {
		unsigned number;

		assert_int_equal(pool_read(handles[i], &number, sizeof(number), 0), sizeof(number));
		assert_int_equal(number, i);
		pool_close(handles[i]);
	}
	setrlimit(RLIMIT_NOFILE, &before);
	mapped_end(&scene);
}

static void mapped_views_at_the_limit_are_told(void **state)
{
	static int fds[FEW];
	struct pool_attachment attachment;
	struct pool_handle *handle;
	struct rlimit before;
	struct mapped scene;
	unsigned count = 0;
	char path[16];
	int error = 0;

	mapped_begin(&scene);
	before = lower_the_limit(&scene);
	while (!error && count < FEW) {
		name_pool(path, count);
		pooltest_make(scene.pools, path, S_IFREG | 0644, PAGE_BYTES);
		handle = pooltest_handle(scene.pools, path);
		error = pool_attach(pool_of(handle), &attachment);
		if (!error)
			fds[count++] = attachment.fd;
		pool_close(handle);
	}
	assert_int_equal(error, -EMFILE);
	while (count)
		close(fds[--count]);
	handle = pooltest_handle(scene.pools, path);
	assert_int_equal(pool_attach(pool_of(handle), &attachment), 0);
	close(attachment.fd);
	pool_close(handle);
	setrlimit(RLIMIT_NOFILE, &before);
	mapped_end(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_view_is_released_when_no_process_has_its_memory),
		cmocka_unit_test(a_descriptor_on_its_way_to_a_process_keeps_the_view),
		cmocka_unit_test(the_memory_is_closed_to_other_users),
		cmocka_unit_test(stores_that_are_not_durable_keep_the_view_or_become_durable),
		cmocka_unit_test(clean_views_are_released_before_others_become_durable),
		cmocka_unit_test(a_view_that_is_just_looked_at_is_released_all_the_same),
		cmocka_unit_test(too_many_views_release_those_of_closed_pools),
		cmocka_unit_test(what_waits_in_a_wpq_is_neither_lost_nor_written_over_newer_bytes),
		POOLTEST(of_very_many_pools_one_after_the_other_few_stay_attached),
		cmocka_unit_test(attach_needs_no_descriptor_that_an_unused_view_has),
		cmocka_unit_test(write_needs_no_descriptor_that_another_open_file_has),
		cmocka_unit_test(mapped_views_at_the_limit_are_told),
	};

	return cmocka_run_group_tests_name("view_release", tests, NULL, NULL);
}
