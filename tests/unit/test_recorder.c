/* SPDX-License-Identifier: BSD-3-Clause */
/* Recordings of pools: what is in the trace, who may add to it, and how it ends. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "pooltest.h"
#include "recorder/recorded.h"
#include "recorder/recorder.h"
#include "recorder/recorder_clients.h"
#include "trace/buffer.h"
#include "trace/catalog.h"
#include "trace/reader.h"
#include "trace/text_form.h"
#include "tracetest.h"

struct scene {
	struct pooltest_bench *bench;
	struct recorder *recorder;
	int fd; /* of the trace */
	struct trace_clock *clock;
	struct recorder_process process;
};

#define KEY UINT64_C(0x123456789abcdef)

static struct trace_bytes bytes_of(const char *string)
{
	return (struct trace_bytes){ (const unsigned char *)string, (uint32_t)strlen(string) };
}

static int begin(struct scene *scene, const char *name, struct message *message)
{
	const struct recorder_begin options = { .fd = scene->fd, .name = name, .key = KEY };

	return recorder_begin(scene->recorder, &options, message);
}

static void start(struct scene *scene, void **state)
{
	struct message message = { "" };
	struct recorder_region region;

	*scene = (struct scene){ .bench = *state, .fd = tracetest_file() };
	region = (struct recorder_region){ .pools = scene->bench->pools, .name = "region0" };
	assert_int_equal(recorder_create(&region, 1, &scene->recorder), 0);
	assert_int_equal(begin(scene, "trace", &message), 0);
}

static int add_process(struct scene *scene, struct recorder_process *process, uid_t uid, uint32_t parent)
{
	const struct recorder_process_options options = {
		.pid = 1234, .uid = uid, .key = KEY, .forked_from = parent, .command = bytes_of("prog")
	};
	int clock_fd = -1, locks_fd = -1;
	struct stat st;
	int error = recorder_add_process(scene->recorder, process, &options, &clock_fd, &locks_fd);

	if (error)
		return error;
	assert_int_equal(fstat(locks_fd, &st), 0);
	assert_int_equal(st.st_size, 65536);
	assert_int_equal(ftruncate(locks_fd, 0), -1);
	if (!scene->clock)
		assert_int_equal(trace_clock_map(clock_fd, &scene->clock), 0);
	close(clock_fd);
	close(locks_fd);
	return 0;
}

static uint32_t add_thread(struct scene *scene, struct recorder_process *process,
			   struct trace_producer *producer)
{
	uint32_t thread;
	int fd;

	assert_int_equal(recorder_add_thread(scene->recorder, process, 1234, bytes_of("t"), &fd, &thread), 0);
	assert_int_equal(trace_producer_attach(producer, fd, scene->clock), 0);
	close(fd);
	return thread;
}

static void finish(struct scene *scene, struct recorder_summary *summary)
{
	assert_int_equal(recorder_stop(scene->recorder), 0);
	assert_true(recorder_wait(scene->recorder, 60000));
	recorder_collect(scene->recorder, summary);
}

/* The trace as text, a line an event, and how its reading ended; for the caller to free. */
static char *text_of(int fd, int *result)
{
	struct message message = { "" };
	struct trace_reader *reader;
	struct trace_event event;
	uint64_t before = 0;
	size_t length;
	char *text;
	FILE *out = open_memstream(&text, &length);

	lseek(fd, 0, SEEK_SET);
	assert_int_equal(trace_reader_create(fd, "trace", &reader, &message), 0);
	while ((*result = trace_reader_next(reader, &event, &message)) == 1) {
		trace_text_print(out, &event, before);
		putc('\n', out);
		before = event.stamp ? event.stamp : before;
	}
	trace_reader_destroy(reader);
	fclose(out);
	return text;
}

static void stop(struct scene *scene)
{
	recorder_destroy(scene->recorder);
	trace_clock_unmap(scene->clock);
	close(scene->fd);
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is not in:\n%s", part, text);
}

/* ---- Processes and threads ------------------------------------------------------------- */

static void test_stores_of_a_process_are_in_the_trace_with_the_pool_and_its_contents(void **state)
{
	struct recorder_summary summary;
	struct trace_producer producer;
	struct scene scene;
	uint32_t pool;
	int result;
	char *text;

	pooltest_fill(*state, 4096, 3, 0x11);
	start(&scene, state);
	assert_int_equal(add_process(&scene, &scene.process, 0, 0), 0);
	assert_int_equal(add_thread(&scene, &scene.process, &producer), 1);
	assert_int_equal(recorder_grant(scene.recorder, &scene.process, scene.bench->pool, &pool), 0);
	assert_true(trace_log_store(&producer, 0, 0, pool, 64, "\x22", 1));
	recorder_remove_process(scene.recorder, &scene.process);
	finish(&scene, &summary);
	trace_producer_detach(&producer);
	text = text_of(scene.fd, &result);
	assert_int_equal(result, 0);
	assert_has(text, "path=\"/file\"");
	assert_has(text, "image 2+0x1000 bytes=111111\n");
	assert_has(text, "t1 store 2+0x40 bytes=22\n");
	assert_has(text, "process-exit process=1");
	assert_int_equal(summary.error, 0);
	assert_int_equal(summary.processes, 1);
	assert_int_equal(summary.threads, 1);
	free(text);
	stop(&scene);
}

static void test_a_pool_has_the_same_number_for_all_processes(void **state)
{
	struct recorder_process other = { 0 };
	struct recorder_summary summary;
	uint32_t one, two, root;
	struct scene scene;

	start(&scene, state);
	assert_int_equal(add_process(&scene, &scene.process, 0, 0), 0);
	assert_int_equal(add_process(&scene, &other, 0, 0), 0);
	assert_int_equal(recorder_grant(scene.recorder, &scene.process, scene.bench->pool, &one), 0);
	assert_int_equal(recorder_grant(scene.recorder, &other, pool_root(scene.bench->pools), &root), 0);
	assert_int_equal(recorder_grant(scene.recorder, &other, scene.bench->pool, &two), 0);
	pool_unref(pool_root(scene.bench->pools), 2);
	assert_int_equal(one, two);
	assert_int_not_equal(one, root);
	recorder_remove_process(scene.recorder, &scene.process);
	recorder_remove_process(scene.recorder, &other);
	finish(&scene, &summary);
	stop(&scene);
}

static void test_a_child_may_name_only_a_parent_of_its_own_user(void **state)
{
	struct recorder_process child = { 0 };
	struct recorder_summary summary;
	struct scene scene;

	start(&scene, state);
	assert_int_equal(add_process(&scene, &scene.process, 1000, 0), 0);
	assert_int_equal(add_process(&scene, &scene.process, 1000, 0), -EALREADY);
	assert_int_equal(add_process(&scene, &child, 1001, 1), -ESRCH);
	assert_int_equal(add_process(&scene, &child, 1000, 2), -ESRCH);
	assert_int_equal(add_process(&scene, &child, 1000, 1), 0);
	recorder_remove_process(scene.recorder, &scene.process);
	recorder_remove_process(scene.recorder, &child);
	finish(&scene, &summary);
	assert_int_equal(summary.processes, 2);
	stop(&scene);
}

static void test_only_processes_with_the_key_of_the_recording_are_recorded(void **state)
{
	struct recorder_process_options options = { .pid = 1, .uid = geteuid(), .command = bytes_of("x") };
	struct recorder_summary summary;
	int clock_fd = -1, locks_fd = -1;
	struct scene scene;

	start(&scene, state);
	for (int i = 0; i < 2; i++) {
		options.key = i ? KEY + 1 : 0;
		assert_int_equal(recorder_add_process(scene.recorder, &scene.process, &options, &clock_fd,
						      &locks_fd),
				 -EACCES);
	}
	assert_int_equal(clock_fd + locks_fd, -2);
	assert_int_equal(add_process(&scene, &scene.process, 65534, 0), 0);
	recorder_remove_process(scene.recorder, &scene.process);
	finish(&scene, &summary);
	assert_int_equal(summary.processes, 1);
	stop(&scene);
}

static void test_a_process_can_end_only_its_own_threads(void **state)
{
	struct recorder_process other = { 0 };
	struct recorder_summary summary;
	struct trace_producer producer;
	struct scene scene;

	start(&scene, state);
	assert_int_equal(add_process(&scene, &scene.process, 0, 0), 0);
	assert_int_equal(add_process(&scene, &other, 0, 0), 0);
	assert_int_equal(add_thread(&scene, &scene.process, &producer), 1);
	assert_int_equal(recorder_remove_thread(scene.recorder, &other, 1), -ESRCH);
	assert_int_equal(recorder_remove_thread(scene.recorder, &scene.process, UINT64_C(1) << 32 | 1),
			 -ESRCH);
	assert_int_equal(recorder_remove_thread(scene.recorder, &scene.process, 1), 0);
	assert_int_equal(recorder_remove_thread(scene.recorder, &scene.process, 1), -ESRCH);
	recorder_remove_process(scene.recorder, &scene.process);
	recorder_remove_process(scene.recorder, &other);
	finish(&scene, &summary);
	trace_producer_detach(&producer);
	stop(&scene);
}

/* ---- Beginning and end ----------------------------------------------------------------- */

static void test_without_a_recording_nothing_can_be_recorded(void **state)
{
	struct recorder_process late = { 0 };
	struct recorder_summary summary;
	struct trace_producer producer;
	struct scene scene;
	uint32_t number;
	int fd;

	start(&scene, state);
	assert_int_equal(add_process(&scene, &scene.process, 0, 0), 0);
	add_thread(&scene, &scene.process, &producer);
	finish(&scene, &summary);
	assert_int_equal(recorder_stop(scene.recorder), -ENOENT);
	assert_int_equal(add_process(&scene, &late, 0, 0), -ENOENT);
	assert_int_equal(recorder_add_thread(scene.recorder, &scene.process, 1, bytes_of(""), &fd, &number),
			 -ENOENT);
	assert_int_equal(recorder_grant(scene.recorder, &scene.process, scene.bench->pool, &number), -ENOENT);
	/* A producer learns it when its ring is full, and does not wait for room. */
	while (trace_log_fence(&producer, TRACE_SFENCE, 0))
		;
	trace_producer_detach(&producer);
	recorder_remove_process(scene.recorder, &scene.process);
	stop(&scene);
}

static void test_a_process_of_an_earlier_recording_is_not_in_the_next_one(void **state)
{
	struct recorder_summary summary;
	struct message message;
	struct scene scene;
	uint32_t number;

	start(&scene, state);
	assert_int_equal(add_process(&scene, &scene.process, 0, 0), 0);
	assert_int_equal(begin(&scene, "other", &message), -EBUSY);
	finish(&scene, &summary);
	assert_int_equal(begin(&scene, "other", &message), 0);
	assert_int_equal(recorder_grant(scene.recorder, &scene.process, scene.bench->pool, &number), -ENOENT);
	assert_int_equal(add_process(&scene, &scene.process, 0, 0), 0);
	assert_int_equal(recorder_grant(scene.recorder, &scene.process, scene.bench->pool, &number), 0);
	recorder_remove_process(scene.recorder, &scene.process);
	finish(&scene, &summary);
	stop(&scene);
}

/* As a full disk. */
static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes == RLIM_INFINITY ? limit.rlim_max : bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_an_error_of_the_file_ends_the_recording_and_keeps_whole_blocks(void **state)
{
	static unsigned char noise[1u << 20];
	struct recorder_summary summary;
	struct scene scene;
	int result;

	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (unsigned char)(i * i >> 7 ^ i);
	start(&scene, state);
	/* The limit is for the memory of a view as well: it is made before. */
	pooltest_fill(scene.bench, 0, 4096, 1);
	signal(SIGXFSZ, SIG_IGN);
	limit_files(64 << 10);
	/* More than may wait to be written: a put after the error must not block for ever. */
	for (size_t i = 0; i < 30000; i++)
		assert_int_equal(recorded_write(scene.recorder, scene.bench->handle,
						noise + i * 4096 % sizeof(noise), 4096, 0, POOL_WRITE_FILE),
				 4096);
	assert_true(recorder_wait(scene.recorder, 60000));
	limit_files(RLIM_INFINITY);
	recorder_collect(scene.recorder, &summary);
	assert_int_equal(summary.error, -EFBIG);
	assert_has(summary.message.text, "trace: writing the trace: File too large");
	free(text_of(scene.fd, &result));
	assert_int_equal(result, -ENODATA);
	stop(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		POOLTEST(test_stores_of_a_process_are_in_the_trace_with_the_pool_and_its_contents),
		POOLTEST(test_a_pool_has_the_same_number_for_all_processes),
		POOLTEST(test_a_child_may_name_only_a_parent_of_its_own_user),
		POOLTEST(test_only_processes_with_the_key_of_the_recording_are_recorded),
		POOLTEST(test_a_process_can_end_only_its_own_threads),
		POOLTEST(test_without_a_recording_nothing_can_be_recorded),
		POOLTEST(test_a_process_of_an_earlier_recording_is_not_in_the_next_one),
		POOLTEST(test_an_error_of_the_file_ends_the_recording_and_keeps_whole_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
