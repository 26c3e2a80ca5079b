/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * subject WHAT POOL [INCREMENTS]: a program to be recorded. It stores to the file POOL, which has
 * POOL_BYTES, by a shared mapping, in the way that WHAT names, and prints what it saw: the same whether
 * it is recorded or not.
 */

#include <dlfcn.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "subject.h"

static int pool_fd;
static unsigned char *pool;

static uint64_t *word(size_t offset)
{
	return (uint64_t *)(void *)(pool + offset);
}

static volatile uint64_t *volatile_word(size_t offset)
{
	return word(offset);
}

/* ---- Threads ----------------------------------------------------------------------------- */

#define THREADS 2
static unsigned increments = 20000;

/* Locked increments of one word, and stores of 1 to 64 bytes over the edges of some lines. */
static void *race(void *argument)
{
	uint64_t seed = (uintptr_t)argument * 2654435761u + 1;
	unsigned char bytes[64];

	for (unsigned i = 0; i < increments; i++) {
		size_t length, offset;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		length = 1 + (seed >> 33) % sizeof(bytes);
		offset = SUBJECT_RACE + (seed >> 40) % (320 - sizeof(bytes));
		__atomic_fetch_add(word(SUBJECT_COUNTER), 1, __ATOMIC_SEQ_CST);
		memset(bytes, (int)(seed >> 56), sizeof(bytes));
		memcpy(pool + offset, bytes, length);
		*volatile_word(SUBJECT_RACE + (seed >> 50) % 256) = seed;
	}
	return NULL;
}

static void threads(void)
{
	pthread_t thread[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&thread[i], NULL, race, (void *)i) != 0)
			errx(1, "pthread_create");
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	printf("counter %llu\n", (unsigned long long)*word(SUBJECT_COUNTER));
}

/* Of a thread's destructors, after the thread's function. */
static pthread_key_t key;

static void store_late(void *value)
{
	*volatile_word(8192) += (uintptr_t)value;
}

static void *store_and_end(void *value)
{
	pthread_setspecific(key, value);
	*volatile_word(8192 + 64) += (uintptr_t)value;
	return NULL;
}

static void ends(void)
{
	pthread_key_create(&key, store_late);
	for (uintptr_t i = 1; i <= 100; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, store_and_end, (void *)i) != 0)
			errx(1, "pthread_create");
		pthread_join(thread, NULL);
	}
	printf("%llu by destructors, %llu before\n", (unsigned long long)*word(8192),
	       (unsigned long long)*word(8192 + 64));
}

/* ---- The program's own handlers ------------------------------------------------------------ */

static volatile unsigned faults, usr1;
static void *fault_address;
static int fault_code;
static sigjmp_buf back;

static void make_writable(int number, siginfo_t *info, void *context)
{
	uintptr_t page = (uintptr_t)info->si_addr & ~(uintptr_t)4095;

	(void)number, (void)context;
	faults++;
	if (mprotect((void *)page, 4096, PROT_READ | PROT_WRITE) != 0)
		_exit(3);
}

static void jump_back(int number, siginfo_t *info, void *context)
{
	(void)number, (void)context;
	faults++;
	fault_address = info->si_addr;
	fault_code = info->si_code;
	/* A recorded store in the handler. */
	*volatile_word(12288) += 1;
	siglongjmp(back, 1);
}

static void on_usr1(int number)
{
	usr1 = (unsigned)number;
}

static void handle(int number, void (*function)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = { .sa_sigaction = function, .sa_flags = SA_SIGINFO | flags };

	sigfillset(&action.sa_mask);
	if (sigaction(number, &action, NULL) != 0)
		err(1, "sigaction");
}

/* A store that must fault at `at`. */
static void fault_at(volatile unsigned char *at)
{
	fault_address = NULL;
	if (sigsetjmp(back, 1) == 0) {
		*at = 1;
		errx(1, "a store did not fault");
	}
	if (fault_address != at)
		errx(1, "a store to %p faults at %p", (void *)(uintptr_t)at, fault_address);
}

/* Copies of which half can be read. After each of them other signals go on coming. */
static void copy_from_nowhere(unsigned char *source)
{
	if (mprotect(source + 4096, 4096, PROT_NONE) != 0)
		err(1, "mprotect");
	for (volatile size_t length = 2; length <= 4096; length *= 2, usr1 = 0) {
		if (sigsetjmp(back, 1) == 0)
			memcpy(pool + 24 * 4096, source + 4096 - length / 2, length);
		if (kill(getpid(), SIGUSR1) != 0 || !usr1)
			errx(1, "a signal does not come");
	}
}

static void protection(void)
{
	unsigned char *page = pool + 16 * 4096;
	struct sigaction old;

	handle(SIGSEGV, make_writable, 0);
	for (unsigned round = 0; round < 3; round++) {
		if (mprotect(page, 3 * 4096, PROT_READ) != 0)
			err(1, "mprotect");
		for (unsigned i = 0; i < 3 * 4096; i += 8)
			*volatile_word(16 * 4096 + i) = i + round;
	}
	printf("faults %u\n", faults);
	if (sigaction(SIGSEGV, NULL, &old) != 0 || old.sa_sigaction != make_writable ||
	    !(old.sa_flags & SA_SIGINFO))
		errx(1, "sigaction() does not return what was set");
	handle(SIGSEGV, jump_back, 0); /* outside of pools, and in a read-only page of the pool */
	fault_at((volatile unsigned char *)8);
	if (mprotect(page, 4096, PROT_READ) != 0)
		err(1, "mprotect");
	for (unsigned i = 0; i < 10; i++)
		fault_at(page + i);
	if (mprotect(page, 4096, PROT_READ | PROT_WRITE) != 0 || signal(SIGUSR1, on_usr1) == SIG_ERR)
		err(1, "mprotect, signal");
	copy_from_nowhere(mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	printf("faults %u, in the handler %llu, code %d\n", faults, (unsigned long long)*word(12288),
	       fault_code);
}

/* ---- Asynchronous signals ---------------------------------------------------------------------- */

static volatile uint64_t alarms;

static void on_alarm(int number)
{
	(void)number;
	alarms++;
	/* The line that is stored to all the time, and one of its own. */
	*volatile_word(20480) += 1;
	*volatile_word(20480 + 64) += 1;
}

static void storm(void)
{
	struct itimerval often = { .it_interval.tv_usec = 150, .it_value.tv_usec = 150 }, never = { 0 };
	uint64_t rounds = 0;

	signal(SIGALRM, on_alarm);
	if (setitimer(ITIMER_REAL, &often, NULL) != 0)
		err(1, "setitimer");
	while (alarms < 3000) {
		for (unsigned i = 0; i < 50; i++)
			*volatile_word(20480 + 8 + 8 * (i % 7)) += 1;
		memset(pool + 20480 + 128, (int)rounds, 300);
		rounds++;
	}
	setitimer(ITIMER_REAL, &never, NULL);
	if (*word(20480) != alarms || *word(20480 + 64) != alarms)
		errx(1, "%llu alarms, and %llu and %llu in the pool", (unsigned long long)alarms,
		     (unsigned long long)*word(20480), (unsigned long long)*word(20480 + 64));
	for (unsigned i = 0; i < 7; i++)
		if (*word(20480 + 8 + 8 * (size_t)i) < rounds * 7)
			errx(1, "increments are lost");
	printf("all alarms are in the pool\n");
}

/*
 * A handler that is interrupted by another one, on a small stack of its own; and stores of each, to one
 * line.
 */
static void on_second(int number)
{
	(void)number;
	*volatile_word(33000 / 8 * 8 + 16) += 1;
	memset(pool + 36864, (int)*word(33000), 200);
}

static void on_first(int number)
{
	(void)number;
	*volatile_word(33000) += 1;
	raise(SIGUSR2);
	*volatile_word(33000) += 1;
}

static void on_small_stack(void)
{
	static unsigned char stack[16384];
	const stack_t small = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = { .sa_handler = on_first, .sa_flags = SA_ONSTACK };
	struct itimerval often = { .it_interval.tv_usec = 300, .it_value.tv_usec = 300 }, never = { 0 };

	if (sigaltstack(&small, NULL) != 0 || sigaction(SIGUSR1, &action, NULL) != 0 ||
	    sigaction(SIGALRM, &action, NULL) != 0)
		err(1, "sigaction");
	action.sa_handler = on_second;
	if (sigaction(SIGUSR2, &action, NULL) != 0 || raise(SIGUSR1) != 0)
		err(1, "sigaction");
	setitimer(ITIMER_REAL, &often, NULL);
	while (*volatile_word(33000) < 1000)
		*volatile_word(33000 + 8) += 1;
	setitimer(ITIMER_REAL, &never, NULL);
	if (*word(33000) != 2 * *word(33000 + 16))
		errx(1, "stores of a handler are missing");
	printf("handlers have stored\n");
}

/* Out of a handler by siglongjmp(), again and again, in the middle of stores. */
static volatile sig_atomic_t jumps;

static void jump_out(int number)
{
	(void)number;
	jumps++;
	siglongjmp(back, 1);
}

static void leaves(void)
{
	struct itimerval often = { .it_interval.tv_usec = 300, .it_value.tv_usec = 300 }, never = { 0 };

	signal(SIGALRM, jump_out);
	setitimer(ITIMER_REAL, &often, NULL);
	sigsetjmp(back, 1);
	while (jumps < 1000) {
		*volatile_word(40000) += 1;
		*volatile_word(40000 - 4) += 1;
		memset(pool + 41000, (int)*word(40000), 100);
	}
	setitimer(ITIMER_REAL, &never, NULL);
	printf("jumped\n");
}

/* ---- Objects that come and go ------------------------------------------------------------------ */

typedef int code_fn(unsigned char *to, unsigned long *length, const unsigned char *from, unsigned long count);

static void objects(void)
{
	unsigned char plain[20000], *packed = pool + 65536, *unpacked = pool + 131072;

	for (unsigned i = 0; i < sizeof(plain); i++)
		plain[i] = (unsigned char)(i / 100 * 7);
	for (unsigned round = 0; round < 10; round++) {
		void *zlib = dlopen("libz.so.1", RTLD_NOW);
		unsigned long length = 65536, got = 65536;
		code_fn *compress, *uncompress;

		if (!zlib)
			errx(77, "%s", dlerror());
		compress = (code_fn *)dlsym(zlib, "compress");
		uncompress = (code_fn *)dlsym(zlib, "uncompress");
		plain[round] = 1;
		if (compress(packed, &length, plain, sizeof(plain)) != 0 ||
		    uncompress(unpacked, &got, packed, length) != 0 || got != sizeof(plain) ||
		    memcmp(plain, unpacked, sizeof(plain)) != 0)
			errx(1, "what was packed cannot be unpacked");
		printf("%lu\n", length);
		dlclose(zlib);
	}
}

/* ---- Processes --------------------------------------------------------------------------------- */

static void add_up(unsigned times, size_t own)
{
	for (unsigned i = 0; i < times; i++) {
		__atomic_fetch_add(word(SUBJECT_COUNTER), 1, __ATOMIC_SEQ_CST);
		*volatile_word(own) = i;
	}
}

static void wait_for(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		errx(1, "a child failed");
}

static void forks(void)
{
	pid_t children[3];

	add_up(1000, 24576);
	for (unsigned i = 0; i < 3; i++) {
		fflush(stdout);
		children[i] = fork();
		if (!children[i]) {
			add_up(5000, 24576 + 64 * (size_t)(i + 1));
			memset(pool + 28672 + 1000 * (size_t)i, (int)i + 1, 1000);
			exit(0);
		}
	}
	add_up(5000, 24576);
	for (unsigned i = 0; i < 3; i++)
		wait_for(children[i]);
	add_up(1000, 24576);
	printf("counter %llu\n", (unsigned long long)*word(SUBJECT_COUNTER));
}

/* As a shell's child that cannot find its program; in a thread of which nothing was recorded before. */
static void *print_in_vfork(void *unused)
{
	static const char text[] = "no such program\n";
	pid_t pid = vfork();

	if (!pid) {
		if (write(STDOUT_FILENO, text, sizeof(text) - 1) < 0)
			_exit(1);
		_exit(0);
	}
	wait_for(pid);
	add_up(1000, 24576);
	return unused;
}

static void spawns(const char *self, const char *path)
{
	char *arguments[] = { (char *)(uintptr_t)self, "add", (char *)(uintptr_t)path, NULL };
	pthread_t thread;
	pid_t pid;

	print_in_vfork(NULL);
	if (pthread_create(&thread, NULL, print_in_vfork, NULL) != 0)
		errx(1, "pthread_create");
	pthread_join(thread, NULL);
	add_up(1000, 24576);
	if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, arguments, environ) != 0)
		errx(1, "posix_spawn");
	add_up(5000, 24576);
	wait_for(pid);
	pid = vfork();
	if (!pid) {
		execv("/proc/self/exe", arguments);
		_exit(1);
	}
	add_up(5000, 24576);
	wait_for(pid);
	if (system("exit 0") != 0)
		errx(1, "system");
	printf("counter %llu\n", (unsigned long long)*word(SUBJECT_COUNTER));
}

/* ---- The kernel's stores -------------------------------------------------------------------------- */

static void check_copy(const char *what, const void *at, size_t length)
{
	if (memcmp(at, pool + SUBJECT_SOURCE, length) != 0)
		errx(1, "%s has not brought what is in the file", what);
}

static void kernel(const char *path)
{
	unsigned char *to = pool + SUBJECT_KERNEL;
	struct iovec parts[3] = { { to + 40000, 100 }, { NULL, 0 }, { to + 41000, 5000 } };
	struct timespec now;
	unsigned char few[100];
	FILE *stream = fopen(path, "r");
	int pair[2], fd = open(path, O_RDONLY);

	parts[1] = (struct iovec){ few, sizeof(few) };
	for (unsigned i = 0; i < 10000; i++)
		pool[SUBJECT_SOURCE + i] = (unsigned char)(i * 7 + i / 256);
	if (fd < 0 || !stream || fsync(pool_fd) != 0 || msync(pool, SUBJECT_BYTES, MS_SYNC) != 0 ||
	    fseek(stream, SUBJECT_SOURCE, SEEK_SET) != 0 || lseek(fd, SUBJECT_SOURCE, SEEK_SET) < 0)
		err(1, "%s", path);
	printf("read %zd\n", read(fd, to, 5000));
	check_copy("read", to, 5000);
	printf("pread %zd\n", pread(fd, to + 6001, 6000, SUBJECT_SOURCE));
	check_copy("pread", to + 6001, 6000);
	printf("fread %zu\n", fread(to + 14003, 3, 3000, stream));
	check_copy("fread", to + 14003, 9000);
	printf("preadv %zd\n", preadv(fd, parts, 3, SUBJECT_SOURCE));
	check_copy("preadv", to + 40000, 100);
	if (memcmp(few, pool + SUBJECT_SOURCE + 100, 100) != 0 ||
	    memcmp(to + 41000, pool + SUBJECT_SOURCE + 200, 5000) != 0)
		errx(1, "preadv has not brought what is in the file");
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
		err(1, "socketpair");
	printf("send %zd\n", send(pair[0], pool + SUBJECT_SOURCE, 4000, 0));
	printf("recv %zd\n", recv(pair[1], to + 30000, 10000, 0));
	check_copy("recv", to + 30000, 4000);
	printf("getrandom %zd\n", getrandom(to + 50000, 200, 0));
	if (clock_gettime(CLOCK_REALTIME, (struct timespec *)(void *)(to + 51200)) != 0 ||
	    clock_gettime(CLOCK_REALTIME, &now) != 0 ||
	    ((struct timespec *)(void *)(to + 51200))->tv_sec + 10 < now.tv_sec)
		errx(1, "clock_gettime has stored no time");
	fclose(stream);
	close(fd);
}

/* ---- Mappings ---------------------------------------------------------------------------------- */

static void fill(unsigned char *at, size_t length, int value)
{
	for (size_t i = 0; i < length; i += 512)
		*(volatile uint64_t *)(void *)(at + i) = (uint64_t)value * 0x0101010101010101u;
}

static unsigned char *map(void *at, size_t length, int flags, off_t offset)
{
	void *result = mmap(at, length, PROT_READ | PROT_WRITE, MAP_SHARED | flags, pool_fd, offset);

	if (result == MAP_FAILED)
		err(1, "mmap");
	return result;
}

static void mappings(void)
{
	const size_t page = 4096, base = SUBJECT_KERNEL;
	unsigned char *one = map(NULL, 4 * page, 0, base), *two = map(NULL, 4 * page, 0, base), *moved;

	/* Two mappings of the same bytes. */
	fill(one, 4 * page, 1);
	fill(two + page, page, 2);
	/* One moves and grows. */
	moved = mremap(one, 4 * page, 8 * page, MREMAP_MAYMOVE);
	if (moved == MAP_FAILED)
		err(1, "mremap");
	fill(moved + 2 * page, 6 * page, 3);
	/* A hole, another part of the pool over it, and ordinary memory over a part of that. */
	if (munmap(moved + 3 * page, page) != 0)
		err(1, "munmap");
	map(moved + 3 * page, page, MAP_FIXED, (off_t)(base + 20 * page));
	fill(moved + 2 * page, 3 * page, 4);
	if (mmap(moved + 3 * page, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		 0) == MAP_FAILED)
		err(1, "mmap");
	fill(moved + 2 * page, 3 * page, 5);
	/* It shrinks; a second mapping of its pages by mremap() */
	if (mremap(moved + 4 * page, 4 * page, 2 * page, 0) != moved + 4 * page)
		err(1, "mremap");
	fill(moved + 4 * page, 2 * page, 6);
	one = mremap(moved, 0, 2 * page, MREMAP_MAYMOVE);
	if (one == MAP_FAILED)
		err(1, "mremap");
	fill(one, page, 7);
	fill(moved, 64, 8);
	printf("%u %u %u %u %u\n", two[0], two[512], two[2 * page], two[3 * page], moved[5 * page]);
	munmap(two, 4 * page);
	munmap(one, 2 * page);
	munmap(moved, 6 * page);
}

/* ---- Strings --------------------------------------------------------------------------------- */

/* 300 bytes that the compiler does not know, by each function; at multiples of 1024. */
static void strings(void)
{
	char from[301], *ends[2];
	char *to = (char *)pool;
	volatile size_t some = 200;

	for (unsigned i = 0; i < 300; i++)
		from[i] = (char)('a' + i % 26);
	from[300] = 0;
	strcpy(to, from);
	ends[0] = stpcpy(to + 1024, from);
	strncpy(to + 2048, from, some);
	strncpy(to + 3072, from, 2 * some);
	ends[1] = stpncpy(to + 4096, from, 2 * some);
	strcat(to + 1024, from);
	strncat(to + 3072, from, some);
	bzero(to + 4096, some / 2);
	explicit_bzero(to + 4096 + some, some / 2);
	printf("%td %td %zu %zu %zu\n", ends[0] - to, ends[1] - to, strlen(to), strlen(to + 1024),
	       strlen(to + 3072));
}

int main(int argc, char **argv)
{
	if (argc < 3 || argc > 4)
		errx(2, "usage: subject WHAT POOL [INCREMENTS]");
	if (argc == 4)
		increments = (unsigned)strtoul(argv[3], NULL, 10);
	pool_fd = open(argv[2], O_RDWR);
	if (pool_fd < 0)
		err(1, "%s", argv[2]);
	pool = mmap(NULL, SUBJECT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, pool_fd, 0);
	if (pool == MAP_FAILED)
		err(1, "mmap");
	if (strcmp(argv[1], "threads") == 0)
		threads();
	else if (strcmp(argv[1], "ends") == 0)
		ends();
	else if (strcmp(argv[1], "protection") == 0)
		protection();
	else if (strcmp(argv[1], "storm") == 0)
		storm();
	else if (strcmp(argv[1], "small-stack") == 0)
		on_small_stack();
	else if (strcmp(argv[1], "leaves") == 0)
		leaves();
	else if (strcmp(argv[1], "objects") == 0)
		objects();
	else if (strcmp(argv[1], "forks") == 0)
		forks();
	else if (strcmp(argv[1], "spawns") == 0)
		spawns(argv[0], argv[2]);
	else if (strcmp(argv[1], "add") == 0)
		add_up(5000, 24576 + 512);
	else if (strcmp(argv[1], "kernel") == 0)
		kernel(argv[2]);
	else if (strcmp(argv[1], "strings") == 0)
		strings();
	else if (strcmp(argv[1], "mappings") == 0)
		mappings();
	else
		errx(2, "%s: unknown", argv[1]);
	return 0;
}
