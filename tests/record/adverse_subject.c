/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * adverse_subject WHAT POOL: a program to be recorded, which stores to a mapping of the file POOL in
 * conditions that libraries do not expect: few descriptors, little stack, few system calls. It prints what it
 * saw: the same whether it is recorded or not.
 */

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "raw_call.h"

#define POOL_BYTES (1u << 20)

static const char *path;
static unsigned char *pool;

/* Each number is a function of its own, with stores that are new. */
#define STORES(number)                                                                                 \
	static __attribute__((noinline)) void stores_##number(unsigned value)                          \
	{                                                                                              \
		unsigned char *at = pool + 4096u * (number);                                           \
                                                                                                       \
		*(volatile unsigned *)(void *)at = value;                                              \
		*(volatile uint64_t *)(void *)(at + 60) = value;                                       \
		atomic_fetch_add((_Atomic unsigned *)(void *)(at + 128), value);                       \
		memset(at + 200, (int)value, 100 + value % 10);                                        \
		__asm__ volatile("clflush (%0)\n\tsfence" : : "r"(at) : "memory");                     \
	}
STORES(1)
STORES(2)
STORES(3)
STORES(4)

static void *run_stores(void *number)
{
	(*(void (*const *)(unsigned))number)(7);
	return NULL;
}

static void (*const all_stores[])(unsigned) = { stores_1, stores_2, stores_3, stores_4 };

static void in_thread(size_t number, const pthread_attr_t *attributes)
{
	pthread_t thread;
	int error = pthread_create(&thread, attributes, run_stores,
				   (void *)(uintptr_t)&all_stores[number - 1]);

	if (error || pthread_join(thread, NULL) != 0)
		errx(1, "pthread_create: %s", strerror(error));
}

/* ---- Descriptors ------------------------------------------------------------------------------- */

static void closed(void)
{
	stores_1(1);
	if (call(SYS_close_range, 3UL, ~0U, 0U) != 0)
		printf("close_range fails\n");
	for (int fd = 3; fd < 4096; fd++)
		close(fd);
	for (long fd = 3; fd < 4096; fd++)
		call(SYS_close, fd);
	stores_2(2);
	in_thread(3, NULL);
	/* The smallest numbers are free. */
	printf("the next descriptor is %d\n", open(path, O_RDWR));
	stores_4(4);
}

/* ---- Stacks ------------------------------------------------------------------------------------ */

/* So many and so short that there is no room for all their jumps: each of the others faults each time. */
static __attribute__((noinline)) void store_row(unsigned value)
{
	unsigned *at = (unsigned *)(void *)(pool + 8192);

	__asm__ volatile(".rept 4000\n\tmovl %1, (%0)\n\t.endr" : : "r"(at), "r"(value) : "memory");
}

static void *store_rows(void *unused)
{
	for (unsigned value = 1; value < 4; value++)
		store_row(value);
	return unused;
}

static void little_stack(void)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN);
	in_thread(1, &attributes);
	in_thread(2, &attributes);
	if (pthread_create(&thread, &attributes, store_rows, NULL) != 0 || pthread_join(thread, NULL) != 0)
		errx(1, "pthread_create");
	stores_3(3);
	printf("stored on little stacks\n");
}

/* Stacks in the pool, by each function that takes one. */
static void *return_it(void *value)
{
	volatile uintptr_t on_stack = (uintptr_t)value;

	return (void *)(on_stack + 1);
}

static void thread_in_pool(void)
{
	pthread_attr_t attributes;
	pthread_t thread;
	void *result;

	pthread_attr_init(&attributes);
	pthread_attr_setstack(&attributes, pool, POOL_BYTES / 2);
	if (pthread_create(&thread, &attributes, return_it, NULL) != 0 ||
	    pthread_join(thread, &result) != 0 || result != (void *)1)
		errx(1, "pthread_create");
}

static void print_numbers(int one, int two, int three, int four, int five, int six, int seven)
{
	printf("%d %d %d %d %d %d %d\n", one, two, three, four, five, six, seven);
}

static void context_on(void *stack, size_t size)
{
	ucontext_t here, there;

	getcontext(&there);
	there.uc_stack.ss_sp = stack;
	there.uc_stack.ss_size = size;
	there.uc_link = &here;
	makecontext(&there, (void (*)(void))print_numbers, 7, 1, 2, 3, 4, 5, 6, 7);
	swapcontext(&here, &there);
}

static void context_elsewhere(void)
{
	static _Alignas(16) unsigned char stack[65536];

	context_on(stack, sizeof(stack));
	stores_1(1);
}

static void context_in_pool(void)
{
	context_on(pool, POOL_BYTES / 2);
}

static int return_three(void *unused)
{
	volatile int on_stack = 3;

	(void)unused;
	return on_stack;
}

static void process_in_pool(void)
{
	int status, pid = clone(return_three, pool + POOL_BYTES / 2, SIGCHLD, NULL);

	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 3 << 8)
		err(1, "clone");
}

/* ---- Signals ----------------------------------------------------------------------------------- */

static atomic_uint handled;

static void store_in_handler(int number)
{
	handled++;
	stores_2((unsigned)number);
	call(SYS_clock_gettime, CLOCK_MONOTONIC, pool + 16384);
}

/* Little more than what the kernel takes for the registers. */
static void least_signal_stack(void)
{
	static unsigned char stack[65536];
	const size_t size = (size_t)sysconf(_SC_MINSIGSTKSZ) + 1024;
	const stack_t least = { .ss_sp = stack + sizeof(stack) - size, .ss_size = size };
	const struct itimerval often = { .it_interval = { .tv_usec = 100 }, .it_value = { .tv_usec = 100 } };
	struct sigaction action = { .sa_handler = store_in_handler, .sa_flags = SA_ONSTACK | SA_RESTART };

	stack_t now;

	if (sigaltstack(&least, NULL) != 0 || sigaltstack(NULL, &now) != 0)
		err(1, "sigaltstack");
	if (now.ss_sp != least.ss_sp || now.ss_size != least.ss_size || now.ss_flags)
		errx(1, "the stack is another one");
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	while (handled < 1500)
		stores_1(9);
	setitimer(ITIMER_REAL, &(struct itimerval){ .it_value = { .tv_sec = 0 } }, NULL);
	for (size_t i = 0; i < sizeof(stack) - size; i++)
		if (stack[i])
			errx(1, "the stack overflows");
	printf("stored in handlers\n");
}

static void end_in_handler(int number)
{
	stores_2((unsigned)number);
	pthread_exit(NULL);
}

static void *store_until_killed(void *unused)
{
	handled = 1;
	for (;;)
		stores_1(3);
	return unused;
}

/* A handler that interrupts stores ends its thread. */
static void ended(void)
{
	struct sigaction action = { .sa_handler = end_in_handler };

	sigaction(SIGUSR1, &action, NULL);
	for (unsigned i = 0; i < 200; i++) {
		pthread_t thread;

		handled = 0;
		if (pthread_create(&thread, NULL, store_until_killed, NULL) != 0)
			errx(1, "pthread_create");
		while (!handled)
			sched_yield();
		for (volatile unsigned j = 0; j < i * 100; j++)
			;
		pthread_kill(thread, SIGUSR1);
		pthread_join(thread, NULL);
		stores_1(4);
	}
	printf("200 threads ended in their handlers\n");
}

/* ---- Processes --------------------------------------------------------------------------------- */

static void *spawn_often(void *unused)
{
	char *const words[] = { (char *)(uintptr_t)"true", NULL };

	for (unsigned i = 0; i < 60; i++) {
		int status;
		pid_t pid;

		if (posix_spawnp(&pid, "true", NULL, NULL, words, environ) != 0 ||
		    waitpid(pid, &status, 0) != pid || status != 0)
			errx(1, "posix_spawnp");
		pid = vfork();
		if (!pid)
			_exit(3);
		if (waitpid(pid, &status, 0) != pid || status != 3 << 8)
			errx(1, "vfork");
	}
	return unused;
}

static void spawned(void)
{
	pthread_t threads[2];

	for (unsigned i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, spawn_often, NULL) != 0)
			errx(1, "pthread_create");
	for (unsigned i = 0; i < 100000; i++)
		stores_1(i);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	printf("spawned\n");
}

/*
 * Children that store to the lines to which the parent stores are killed at any moment, and stay zombies
 * until the parent has stored more.
 */
static void killed(void)
{
	for (unsigned i = 0; i < 40; i++) {
		pid_t pid = fork();

		if (!pid) {
			stores_2(i + 1);
			for (unsigned j = 0;; j++)
				stores_1(j);
		}
		while (*(volatile unsigned *)(void *)(pool + 8192) != i + 1)
			sched_yield();
		for (unsigned j = 0; j < 2000; j++) {
			stores_1(j);
			if (j == i * 25)
				kill(pid, SIGKILL);
		}
		if (waitpid(pid, NULL, 0) != pid)
			err(1, "waitpid");
	}
	printf("40 are killed\n");
}

static int store_and_end(void *value)
{
	stores_2((unsigned)(uintptr_t)value);
	stores_3((unsigned)(uintptr_t)value);
	return 6;
}

/* By each function of libc that makes processes with memory of their own. */
static void made_by_functions(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	int status;
	pid_t pid;

	stores_1(1);
	for (unsigned i = 0; i < 10; i++) {
		pid = i % 2 ? _Fork() : clone(store_and_end, stack + sizeof(stack), SIGCHLD | CLONE_FS,
					      (void *)(uintptr_t)i);
		if (!pid)
			_exit(store_and_end((void *)(uintptr_t)i));
		stores_4(i);
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 6 << 8)
			errx(1, "status 0x%x", (unsigned)status);
	}
	printf("10 processes have stored\n");
}

static void forked(void)
{
	int status;
	pid_t pid;

	stores_1(1);
	for (unsigned i = 0; i < 50; i++) {
		struct clone_args arguments = { .flags = i % 2 ? CLONE_FS : 0, .exit_signal = SIGCHLD };
		long child = call(SYS_clone3, &arguments, sizeof(arguments));

		if (!child) {
			stores_2(i);
			/* A grandchild. */
			pid = fork();
			if (!pid) {
				stores_3(i);
				_exit(5);
			}
			if (waitpid(pid, &status, 0) != pid || status != 5 << 8)
				_exit(1);
			call(SYS_exit_group, 6);
		}
		if (waitpid((pid_t)child, &status, 0) != child || status != 6 << 8)
			errx(1, "clone3: status 0x%x", (unsigned)status);
		stores_4(i);
	}
	printf("50 processes have stored\n");
}

/* Its last thread, and its first one, end by exit(2). */
static void *end_by_instruction(void *unused)
{
	usleep(2000);
	pool[2000] = 1;
	call(SYS_exit, 4);
	return unused;
}

static void exits(void)
{
	pthread_t thread;
	int status;
	long pid = call(SYS_fork);

	if (!pid) {
		memset(pool + 100, 1, 100);
		call(SYS_exit, 3);
	}
	if (waitpid((pid_t)pid, &status, 0) != pid || status != 3 << 8)
		errx(1, "status 0x%x", (unsigned)status);
	pid = fork();
	if (!pid) {
		pthread_create(&thread, NULL, end_by_instruction, NULL);
		call(SYS_exit, 4);
	}
	if (waitpid((pid_t)pid, &status, 0) != pid || status != 4 << 8)
		errx(1, "status 0x%x of two threads", (unsigned)status);
	printf("both processes have ended\n");
}

static void store_at_timer(union sigval done)
{
	stores_2(7);
	sem_post(done.sival_ptr);
}

/* libc stores to the pool, or has this program store to it, while it blocks all signals. */
static void all_blocked(void)
{
	char *arguments[] = { (char[]){ "true" }, NULL };
	pid_t *pids = (pid_t *)(void *)(pool + 2048);
	sem_t done;
	struct sigevent event = { .sigev_notify = SIGEV_THREAD,
				  .sigev_notify_function = store_at_timer,
				  .sigev_value.sival_ptr = &done };
	const struct itimerspec soon = { .it_value.tv_nsec = 1000000 };
	int status[2] = { -1, -1 };
	timer_t timer;

	if (posix_spawn(&pids[0], "/bin/true", NULL, NULL, arguments, environ) ||
	    posix_spawnp(&pids[1], "true", NULL, NULL, arguments, environ))
		errx(1, "posix_spawn");
	for (unsigned i = 0; i < 2; i++)
		if (waitpid(pids[i], &status[i], 0) != pids[i])
			err(1, "waitpid");
	printf("spawned: %d %d\n", status[0], status[1]);
	/* The numbers differ from run to run. */
	memset(pids, 0, 2 * sizeof(*pids));
	if (sem_init(&done, 0, 0) || timer_create(CLOCK_MONOTONIC, &event, &timer) ||
	    timer_settime(timer, 0, &soon, NULL))
		err(1, "timer");
	while (sem_wait(&done))
		;
	timer_delete(timer);
	printf("the thread of a timer has stored %u\n", *(unsigned *)(void *)(pool + 4096 * 2));
}

/* In this memory and with this thread's variables, at the same time as this thread. */
static int store_in_child(void *unused)
{
	(void)unused;
	for (unsigned i = 0; i < 10000; i++)
		stores_2(i);
	return 0;
}

static void shared_memory(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	int pid = clone(store_in_child, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL), status;

	for (unsigned i = 0; i < 10000; i++)
		stores_1(i);
	printf("%d\n", waitpid(pid, &status, 0) == pid && status == 0);
}

/* ---- Few system calls --------------------------------------------------------------------------- */

#define ALLOW(number) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* What is not on a short list fails, or ends the process, from now on. */
static void filter(uint32_t otherwise)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(SYS_read),
		ALLOW(SYS_write),
		ALLOW(SYS_exit_group),
		ALLOW(SYS_rt_sigreturn),
		ALLOW(SYS_newfstatat),
		ALLOW(SYS_fstat),
		BPF_STMT(BPF_RET | BPF_K, otherwise),
	};
	const struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0)
		err(1, "seccomp");
}

static void known_stores(void)
{
	stores_1(1);
	filter(SECCOMP_RET_KILL_PROCESS);
	stores_1(2);
	printf("stored\n");
}

static void new_stores(void)
{
	stores_1(1);
	filter(SECCOMP_RET_ERRNO | EPERM);
	stores_1(2);
	stores_2(3);
	printf("stored\n");
}

static void new_stores_killed(void)
{
	stores_1(1);
	filter(SECCOMP_RET_KILL_PROCESS);
	stores_2(3);
	printf("stored\n");
}

/* An instruction that nobody uses, with addresses of 32 bits. */
static void uncovered(void)
{
	static const unsigned char byte = 7;
	unsigned char *low = mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_32BIT,
				  open(path, O_RDWR), 0);
	unsigned char *from = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	if (low == MAP_FAILED || from == MAP_FAILED)
		err(1, "mmap");
	*from = byte;
	stores_1(1);
	__asm__ volatile("addr32 movsb" : "+D"(low), "+S"(from) : : "memory");
	printf("%u\n", pool[0]);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*function)(void);
	} all[] = {
		{ "closed", closed },	    { "little-stack", little_stack },
		{ "signal-stack", least_signal_stack }, { "ended", ended }, { "spawned", spawned },
		{ "forked", forked },	    { "killed", killed },
		{ "functions", made_by_functions },	    { "exits", exits },
		{ "all-blocked", all_blocked },
		{ "shared", shared_memory }, { "known", known_stores },
		{ "thread-in-pool", thread_in_pool }, { "context-in-pool", context_in_pool },
		{ "process-in-pool", process_in_pool }, { "context", context_elsewhere },
		{ "uncovered", uncovered }, { "new", new_stores },
		{ "new-killed", new_stores_killed },
	};
	int file = argc == 3 ? open(argv[2], O_RDWR) : -1;

	pool = mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (pool == MAP_FAILED)
		err(2, "usage: adverse_subject WHAT POOL");
	path = argv[2];
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(argv[1], all[i].name) == 0) {
			all[i].function();
			return 0;
		}
	errx(2, "%s: unknown", argv[1]);
}
