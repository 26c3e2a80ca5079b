/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * kernel_subject WHAT POOL: a program to be recorded, which lets the kernel store to a mapping of the file
 * POOL in the way that WHAT names. It prints what it saw: the same whether it is recorded or not.
 */

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define POOL_BYTES (1u << 20)

static const char *path;
static unsigned char *pool;
static pthread_mutex_t *mutex;

/* ---- Mutexes ------------------------------------------------------------------------------------ */

static void make_mutex(int robust, int protocol)
{
	pthread_mutexattr_t attributes;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, robust);
	pthread_mutexattr_setprotocol(&attributes, protocol);
	if (pthread_mutex_init(mutex, &attributes) != 0)
		errx(1, "pthread_mutex_init");
}

static int lock_for_a_minute(clockid_t clock)
{
	struct timespec until;

	clock_gettime(clock, &until);
	until.tv_sec += 60;
	return clock == CLOCK_REALTIME ? pthread_mutex_timedlock(mutex, &until) :
					 pthread_mutex_clocklock(mutex, clock, &until);
}

/* Its owner has died. */
static void take_over(const char *how, int error)
{
	printf("%s: %s\n", how, strerror(error));
	if (error != EOWNERDEAD || pthread_mutex_consistent(mutex) != 0 || pthread_mutex_unlock(mutex) != 0 ||
	    pthread_mutex_lock(mutex) != 0 || pthread_mutex_unlock(mutex) != 0)
		errx(1, "%s: %s", how, strerror(error));
}

static void *lock_and_end(void *unused)
{
	if (pthread_mutex_lock(mutex) != 0)
		errx(1, "pthread_mutex_lock");
	return unused;
}

static void end_a_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, lock_and_end, NULL) != 0)
		errx(1, "pthread_create");
	pthread_join(thread, NULL);
}

/* A child that locks, and is killed after a byte has come by the pipe. It is not waited for yet. */
static pid_t start_owner(int go[2])
{
	int locked[2];
	char byte;
	pid_t pid;

	if (pipe(go) != 0 || pipe(locked) != 0)
		err(1, "pipe");
	pid = fork();
	if (!pid) {
		lock_and_end(NULL);
		if (write(locked[1], "x", 1) != 1 || read(go[0], &byte, 1) != 1)
			_exit(1);
		raise(SIGKILL);
	}
	if (pid < 0 || read(locked[0], &byte, 1) != 1)
		err(1, "fork");
	return pid;
}

static void *kill_soon(void *go)
{
	usleep(50000);
	if (write(*(int *)go, "x", 1) != 1)
		err(1, "write");
	return NULL;
}

static void robust(void)
{
	const struct timespec past = { .tv_sec = 1 };
	pthread_t thread;
	int go[2];
	pid_t pid;

	make_mutex(PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_NONE);
	end_a_thread();
	take_over("lock", pthread_mutex_lock(mutex));
	end_a_thread();
	take_over("trylock", pthread_mutex_trylock(mutex));
	end_a_thread();
	take_over("timedlock", lock_for_a_minute(CLOCK_REALTIME));
	end_a_thread();
	take_over("clocklock", lock_for_a_minute(CLOCK_MONOTONIC));
	/* While it waits the owner is killed, and stays a zombie. */
	pid = start_owner(go);
	printf("trylock: %s\n", strerror(pthread_mutex_trylock(mutex)));
	printf("timedlock: %s\n", strerror(pthread_mutex_timedlock(mutex, &past)));
	if (pthread_create(&thread, NULL, kill_soon, &go[1]) != 0)
		errx(1, "pthread_create");
	take_over("of a killed process", pthread_mutex_lock(mutex));
	pthread_join(thread, NULL);
	waitpid(pid, NULL, 0);
	pid = start_owner(go);
	kill_soon(&go[1]);
	waitpid(pid, NULL, 0);
	take_over("of a process that is gone", pthread_mutex_lock(mutex));
}

static void lock_inheriting(void)
{
	printf("%s\n", strerror(pthread_mutex_lock(mutex)));
	pthread_mutex_unlock(mutex);
}

/* ---- Numbers of threads ----------------------------------------------------------------------------- */

static int do_nothing(void *unused)
{
	(void)unused;
	return 0;
}

static void reap(long pid)
{
	if (pid < 0 || waitpid((pid_t)pid, NULL, __WALL) != pid)
		err(1, "clone");
	if (*(volatile pid_t *)(void *)pool != pid)
		errx(1, "the kernel has not stored the number");
	printf("the number is stored\n");
}

static void clone_with(int flags)
{
	static char stack[65536] __attribute__((aligned(16)));

	reap(clone(do_nothing, stack + sizeof(stack), flags | SIGCHLD, NULL, pool, NULL, NULL));
}

static void clone3_with(uint64_t flags)
{
	struct clone_args arguments = { .flags = flags,
					.exit_signal = SIGCHLD,
					.parent_tid = (uintptr_t)pool };
	long pid = syscall(SYS_clone3, &arguments, sizeof(arguments));

	if (!pid)
		_exit(0);
	reap(pid);
}

static void set_tid_address(void)
{
	if (syscall(SYS_set_tid_address, pool) != gettid())
		err(1, "set_tid_address");
}

/* ---- System calls by number ------------------------------------------------------------------------- */

static void check(const char *what, long got, long wanted, const void *at, unsigned char first)
{
	if (got != wanted || *(const unsigned char *)at != first)
		err(1, "%s returns %ld", what, got);
	printf("%s %ld\n", what, got);
}

static void by_number(void)
{
	struct iovec parts[2] = { { pool + 8192, 100 }, { pool + 12000, 200 } };
	int fd = open("/proc/self/exe", O_RDONLY);
	unsigned char random[64] = { 0 };

	check("read", syscall(SYS_read, fd, pool, 4000), 4000, pool, 0x7f);
	check("pread", syscall(SYS_pread64, fd, pool + 4096, 300, 0L), 300, pool + 4096, 0x7f);
	check("readv", syscall(SYS_preadv, fd, parts, 2, 0L, 0L), 300, pool + 8192, 0x7f);
	check("preadv2", syscall(SYS_preadv2, fd, parts + 1, 1, 0L, 0L, 0), 200, pool + 12000, 0x7f);
	if (syscall(SYS_getrandom, pool + 16384, 64, 0) != 64 || memcmp(pool + 16384, random, 64) == 0)
		err(1, "getrandom");
	/* What is in the registers of others is no argument. */
	check("gettid", syscall(SYS_gettid, pool, pool, -1L) - gettid(), 0, pool, 0x7f);
	check("fcntl", fcntl(fd, F_GETFL, pool) & O_ACCMODE, O_RDONLY, pool, 0x7f);
	close(fd);
}

static void getcwd_by_number(void)
{
	if (syscall(SYS_getcwd, pool, 4096) < 0)
		err(1, "getcwd");
}

static void stream_buffer(void)
{
	FILE *file = fopen(path, "r");

	if (!file || setvbuf(file, (char *)pool, _IOFBF, 4096) != 0 || getc(file) == EOF)
		err(1, "%s", path);
}

/* As a compiler calls it with _FORTIFY_SOURCE. */
ssize_t __recvfrom_chk(int fd, void *buffer, size_t length, size_t object, int flags,
		       struct sockaddr *address, socklen_t *size);

static void fortified(void)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0 || write(fds[1], "abcdefgh", 8) != 8)
		err(1, "socketpair");
	if (__recvfrom_chk(fds[0], pool, 5, POOL_BYTES, 0, NULL, NULL) != 5)
		err(1, "__recvfrom_chk");
	printf("%.5s\n", (const char *)pool);
}

static void mask(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	if (sigprocmask(SIG_SETMASK, &set, NULL) != 0 ||
	    pthread_sigmask(SIG_BLOCK, NULL, (sigset_t *)(void *)pool) != 0)
		err(1, "sigprocmask");
	printf("%d %d\n", sigismember((sigset_t *)(void *)pool, SIGUSR1),
	       sigismember((sigset_t *)(void *)pool, SIGUSR2));
}

/* ---- Functions of libc ------------------------------------------------------------------------- */

static void expect(const char *what, long got, long wanted)
{
	if (got != wanted)
		errx(1, "%s returns %ld", what, got);
	printf("%s %ld\n", what, got);
}

static void functions(void)
{
	struct stat *status = (struct stat *)(void *)(pool + 64), same;
	struct rusage *usage = (struct rusage *)(void *)(pool + 512);
	struct epoll_event *events = (struct epoll_event *)(void *)(pool + 8192);
	struct epoll_event wanted = { .events = EPOLLIN, .data.u64 = 77 };
	struct utsname *system = (struct utsname *)(void *)(pool + 1024), same_system;
	int *ends = (int *)(void *)(pool + 4096), *reaped = (int *)(void *)(pool + 4160);
	char *text = (char *)pool + 12288, path_of_fd[64];
	int epoll = epoll_create1(0);
	pid_t pid;

	if (stat("/proc/self/exe", status) != 0 || stat("/proc/self/exe", &same) != 0 ||
	    memcmp(status, &same, sizeof(same)) != 0)
		errx(1, "stat");
	expect("stat of nothing", stat("/nothing", status), -1);
	expect("its error", errno, ENOENT);
	if (uname(system) != 0 || uname(&same_system) != 0 ||
	    memcmp(system, &same_system, sizeof(*system)) != 0)
		errx(1, "uname");
	expect("getrusage", getrusage(RUSAGE_SELF, usage), 0);
	expect("pipe", pipe(ends), 0);
	expect("write", write(ends[1], "x", 1), 1);
	epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &wanted);
	expect("epoll_wait", epoll_wait(epoll, events, 4, -1), 1);
	expect("its event", (long)events[0].data.u64, 77);
	pid = fork();
	if (!pid)
		_exit(9);
	expect("waitpid", waitpid(pid, reaped, 0) - pid, 0);
	expect("the status", WEXITSTATUS(*reaped), 9);
	if (getcwd(text, 4096) != text || text[0] != '/')
		errx(1, "getcwd");
	expect("getcwd without room", getcwd(text, 1) == NULL && errno == ERANGE, 1);
	snprintf(path_of_fd, sizeof(path_of_fd), "/proc/self/fd/%d", ends[0]);
	expect("readlink", readlink(path_of_fd, text + 4096, 5), 5);
	printf("%.5s\n", text + 4096);
}

/* To `buffer` from the beginning of this program. What is done is stored to the pool. */
static void read_later(void *buffer)
{
	aio_context_t *context = (aio_context_t *)(void *)(pool + 64);
	struct io_event *events = (struct io_event *)(void *)(pool + 128);
	struct iocb block = { .aio_lio_opcode = IOCB_CMD_PREAD,
			      .aio_fildes = (uint32_t)open("/proc/self/exe", O_RDONLY),
			      .aio_buf = (uintptr_t)buffer,
			      .aio_nbytes = 64 };
	struct iocb *blocks[] = { &block };

	*context = 0;
	expect("io_setup", syscall(SYS_io_setup, 4, context), 0);
	expect("io_submit", syscall(SYS_io_submit, *context, 1L, blocks), 1);
	expect("io_getevents", syscall(SYS_io_getevents, *context, 1L, 4L, events, NULL), 1);
	expect("bytes", events[0].res, 64);
	if (memcmp(buffer, "\177ELF", 4) != 0)
		errx(1, "other bytes");
	expect("io_destroy", syscall(SYS_io_destroy, *context), 0);
	*context = 0;
	memset(events, 0, sizeof(*events));
}

static void asynchronous(void)
{
	unsigned char elsewhere[64];

	read_later(elsewhere);
}

static void asynchronous_read(void)
{
	read_later(pool + 4096);
}

static void contexts(void)
{
	jmp_buf *plain = (jmp_buf *)(void *)pool;
	sigjmp_buf *masked = (sigjmp_buf *)(void *)(pool + 4096);
	ucontext_t *context = (ucontext_t *)(void *)(pool + 8192), *other = context + 1;
	volatile int rounds = 0;
	sigset_t set, now;

	if (setjmp(*plain) == 0)
		longjmp(*plain, 1);
	printf("longjmp\n");
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (sigsetjmp(*masked, 1) == 0) {
		sigprocmask(SIG_UNBLOCK, &set, NULL);
		siglongjmp(*masked, 1);
	}
	sigprocmask(SIG_BLOCK, NULL, &now);
	expect("siglongjmp restores the mask", sigismember(&now, SIGUSR1), 1);
	expect("getcontext", getcontext(context), 0);
	expect("its mask", sigismember(&context->uc_sigmask, SIGUSR1), 1);
	if (rounds++ == 0)
		setcontext(context);
	expect("getcontext", getcontext(other), 0);
	if (rounds++ == 2)
		expect("swapcontext", swapcontext(context, other), 0);
	expect("rounds", rounds, 4);
}

int main(int argc, char **argv)
{
	const char *what = argc == 3 ? argv[1] : "";
	int fd = argc == 3 ? open(argv[2], O_RDWR) : -1;

	path = argv[argc - 1];
	pool = mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (pool == MAP_FAILED)
		err(2, "usage: kernel_subject WHAT POOL");
	mutex = (pthread_mutex_t *)(void *)(pool + 65536);
	if (strcmp(what, "robust") == 0)
		robust();
	else if (strcmp(what, "inherits") == 0)
		make_mutex(PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_INHERIT);
	else if (strcmp(what, "inherits-later") == 0)
		lock_inheriting();
	else if (strcmp(what, "clone") == 0)
		clone_with(CLONE_PARENT_SETTID);
	else if (strcmp(what, "clone3") == 0)
		clone3_with(CLONE_PARENT_SETTID);
	else if (strcmp(what, "set_tid_address") == 0)
		set_tid_address();
	else if (strcmp(what, "numbers") == 0)
		by_number();
	else if (strcmp(what, "getcwd") == 0)
		getcwd_by_number();
	else if (strcmp(what, "stream") == 0)
		stream_buffer();
	else if (strcmp(what, "fortified") == 0)
		fortified();
	else if (strcmp(what, "mask") == 0)
		mask();
	else if (strcmp(what, "functions") == 0)
		functions();
	else if (strcmp(what, "contexts") == 0)
		contexts();
	else if (strcmp(what, "asynchronous") == 0)
		asynchronous();
	else if (strcmp(what, "asynchronous-read") == 0)
		asynchronous_read();
	else
		errx(2, "%s: unknown", what);
	return 0;
}
