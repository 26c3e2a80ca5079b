/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Stores, flushes and fences through every kind of mapping. A model says to the byte what a power failure
 * with policy `lose` may leave: the persisted bytes. In a few lines it may also leave bytes that were stored
 * later, because a cache may write a line back at any time. The daemon does this where it does not know which
 * of two copies of a line is newer.
 *
 *   exact WHAT POOL MODEL SEED    POOL is POOL_BYTES long and zero; the model is written to the file MODEL
 *   exact judge POOL MODEL        after the failure: exit with 0 if the pool is one that the model allows
 *
 * WHAT: mappings  random mappings that are cut, covered and moved, and stored to at odd offsets
 *       odd       mappings of every length at every page; flushes of every length at every offset
 *       many      10,000 mappings at a time
 *       threads   thousands of threads that start and end
 *       fork      a child that runs beside its parent and was forked during a flush
 *       signals   signal handlers that flush and fence during a flush
 */

#include <errno.h>
#include <fcntl.h>
#include <libpmem.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/align.h"
#include "common/rng.h"

#define POOL_BYTES ((size_t)8 << 20)
#define PAGES (POOL_BYTES / PAGE_BYTES)

#define LINES (POOL_BYTES / LINE_SIZE)
#define HISTORY 14
/*
 * The most lines that may be newer than what was persisted. More would mean that stores without a flush
 * survive.
 */
#define MOST_NEWER (LINES / 100)

/* Checksums of the contents that a line had since it was last persisted. */
struct history {
	uint32_t count, sums[HISTORY + 1];
};
struct model {
	unsigned char view[POOL_BYTES];	   /* what the program sees */
	unsigned char durable[POOL_BYTES]; /* what the media must have; a line may also be newer */
	struct history since[LINES];
};

static int pool_fd;
static struct model *model; /* shared with forked children */
static uint64_t state;

static void die(const char *what)
{
	fprintf(stderr, "exact: %s: %s\n", what, strerror(errno));
	_exit(2);
}

static uint64_t below(uint64_t limit)
{
	state += 0x9e3779b97f4a7c15u;
	return rng_mix(state) % limit;
}

static uint32_t sum(const unsigned char *line)
{
	uint64_t words[LINE_SIZE / 8], result = 0;

	memcpy(words, line, LINE_SIZE);
	for (size_t i = 0; i < LINE_SIZE / 8; i++)
		result = rng_mix(result ^ words[i]);
	return (uint32_t)result;
}

static void model_store(size_t offset, int value, size_t length)
{
	memset(model->view + offset, value, length);
	for (size_t line = offset / LINE_SIZE; line * LINE_SIZE < offset + length; line++) {
		struct history *since = &model->since[line];

		/* There were more contents than fit: any content is accepted. */
		if (since->count < HISTORY)
			since->sums[since->count] = sum(model->view + line * LINE_SIZE);
		since->count++;
	}
}

static void model_persist(size_t offset, size_t length)
{
	size_t start = align_down(offset, LINE_SIZE), end = align_up(offset + length, LINE_SIZE);

	if (!length)
		return;
	memcpy(model->durable + start, model->view + start, end - start);
	for (size_t line = start / LINE_SIZE; line < end / LINE_SIZE; line++)
		model->since[line].count = 0;
}

static bool is_newer(const unsigned char *line, const struct history *since)
{
	uint32_t wanted = sum(line);

	for (uint32_t i = 0; i < since->count && i < HISTORY; i++)
		if (since->sums[i] == wanted)
			return true;
	return since->count > HISTORY;
}

static int judge(const char *path)
{
	static unsigned char line[LINE_SIZE];
	FILE *pool = fopen(path, "r");
	size_t newer = 0;

	for (size_t i = 0; i < LINES; i++) {
		if (!pool || fread(line, LINE_SIZE, 1, pool) != 1)
			return 2;
		if (memcmp(line, model->durable + i * LINE_SIZE, LINE_SIZE) == 0)
			continue;
		if (!is_newer(line, &model->since[i])) {
			printf("line %zu is older than what was persisted, or never was\n", i);
			return 1;
		}
		newer++;
	}
	fclose(pool);
	printf("%zu of %zu lines are newer than they had to be\n", newer, (size_t)LINES);
	return newer > MOST_NEWER;
}

static void *map(size_t offset, size_t length, void *at)
{
	void *address = mmap(at, length, PROT_READ | PROT_WRITE, MAP_SHARED | (at ? MAP_FIXED : 0), pool_fd,
			     (off_t)offset);

	if (address == MAP_FAILED)
		die("mmap");
	return address;
}

/* ---- One piece of pool at some address ----------------------------------------- */

enum how { STORE_ONLY, PERSIST, MEMCPY, MEMCPY_FLAGS, MEMSET, MEMCPY_NOFLUSH, MSYNC, DEEP, HOWS };

static void work_on(unsigned char *address, size_t offset, size_t length, enum how how)
{
	static const unsigned ways[] = { 0, PMEM_F_MEM_TEMPORAL, PMEM_F_MEM_NONTEMPORAL, PMEM_F_MEM_WC,
					 PMEM_F_MEM_WB };
	unsigned char value = (unsigned char)below(256);

	model_store(offset, value, length);
	switch (how) {
	case MEMCPY:
		pmem_memcpy_persist(address, model->view + offset, length);
		break;
	case MEMCPY_FLAGS:
		pmem_memcpy(address, model->view + offset, length, PMEM_F_MEM_NODRAIN | ways[below(5)]);
		pmem_drain();
		break;
	case MEMSET:
		pmem_memset(address, value, length, PMEM_F_MEM_NODRAIN);
		pmem_drain();
		break;
	case MEMCPY_NOFLUSH:
		pmem_memmove(address, model->view + offset, length, PMEM_F_MEM_NOFLUSH);
		break;
	default:
		memset(address, value, length);
		break;
	}
	if (how == PERSIST)
		pmem_persist(address, length);
	if (how == MSYNC && pmem_msync(address, length) != 0)
		die("pmem_msync");
	if (how == DEEP && pmem_deep_persist(address, length) != 0)
		die("pmem_deep_persist");
	if (how == MSYNC) {
		/* Whole pages: those that the range touches. */
		size_t before = offset % PAGE_BYTES;

		model_persist(offset - before, align_up(before + length, PAGE_BYTES));
	} else if (how != STORE_ONLY && how != MEMCPY_NOFLUSH) {
		model_persist(offset, length);
	}
}

/* Do a random operation on a part of [offset, offset+length), which is mapped at `address`. */
static void work_within(unsigned char *address, size_t offset, size_t length)
{
	size_t size = 1 + below(min_u64(length, below(4) ? 300 : below(8) ? 20000 : 200000));
	size_t at = below(length - size + 1);

	work_on(address + at, offset + at, size, (enum how)below(HOWS));
}

static void map_and_work(void)
{
	size_t pages = 4 + below(60), first = below(PAGES - pages), half = pages / 2,
	       other = below(PAGES - half);
	unsigned char *at = map(first * PAGE_BYTES, pages * PAGE_BYTES, NULL);

	work_within(at, first * PAGE_BYTES, pages * PAGE_BYTES);
	switch (below(5)) {
	case 0: /* another part of the pool over the second half */
		map(other * PAGE_BYTES, half * PAGE_BYTES, at + (pages - half) * PAGE_BYTES);
		work_within(at + (pages - half) * PAGE_BYTES, other * PAGE_BYTES, half * PAGE_BYTES);
		work_within(at, first * PAGE_BYTES, (pages - half) * PAGE_BYTES);
		break;
	case 1: /* ordinary memory over the middle */
		if (mmap(at + PAGE_BYTES, PAGE_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
			die("mmap");
		memset(at + PAGE_BYTES, 0xee, PAGE_BYTES);
		pmem_persist(at + PAGE_BYTES - 100, PAGE_BYTES + 200);
		model_persist(first * PAGE_BYTES + PAGE_BYTES - 100, 100);
		model_persist((first + 2) * PAGE_BYTES, 100);
		work_within(at + 2 * PAGE_BYTES, (first + 2) * PAGE_BYTES, (pages - 2) * PAGE_BYTES);
		break;
	case 2: /* unmapped at both ends */
		munmap(at, PAGE_BYTES);
		munmap(at + (pages - 1) * PAGE_BYTES, PAGE_BYTES);
		work_within(at + PAGE_BYTES, (first + 1) * PAGE_BYTES, (pages - 2) * PAGE_BYTES);
		break;
	case 3: { /* moved, then unmapped in part */
		unsigned char *moved = mremap(at, pages * PAGE_BYTES, half * PAGE_BYTES, MREMAP_MAYMOVE);

		if (moved == MAP_FAILED)
			die("mremap");
		work_within(moved, first * PAGE_BYTES, half * PAGE_BYTES);
		at = mremap(moved, half * PAGE_BYTES, pages * PAGE_BYTES, MREMAP_MAYMOVE);
		if (at == MAP_FAILED)
			die("mremap");
		work_within(at, first * PAGE_BYTES, pages * PAGE_BYTES);
		break;
	}
	case 4: { /* stores to a private mapping must not reach the pool */
		unsigned char *own = mmap(at, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
					  pool_fd, (off_t)(first * PAGE_BYTES));

		if (own == MAP_FAILED)
			die("mmap");
		if (memcmp(own, model->view + first * PAGE_BYTES, PAGE_BYTES) != 0)
			die("a private mapping does not show the pool");
		memset(own, 0xdd, PAGE_BYTES);
		pmem_persist(own, PAGE_BYTES);
		break;
	}
	}
	if (below(20) != 0)
		munmap(at, pages * PAGE_BYTES);
}

static void mappings(void)
{
	for (int i = 0; i < 3000; i++)
		map_and_work();
}

static void map_odd_lengths(void)
{
	static const size_t lengths[] = { 1,	63,   64,    65,    4095,    4096,   4097,
					  8191, 8193, 12288, 65537, 2097151, 2097153 };

	for (size_t page = 0; page < PAGES; page++) {
		size_t length = lengths[page % (sizeof(lengths) / sizeof(lengths[0]))], last;
		size_t offset = page * PAGE_BYTES;
		unsigned char *at;

		length = min_u64(length, POOL_BYTES - offset);
		last = length - 1;
		at = map(offset, length, NULL);
		/* From the last byte of the mapping to the end of its page. */
		work_on(at + last, offset + last, align_up(length, PAGE_BYTES) - last, PERSIST);
		work_on(at, offset, length < 200 ? length : 200, PERSIST);
		munmap(at, length);
	}
}

static void odd(void)
{
	enum { MOST = 2 * LINE_SIZE + 2 };
	unsigned char *at;

	errno = 0;
	if (mmap(NULL, PAGE_BYTES, PROT_READ, MAP_SHARED, pool_fd, 1) != MAP_FAILED || errno != EINVAL)
		die("an offset inside a page");
	if (mmap(NULL, 0, PROT_READ, MAP_SHARED, pool_fd, 0) != MAP_FAILED || errno != EINVAL)
		die("no length");
	map_odd_lengths();
	at = map(0, POOL_BYTES, NULL);
	/* Flushes that cross the ends of pages. */
	for (size_t start = 0; start < MOST; start++) {
		for (size_t length = 0; length < MOST; length++) {
			size_t page = 1 + (start * MOST + length) % (PAGES - 1);
			size_t offset = page * PAGE_BYTES - LINE_SIZE + start;

			work_on(at + offset, offset, length, PERSIST);
		}
	}
}

static void many(void)
{
	enum { MANY = 10000 };
	static unsigned char *at[MANY];
	static size_t page[MANY];

	for (size_t i = 0; i < MANY; i++) {
		page[i] = below(PAGES);
		at[i] = map(page[i] * PAGE_BYTES, PAGE_BYTES, NULL);
	}
	for (size_t i = 0; i < MANY; i++) {
		size_t which = below(MANY);

		work_within(at[which], page[which] * PAGE_BYTES, PAGE_BYTES);
	}
	for (size_t i = 0; i < MANY; i += 2)
		munmap(at[i], PAGE_BYTES);
	for (size_t i = 1; i < MANY; i += 2)
		work_within(at[i], page[i] * PAGE_BYTES, PAGE_BYTES);
}

/* ---- Threads --------------------------------------------------------------------- */

enum { AT_A_TIME = 8, ROUNDS = 250 };
static unsigned char *whole;

/*
 * Each thread has a page. It persists the first half, and only stores to the second half, or also flushes it.
 */
static void *thread_works(void *argument)
{
	size_t offset = (size_t)argument * PAGE_BYTES, half = PAGE_BYTES / 2;

	for (size_t i = 0; i < half; i += LINE_SIZE) {
		memset(whole + offset + i, (int)(i / LINE_SIZE) + 1, LINE_SIZE);
		pmem_persist(whole + offset + i, LINE_SIZE);
	}
	memset(whole + offset + half, 0xbb, half);
	return NULL;
}

static size_t count_queues(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	size_t count = 0;

	while (maps && fgets(line, sizeof(line), maps))
		count += strstr(line, "softpmem-wpq") != NULL;
	if (maps)
		fclose(maps);
	return count;
}

static void threads(void)
{
	pthread_t running[AT_A_TIME];
	size_t before;

	whole = map(0, POOL_BYTES, NULL);
	pmem_persist(whole, 1);
	before = count_queues();
	if (!before)
		die("no WPQ is to be seen in /proc/self/maps");
	for (size_t round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < AT_A_TIME; i++)
			if (pthread_create(&running[i], NULL, thread_works,
					   (void *)(round * AT_A_TIME + i)) != 0)
				die("pthread_create");
		for (size_t i = 0; i < AT_A_TIME; i++)
			pthread_join(running[i], NULL);
	}
	for (size_t page = 0; page < ROUNDS * AT_A_TIME; page++)
		for (size_t i = 0; i < PAGE_BYTES / 2; i++)
			model->durable[page * PAGE_BYTES + i] = (unsigned char)(i / LINE_SIZE + 1);
	/* `before` is how many mappings the process had. */
	if (count_queues() > (AT_A_TIME + 1) * before) {
		errno = 0;
		die("threads that ended leave their WPQs behind");
	}
}

/* ---- fork --------------------------------------------------------------------------- */

static void fork_child(unsigned char *at, size_t round)
{
	size_t mine = POOL_BYTES / 2 + round * PAGE_BYTES;

	/*
	 * The child inherits the mapping. A flush of the parent that has no fence is not the child's to
	 * fence.
	 */
	work_on(at + mine, mine, 100, PERSIST);
	work_on(at + mine + 1000, mine + 1000, 100, STORE_ONLY);
	pmem_drain();
	_exit(0);
}

static void fork_often(void)
{
	unsigned char *at = map(0, POOL_BYTES, NULL);

	for (size_t round = 0; round < 50; round++) {
		size_t offset = round * PAGE_BYTES;
		int status;
		pid_t child;

		/* In odd rounds this thread flushes and never fences. */
		work_on(at + offset, offset, 64, STORE_ONLY);
		pmem_flush(at + offset, 64);
		child = fork();
		if (child == 0)
			fork_child(at, round);
		if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
			die("fork");
		if (round < 25) {
			pmem_drain();
			model_persist(offset, 64);
		}
	}
}

/* ---- Signals ---------------------------------------------------------------------------- */

static unsigned char *signal_at;
static volatile sig_atomic_t signal_count;

static void handler(int number)
{
	size_t offset = POOL_BYTES / 2 + (size_t)(signal_count % 1000) * LINE_SIZE;

	memset(signal_at + offset, signal_count, LINE_SIZE);
	pmem_persist(signal_at + offset, LINE_SIZE);
	model_store(offset, signal_count, LINE_SIZE);
	model_persist(offset, LINE_SIZE);
	signal_count++;
}

static void signals(void)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };
	struct itimerval often = { { 0, 150 }, { 0, 150 } };
	size_t offset = 0;

	signal_at = map(0, POOL_BYTES, NULL);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (size_t i = 0; i < 100000 || signal_count < 100; i++) {
		offset = (offset + 4160) % (POOL_BYTES / 4);
		memset(signal_at + offset, (int)i, 300);
		model_store(offset, (int)i, 300);
		pmem_persist(signal_at + offset, 300);
		model_persist(offset, 300);
	}
	signal(SIGALRM, SIG_IGN);
}

/* -------------------------------------------------------------------------------------------- */

static void check_view(void)
{
	unsigned char *at = map(0, POOL_BYTES, NULL);

	for (size_t i = 0; i < POOL_BYTES; i++) {
		if (at[i] == model->view[i])
			continue;
		fprintf(stderr, "exact: byte %zu is %02x in the pool and %02x in the model\n", i, at[i],
			model->view[i]);
		_exit(1);
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} all[] = { { "mappings", mappings }, { "odd", odd },	      { "many", many },
		    { "threads", threads },   { "fork", fork_often }, { "signals", signals } };

	bool judging = argc == 4 && strcmp(argv[1], "judge") == 0;
	int fd;

	if (argc != 5 && !judging)
		return 2;
	fd = open(argv[3], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, sizeof(*model)) != 0)
		die(argv[3]);
	model = mmap(NULL, sizeof(*model), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	pool_fd = open(argv[2], O_RDWR | O_CLOEXEC);
	if (pool_fd < 0 || model == MAP_FAILED)
		die(argv[2]);
	if (judging)
		return judge(argv[2]);
	state = strtoull(argv[4], NULL, 10);
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (strcmp(argv[1], all[i].name) == 0)
			all[i].run();
	if (strcmp(argv[1], "threads") != 0)
		check_view();
	return 0;
}
