/* SPDX-License-Identifier: BSD-3-Clause */
#include "recorder/recorder_clients.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "recorder/recorder_files.h"
#include "recorder/recorder_state.h"
#include "trace/buffer.h"
#include "trace/merge.h"
#include "trace/slot.h"

/* Each takes memory until the recording ends. */
#define PROCESSES_MAX ((size_t)1 << 20)

/* A ring's pages take memory once they have been used: the more threads there are, the smaller each is. */
static uint32_t ring_bytes(size_t threads)
{
	if (threads < 64)
		return 4u << 20;
	return threads < 1024 ? 1u << 20 : 256u << 10;
}

/* The lock is held, shared. */
static bool is_recorded(const struct recorder *recorder, const struct recorder_process *process)
{
	return recorder->on && process->recording == recorder->number;
}

/* ---- Processes ---------------------------------------------------------------------- */

/* Both locks are held. */
static int check_process(const struct recorder *recorder, const struct recorder_process_options *options)
{
	/* Others could take all places, and keep locks on lines. */
	if (options->key != recorder->key)
		return -EACCES;
	if (recorder->owners.count >= PROCESSES_MAX)
		return -EMFILE;
	if (!options->forked_from)
		return 0;
	/* A child has its parent's pools. */
	if (options->forked_from > recorder->owners.count ||
	    recorder->owners.items[options->forked_from - 1] != options->uid)
		return -ESRCH;
	return 0;
}

static int copy_fd(int fd, int *copy)
{
	*copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return *copy < 0 ? -errno : 0;
}

int recorder_add_process(struct recorder *recorder, struct recorder_process *process,
			 const struct recorder_process_options *options, int *clock_fd, int *locks_fd)
{
	CLEANUP_FD int clock = -1, locks = -1;
	int error;

	READ_SCOPE(&recorder->lock);
	if (!recorder->on)
		return -ENOENT;
	if (is_recorded(recorder, process))
		return -EALREADY;
	LOCK_SCOPE(&recorder->clients_lock);
	error = check_process(recorder, options);
	if (!error)
		error = vector_reserve(&recorder->owners, 1);
	if (!error)
		error = copy_fd(recorder->clock_fd, &clock);
	if (!error)
		error = copy_fd(recorder->locks_fd, &locks);
	if (error)
		return error;
	error = trace_merge_process(recorder->merge, options->pid, options->forked_from,
				    options->forked_from != 0, options->command, &process->id);
	if (error)
		return error;
	/* The merge numbers processes from 1 on, and only here. */
	vector_append(&recorder->owners, options->uid);
	process->recording = recorder->number;
	process->count = 0;
	atomic_fetch_add(&recorder->processes, 1);
	*clock_fd = steal_fd(&clock);
	*locks_fd = steal_fd(&locks);
	return 0;
}

/* ---- Threads ------------------------------------------------------------------------ */

/* The locks are held. The merge owns the buffer. */
static int add_thread(struct recorder *recorder, struct recorder_process *process, pid_t tid,
		      struct trace_bytes name, struct trace_buffer *buffer, uint32_t *thread)
{
	int error = trace_merge_thread(recorder->merge, process->id, tid, name, buffer, thread);

	if (error)
		return error;
	vector_append(process, *thread);
	recorder->thread_count++;
	atomic_fetch_add(&recorder->threads, 1);
	return 0;
}

int recorder_add_thread(struct recorder *recorder, struct recorder_process *process, pid_t tid,
			struct trace_bytes name, int *out_fd, uint32_t *thread)
{
	struct trace_buffer *buffer;
	CLEANUP_FD int fd = -1;
	int error;

	READ_SCOPE(&recorder->lock);
	if (!is_recorded(recorder, process))
		return -ENOENT;
	LOCK_SCOPE(&recorder->clients_lock);
	if (process->count >= RECORDER_THREADS_OF_ONE || recorder->thread_count >= RECORDER_THREADS_OF_ALL)
		return -EMFILE;
	error = vector_reserve(process, 1);
	if (!error)
		error = trace_buffer_create(ring_bytes(recorder->thread_count), &buffer);
	if (error)
		return error;
	/* Before the merge has the buffer: it may destroy it at any time. */
	error = copy_fd(trace_buffer_fd(buffer), &fd);
	if (error) {
		trace_buffer_destroy(buffer);
		return error;
	}
	error = add_thread(recorder, process, tid, name, buffer, thread);
	if (!error)
		*out_fd = steal_fd(&fd);
	return error;
}

static bool drop_thread(struct recorder_process *process, uint64_t thread)
{
	for (size_t i = process->count; i--;) {
		if (process->items[i] != thread)
			continue;
		process->items[i] = process->items[--process->count];
		return true;
	}
	return false;
}

/* The lock is held, shared. */
static int remove_thread(struct recorder *recorder, uint32_t thread)
{
	LOCK_SCOPE(&recorder->clients_lock);
	recorder->thread_count--;
	return trace_merge_thread_gone(recorder->merge, thread);
}

int recorder_remove_thread(struct recorder *recorder, struct recorder_process *process, uint64_t thread)
{
	READ_SCOPE(&recorder->lock);
	if (!drop_thread(process, thread))
		return -ESRCH;
	/* Of a recording that has ended, nothing is left. */
	return is_recorded(recorder, process) ? remove_thread(recorder, (uint32_t)thread) : 0;
}

void recorder_remove_process(struct recorder *recorder, struct recorder_process *process)
{
	{
		READ_SCOPE(&recorder->lock);
		for (size_t i = 0; is_recorded(recorder, process) && i < process->count; i++)
			remove_thread(recorder, process->items[i]);
		if (is_recorded(recorder, process))
			trace_merge_process_exit(recorder->merge, process->id, 0);
	}
	vector_free(process);
	process->recording = 0;
}

/* ---- Pools -------------------------------------------------------------------------- */

/* The number of the file in slots: the same for all processes, as a forked child has its parent's. */
static int slot_of(struct recorder *recorder, uint64_t file, uint32_t *number)
{
	LOCK_SCOPE(&recorder->files_lock);
	for (size_t i = 0; i < recorder->slots.count; i++) {
		if (recorder->slots.items[i] != file)
			continue;
		*number = (uint32_t)i;
		return 0;
	}
	if (recorder->slots.count > TRACE_SLOT_POOL_MAX)
		return -EMFILE;
	*number = (uint32_t)recorder->slots.count;
	atomic_fetch_add(&recorder->pools, 1);
	return vector_append(&recorder->slots, file);
}

int recorder_grant(struct recorder *recorder, const struct recorder_process *process, struct pool *pool,
		   uint32_t *number)
{
	struct trace_event event = { .kind = TRACE_MAP };
	uint64_t file;
	int error;

	READ_SCOPE(&recorder->lock);
	if (!is_recorded(recorder, process))
		return -ENOENT;
	error = recorder_files_define(recorder, pool, &file);
	if (!error)
		error = slot_of(recorder, file, number);
	/* The name and the size are durable from here on, as attaching has made them. */
	event.file = file;
	if (!error)
		error = recorder_append(recorder, &event);
	return error ? error : trace_merge_grant(recorder->merge, process->id, *number, file);
}
