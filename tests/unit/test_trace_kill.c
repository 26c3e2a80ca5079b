/* SPDX-License-Identifier: BSD-3-Clause */
/* Processes and threads that log at the same time, full rings, and producers that are killed. */
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

#include "common/rng.h"
#include "trace/buffer.h"
#include "trace/merge.h"
#include "trace/writer.h"
#include "tracetest.h"

#define PROCESSES 3
#define THREADS 2
#define PRODUCERS (PROCESSES * THREADS)
#define POOL 7

/* In memory that the producers share with the test. */
struct shared {
	/* The last value of each producer that is known to be published. */
	_Alignas(64) _Atomic uint64_t published[PRODUCERS];
	_Alignas(64) _Atomic uint32_t lock;
	uint64_t chain; /* guarded by the lock */
	_Atomic uint32_t stop;
};

struct scene {
	int fd, clock_fd;
	struct trace_clock *clock;
	struct trace_writer *writer;
	struct trace_merge *merge;
	struct shared *shared;
	struct trace_buffer *buffers[PRODUCERS];
	uint32_t threads[PRODUCERS];
	pid_t pids[PROCESSES];
};

static const struct trace_bytes no_text;

static void start(struct scene *scene)
{
	const struct trace_event file = { .kind = TRACE_FILE, .file = 1, .node.size = 65536 };
	struct message message;

	*scene = (struct scene){ .fd = tracetest_file() };
	scene->shared = mmap(NULL, sizeof(*scene->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			     -1, 0);
	assert_ptr_not_equal(scene->shared, MAP_FAILED);
	scene->writer = tracetest_writer(scene->fd, 1);
	assert_int_equal(trace_writer_put(scene->writer, &file, &message), 0);
	assert_int_equal(trace_clock_create(&scene->clock, &scene->clock_fd), 0);
	scene->merge = trace_merge_create(scene->writer, scene->clock, TRACE_MERGE_PATIENCE, 1 << 20);
	for (int i = 0; i < PRODUCERS; i++) {
		uint32_t process = 0;

		if (i % THREADS == 0) {
			assert_int_equal(trace_merge_process(scene->merge, i, 0, false, no_text, &process),
					 0);
			assert_int_equal(trace_merge_grant(scene->merge, process, POOL, 1), 0);
		}
		assert_int_equal(trace_buffer_create(TRACE_RING_BYTES_MIN, &scene->buffers[i]), 0);
		assert_int_equal(trace_merge_thread(scene->merge, (uint32_t)(i / THREADS) + 1, i, no_text,
						    scene->buffers[i], &scene->threads[i]),
				 0);
	}
}

static void stop(struct scene *scene)
{
	trace_merge_destroy(scene->merge);
	trace_writer_destroy(scene->writer);
	trace_clock_unmap(scene->clock);
	munmap(scene->shared, sizeof(*scene->shared));
	close(scene->clock_fd);
	close(scene->fd);
}

/* ---- Producers; they run in forked children -------------------------------------------- */

struct worker {
	struct scene *scene;
	int index;
	void (*work)(struct worker *worker);
	struct trace_producer producer;
	pthread_t thread;
};

/* Until it is killed: 1, 2, 3, ... to a line of its own, with a fence now and then. */
static void count_up(struct worker *worker)
{
	const uint64_t offset = 64 * (uint64_t)worker->index;

	for (uint64_t value = 1;; value++) {
		if (!trace_log_store(&worker->producer, 0, 0, POOL, offset, &value, 8))
			return;
		atomic_store(&worker->scene->shared->published[worker->index], value);
		if (value % 5 == 0)
			trace_log_fence(&worker->producer, TRACE_SFENCE, 0);
	}
}

/* All race for one counter: the stamp is taken while the lock is held, as a recorder does. */
static void race(struct worker *worker)
{
	struct shared *shared = worker->scene->shared;
	struct trace_producer *producer = &worker->producer;

	while (!atomic_load(&shared->stop)) {
		uint64_t value, stamp;

		if (!trace_room(producer, TRACE_SLOT_ROOM))
			return;
		while (atomic_exchange(&shared->lock, 1))
			sched_yield();
		stamp = trace_stamp(producer);
		value = ++shared->chain;
		trace_put_store(producer, stamp, TRACE_LOCKED, 0, trace_slot_place(POOL, 0), &value, 8);
		trace_publish(producer);
		atomic_store(&shared->lock, 0);
	}
}

static void *worker_main(void *argument)
{
	struct worker *worker = argument;

	if (trace_producer_attach(&worker->producer, trace_buffer_fd(worker->scene->buffers[worker->index]),
				  worker->scene->clock) == 0)
		worker->work(worker);
	return NULL;
}

static void fork_producers(struct scene *scene, void (*work)(struct worker *worker))
{
	for (int i = 0; i < PROCESSES; i++) {
		scene->pids[i] = fork();
		assert_true(scene->pids[i] >= 0);
		if (scene->pids[i])
			continue;
		struct worker workers[THREADS];

		for (int t = 0; t < THREADS; t++) {
			workers[t] = (struct worker){ scene, i * THREADS + t, work, { 0 }, 0 };
			pthread_create(&workers[t].thread, NULL, worker_main, &workers[t]);
		}
		for (int t = 0; t < THREADS; t++)
			pthread_join(workers[t].thread, NULL);
		_exit(0);
	}
}

/* ---- The consumer ----------------------------------------------------------------------- */

static int64_t consume(struct scene *scene)
{
	struct message message = { "" };
	int64_t written = trace_merge_run(scene->merge, &message);

	if (written < 0)
		fail_msg("%s", message.text);
	trace_clock_sleep(scene->clock, 1);
	return written;
}

static void reap(struct scene *scene, int process, int signal)
{
	int status;

	if (signal)
		assert_int_equal(kill(scene->pids[process], signal), 0);
	assert_int_equal(waitpid(scene->pids[process], &status, 0), scene->pids[process]);
	assert_true(signal ? WIFSIGNALED(status) : WIFEXITED(status));
	for (int t = 0; t < THREADS; t++)
		assert_int_equal(trace_merge_thread_gone(scene->merge, scene->threads[process * THREADS + t]),
				 0);
}

struct counts {
	uint64_t last[PRODUCERS + 1]; /* by thread, from 1 */
	uint64_t chain;
	uint64_t stores, lost;
};

static void check_store(struct counts *counts, const struct trace_event *event)
{
	uint64_t value;

	memcpy(&value, event->store.bytes.at, 8);
	counts->stores++;
	if (event->flags & TRACE_LOCKED) {
		assert_int_equal(value, counts->chain + 1);
		counts->chain = value;
	} else {
		assert_int_equal(event->store.offset, 64 * (event->thread - 1));
		assert_int_equal(value, counts->last[event->thread] + 1);
		counts->last[event->thread] = value;
	}
}

static void count(const struct trace_event *event, void *counts_pointer)
{
	struct counts *counts = counts_pointer;

	if (event->kind == TRACE_STORE)
		check_store(counts, event);
	if (event->kind == TRACE_LOST)
		counts->lost += event->lost.count;
}

static struct counts finish(struct scene *scene)
{
	struct counts counts = { 0 };

	tracetest_finish(scene->merge, scene->writer, scene->fd, count, &counts);
	return counts;
}

static void test_killed_producers_keep_every_event_that_they_published(void **state)
{
	const uint64_t seed = (uint64_t)getpid();
	struct rng rng = { .state = seed };

	print_message("# seed %llu\n", (unsigned long long)seed);
	for (int round = 0; round < 4; round++) {
		struct scene scene;
		struct counts counts;
		uint64_t total = 0;

		start(&scene);
		fork_producers(&scene, count_up);
		/* Every producer has filled its ring several times before the first one is killed. */
		for (uint64_t least = 0; least < 10000;) {
			consume(&scene);
			least = UINT64_MAX;
			for (int i = 0; i < PRODUCERS; i++)
				if (atomic_load(&scene.shared->published[i]) < least)
					least = atomic_load(&scene.shared->published[i]);
		}
		for (int i = 0; i < PROCESSES; i++) {
			for (uint64_t more = rng_below(&rng, 20); more; more--)
				consume(&scene);
			reap(&scene, i, SIGKILL);
		}
		counts = finish(&scene);
		for (int i = 0; i < PRODUCERS; i++) {
			const uint64_t published = atomic_load(&scene.shared->published[i]);

			assert_in_range(counts.last[i + 1], published, published + 1);
			total += published;
		}
		assert_in_range(counts.stores, total, total + PRODUCERS);
		assert_in_range(counts.lost, 0, PRODUCERS);
		stop(&scene);
	}
}

static void test_threads_that_race_for_a_counter_are_in_the_order_of_its_values(void **state)
{
	struct scene scene;
	struct counts counts;
	int64_t written = 0;

	start(&scene);
	fork_producers(&scene, race);
	while (written < 200000)
		written += consume(&scene);
	atomic_store(&scene.shared->stop, 1);
	/* A producer may wait for room, so its end is not waited for before there is some. */
	for (int i = 0; i < 20; i++)
		consume(&scene);
	for (int i = 0; i < PROCESSES; i++)
		reap(&scene, i, 0);
	counts = finish(&scene);
	assert_int_equal(counts.chain, scene.shared->chain);
	assert_int_equal(counts.stores, scene.shared->chain);
	assert_int_equal(counts.lost, 0);
	stop(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_killed_producers_keep_every_event_that_they_published),
		cmocka_unit_test(test_threads_that_race_for_a_counter_are_in_the_order_of_its_values),
	};

	return cmocka_run_group_tests_name("trace_kill", tests, NULL, NULL);
}
