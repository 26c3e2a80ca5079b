/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fate of the stores of attached clients, which do not use libpmem.
 *
 *	attached fates DIR PROGRAM	fenced, flushed and stored lines at a power failure
 *	attached killed DIR PROGRAM N	ten times N clients, killed at random moments of a loop of fences
 *	attached battery DIR PROGRAM	eADR: all stores survive
 *
 * PROGRAM is run as `PROGRAM powerfail --policy P [--seed N]`.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "attaching.h"
#include "common/align.h"
#include "powerfail.h"
#include "tap.h"

#define SIZE (64u << 10)
#define LINES 64

unsigned tap_run, tap_failed;

static const char *program;

static void __attribute__((noreturn)) bail_out(const char *why)
{
	printf("Bail out! %s\n", why);
	exit(1);
}

/* Never a number that stands for several processes: kill(-1) would end all of them. */
static void kill_client(pid_t client, int number)
{
	if (client <= 1)
		bail_out("there is no client to send a signal to");
	kill(client, number);
}

static void make_pool(const char *name)
{
	static const char zeros[SIZE];
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || pwrite(fd, zeros, SIZE, 0) != (ssize_t)SIZE || fsync(fd))
		bail_out(name);
	close(fd);
}

/* What a new reader sees at the beginning of a line. */
static uint64_t read_line(const char *name, unsigned line)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	uint64_t value = UINT64_MAX;

	if (fd < 0 || pread(fd, &value, sizeof(value), (off_t)line * LINE_SIZE) != sizeof(value))
		perror(name);
	close(fd);
	return value;
}

static _Atomic uint64_t *line_of(const struct mapping *mapping, unsigned line)
{
	return (_Atomic uint64_t *)(mapping->bytes + (size_t)line * LINE_SIZE);
}

static bool full(void *context, struct wpq_header *header)
{
	struct mapping *mapping = context;
	struct attach_reply reply;

	return attach_ask(mapping->connection, ATTACH_DRAIN, -1, &reply, NULL) == 0;
}

static void begin_client(const char *name, struct mapping *mapping, struct wpq_producer *producer)
{
	int error = mapping_open(mapping, name);

	if (!error)
		error = mapping_wpq(mapping, producer);
	if (error) {
		fprintf(stderr, "# client: %s: %s\n", name, strerror(-error));
		_exit(1);
	}
	producer->full = full;
	producer->full_context = mapping;
}

/* Fence line 0, flush line 1, store line 2; then wait, with a child that inherits the mapping. */
static void store_and_wait(const char *name, int ready)
{
	struct wpq_producer producer;
	struct mapping mapping;

	begin_client(name, &mapping, &producer);
	*line_of(&mapping, 0) = 1;
	mapping_flush(&mapping, &producer, line_of(&mapping, 0), 8);
	wpq_fence(&producer);
	*line_of(&mapping, 1) = 1;
	mapping_flush(&mapping, &producer, line_of(&mapping, 1), 8);
	*line_of(&mapping, 2) = 1;
	if (fork() == 0)
		*line_of(&mapping, 3) = 1;
	(void)!write(ready, "r", 1);
	for (;;)
		pause();
}

/* Start a client. Returns its pid once it and its child have made their stores. */
static pid_t start_client(const char *name)
{
	int ready[2];
	char bytes[2];
	pid_t client;

	if (pipe2(ready, O_CLOEXEC))
		bail_out("cannot make a pipe");
	client = fork();
	if (client < 0)
		bail_out("cannot fork");
	if (client == 0)
		store_and_wait(name, ready[1]);
	close(ready[1]);
	for (int i = 0; i < 2; i++)
		if (read(ready[0], bytes, 1) != 1)
			bail_out("a client ended before it made its stores");
	close(ready[0]);
	return client;
}

/* Reap all children and grandchildren that have ended. Returns the number of those that SIGKILL ended. */
static int reap(void)
{
	int killed = 0, status;

	while (waitpid(-1, &status, WNOHANG) > 0)
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
			killed++;
	return killed;
}

static bool holds(const char *name, uint64_t fenced, uint64_t flushed, uint64_t stored, uint64_t by_child)
{
	return read_line(name, 0) == fenced && read_line(name, 1) == flushed &&
	       read_line(name, 2) == stored && read_line(name, 3) == by_child;
}

static void check_policies(void)
{
	make_pool("pool");
	OK(start_client("pool") > 0, "a client and its child have made their stores");
	OK(holds("pool", 1, 1, 1, 1), "the mount shows all stores of the client");
	OK(!powerfail(program, "lose", 0), "the power fails with policy lose");
	OK(reap() == 2, "the power failure has killed the client and its child");
	OK(holds("pool", 1, 0, 0, 0), "with policy lose the fenced line survives, and no other");
	OK(start_client("pool") > 0 && !powerfail(program, "keep", 0) && reap() == 2,
	   "the power fails with policy keep");
	OK(holds("pool", 1, 1, 1, 1), "with policy keep all lines survive");
}

static void check_killed_client(void)
{
	pid_t client;

	make_pool("pool");
	client = start_client("pool");
	kill_client(client, SIGKILL);
	waitpid(client, NULL, 0);
	OK(holds("pool", 1, 1, 1, 1), "the stores of a killed client stay in the pool");
	OK(!powerfail(program, "lose", 0) && reap() == 1, "a later power failure kills the child");
	OK(holds("pool", 1, 0, 0, 0),
	   "the line that a killed client had fenced survives the power failure, and no other");
}

static void check_stopped_client(void)
{
	pid_t client;
	int status;

	make_pool("pool");
	client = start_client("pool");
	kill_client(client, SIGSTOP);
	waitpid(client, &status, WUNTRACED);
	OK(!powerfail(program, "lose", 0) && reap() == 2, "a power failure kills a stopped client");
	OK(holds("pool", 1, 0, 0, 0), "the line that a stopped client had fenced survives, and no other");
}

/* A process that has a file open, but maps no pool. */
static void check_bystander(void)
{
	pid_t client;
	int fd;

	make_pool("pool");
	make_pool("other");
	client = start_client("pool");
	fd = open("other", O_RDWR | O_CLOEXEC);
	OK(client > 0 && pwrite(fd, "x", 1, 0) == 1 && !powerfail(program, "lose", 0) && reap() == 2,
	   "the power fails while another process has a file open");
	OK(pwrite(fd, "x", 1, 0) < 0 && errno == EIO,
	   "a process that maps no pool survives, and its file answers EIO");
	close(fd);
}

static int fates(void)
{
	check_policies();
	check_killed_client();
	check_stopped_client();
	check_bystander();
	return tap_done();
}

/* Count up: store a number, flush, fence, record it; then store it to a line that is never flushed. */
static void count(const char *name, _Atomic uint64_t *fenced, _Atomic uint64_t *stored)
{
	struct wpq_producer producer;
	struct mapping mapping;

	begin_client(name, &mapping, &producer);
	for (uint64_t n = 1;; n++) {
		unsigned line = (unsigned)(n % LINES);

		*line_of(&mapping, line) = n;
		mapping_flush(&mapping, &producer, line_of(&mapping, line), 8);
		wpq_fence(&producer);
		*fenced = n;
		*line_of(&mapping, LINES) = n;
		*stored = n;
	}
}

/* Is each of the last LINES numbers up to `fenced` in its line? */
static bool all_there(const char *name, uint64_t fenced)
{
	for (uint64_t n = fenced; n && n + LINES > fenced; n--) {
		uint64_t found = read_line(name, (unsigned)(n % LINES));

		if (found < n || found % LINES != n % LINES)
			return false;
	}
	return true;
}

/* The number of clients that are killed, each on its own pool, before the power fails. */
enum { VICTIMS = 10 };
struct victim {
	_Alignas(LINE_SIZE) _Atomic uint64_t fenced;
	_Atomic uint64_t stored;
};

/* False: the client reached no fence, or a store of it is not in the view. */
static bool kill_at_some_moment(const char *name, struct victim *victim)
{
	pid_t client;

	make_pool(name);
	victim->fenced = victim->stored = 0;
	client = fork();
	if (client < 0)
		bail_out("cannot fork");
	if (client == 0)
		count(name, &victim->fenced, &victim->stored);
	while (!victim->fenced && !waitpid(client, NULL, WNOHANG))
		sched_yield();
	usleep((useconds_t)(random() % 3000));
	kill_client(client, SIGKILL);
	waitpid(client, NULL, 0);
	return victim->fenced > 0 && read_line(name, LINES) >= victim->stored;
}

static int killed(int rounds)
{
	struct victim *victims =
		mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bool kept = true, durable = true;
	uint64_t total = 0, last = 0;

	for (int round = 0; round < rounds && kept && durable; round++) {
		char name[] = "pool0";

		for (int i = 0; i < VICTIMS; i++, name[4]++) {
			kept = kept && kill_at_some_moment(name, &victims[i]);
			total += victims[i].fenced;
		}
		durable = !powerfail(program, "lose", 0);
		for (int i = 0; i < VICTIMS; i++) {
			name[4] = (char)('0' + i);
			durable = durable && all_there(name, victims[i].fenced);
			last = victims[i].fenced;
		}
	}
	printf("# %llu fences\n", (unsigned long long)total);
	OK(kept, "each killed client had fenced, and its stores stay in the view");
	OK(durable, "what a killed client had fenced survives the next power failure");
	/* It may have fenced one number more than it recorded. */
	OK(!all_there("pool9", last + 2), "negative control: a number that was never fenced is not found");
	return tap_done();
}

static int battery(void)
{
	make_pool("pool");
	OK(start_client("pool") > 0 && !powerfail(program, "lose", 0) && reap() == 2,
	   "the power fails under a client");
	OK(holds("pool", 1, 1, 1, 1), "with eADR every store survives");
	return tap_done();
}

int main(int argc, char **argv)
{
	if (argc < 4 || chdir(argv[2])) {
		fprintf(stderr, "usage: attached fates|killed|battery DIR PROGRAM [N]\n");
		return 2;
	}
	program = argv[3];
	srandom(1);
	/* Reap grandchildren too. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	/* Turn a deadlock into a failure. */
	alarm(240);
	if (!strcmp(argv[1], "fates"))
		return fates();
	if (!strcmp(argv[1], "battery"))
		return battery();
	return killed(argc > 4 ? atoi(argv[4]) : 100);
}
