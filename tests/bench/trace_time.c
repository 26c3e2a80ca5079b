/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The time that the parts of a trace take: an event in a recorded thread, the work of the consumer, and
 * reading.
 *
 *	trace_time [EVENTS]
 *
 * Each line of the output is a name, a value and its unit. Default: ten million events.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/rng.h"
#include "now.h"
#include "trace/buffer.h"
#include "trace/merge.h"
#include "trace/reader.h"
#include "trace/writer.h"

#define SITES 200u
#define POOL_BYTES ((uint64_t)64 << 20)

static void fail(const char *what)
{
	fprintf(stderr, "trace_time: %s\n", what);
	exit(1);
}

static void row(const char *name, double value, const char *unit)
{
	printf("%-34s %10.2f %s\n", name, value, unit);
	fflush(stdout);
}

static double rss_mib(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)usage.ru_maxrss / 1024;
}

/* ---- The events of something like a tree: five stores to a node, a flush, sometimes a fence ---- */

struct load {
	struct rng rng;
	uint64_t node, count;
};

static bool log_one(struct trace_producer *producer, struct load *load)
{
	const uint64_t step = load->count++ % 13;
	uint64_t value;

	if (step == 0)
		load->node = rng_below(&load->rng, POOL_BYTES / 256) * 256;
	if (step == 12)
		return trace_log_fence(producer, TRACE_SFENCE, 3);
	if (step % 6 == 5)
		return trace_log_flush(producer, TRACE_CLWB, 2, 1, load->node + 64 * (step / 6), 64);
	value = step % 3 ? load->count : load->node | 0x7f0000000000;
	return trace_log_store(producer, 0, 4 + (uint32_t)(load->node / 256 + step) % (SITES - 4), 1,
			       load->node + 8 * step, &value, 8);
}

/* ---- A recording ------------------------------------------------------------------------------- */

struct recording {
	int clock_fd;
	struct trace_clock *clock;
	struct trace_writer *writer;
	struct trace_merge *merge;
	struct trace_producer producer;
	uint64_t events;
	double seconds; /* events that the producer accepted */
};

static void define(struct recording *recording)
{
	for (uint32_t i = 1; i < SITES; i++) {
		const struct trace_frame frames[4] = { { 0, i * 16 }, { 0, i }, { 0, 2 * i }, { 0, 5 } };
		const struct trace_event site = { .kind = TRACE_SITE, .site = i, .stack = { frames, 4 } };

		if (!trace_log_event(&recording->producer, &site))
			fail("a site is not taken");
	}
}

static void start(struct recording *recording, int fd, uint32_t ring_bytes)
{
	const struct trace_event file = { .kind = TRACE_FILE, .file = 1, .node.size = POOL_BYTES };
	const struct trace_writer_options options = { .level = TRACE_WRITER_LEVEL };
	const struct trace_bytes none = { NULL, 0 };
	struct trace_buffer *buffer;
	uint32_t process, thread;

	memset(recording, 0, sizeof(*recording));
	if (trace_writer_create(fd, "trace", &options, &recording->writer, NULL) < 0 ||
	    trace_writer_put(recording->writer, &file, NULL) < 0 ||
	    trace_clock_create(&recording->clock, &recording->clock_fd) < 0)
		fail("no writer");
	recording->merge = trace_merge_create(recording->writer, recording->clock, TRACE_MERGE_PATIENCE,
					      TRACE_MERGE_AHEAD);
	if (trace_buffer_create(ring_bytes, &buffer) < 0 ||
	    trace_producer_attach(&recording->producer, trace_buffer_fd(buffer), recording->clock) < 0 ||
	    trace_merge_process(recording->merge, 1, 0, false, none, &process) < 0 ||
	    trace_merge_grant(recording->merge, process, 1, 1) < 0 ||
	    trace_merge_thread(recording->merge, process, 1, none, buffer, &thread) < 0)
		fail("no buffer");
	define(recording);
}

static void end(struct recording *recording)
{
	if (trace_merge_finish(recording->merge, NULL) < 0 || trace_writer_end(recording->writer, NULL) < 0)
		fail("the trace does not end");
	trace_producer_detach(&recording->producer);
	trace_merge_destroy(recording->merge);
	trace_writer_destroy(recording->writer);
	trace_clock_unmap(recording->clock);
	close(recording->clock_fd);
}

static void *produce(void *argument)
{
	struct recording *recording = argument;
	struct load load = { .rng.state = 1 };
	double before = now();

	while (load.count < recording->events)
		if (!log_one(&recording->producer, &load))
			fail("an event is not taken");
	recording->seconds = now() - before;
	return NULL;
}

/*
 * Events that fit into the ring before any is consumed. In the second round the pages of the ring are
 * mapped.
 */
static void time_burst(int fd)
{
	struct recording recording;
	const uint64_t value = 5, count = 1000000;

	start(&recording, fd, 32u << 20);
	for (int round = 0; round < 3; round++) {
		double before = now(), middle;

		for (uint64_t i = 0; i < count; i++)
			trace_log_store(&recording.producer, 0, 7, 1, i * 8 % POOL_BYTES, &value, 8);
		middle = now();
		if (trace_merge_run(recording.merge, NULL) < 0)
			fail("the merge fails");
		if (round < 2)
			continue;
		row("store of 8 bytes, room in the ring", (middle - before) * 1e9 / (double)count, "ns");
		row("consumer, such a store", (now() - middle) * 1e9 / (double)count, "ns");
	}
	end(&recording);
}

static void time_recording(int fd, uint64_t events)
{
	struct recording recording;
	pthread_t thread;
	int64_t written = 0;
	double before = now();

	start(&recording, fd, 4u << 20);
	recording.events = events;
	pthread_create(&thread, NULL, produce, &recording);
	while (written < (int64_t)events) {
		int64_t more = trace_merge_run(recording.merge, NULL);

		if (more < 0)
			fail("the merge fails");
		written += more;
		if (!more)
			trace_clock_sleep(recording.clock, 1);
	}
	pthread_join(thread, NULL);
	row("an event, producer and consumer", (now() - before) * 1e9 / (double)events, "ns");
	row("trace file, an event", (double)trace_writer_bytes(recording.writer) / (double)events, "bytes");
	end(&recording);
}

static void time_reading(int fd, uint64_t events)
{
	struct trace_reader *reader;
	struct trace_event event;
	struct message message;
	uint64_t stores = 0, count = 0;
	double before = now(), rss = rss_mib();
	int result;

	lseek(fd, 0, SEEK_SET);
	if (trace_reader_create(fd, "trace", &reader, &message) < 0)
		fail(message.text);
	while ((result = trace_reader_next(reader, &event, &message)) == 1) {
		stores += event.kind == TRACE_STORE;
		count++;
	}
	if (result < 0 || count < events || !stores)
		fail("the trace is not read");
	row("reading the whole trace", now() - before, "s");
	row("more memory for that", rss_mib() - rss, "MiB");
	trace_reader_destroy(reader);
}

int main(int argc, char **argv)
{
	const uint64_t events = argc > 1 ? strtoull(argv[1], NULL, 0) : 10000000;
	FILE *file = tmpfile(), *other = tmpfile();

	if (!file || !other)
		fail("no temporary file");
	time_recording(fileno(file), events);
	time_reading(fileno(file), events);
	time_burst(fileno(other));
	return 0;
}
