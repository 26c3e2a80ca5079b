/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/address_space.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <time.h>

#include "abi/rawcall.h"
#include "client/compiler.h"
#include "common/align.h"

/* A page that the kernel clears in a child that gets memory of its own; NULL if there is none. */
static _Atomic(long) *owner;

/* Now, and not at the first use, which may be in a child of vfork(). */
static void note_owner(void)
{
	address_space_owner();
}

static AT_LOAD void start(void)
{
	long at = RAW6(mmap, NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (raw_failed(at))
		return;
	if (RAW3(madvise, at, PAGE_BYTES, MADV_WIPEONFORK) != 0) {
		RAW2(munmap, at, PAGE_BYTES);
		return;
	}
	owner = (_Atomic(long) *)at;
	note_owner();
	pthread_atfork(NULL, NULL, note_owner);
}

long address_space_owner(void)
{
	long pid;

	if (!owner)
		return RAW1(getpid, 0);
	pid = atomic_load_explicit(owner, memory_order_relaxed);
	if (pid)
		return pid;
	pid = RAW1(getpid, 0);
	atomic_store_explicit(owner, pid, memory_order_relaxed);
	return pid;
}

bool address_space_is_anothers(void)
{
	return address_space_owner() != RAW1(getpid, 0);
}

long address_space_thread(void)
{
	clockid_t clock;

	/* libc knows its thread, and the kernel's number of a thread's clock contains that of the thread. */
	if (address_space_is_anothers() && pthread_getcpuclockid(pthread_self(), &clock) == 0)
		return ~(long)(clock >> 3);
	return RAW1(gettid, 0);
}

/* ---- Threads of any process ---------------------------------------------------------------- */

/* "/proc/THREAD/stat" */
static void name_status(uint32_t thread, char path[32])
{
	static const char before[] = "/proc/", after[] = "/stat";
	char digits[10];
	unsigned count = 0, at = 0;

	for (unsigned i = 0; before[i]; i++)
		path[at++] = before[i];
	do
		digits[count++] = (char)('0' + thread % 10);
	while (thread /= 10);
	while (count)
		path[at++] = digits[--count];
	for (unsigned i = 0; i < sizeof(after); i++)
		path[at++] = after[i];
}

bool address_space_thread_has_ended(uint32_t thread)
{
	char path[32], status[512], state = 0;
	long fd, length;

	if (RAW2(tkill, thread, 0) == -ESRCH)
		return true;
	name_status(thread, path);
	fd = RAW4(openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return fd == -ENOENT;
	length = RAW3(read, fd, status, sizeof(status));
	RAW1(close, fd);
	if (length < 0)
		return length == -ESRCH;
	/* Behind the name, which may contain anything. */
	for (long i = 0; i + 2 < length; i++)
		if (status[i] == ')')
			state = status[i + 2];
	return state == 'Z' || state == 'X';
}
