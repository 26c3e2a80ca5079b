/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * children_subject POOL: a program to be recorded, whose children of vfork(2) and its like set signal
 * handlers. They have its memory, but what their signals do is theirs. It prints the same whether it is
 * recorded or not.
 */

#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "raw_call.h"

#define POOL_BYTES (1u << 20)
#define STACK_BYTES 65536u

extern char **environ;

static unsigned char *pool;
static volatile sig_atomic_t of_parent, of_child;
static volatile uintptr_t nowhere = 8;
static const char *volatile old;
static sigjmp_buf back;

static void parents(int number)
{
	of_parent++;
	memset(pool + 4096, number, 100);
}

static void childs(int number)
{
	of_child++;
	memset(pool + 8192, number, 100);
}

static void anothers(int number)
{
	memset(pool + 12288, number, 100);
}

static const char *name_of(void (*handler)(int))
{
	return handler == SIG_DFL ? "the default" :
	       handler == SIG_IGN ? "ignored" :
	       handler == parents ? "the parent's" :
	       handler == childs  ? "the child's" :
				    "another";
}

static void handle(int number, void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags }, was;

	if (sigaction(number, &action, &was) != 0)
		err(1, "sigaction");
	old = name_of(was.sa_handler);
}

static sighandler_t now(int number)
{
	struct sigaction action;

	sigaction(number, NULL, &action);
	return action.sa_handler;
}

/* As the kernel has it. */
struct action {
	void (*handler)(int number);
	unsigned long flags;
	void (*restorer)(void);
	unsigned long mask;
};

/* ---- What children do ---------------------------------------------------------------------------- */

static void set_default(void)
{
	signal(SIGUSR1, SIG_DFL);
	signal(SIGUSR1, SIG_DFL);
}

static void set_ignored(void)
{
	signal(SIGUSR1, SIG_IGN);
	raise(SIGUSR1);
}

static void set_by_syscall(void)
{
	const struct action action = { .handler = SIG_DFL };

	syscall(SYS_rt_sigaction, SIGUSR1, &action, NULL, 8);
}

static void set_by_instruction(void)
{
	const struct action action = { .handler = SIG_DFL };

	call(SYS_rt_sigaction, (long)SIGUSR1, &action, NULL, 8L);
}

static void have_the_parents(void)
{
	raise(SIGUSR1);
}

static void have_its_own(void)
{
	handle(SIGUSR1, childs, 0);
	for (unsigned i = 0; i < 10; i++) {
		pool[i] = (unsigned char)i;
		raise(SIGUSR1);
	}
	handle(SIGUSR1, childs, 0);
}

static void have_it_once(void)
{
	handle(SIGUSR1, childs, (int)SA_RESETHAND);
	raise(SIGUSR1);
	old = name_of(now(SIGUSR1));
}

static void set_and_fork(void)
{
	int status;
	pid_t pid;

	handle(SIGUSR1, childs, 0);
	handle(SIGUSR2, SIG_IGN, 0);
	pid = fork();
	if (!pid) {
		raise(SIGUSR1);
		raise(SIGUSR2);
		_exit(of_child == 1 && now(SIGUSR1) == childs && now(SIGUSR2) == SIG_IGN ? 5 : 6);
	}
	waitpid(pid, &status, 0);
	old = WEXITSTATUS(status) == 5 ? "the child's in its fork" : "another in its fork";
}

static void set_and_vfork(void)
{
	pid_t pid;

	handle(SIGUSR1, childs, 0);
	pid = vfork();
	if (!pid) {
		raise(SIGUSR1);
		signal(SIGUSR1, SIG_DFL);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	raise(SIGUSR1);
}

static void be_killed_by_a_fault(void)
{
	pool[20]++;
	signal(SIGSEGV, SIG_DFL);
	pool[21]++;
	*(volatile int *)nowhere = 1;
}

static void execute(void)
{
	signal(SIGUSR1, SIG_IGN);
	handle(SIGUSR2, childs, 0);
	execl("/bin/sh", "sh", "-c", "kill -USR1 $$; echo ignored; kill -USR2 $$; echo survived", NULL);
}

static const struct {
	const char *name;
	void (*function)(void);
} children[] = {
	{ "sets the default", set_default },
	{ "ignores it", set_ignored },
	{ "sets the default by syscall(2)", set_by_syscall },
	{ "sets the default by an instruction", set_by_instruction },
	{ "has its parent's", have_the_parents },
	{ "has its own", have_its_own },
	{ "has its own once", have_it_once },
	{ "forks", set_and_fork },
	{ "calls vfork()", set_and_vfork },
	{ "faults", be_killed_by_a_fault },
	{ "executes another program", execute },
};
#define CHILDREN (sizeof(children) / sizeof(children[0]))

/* ---- Their parent ---------------------------------------------------------------------------------- */

static int run_child(void *child)
{
	children[*(const unsigned *)child].function();
	_exit(0);
}

static void print_after(const char *how, unsigned child, pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		err(1, "%s", how);
	printf("%s, which %s: ends with %s, handled %d, saw %s; ", how, children[child].name,
	       WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status)) : "a status", of_child, old);
	raise(SIGUSR1);
	pool[32 + child]++;
	printf("its parent has %s, handled %d\n", name_of(now(SIGUSR1)), of_parent);
}

static void begin(int flags)
{
	of_parent = of_child = 0;
	handle(SIGUSR1, parents, flags);
	old = "nothing";
}

static void by_vfork(unsigned child, int flags)
{
	pid_t pid;

	begin(flags);
	pid = vfork();
	if (!pid)
		run_child(&child);
	print_after(flags ? "vfork() with a handler for once" : "vfork()", child, pid);
}

static void by_clone(unsigned child)
{
	static _Alignas(16) unsigned char stack[STACK_BYTES];

	begin(0);
	print_after("clone()", child,
		    clone(run_child, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, &child));
}

static void jump(int number)
{
	(void)number;
	siglongjmp(back, 1);
}

static void has_its_faults(void)
{
	handle(SIGSEGV, jump, 0);
	if (sigsetjmp(back, 1) == 0)
		*(volatile int *)nowhere = 1;
	puts("faults are its own");
}

static void child_with(void (*handler)(int), unsigned *count)
{
	pid_t pid = vfork();

	if (!pid) {
		signal(SIGUSR2, handler);
		*count += now(SIGUSR2) == handler && now(SIGUSR1) == parents;
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

static void *many_children(void *count)
{
	for (unsigned i = 0; i < 100; i++)
		child_with(i % 2 ? childs : anothers, count);
	return NULL;
}

static void in_threads(void)
{
	pthread_t threads[3];
	unsigned counts[3] = { 0 };

	handle(SIGUSR1, parents, 0);
	handle(SIGUSR2, SIG_DFL, 0);
	for (unsigned i = 0; i < 3; i++)
		if (pthread_create(&threads[i], NULL, many_children, &counts[i]) != 0)
			errx(1, "pthread_create");
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	printf("children of threads %u %u %u, then SIGUSR2 is %s\n", counts[0], counts[1], counts[2],
	       name_of(now(SIGUSR2)));
}

/* So little that the recorder has them run on another one. */
#define LITTLE_BYTES 16384u
static unsigned char stack_of_parent[LITTLE_BYTES], stack_of_child[LITTLE_BYTES];

static bool has_stack(const unsigned char *bytes)
{
	stack_t now;

	return sigaltstack(NULL, &now) == 0 && now.ss_sp == bytes && now.ss_size == LITTLE_BYTES;
}

static void on_stacks(void)
{
	const stack_t parents_stack = { .ss_sp = stack_of_parent, .ss_size = LITTLE_BYTES };
	const stack_t childs_stack = { .ss_sp = stack_of_child, .ss_size = LITTLE_BYTES };
	volatile bool had = false, has = false;
	pid_t pid;

	sigaltstack(&parents_stack, NULL);
	begin((int)SA_ONSTACK);
	pid = vfork();
	if (!pid) {
		had = has_stack(stack_of_parent);
		sigaltstack(&childs_stack, NULL);
		has = has_stack(stack_of_child);
		raise(SIGUSR1);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	raise(SIGUSR1);
	printf("stacks: the child had %d, has %d, the parent has %d, handled %d\n", had, has,
	       has_stack(stack_of_parent), of_parent);
}

static atomic_int entered;

static void *store_for_ever(void *unused)
{
	int type;

	(void)unused;
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
	entered = 1;
	while (entered)
		*(volatile uint64_t *)(void *)(pool + 64) += 1;
	return NULL;
}

static void cancel_one(void)
{
	pthread_t thread;
	void *result;

	entered = 0;
	if (pthread_create(&thread, NULL, store_for_ever, NULL) != 0)
		errx(1, "pthread_create");
	while (!entered)
		sched_yield();
	pthread_cancel(thread);
	pthread_join(thread, &result);
	printf("cancelled %d\n", result == PTHREAD_CANCELED);
	*(volatile uint64_t *)(void *)(pool + 64) = 0;
}

/* libc's child ignores the signal by which libc cancels threads. */
static void spawns(void)
{
	char *words[] = { (char[]){ "true" }, NULL };
	int status;
	pid_t pid;

	cancel_one();
	if (posix_spawnp(&pid, words[0], NULL, NULL, words, environ) != 0 || waitpid(pid, &status, 0) != pid)
		errx(1, "posix_spawnp");
	cancel_one();
}

int main(int argc, char **argv)
{
	int file = argc == 2 ? open(argv[1], O_RDWR) : -1;

	pool = mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (pool == MAP_FAILED)
		err(2, "usage: children_subject POOL");
	/* Children print, too. */
	setvbuf(stdout, NULL, _IONBF, 0);
	handle(SIGSEGV, jump, 0);
	for (unsigned child = 0; child < CHILDREN; child++) {
		by_vfork(child, 0);
		by_clone(child);
	}
	by_vfork(4, (int)SA_RESETHAND);
	has_its_faults();
	on_stacks();
	in_threads();
	spawns();
	return 0;
}
