/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * signals_subject POOL: a program to be recorded, which gets signals in each way that POSIX has, and stores
 * to a mapping of the file POOL in all their handlers. It prints what it saw: the same whether it is recorded
 * or not.
 */

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define POOL_BYTES (1u << 20)

static unsigned char *pool;
static volatile sig_atomic_t count, code;
static volatile uintptr_t nowhere = 8;
static volatile uintptr_t address;
static sigjmp_buf back;

static volatile uint64_t *word(size_t index)
{
	return (volatile uint64_t *)(void *)pool + index;
}

static void handle(int number, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };

	if (sigaction(number, &action, NULL) != 0)
		err(1, "sigaction");
	count = 0;
}

static void note(const siginfo_t *info)
{
	count++;
	code = info->si_code;
	address = (uintptr_t)info->si_addr;
	*word(8) += 1;
	memset(pool + 4096, count, 100);
}

/* ---- Caused by an instruction ------------------------------------------------------------------- */

static void on_break(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	note(info);
}

static void breaks(void)
{
	handle(SIGTRAP, on_break, 0);
	for (unsigned i = 0; i < 20; i++) {
		*word(9) = i;
		__asm__ volatile("int3" : : : "memory");
		*word(10) = i;
	}
	printf("breakpoints %d, code %d\n", (int)count, (int)code);
	raise(SIGTRAP);
	printf("and one by raise, code %d\n", (int)code);
}

/* The handler changes where the program goes on, and what it has in a register. */
static void skip_two_bytes(int number, siginfo_t *info, void *context_pointer)
{
	ucontext_t *context = context_pointer;

	(void)number;
	note(info);
	context->uc_mcontext.gregs[REG_RIP] += 2;
	context->uc_mcontext.gregs[REG_RBX] = 77;
}

static void illegal(void)
{
	uint64_t got = 0;

	handle(SIGILL, skip_two_bytes, 0);
	for (unsigned i = 0; i < 20; i++) {
		*word(11) = i;
		__asm__ volatile("ud2\n\tmov %%rbx, %0" : "=r"(got) : : "rbx", "memory");
		*word(12) = got;
	}
	printf("illegal instructions %d, the register is %lu\n", (int)count, (unsigned long)got);
}

static void jump_back(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	note(info);
	siglongjmp(back, 1);
}

static void divisions(void)
{
	volatile int zero = 0, result = 0;

	handle(SIGFPE, jump_back, 0);
	for (volatile unsigned i = 0; i < 20; i++) {
		*word(13) = i;
		if (sigsetjmp(back, 1) == 0)
			result = 7 / zero;
	}
	printf("divisions %d, code %d, result %d\n", (int)count, (int)code, result);
}

void divide_and_store(void *to, const long double *divisor);
extern const unsigned char store_of_quotient[];
/* With divisions by zero unmasked. The x87 unit tells of one by its next instruction, which is the store. */
__asm__(".text\n"
	"divide_and_store:\n\tfninit\n\tmovl $0x37b, -4(%rsp)\n\tfldcw -4(%rsp)\n\t"
	"fld1\n\tfldt (%rsi)\n\tfdivrp\n"
	"store_of_quotient:\n\tfstpt (%rdi)\n\tfninit\n\tret\n");

static void floating_divisions(void)
{
	static unsigned char elsewhere[16];
	volatile unsigned right = 0;

	handle(SIGFPE, jump_back, 0);
	for (volatile unsigned i = 0; i < 20; i++) {
		const long double divisor = i % 4 < 2 ? 3 : 0;

		if (sigsetjmp(back, 1) == 0)
			divide_and_store(i % 2 ? pool + 512 : elsewhere, &divisor);
		else
			right = right + (address == (uintptr_t)store_of_quotient);
	}
	printf("divisions of floating numbers %d, code %d, at the store %u\n", (int)count, (int)code, right);
}

/* Of a file that is shorter than its mapping. */
static void beyond_the_end(void)
{
	int fd = memfd_create("short", MFD_CLOEXEC);
	volatile unsigned char *at;

	if (fd < 0 || ftruncate(fd, 4096) != 0)
		err(1, "memfd_create");
	at = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	handle(SIGBUS, jump_back, 0);
	for (volatile unsigned i = 0; i < 20; i++) {
		*word(14) = i;
		if (sigsetjmp(back, 1) == 0)
			at[4096 + i] = 1;
		if (address != (uintptr_t)&at[4096 + i])
			errx(1, "another address");
	}
	printf("beyond the end %d, code %d\n", (int)count, (int)code);
}

/* A write to a page without permission is skipped: the handler moves on to the next instruction. */
static void skip_store(int number, siginfo_t *info, void *context_pointer)
{
	ucontext_t *context = context_pointer;

	(void)number;
	note(info);
	context->uc_mcontext.gregs[REG_RIP] += 3;
}

static void skipped(void)
{
	unsigned char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	handle(SIGSEGV, skip_store, 0);
	for (unsigned i = 0; i < 20; i++) {
		/* The same instruction stores to the pool and to the page. */
		unsigned char *to = i % 2 ? page : pool + 8192 + i;

		__asm__ volatile("movb $7, (%0); nop" : : "r"(to) : "memory");
	}
	printf("stores that are skipped %d, code %d\n", (int)count, (int)code);
}

/* Copies of any length from where no memory is. */
static void copies_from_nowhere(void)
{
	static const size_t lengths[] = { 1, 8, 64, 513, 4096, 9000 };
	static char *volatile no_memory;
	volatile unsigned handled = 0;

	handle(SIGSEGV, jump_back, 0);
	for (volatile unsigned i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		if (sigsetjmp(back, 1) == 0)
			memcpy(pool + 16384, no_memory, lengths[i]);
		else
			handled++;
	}
	printf("copies from no_memory %u, stored %d\n", handled, pool[16384]);
}

static void defaults(void)
{
	static const int numbers[] = { SIGSEGV, SIGBUS, SIGTRAP, SIGILL, SIGFPE, SIGTERM };

	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		int status;
		pid_t pid = fork();

		if (!pid) {
			signal(numbers[i], SIG_DFL);
			*word(15 + i) = 1;
			if (numbers[i] == SIGSEGV)
				*(volatile int *)nowhere = 1;
			if (numbers[i] == SIGTRAP)
				__asm__ volatile("int3");
			raise(numbers[i]);
			_exit(0);
		}
		waitpid(pid, &status, 0);
		printf("%s ends with %s\n", sigabbrev_np(numbers[i]),
		       WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status)) : "a status");
	}
}

/* ---- Sent --------------------------------------------------------------------------------------- */

#define QUEUED 500

static volatile uint64_t sum;

static void add_value(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	count++;
	sum += (uint64_t)info->si_value.sival_int;
	*word(100) += (uint64_t)info->si_value.sival_int;
}

static void *queue_many(void *thread)
{
	for (int i = 1; i <= QUEUED; i++) {
		const union sigval value = { .sival_int = i };

		while (pthread_sigqueue(*(pthread_t *)thread, SIGRTMIN + i % 2, value) == EAGAIN)
			sched_yield();
	}
	return NULL;
}

/* None is lost, and each has its value. */
static void queued(void)
{
	pthread_t self = pthread_self(), sender;

	handle(SIGRTMIN, add_value, 0);
	handle(SIGRTMIN + 1, add_value, 0);
	*word(100) = 0;
	if (pthread_create(&sender, NULL, queue_many, &self) != 0)
		errx(1, "pthread_create");
	while (count < QUEUED) {
		*word(101) += 1;
		*word(99) += 1;
		memset(pool + 1000, (int)count, 90);
	}
	pthread_join(sender, NULL);
	printf("queued %d, sum %lu, in the pool %lu\n", (int)count, (unsigned long)sum,
	       (unsigned long)*word(100));
}

static char order[64];

static void note_order(int number, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	strcat(order, number == SIGUSR1 ? "(" : "[");
	*word(110) += 1;
	if (number == SIGUSR1)
		raise(SIGUSR2);
	if (number == SIGUSR1 && strlen(order) < 10)
		raise(SIGUSR1);
	*word(110) += 1;
	strcat(order, number == SIGUSR1 ? ")" : "]");
}

static void print_order(const char *what, int flags, int masked)
{
	struct sigaction action = { .sa_sigaction = note_order, .sa_flags = SA_SIGINFO | flags };

	order[0] = '\0';
	if (masked)
		sigaddset(&action.sa_mask, SIGUSR2);
	if (sigaction(SIGUSR1, &action, NULL) != 0 || sigaction(SIGUSR2, &action, NULL) != 0)
		err(1, "sigaction");
	raise(SIGUSR1);
	printf("%s: %s\n", what, order);
}

static void in_order(void)
{
	print_order("a handler and one that it raises", 0, 0);
	print_order("one whose mask keeps the other back", 0, 1);
	print_order("one that interrupts itself", SA_NODEFER, 1);
}

static void waited_for(void)
{
	struct timespec never = { .tv_sec = 0 };
	struct signalfd_siginfo read_info;
	siginfo_t info;
	sigset_t set, old;
	int number = 0, fd;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	signal(SIGUSR1, SIG_DFL);
	sigprocmask(SIG_BLOCK, &set, &old);
	raise(SIGUSR1);
	*word(120) = 1;
	sigwait(&set, &number);
	printf("sigwait %d\n", number == SIGUSR1);
	raise(SIGUSR2);
	*word(120) = 2;
	printf("sigwaitinfo %d\n", sigwaitinfo(&set, &info) == SIGUSR2 && info.si_pid == getpid());
	printf("sigtimedwait %d\n", sigtimedwait(&set, &info, &never) == -1 && errno == EAGAIN);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	raise(SIGUSR2);
	*word(120) = 3;
	printf("signalfd %d\n", read(fd, &read_info, sizeof(read_info)) == sizeof(read_info) &&
					read_info.ssi_signo == SIGUSR2);
	handle(SIGUSR2, on_break, 0);
	raise(SIGUSR2);
	*word(120) = 4;
	sigdelset(&old, SIGUSR2);
	printf("sigsuspend %d", sigsuspend(&old) == -1 && errno == EINTR);
	printf(", handled %d\n", (int)count);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

static void sent_faults(void)
{
	handle(SIGSEGV, on_break, 0);
	for (unsigned i = 0; i < 10; i++) {
		*word(130) = i;
		kill(getpid(), SIGSEGV);
		*word(131) = i;
	}
	printf("SIGSEGV by kill %d, code %d\n", (int)count, (int)code);
}

/* ---- By other functions than sigaction() --------------------------------------------------------- */

static void store_twice(int number)
{
	count++;
	*word(140) += 1;
	memset(pool + 20480, number, 100);
	*word(140) += 1;
}

static void jump_from_here(int number)
{
	(void)number;
	siglongjmp(back, 1);
}

static void *send_many(void *thread)
{
	for (int i = 0; i < QUEUED; i++) {
		pthread_kill(*(pthread_t *)thread, SIGUSR1);
		sched_yield();
	}
	return NULL;
}

/* Old programs call these, which must be recorded as well. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static void by_system_v(void)
{
	pthread_t self = pthread_self(), sender;
	struct sigaction now;

	printf("sigset, after the default %d\n", sigset(SIGUSR1, store_twice) == SIG_DFL);
	*word(140) = count = 0;
	if (pthread_create(&sender, NULL, send_many, &self) != 0)
		errx(1, "pthread_create");
	for (unsigned i = 0; i < 20000; i++) {
		*word(141) += 1;
		*word(140) += 1;
	}
	pthread_join(sender, NULL);
	printf("none is lost %d\n", *word(140) == 20000 + 2u * (unsigned)count);
	*word(140) = 0;
	siginterrupt(SIGUSR1, 1);
	sigaction(SIGUSR1, NULL, &now);
	printf("siginterrupt %d %d\n", now.sa_handler == store_twice, (now.sa_flags & SA_RESTART) != 0);
	sigignore(SIGUSR1);
	sigaction(SIGUSR1, NULL, &now);
	printf("sigignore %d\n", now.sa_handler == SIG_IGN);
	printf("sigset of SIGSEGV %d\n", sigset(SIGSEGV, jump_from_here) != SIG_ERR);
	/* By instructions that have not stored to the pool, and by one that faults. */
	*word(142) = 7;
	if (sigsetjmp(back, 1) == 0)
		*(volatile int *)nowhere = 1;
	*word(143) = 8;
	printf("stored %d %d\n", (int)*word(142), (int)*word(143));
	signal(SIGUSR1, store_twice);
	printf("system %d", system("kill -INT $$") == SIGINT);
	raise(SIGUSR1);
	printf(", handled after it %d\n", *word(140) == 2);
}

int main(int argc, char **argv)
{
	int file = argc == 2 ? open(argv[1], O_RDWR) : -1;

	pool = mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (pool == MAP_FAILED)
		err(2, "usage: signals_subject POOL");
	/* What is printed must not be printed again by children. */
	setvbuf(stdout, NULL, _IONBF, 0);
	breaks();
	illegal();
	divisions();
	floating_divisions();
	beyond_the_end();
	skipped();
	copies_from_nowhere();
	queued();
	in_order();
	waited_for();
	sent_faults();
	defaults();
	by_system_v();
	return 0;
}
