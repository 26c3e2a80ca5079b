/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/inline.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "abi/rawcall.h"
#include "client/compiler.h"
#include "client/connection.h"
#include "client/courier.h"
#include "client/errormsg.h"
#include "client/fence_seen.h"
#include "client/flush.h"
#include "client/modules.h"
#include "client/ranges.h"
#include "client/recording.h"
#include "client/settings.h"
#include "client/signals.h"
#include "client/stack_refusals.h"

THREAD_HOT unsigned signals_locks_held;
static atomic_bool active;

/* ---- What the engine calls -------------------------------------------------------------- */

static bool on_flush(uintptr_t address, enum record_flush_kind kind)
{
	struct range at = ranges_find(address);

	if (!(at.flags & RANGE_POOL))
		return false;
	if (connection_domain() == PERSISTENCE_CPU_CACHE)
		return true;
	/* The engine has logged it, if it records. */
	client_flush_lines(align_down(address, LINE_SIZE), LINE_SIZE, 0);
	/*
	 * clflush needs no fence. A fence also makes durable what the thread flushed before, which the
	 * processor may do.
	 */
	if (kind == RECORD_CLFLUSH)
		client_fence_seen();
	return true;
}

static bool on_fence(enum record_fence_kind kind)
{
	/*
	 * libc's locked instructions are patched as all others are. One by which the client takes a lock is
	 * no fence of the program, and a fence may need the same lock.
	 */
	if (signals_locks_held > 0) {
		record_waiting = 1;
		return false;
	}
	client_fence_seen();
	return true;
}

/* ---- Refusals ------------------------------------------------------------------------------- */

/*
 * An unseen flush persists nothing. An unseen fence delays what its thread flushed to the next one, and
 * objects without flushes have many (sfence after non-temporal copies in DRAM, locks): those are named on
 * request only. An unseen system call gets EFAULT if it stores to a pool.
 */
static void refuse(const char *object, uintptr_t address, const struct record_insn *insn, const char *why,
		   bool has_flushes)
{
	char text[300];

	if (insn->class != RECORD_SYSTEM_CALL && (insn->class == RECORD_STORE || !has_flushes) &&
	    !client_settings()->inline_verbose)
		return;
	snprintf(text, sizeof(text), "%s+0x%lx: %s is not seen%s: ", object, (unsigned long)address,
		 record_insn_name(insn),
		 insn->class == RECORD_SYSTEM_CALL ? ", and cannot store to pools" : "");
	client_complain(text, why);
}

/* ---- Patching ------------------------------------------------------------------------------ */

static void scan(void)
{
	int error;

	if (client_recording())
		client_recording_patches();
	error = record_scan(refuse);

	if (error)
		client_complain("flush instructions of the program are not seen: ",
				error == -EBUSY ? "it has started threads by system calls of its own" :
						  strerrordesc_np(-error));
	else
		atomic_store(&active, true);
}

/* Of this library nothing is patched: its flushes are real ones, of memory that is no pool. */
static void set_own(struct record_setup *setup)
{
	extern const char __ehdr_start[] __attribute__((visibility("hidden")));
	extern const char etext[] __attribute__((visibility("hidden")));

	setup->own_start = (uintptr_t)__ehdr_start;
	setup->own_end = (uintptr_t)etext;
}

/* False: nothing is patched. */
static bool start_without_stores(const struct record_setup *setup)
{
	int error;

	if (client_settings()->inline_never || !client_settings()->attach_path ||
	    connection_domain_is(PERSISTENCE_CPU_CACHE))
		return false;
	error = record_start(setup);
	if (error) {
		client_complain("flush instructions of the program are not seen: ", strerrordesc_np(-error));
		return false;
	}
	pthread_atfork(NULL, NULL, record_fork_child);
	return true;
}

/*
 * What the engine needs to patch code and to take stamps, and queues need for their fences. While the process
 * has one thread it takes no time; later the kernel waits until every processor was elsewhere, for some 10
 * ms. Both register by themselves, too, for what runs before this.
 */
static AT_LOAD void register_for_barriers(void)
{
	if (!client_settings()->attach_path)
		return;
	RAW3(membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0);
	if (!client_settings()->inline_never)
		RAW3(membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0);
}

static atomic_bool engine_runs;

static void start_engine(void)
{
	struct record_setup setup = {
		.clock_fd = -1,
		.locks_fd = -1,
		.on_flush = on_flush,
		.on_fence = on_fence,
		.on_fence_quickly = client_fence_seen_quickly,
		.own_threads = courier_threads,
	};

	set_own(&setup);
	if (client_settings()->record)
		client_recording_start(&setup);
	else if (!start_without_stores(&setup))
		return;
	atomic_store(&engine_runs, true);
}

void client_inline_start_engine(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, start_engine);
}

static void start(void)
{
	int error;

	client_inline_start_engine();
	if (!atomic_load(&engine_runs))
		return;
	scan();
	if (!atomic_load(&active))
		return;
	error = record_watch_loader(scan);
	if (error)
		client_complain("flush instructions of objects loaded later are not seen: ",
				strerrordesc_np(-error));
}

void client_inline_start(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, start);
}

void client_inline_thread_end(void)
{
	record_waiting = 0;
	/* A recorded thread ends later: destructors may store. */
	if (!client_recording())
		record_thread_exit();
}

/* ---- Threads ----------------------------------------------------------------------------------- */

typedef int thread_create_fn(pthread_t *thread, const pthread_attr_t *attributes, void *(*function)(void *),
			     void *argument);

/* Code is patched while one thread alone can run it: before the program has a second one. */
PUBLIC int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*function)(void *),
			  void *argument)
{
	static thread_create_fn *_Atomic next;
	thread_create_fn *found = atomic_load(&next);

	if (!found) {
		client_inline_start();
		found = (thread_create_fn *)dlsym(RTLD_NEXT, "pthread_create");
		atomic_store(&next, found);
	}
	if (attributes && client_refuse_thread_stack)
		client_refuse_thread_stack(attributes);
	client_recording_thread();
	return found(thread, attributes, function, argument);
}

/* ---- Callers ----------------------------------------------------------------------------------- */

static bool is_name_of(const char *path, const char *library)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	return strncmp(name, library, strlen(library)) == 0;
}

static bool is_one_of(const char *path, const char *const *libraries)
{
	for (; *libraries; libraries++)
		if (is_name_of(path, *libraries))
			return true;
	return false;
}

bool client_inline_sees(const void *caller)
{
	static const char *const by_libpmem[] = { "libpmemobj.so", "libpmemblk.so", "libpmemlog.so",
						  "libpmempool.so", NULL };
	/* A Java virtual machine flushes by code that it makes as it runs. */
	static const char *const by_made_code[] = { "libnio.so", "libjvm.so", NULL };
	Dl_info info;

	if (!dladdr(caller, &info) || !info.dli_fname)
		return false;
	if (is_one_of(info.dli_fname, by_libpmem))
		return true;
	return atomic_load(&active) && !is_one_of(info.dli_fname, by_made_code);
}
