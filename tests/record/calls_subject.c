/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * calls_subject WHAT POOL: a program to be recorded that makes its system calls by instructions of its own,
 * with arguments that point into a mapping of the file POOL. It prints what it saw: the same whether it is
 * recorded or not.
 */

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "meanwhile.h"
#include "raw_call.h"

#define POOL_BYTES (1u << 20)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *path;
static unsigned char *pool;
static int file;

static void expect(const char *what, long got, long wanted)
{
	if (got != wanted)
		errx(1, "%s returns %ld", what, got);
	printf("%s %ld\n", what, got);
}

static int exe(void)
{
	int fd = open("/proc/self/exe", O_RDONLY);

	if (fd < 0)
		err(1, "/proc/self/exe");
	return fd;
}

static void sockets(int fds[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0 || write(fds[1], "abcdefgh", 8) != 8)
		err(1, "socketpair");
}

/* ---- Results ---------------------------------------------------------------------------------- */

static void reads(void)
{
	struct iovec parts[2] = { { pool + 8192, 100 }, { pool + 12000, 200 } }, mixed[40];
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 1, .msg_flags = -1 };
	unsigned char outside[40], random[64] = { 0 };
	int fd = exe(), fds[2];

	expect("read", call(SYS_read, fd, pool, 4000), 4000);
	expect("read at the end", call(SYS_pread64, fd, pool + 4096, 100, lseek(fd, 0, SEEK_END) - 10), 10);
	expect("readv", call(SYS_preadv, fd, parts, 2, 0L, 0L), 300);
	for (unsigned i = 0; i < COUNT(mixed); i++)
		mixed[i] = (struct iovec){ i % 2 ? pool + 20000 + 64 * i : outside + i, 1 };
	expect("readv of many parts", call(SYS_preadv2, fd, mixed, COUNT(mixed), 0L, 0L, 0), COUNT(mixed));
	if (pool[20000 + 64] != 'E' || outside[2] != 'L')
		errx(1, "the parts are mixed up");
	sockets(fds);
	expect("recvfrom", call(SYS_recvfrom, fds[0], pool + 30000, 3, 0, NULL, NULL), 3);
	expect("recvmsg", call(SYS_recvmsg, fds[0], &message, 0), 5);
	expect("flags of the message", message.msg_flags, 0);
	printf("%.3s %.5s\n", (char *)pool + 30000, (char *)pool + 8192);
	expect("getrandom", call(SYS_getrandom, pool + 16384, 64, 0), 64);
	if (memcmp(pool + 16384, random, 64) == 0)
		errx(1, "getrandom has stored nothing");
	expect("read of no descriptor", call(SYS_read, -1, pool, 100), -EBADF);
	/* What is in the registers of others is no argument. */
	expect("gettid", call(SYS_gettid, pool, pool, -1L) - gettid(), 0);
}

static void structures(void)
{
	struct stat *status = (struct stat *)(void *)(pool + 128), same;
	struct timespec *now = (struct timespec *)(void *)(pool + 512);
	int *ends = (int *)(void *)(pool + 1024), *reaped = (int *)(void *)(pool + 1088);
	char *name = (char *)pool + 2048;
	struct timespec moment = { .tv_nsec = 1000 };
	sigset_t *mask = (sigset_t *)(void *)(pool + 4096);
	int fd = exe();
	pid_t pid;

	expect("fstat", call(SYS_fstat, fd, status), 0);
	if (fstat(fd, &same) != 0 || memcmp(&same, status, sizeof(same)) != 0)
		errx(1, "fstat has stored something else");
	expect("clock_gettime", call(SYS_clock_gettime, CLOCK_REALTIME, now), 0);
	if (now->tv_sec < 1000000000)
		errx(1, "clock_gettime has stored nothing");
	expect("nanosleep", call(SYS_nanosleep, &moment, now), 0);
	expect("pipe2", call(SYS_pipe2, ends, O_CLOEXEC), 0);
	if (write(ends[1], "x", 1) != 1)
		err(1, "write");
	if (call(SYS_getcwd, name, 4096) < 2 || name[0] != '/')
		errx(1, "getcwd has stored nothing");
	pid = fork();
	if (!pid)
		_exit(7);
	expect("wait4", call(SYS_wait4, pid, reaped, 0, NULL) - pid, 0);
	expect("the status", WEXITSTATUS(*reaped), 7);
	expect("rt_sigprocmask", call(SYS_rt_sigprocmask, SIG_BLOCK, NULL, mask, 8), 0);
}

static void controls(void)
{
	int *queued = (int *)(void *)pool, fds[2];
	struct winsize *size = (struct winsize *)(void *)(pool + 64);
	int master = posix_openpt(O_RDWR | O_NOCTTY);

	sockets(fds);
	expect("FIONREAD", ioctl(fds[0], FIONREAD, queued), 0);
	expect("bytes", *queued, 8);
	*queued = 1;
	expect("FIONBIO", ioctl(fds[0], FIONBIO, queued), 0);
	expect("FIONREAD by an instruction", call(SYS_ioctl, fds[1], FIONREAD, queued), 0);
	expect("bytes", *queued, 0);
	size->ws_row = 7;
	expect("TIOCSWINSZ", ioctl(master, TIOCSWINSZ, size), 0);
	memset(size, 0, sizeof(*size));
	expect("TIOCGWINSZ", ioctl(master, TIOCGWINSZ, size), 0);
	expect("rows", size->ws_row, 7);
}

/* ---- Registers ---------------------------------------------------------------------------------------- */

/* The same with known values in the other registers, the carry flag set, and a word in the red zone. */
long checked_call(long number, long a, long b, long c, uint64_t got[14]);
__asm__(".text\n\t.globl checked_call\n\t.type checked_call, @function\nchecked_call:\n\t"
	"push %rbx\n\tpush %rbp\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\tpush %r15\n\tpush %r8\n\t"
	"mov %rdi, %rax\n\tmov %rsi, %rdi\n\tmov %rdx, %rsi\n\tmov %rcx, %rdx\n\t"
	"mov $3, %ebx\n\tmov $5, %ebp\n\tmov $8, %r8d\n\tmov $9, %r9d\n\tmov $10, %r10d\n\tmov $12, %r12d\n\t"
	"mov $13, %r13d\n\tmov $14, %r14d\n\tmov $15, %r15d\n\tmovq %rbx, %xmm7\n\tmovq $77, -64(%rsp)\n\t"
	"stc\n\tsyscall\n\tmov (%rsp), %rcx\n\tmov %rbx, (%rcx)\n\tmov %rbp, 8(%rcx)\n\tmov %r8, 16(%rcx)\n\t"
	"mov %r9, 24(%rcx)\n\tmov %r10, 32(%rcx)\n\tmov %r12, 40(%rcx)\n\tmov %r13, 48(%rcx)\n\t"
	"mov %r14, 56(%rcx)\n\tmov %r15, 64(%rcx)\n\tmovq %xmm7, 72(%rcx)\n\tmov -64(%rsp), %r11\n\t"
	"mov %r11, 80(%rcx)\n\tsbb %r11, %r11\n\tmov %r11, 88(%rcx)\n\tmov %rdi, 96(%rcx)\n\t"
	"mov %rsi, 104(%rcx)\n\tpop %r8\n\tpop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbp\n\t"
	"pop %rbx\n\tret\n.size checked_call, . - checked_call");

static void same_registers(const char *what, long number, long first, void *buffer, long length)
{
	uint64_t got[14] = { 0 };
	const uint64_t wanted[14] = {
		3, 5, 8, 9, 10, 12, 13, 14, 15, 3, 77, UINT64_MAX, (uint64_t)first, (uint64_t)buffer
	};
	long result = checked_call(number, first, (long)buffer, length, got);

	for (unsigned i = 0; i < COUNT(got); i++)
		if (got[i] != wanted[i])
			errx(1, "%s: register %u has %lx", what, i, (unsigned long)got[i]);
	printf("%s %ld\n", what, result);
}

static void registers(void)
{
	int fd = exe();
	unsigned char outside[64];

	same_registers("a call without a pool", SYS_lseek, fd, NULL, SEEK_SET);
	same_registers("a read elsewhere", SYS_read, fd, outside, 64);
	same_registers("a read into the pool", SYS_read, fd, pool, 64);
	same_registers("a call that fails", SYS_read, -1, pool, 64);
	same_registers("no call", 100000, fd, pool, 64);
}

/* ---- Signals ------------------------------------------------------------------------------------------ */

static volatile sig_atomic_t handled, in_program;
static sigjmp_buf out;
static int ends[2];
static int jump;

static void on_alarm(int number, siginfo_t *info, void *context_pointer)
{
	const ucontext_t *context = context_pointer;
	const uintptr_t rip = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];

	handled = number;
	in_program = rip == (uintptr_t)call_begins || rip == (uintptr_t)call_ends;
	pool[40000]++;
	if (jump)
		siglongjmp(out, 1);
	if (write(ends[1], "later", 5) != 5)
		_exit(1);
}

/* The kernel's structure; raw, as the runtimes of some languages install handlers. */
static void handle(int number, int flags)
{
	struct {
		void *handler;
		uint64_t flags;
		void *restorer;
		uint64_t mask;
	} action = { .handler = (void *)(uintptr_t)on_alarm }, old;
	struct sigaction libc = { .sa_sigaction = on_alarm, .sa_flags = flags | SA_SIGINFO };

	/* Its restorer is libc's. */
	if (sigaction(number, &libc, NULL) != 0 || call(SYS_rt_sigaction, number, NULL, &action, 8) != 0 ||
	    action.handler != (void *)(uintptr_t)on_alarm ||
	    call(SYS_rt_sigaction, number, &action, &old, 8) != 0 || old.handler != action.handler)
		errx(1, "rt_sigaction");
}

static void interrupted(const char *what, int flags, long wanted)
{
	struct meanwhile signal;
	char drained[8];

	handled = 0;
	handle(SIGALRM, flags);
	interruption_begin(&signal, SYS_read, -1);
	expect(what, call(SYS_read, ends[0], pool, 100), wanted);
	meanwhile_end(&signal);
	expect("in the handler the program is at its call", handled == SIGALRM && in_program, 1);
	if (wanted < 0 && read(ends[0], drained, 5) != 5)
		err(1, "read");
}

static void signals(void)
{
	const struct timespec while_asleep = { .tv_sec = 100 };
	uint64_t all = ~(uint64_t)0, none = 0;
	struct meanwhile signal;

	if (pipe(ends) != 0)
		err(1, "pipe");
	interrupted("a read that a signal interrupts", 0, -EINTR);
	interrupted("a read that goes on after a signal", SA_RESTART, 5);
	jump = 1;
	for (volatile int i = 0; i < 3; i++) {
		handled = 0;
		interruption_begin(&signal, SYS_read, -1);
		if (sigsetjmp(out, 1) == 0)
			call(SYS_read, ends[0], pool, 100);
		meanwhile_end(&signal);
		expect("a read that a handler jumps out of", handled, SIGALRM);
	}
	jump = 0;
	interruption_begin(&signal, SYS_nanosleep, -1);
	expect("a sleep that a signal interrupts", call(SYS_nanosleep, &while_asleep, pool + 512), -EINTR);
	meanwhile_end(&signal);
	expect("part of it is left", ((struct timespec *)(void *)(pool + 512))->tv_sec > 0, 1);
	/* Stores to the pool still fault unseen. */
	handle(SIGSEGV, 0);
	expect("all are blocked", call(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, 8), 0);
	*(volatile unsigned char *)(pool + 50000) = 1;
	__asm__ volatile("movb $2, %0" : "=m"(pool[50001]));
	expect("none is blocked", call(SYS_rt_sigprocmask, SIG_SETMASK, &none, &all, 8), 0);
	expect("which was not asked for", (all >> (SIGUSR1 - 1)) & 1, 1);
}

/* ---- Threads under a storm of signals ------------------------------------------------------------- */

#define CALLS_OF_A_THREAD 5000

static atomic_uint storms;

static void on_storm(int number)
{
	(void)number;
	storms++;
	pool[60000]++;
	call(SYS_clock_gettime, CLOCK_MONOTONIC, pool + 61000);
}

static void *call_often(void *number)
{
	unsigned char *mine = pool + 65536 * (1 + *(int *)number), outside[64];
	int fd = exe(), pipes[2];
	char byte = 'x';

	if (pipe(pipes) != 0)
		err(1, "pipe");
	for (long i = 0; i < CALLS_OF_A_THREAD; i++) {
		const long at = i % 4096;

		if (call(SYS_pread64, fd, mine + at, 32, 0L) != 32 || memcmp(mine + at, "\177ELF", 4) != 0 ||
		    call(SYS_pread64, fd, outside, 64, 0L) != 64 || call(SYS_gettid) != gettid() ||
		    call(SYS_write, pipes[1], &byte, 1) != 1 ||
		    TEMP_FAILURE_RETRY(read(pipes[0], mine + 8192, 1)) != 1)
			errx(1, "call %ld", i);
	}
	return NULL;
}

static void storm(void)
{
	const struct itimerval often = { .it_interval = { .tv_usec = 300 }, .it_value = { .tv_usec = 300 } };
	struct sigaction action = { .sa_handler = on_storm, .sa_flags = SA_RESTART };
	int numbers[2] = { 0, 1 };
	pthread_t other;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	if (pthread_create(&other, NULL, call_often, &numbers[1]) != 0)
		errx(1, "pthread_create");
	call_often(&numbers[0]);
	pthread_join(other, NULL);
	setitimer(ITIMER_REAL, &(struct itimerval){ .it_value = { .tv_sec = 0 } }, NULL);
	expect("signals came", storms > 10, 1);
}

/* ---- Processes and mappings ------------------------------------------------------------------- */

static void processes(void)
{
	int status;
	long pid = call(SYS_fork);

	if (!pid) {
		memset(pool + 100, 1, 100);
		call(SYS_exit_group, 3);
	}
	memset(pool + 300, 2, 100);
	expect("fork", waitpid((pid_t)pid, &status, 0) == pid && WEXITSTATUS(status) == 3, 1);
	pid = call(SYS_clone, SIGCHLD | CLONE_FS, NULL, NULL, NULL, NULL);
	if (!pid) {
		memset(pool + 500, 3, 100);
		call(SYS_exit_group, 4);
	}
	expect("clone", waitpid((pid_t)pid, &status, 0) == pid && WEXITSTATUS(status) == 4, 1);
}

/* A child in this memory and on a stack of its own, as vfork(2) makes; the parent waits until it ends. */
long clone_here(long flags, void *stack_with_function);
__asm__(".text\n\t.globl clone_here\n\t.type clone_here, @function\nclone_here:\n\t"
	"mov $56, %eax\n\txor %edx, %edx\n\txor %r10d, %r10d\n\tsyscall\n\ttest %rax, %rax\n\tje 1f\n\t"
	"ret\n1:\tpop %rax\n\txor %ebp, %ebp\n\tcall *%rax\n\tud2\n"
	".size clone_here, . - clone_here");

static void in_child(void)
{
	memset(pool + 700, 4, 100);
	call(SYS_pread64, file, pool + 900, 50, 700L);
	call(SYS_exit_group, pool[949] == 4 ? 5 : 6);
}

static void child_here(void)
{
	static _Alignas(16) void *stack[16384];
	int status = 0;
	long pid;

	stack[16000] = (void *)(uintptr_t)in_child;
	memset(pool + 750, 4, 50);
	pid = clone_here(CLONE_VM | CLONE_VFORK | SIGCHLD, &stack[16000]);
	memset(pool + 1000, 5, 100);
	expect("a child in the same memory", waitpid((pid_t)pid, &status, 0) == pid, 1);
	printf("its status %d\n", WEXITSTATUS(status));
}

/* libc sets masks in the child while all signals are blocked. */
static void spawned(void)
{
	char *const words[] = { (char *)(uintptr_t)"true", NULL };
	posix_spawnattr_t attributes;
	sigset_t none;
	pid_t pid;
	int status;

	sigemptyset(&none);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	if (posix_spawnp(&pid, "true", NULL, &attributes, words, environ) != 0)
		errx(1, "posix_spawnp");
	expect("posix_spawn", waitpid(pid, &status, 0) == pid && status == 0, 1);
	*(volatile char *)pool = 1;
}

static void mappings(void)
{
	const int prot = PROT_READ | PROT_WRITE;
	unsigned char *second = (unsigned char *)call(SYS_mmap, NULL, 8192, prot, MAP_SHARED, file, 0L);

	if ((uintptr_t)second >= -4095UL)
		errx(1, "mmap");
	memset(second, 5, 8192);
	expect("mprotect", call(SYS_mprotect, second, 4096, PROT_READ), 0);
	memset(second + 4096, 6, 100);
	expect("mprotect", call(SYS_mprotect, second, 4096, prot), 0);
	memset(second, 7, 100);
	expect("madvise", call(SYS_madvise, second, 8192, MADV_POPULATE_WRITE), 0);
	expect("madvise by a function", madvise(pool, 8192, MADV_POPULATE_WRITE), 0);
	expect("mprotect", call(SYS_mprotect, second, 4096, PROT_READ), 0);
	expect("madvise of what is read-only", call(SYS_madvise, second, 8192, MADV_POPULATE_WRITE), -EINVAL);
	expect("mprotect", call(SYS_mprotect, second, 4096, prot), 0);
	expect("msync", call(SYS_msync, second, 8192, MS_SYNC), 0);
	expect("munmap", call(SYS_munmap, second, 4096), 0);
	memset(second + 4096, 8, 100);
	if (call(SYS_mmap, second + 4096, 4096, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0L) !=
	    (long)(second + 4096))
		errx(1, "mmap");
	memset(second + 4096, 9, 4096);
	printf("mapped\n");
}

/* ---- Others ------------------------------------------------------------------------------------- */

static void output(void)
{
	struct iovec part = { .iov_base = (void *)(uintptr_t)"a message", .iov_len = 9 };
	struct mmsghdr messages[2] = { { .msg_hdr = { .msg_iov = &part, .msg_iovlen = 1 } },
				       { .msg_hdr = { .msg_iov = &part, .msg_iovlen = 1 } } };
	int fds[2];

	pool[0] = 1;
	expect("write", call(SYS_write, STDOUT_FILENO, "by an instruction\n", 18), 18);
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, fds) != 0)
		err(1, "socketpair");
	expect("sendmsg", call(SYS_sendmsg, fds[0], &messages[0].msg_hdr, 0), 9);
	part.iov_base = (void *)(uintptr_t)"one of two";
	part.iov_len = 10;
	expect("sendmmsg", call(SYS_sendmmsg, fds[0], messages, 2, 0), 2);
}

static void unknown_request(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);

	expect("ioctl", ioctl(master, TIOCGEXCL, pool), 0);
}

/* What the kernel stores depends on the first argument: here zeros. */
static void by_fault(void)
{
	memset(pool, 1, 128);
	expect("modify_ldt", call(SYS_modify_ldt, 2, pool, 128UL), 128);
	expect("a byte of it", pool[100], 0);
}

/* A call of a later kernel than the table's: cachestat(2). */
static void unlisted(void)
{
	const uint64_t range[2] = { 0, 0 };
	const long result = call(451, exe(), range, pool, 0);

	if (result == -ENOSYS)
		exit(77);
	expect("cachestat", result, 0);
}

/* Where handlers would have their frames. */
static void stack_in_pool(void)
{
	const stack_t stack = { .ss_sp = pool, .ss_size = 65536 };

	expect("sigaltstack", sigaltstack(&stack, NULL), 0);
}

static void write_to_itself(void)
{
	char text[] = "itself";
	const struct iovec from = { text, sizeof(text) }, to = { pool, sizeof(text) };

	expect("process_vm_writev", process_vm_writev(getpid(), &from, 1, &to, 1, 0), sizeof(text));
}

/* liburing makes this call by an instruction of its own. */
static void rings(void)
{
	unsigned char parameters[256] = { 0 };

	expect("io_uring_setup", call(SYS_io_uring_setup, 1, parameters), -ENOSYS);
}

/* The kernel would mark mutexes of the list; the program is told that it does not in pools. */
static void robust_list(void)
{
	static void *list[3];

	list[0] = list;
	expect("set_robust_list", call(SYS_set_robust_list, list, sizeof(list)), 0);
}

static void robust_list_in_pool(void)
{
	void **list = (void **)(void *)pool;

	list[0] = list;
	expect("set_robust_list", call(SYS_set_robust_list, list, 24), 0);
}

/* Before the pool is mapped nobody sees it. */
static void early(void)
{
	struct sigaction libc = { .sa_handler = SIG_IGN };
	struct {
		void *handler;
		uint64_t flags;
		void *restorer;
		uint64_t mask;
	} action;

	if (sigaction(SIGUSR1, &libc, NULL) != 0 || call(SYS_rt_sigaction, SIGUSR1, NULL, &action, 8) != 0)
		err(1, "sigaction");
	action.handler = (void *)(uintptr_t)on_alarm;
	action.flags |= SA_SIGINFO;
	if (call(SYS_rt_sigaction, SIGSEGV, &action, NULL, 8) != 0)
		err(1, "rt_sigaction");
}

static void later(void)
{
	volatile int *nothing = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(pool, 1, 100);
	expect("none yet", handled, 0);
	jump = 1;
	if (sigsetjmp(out, 1) == 0)
		*nothing = 1;
	expect("the handler got its own fault alone", handled, SIGSEGV);
}

/* Code that is made as the program runs is not patched. */
static void made(void)
{
	static const unsigned char code[] = { 0x31, 0xc0, 0x0f, 0x05, 0xc3 }; /* xor eax, eax; syscall; ret */
	void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long (*function)(long, void *, long) = (long (*)(long, void *, long))at;

	if (at == MAP_FAILED)
		err(1, "mmap");
	memcpy(at, code, sizeof(code));
	printf("%ld\n", function(exe(), pool, 100));
}

/* No symbol and no table for unwinding says that a function begins here. */
extern const char nameless_begins[];
__asm__(".text\n\t.balign 16\n.globl nameless_begins\nnameless_begins:\n\tmov $0, %eax\n\tsyscall\n\tret\n\t"
	".balign 16");

static void nameless(void)
{
	long (*function)(long, void *, long) = (long (*)(long, void *, long))(uintptr_t)nameless_begins;

	printf("%ld\n", function(exe(), pool, 100));
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*function)(void);
	} all[] = {
		{ "reads", reads },	  { "structures", structures }, { "controls", controls },
		{ "registers", registers },	{ "signals", signals },
		{ "processes", processes }, { "mappings", mappings },	{ "output", output },
		{ "request", unknown_request }, { "fault", by_fault }, { "unlisted", unlisted },
		{ "stack", stack_in_pool }, { "itself", write_to_itself },
		{ "made", made },	  { "rings", rings },
		{ "storm", storm },	  { "nameless", nameless },
		{ "list", robust_list }, { "pool-list", robust_list_in_pool },
		{ "early", later }, { "child", child_here },	  { "spawned", spawned },
	};

	path = argv[argc - 1];
	file = argc == 3 ? open(path, O_RDWR) : -1;
	if (strcmp(argv[1], "early") == 0)
		early();
	pool = mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (pool == MAP_FAILED)
		err(2, "usage: calls_subject WHAT POOL");
	for (size_t i = 0; i < COUNT(all); i++)
		if (strcmp(argv[1], all[i].name) == 0) {
			all[i].function();
			return 0;
		}
	errx(2, "%s: unknown", argv[1]);
}
