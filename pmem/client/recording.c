/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/recording.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "abi/rawcall.h"
#include "client/address_space.h"
#include "client/connection.h"
#include "client/courier.h"
#include "client/errormsg.h"
#include "client/events.h"
#include "client/kernel_calls.h"
#include "client/modules.h"
#include "client/settings.h"
#include "client/signal_handlers.h"
#include "client/signals.h"
#include "client/valgrind.h"
#include "trace/buffer.h"

atomic_bool client_recording_active;
THREAD_HOT uintptr_t client_recording_caller;
static THREAD_HOT uint32_t thread_number; /* in the trace */
/* How many threads of this process have stored to a pool. */
static _Atomic uint32_t threads_attached;
static pthread_key_t thread_end;

/* ---- Threads -------------------------------------------------------------------------- */

struct attach_call {
	int fd;
	struct trace_producer *producer;
	struct trace_clock *clock;
};

static long call_attach(void *argument)
{
	const struct attach_call *call = argument;

	return trace_producer_attach(call->producer, call->fd, call->clock);
}

/* A full buffer that nobody empties. */
static bool daemon_is_gone(void *unused)
{
	if (connection_daemon_lives())
		return false;
	record_stop("the daemon is gone");
}

static int attach(struct trace_producer *producer, struct trace_clock *clock)
{
	struct attach_call call = { .producer = producer, .clock = clock };
	long error;

	call.fd = connection_trace_thread(address_space_thread(), &thread_number);
	error = call.fd < 0 ? call.fd : courier_call(call_attach, &call);
	if (call.fd >= 0)
		courier_close(call.fd);
	/* The recording has ended, and the program goes on. */
	if (error == -ENOENT)
		return (int)error;
	if (error)
		client_complain("a thread cannot be recorded: ", strerrordesc_np((int)-error));
	if (error)
		record_stop("the daemon gives a thread no buffer");
	producer->gone_fn = daemon_is_gone;
	/* libc starts threads for timers, for instance, without pthread_create(). */
	if (atomic_fetch_add(&threads_attached, 1) > 0)
		record_many_by_now();
	pthread_setspecific(thread_end, (void *)1);
	return 0;
}

/* Other destructors may store, so the buffer is given back in the last round of them that POSIX grants. */
static void end_thread(void *value)
{
	const uintptr_t round = (uintptr_t)value;
	const uint32_t number = thread_number;

	if (round < PTHREAD_DESTRUCTOR_ITERATIONS) {
		pthread_setspecific(thread_end, (void *)(round + 1));
		return;
	}
	record_thread_exit();
	connection_trace_thread_gone(number);
}

void client_recording_thread(void)
{
	if (client_recording())
		record_many();
}

/* ---- What the library does by itself ------------------------------------------------------ */

static uint32_t site(void)
{
	return client_modules_caller(client_recording_caller);
}

static void copy(void *to, const void *from, size_t length, enum client_store_kind kind)
{
	record_move(to, from, length, kind == CLIENT_STORE_NONTEMPORAL, site());
}

static void set(void *to, int value, size_t length, enum client_store_kind kind)
{
	record_fill(to, value, length, kind == CLIENT_STORE_NONTEMPORAL, site());
}

static void flush(uintptr_t address, size_t length)
{
	record_flush(address, length, site());
}

static void fence(void)
{
	record_fence(site());
}

static const struct client_recorder recorder = { .copy = copy, .set = set, .flush = flush, .fence = fence };

/* ---- Start ------------------------------------------------------------------------------------- */

/* Guarded by the engine's lock, which is held meanwhile. */
static uint64_t fork_signals;

void client_recording_fork_prepare(void)
{
	const uint64_t signals = signals_block();

	if (record_has_pools())
		record_many();
	record_fork_prepare();
	client_modules_fork_prepare();
	fork_signals = signals;
}

void client_recording_fork_parent(void)
{
	const uint64_t signals = fork_signals;

	client_modules_fork_parent();
	record_fork_parent();
	signals_restore(signals);
}

void client_recording_fork_child(void)
{
	atomic_store(&threads_attached, 0);
	thread_number = 0;
	client_modules_fork_child();
	client_signal_handlers_fork_child();
	record_fork_child();
	signals_restore(fork_signals);
}

static _Noreturn void stop(int error)
{
	client_complain("this process cannot be recorded, and ends: ", strerrordesc_np(-error));
	for (;;)
		RAW1(exit_group, 1);
}

void client_recording_start(struct record_setup *setup)
{
	int error;

	if (!client_signal_handlers_own) {
		client_complain("this process cannot be recorded, and ends: ",
				"it was not started by softpmem record");
		RAW1(exit_group, 1);
	}
	if (valgrind_is_running())
		stop(-EOPNOTSUPP);
	connection_trace_shared(&setup->clock_fd, &setup->locks_fd);
	setup->stores = true;
	setup->traps = true;
	setup->map = courier_mmap;
	setup->attach = attach;
	setup->on_site = client_modules_define_site;
	client_kernel_calls_start(setup);
	error = -pthread_key_create(&thread_end, end_thread);
	if (!error)
		error = record_start(setup);
	courier_close(setup->clock_fd);
	courier_close(setup->locks_fd);
	if (!error)
		error = client_signal_handlers_own();
	if (error)
		stop(error);
	if (client_signal_handlers_replace() != 0)
		client_complain("signal masks that are kept in pools, and threads that are cancelled while "
				"they store, are not recorded: ",
				"libc's functions are not as they were known");
	client_modules_refresh();
	atomic_store(&client_recording_active, true);
	client_recorder_attach(&recorder);
}

void client_recording_patches(void)
{
	client_signal_handlers_own_again();
	client_modules_refresh();
}

/* softpmem -v record */
static __attribute__((destructor)) void tell_counts(void)
{
	struct record_counts counts;
	char text[100];

	if (!client_recording() || !client_settings()->inline_verbose)
		return;
	counts = record_stat();
	snprintf(text, sizeof(text), "%u instructions stored to pools, %u of them are patched", counts.stores,
		 counts.stores_patched);
	client_complain("this process is recorded: ", text);
}

/* ---- Mappings -------------------------------------------------------------------------- */

int client_recording_protection(int prot)
{
	return prot & ~PROT_WRITE;
}

static uintptr_t alias_of(const struct range *range)
{
	return range->start + (uintptr_t)range->alias;
}

static void add(const struct range *range)
{
	if (record_range_add(range->start, range->end - range->start, range->trace_pool, range->offset,
			     alias_of(range)) != 0)
		record_stop("the program has more than 255 mappings of pools, or pieces of such: map files "
			    "as a whole, and unmap none in part");
}

int client_recording_map(struct range *range, int prot, uint32_t trace_pool)
{
	const size_t length = range->end - range->start;
	/* Of a shared mapping, an old size of 0 makes another one of the same pages. */
	long alias = RAW4(mremap, range->start, 0, length, MREMAP_MAYMOVE), error;

	if (raw_failed(alias))
		return -ENOMEM;
	error = RAW3(mprotect, alias, length, prot & ~PROT_EXEC);
	if (error) {
		RAW2(munmap, alias, length);
		return (int)error;
	}
	if (!(prot & PROT_WRITE)) {
		range->flags |= RANGE_FORBIDDEN;
		record_some_forbidden = true;
	}
	range->alias = alias - (long)range->start;
	range->trace_pool = trace_pool;
	add(range);
	return 0;
}

/* The ranges with aliases in [start, end), cut at its ends. */
static bool next_aliased(uintptr_t *at, uintptr_t end, struct range *range)
{
	while (*at < end) {
		*range = ranges_find(*at);
		if (range->end > end)
			range->end = end;
		*at = range->end;
		if (range->flags && range->alias)
			return true;
	}
	return false;
}

void client_recording_unmap(uintptr_t start, uintptr_t end)
{
	struct range range;

	if (!client_recording())
		return;
	while (next_aliased(&start, end, &range)) {
		record_range_remove(range.start, range.end - range.start);
		RAW2(munmap, alias_of(&range), range.end - range.start);
	}
}

static long protect(uintptr_t start, uintptr_t end, int prot, int key)
{
	return key < 0 ? RAW3(mprotect, start, end - start, prot) :
			 RAW4(pkey_mprotect, start, end - start, prot, key);
}

long client_recording_protect(uintptr_t start, uintptr_t end, int prot, int key)
{
	while (start < end) {
		struct range range = ranges_find(start);
		const uintptr_t stop = range.end < end ? range.end : end;
		const bool aliased = range.flags && range.alias;
		long error;

		if (aliased && !(prot & PROT_WRITE))
			record_some_forbidden = true;
		error = protect(start, stop, aliased ? client_recording_protection(prot) : prot, key);
		/* A store through the alias faults where one through the mapping would have. */
		if (!error && aliased)
			error = RAW3(mprotect, start + (uintptr_t)range.alias, stop - start,
				     prot & ~PROT_EXEC);
		if (error)
			return error;
		if (aliased)
			ranges_mark(start, stop, prot & PROT_WRITE ? 0 : RANGE_FORBIDDEN,
				    prot & PROT_WRITE ? RANGE_FORBIDDEN : 0);
		start = stop;
	}
	return 0;
}

long client_recording_populate(uintptr_t start, uintptr_t end)
{
	long error = 0;

	while (!error && start < end) {
		const struct range range = ranges_find(start);
		const uintptr_t stop = range.end < end ? range.end : end;
		const bool aliased = range.flags && range.alias;

		/* The alias may be written to if the program may write to the mapping. */
		error = RAW3(madvise, start + (aliased ? (uintptr_t)range.alias : 0), stop - start,
			     MADV_POPULATE_WRITE);
		if (!error && aliased)
			error = RAW3(madvise, start, stop - start, MADV_POPULATE_READ);
		start = stop;
	}
	return error;
}

void client_recording_advise(uintptr_t start, uintptr_t end, int advice)
{
	struct range range;

	while (next_aliased(&start, end, &range))
		RAW3(madvise, alias_of(&range), range.end - range.start, advice);
}

intptr_t client_recording_remap(const struct range *range, uintptr_t to, size_t new_length, bool kept)
{
	const size_t length = range->end - range->start;
	long alias = RAW4(mremap, alias_of(range), kept ? 0 : length, new_length, MREMAP_MAYMOVE);
	struct range moved = *range;

	if (raw_failed(alias))
		record_stop("a mapping of a pool cannot be moved or made larger together with its alias");
	if (!kept)
		record_range_remove(range->start, length);
	moved.start = to;
	moved.end = to + new_length;
	moved.alias = alias - (long)to;
	add(&moved);
	return moved.alias;
}

/* Where the first page from `at` on begins that refuses a store; or `end`. */
static uintptr_t stores_end(uintptr_t at, uintptr_t end)
{
	while (at < end && record_can_store(at))
		at = align_down(at, PAGE_BYTES) + PAGE_BYTES;
	return min_u64(at, end);
}

size_t client_recording_storable(uintptr_t address, size_t length)
{
	const uintptr_t end = address + length < address ? UINTPTR_MAX : address + length;
	uintptr_t at = address;

	while (at < end) {
		const struct range range = ranges_find(at);
		const uintptr_t stop = min_u64(range.end, end);
		/* Pages of a pool are not touched: those of a hole would get memory. */
		const bool aliased = range.flags && range.alias;
		const uintptr_t reached = !aliased			  ? stores_end(at, stop) :
					  range.flags & RANGE_FORBIDDEN ? at :
									  stop;

		at = reached;
		if (reached < stop)
			break;
	}
	return at - address;
}
