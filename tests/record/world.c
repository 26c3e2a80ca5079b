/* SPDX-License-Identifier: BSD-3-Clause */

#include "world.h"

#include <err.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "client/record/record.h"
#include "client/record/state.h"
#include "client/record/thunk.h"
#include "trace/buffer.h"

#define THREADS_MAX 64u
#define RING_BYTES (1u << 20)

struct world world;
void (*world_signal)(int number, siginfo_t *info, void *context);

/* ---- Buffers ---------------------------------------------------------------------------- */

static struct {
	pthread_mutex_t lock;
	struct trace_buffer *buffers[THREADS_MAX];
	unsigned count;
	/* What was taken out of each; up to `seen` it was returned. */
	unsigned char *slots[THREADS_MAX];
	size_t used[THREADS_MAX], room[THREADS_MAX], seen[THREADS_MAX];
	uint64_t high[THREADS_MAX];
	struct world_event *events;
	size_t event_count, event_room;
} trace = { .lock = PTHREAD_MUTEX_INITIALIZER };

static int attach(struct trace_producer *producer, struct trace_clock *clock)
{
	struct trace_buffer *buffer;
	int error = trace_buffer_create(RING_BYTES, &buffer);

	if (error)
		return error;
	error = trace_producer_attach(producer, trace_buffer_fd(buffer), clock);
	pthread_mutex_lock(&trace.lock);
	if (trace.count == THREADS_MAX)
		errx(1, "too many threads");
	trace.buffers[trace.count] = buffer;
	__atomic_store_n(&trace.count, trace.count + 1, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&trace.lock);
	return error;
}

static void collect(unsigned thread)
{
	ptrdiff_t taken;

	do {
		if (trace.room[thread] - trace.used[thread] < RING_BYTES) {
			trace.room[thread] += 4 * RING_BYTES + trace.room[thread];
			trace.slots[thread] = realloc(trace.slots[thread], trace.room[thread]);
			if (!trace.slots[thread])
				errx(1, "out of memory");
		}
		taken = trace_buffer_take(trace.buffers[thread], trace.slots[thread] + trace.used[thread],
					  RING_BYTES);
		if (taken < 0)
			errx(1, "a buffer's positions are impossible");
		trace.used[thread] += (size_t)taken;
	} while (taken > 0);
}

void world_collect(void)
{
	unsigned count = __atomic_load_n(&trace.count, __ATOMIC_ACQUIRE);

	for (unsigned i = 0; i < count; i++)
		collect(i);
}

static struct world_event *new_event(void)
{
	if (trace.event_count == trace.event_room) {
		trace.event_room = trace.event_room ? 2 * trace.event_room : 4096;
		trace.events = realloc(trace.events, trace.event_room * sizeof(*trace.events));
		if (!trace.events)
			errx(1, "out of memory");
	}
	return memset(&trace.events[trace.event_count++], 0, sizeof(struct world_event));
}

static void set_place(struct world_event *event, uint64_t word)
{
	if (word >> TRACE_SLOT_POOL_SHIFT != WORLD_POOL)
		errx(1, "an event of pool %u", (unsigned)(word >> TRACE_SLOT_POOL_SHIFT));
	event->offset = (word & ~((uint64_t)TRACE_SLOT_POOL_MAX << TRACE_SLOT_POOL_SHIFT)) - WORLD_OFFSET;
}

/* Words that the slot takes. */
static size_t parse(unsigned thread, const uint64_t *slot)
{
	unsigned kind = slot[0] & 63, less_one = slot[0] >> 6 & 63;
	struct world_event *event;
	size_t words = 1;

	if (kind == TRACE_SLOT_REBASE) {
		trace.high[thread] = slot[1] >> TRACE_SLOT_STAMP_BITS;
		return 2;
	}
	event = new_event();
	event->thread = thread;
	event->kind = kind;
	event->flags = slot[0] >> 12 & 15;
	event->site = (unsigned)(slot[0] >> TRACE_SLOT_SITE_SHIFT) & TRACE_SLOT_SITE_MAX;
	event->stamp = trace.high[thread] << TRACE_SLOT_STAMP_BITS | slot[0] >> TRACE_SLOT_STAMP_SHIFT;
	event->length = less_one + 1;
	switch (kind) {
	case TRACE_SLOT_STORE_LONG:
	case TRACE_SLOT_STORE_MASKED:
	case TRACE_SLOT_STORE:
		set_place(event, slot[words++]);
		if (kind == TRACE_SLOT_STORE_LONG)
			event->length = slot[words++];
		if (kind == TRACE_SLOT_STORE_MASKED)
			event->mask = slot[words++];
		event->bytes = (const unsigned char *)&slot[words];
		words += (event->length + 7) / 8;
		break;
	case TRACE_SLOT_FLUSH:
		set_place(event, slot[words++]);
		break;
	case TRACE_SLOT_FENCE:
	case TRACE_SLOT_VOID:
		break;
	default:
		errx(1, "a slot of kind %u", kind);
	}
	return words;
}

static int by_stamp(const void *a, const void *b)
{
	const struct world_event *first = a, *second = b;

	return first->stamp < second->stamp ? -1 : first->stamp > second->stamp;
}

const struct world_event *world_events(size_t *count)
{
	static uint64_t last;

	/* The events of the last call point into what was taken then. */
	for (unsigned i = 0; i < trace.count; i++) {
		if (trace.seen[i])
			memmove(trace.slots[i], trace.slots[i] + trace.seen[i],
				trace.used[i] - trace.seen[i]);
		trace.used[i] -= trace.seen[i];
	}
	world_collect();
	trace.event_count = 0;
	for (unsigned i = 0; i < trace.count; i++) {
		for (size_t at = 0; at < trace.used[i];)
			at += 8 * parse(i, (const uint64_t *)(const void *)(trace.slots[i] + at));
		trace.seen[i] = trace.used[i];
	}
	if (trace.event_count)
		qsort(trace.events, trace.event_count, sizeof(*trace.events), by_stamp);
	for (size_t i = 0; i < trace.event_count; i++) {
		if (trace.events[i].stamp != last + 1)
			errx(1, "stamp %llu follows %llu", (unsigned long long)trace.events[i].stamp,
			     (unsigned long long)last);
		last++;
	}
	*count = trace.event_count;
	return trace.events;
}

void world_apply(const struct world_event *event, unsigned char *image)
{
	if (event->kind != TRACE_SLOT_STORE && event->kind != TRACE_SLOT_STORE_MASKED &&
	    event->kind != TRACE_SLOT_STORE_LONG)
		return;
	if (event->offset + event->length > world.bytes)
		errx(1, "a store of %llu bytes at %llu", (unsigned long long)event->length,
		     (unsigned long long)event->offset);
	for (size_t i = 0; i < event->length; i++)
		if (event->length > 64 || trace_mask_has(event->mask, (uint32_t)i))
			image[event->offset + i] = event->bytes[i];
}

/* ---- Memory --------------------------------------------------------------------------------- */

static void *map(int fd, size_t bytes, int protection, int flags)
{
	void *at = mmap(NULL, bytes, protection, flags, fd, 0);

	if (at == MAP_FAILED)
		err(1, "mmap");
	return at;
}

void world_many(bool many)
{
	record_low->locks[RECORD_LAST_LOCK].many = many;
	record_low->clock.alone = !many;
}

unsigned char *world_code(const void *bytes, size_t length, bool low)
{
	int fd = memfd_create("code", MFD_CLOEXEC);
	unsigned char *at;

	if (fd < 0 || pwrite(fd, bytes, length, 0) != (ssize_t)length)
		err(1, "code");
	at = map(fd, length, PROT_READ | PROT_EXEC, MAP_PRIVATE | (low ? MAP_32BIT : 0));
	close(fd);
	return at;
}

static void on_signal(int number, siginfo_t *info, void *context)
{
	if (record_signal(number, info, context))
		return;
	if (world_signal) {
		world_signal(number, info, context);
		return;
	}
	printf("# signal %d, address %p, rip %#llx, code %d\n", number, info->si_addr,
	       (unsigned long long)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP], info->si_code);
	fflush(stdout);
	signal(number, SIG_DFL);
}

static void catch_signals(void)
{
	static const int numbers[] = { SIGSEGV, SIGBUS, SIGTRAP, SIGILL };
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	sigfillset(&action.sa_mask);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (sigaction(numbers[i], &action, NULL) != 0)
			err(1, "sigaction");
}

static void start(size_t bytes, struct record_setup setup)
{
	int fd = memfd_create("pool", MFD_CLOEXEC), error;

	setup.clock_fd = setup.locks_fd = -1;
	setup.own_start = (uintptr_t)record_thunk_first;
	setup.own_end = (uintptr_t)record_thunk_last;
	error = record_start(&setup);
	if (error)
		errx(1, "record_start: %s", strerror(-error));
	if (fd < 0 || ftruncate(fd, (off_t)bytes) != 0)
		err(1, "pool");
	world.bytes = bytes;
	world.pool = map(fd, bytes, PROT_READ | (setup.stores ? 0 : PROT_WRITE), MAP_SHARED | MAP_32BIT);
	world.alias = setup.stores ? map(fd, bytes, PROT_READ | PROT_WRITE, MAP_SHARED) : world.pool;
	close(fd);
	error = record_range_add((uintptr_t)world.pool, bytes, WORLD_POOL, WORLD_OFFSET,
				 (uintptr_t)world.alias);
	if (error)
		errx(1, "record_range_add: %s", strerror(-error));
	catch_signals();
}

void world_start(size_t bytes)
{
	start(bytes, (struct record_setup){ .stores = true, .traps = true, .attach = attach });
}

void world_start_hooks(size_t bytes, struct record_setup setup)
{
	start(bytes, setup);
}
