/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * objects_time THREADS POOL [SECONDS [ACCOUNTS]]: libpmemobj transactions per second, of all threads
 * together.
 *
 * Each thread has its own table of accounts of 64 bytes. A transaction moves an amount between two random
 * accounts: two snapshots, two changes, a commit. Creates a pool of 256 MiB, with 64 MiB of accounts for
 * each thread unless ACCOUNTS is given. (The benchmark of transactions in PMDK has 10000 objects at
 * most.)
 */

#include <libpmemobj.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define POOL_BYTES ((size_t)256 << 20)
#define ACCOUNTS_MOST ((64u << 20) / sizeof(struct account))
#define OPENING 1000
#define THREADS_MAX 3

struct account {
	int64_t amount;
	uint64_t moves;
	uint64_t rest[6];
};

struct root {
	PMEMoid tables[THREADS_MAX];
};

struct worker {
	pthread_t thread;
	PMEMobjpool *pool;
	struct account *accounts;
	uint64_t random, done;
};

static size_t accounts = ACCOUNTS_MOST;
static pthread_barrier_t start;
static atomic_bool stop;

static void die(const char *what)
{
	fprintf(stderr, "objects_time: %s: %s\n", what, pmemobj_errormsg());
	exit(1);
}

static struct account *pick(struct worker *worker)
{
	worker->random ^= worker->random << 13;
	worker->random ^= worker->random >> 7;
	worker->random ^= worker->random << 17;
	return &worker->accounts[(worker->random >> 20) % accounts];
}

static void change(struct account *account, int64_t amount)
{
	pmemobj_tx_add_range_direct(account, 2 * sizeof(uint64_t));
	account->amount += amount;
	account->moves++;
}

static void move(struct worker *worker)
{
	struct account *from = pick(worker), *to = pick(worker);

	TX_BEGIN(worker->pool) {
		change(from, -1);
		change(to, 1);
	} TX_ONABORT {
		die("transaction");
	} TX_END
}

static void *work(void *argument)
{
	struct worker *worker = argument;

	for (unsigned i = 0; i < 10000; i++)
		move(worker);
	pthread_barrier_wait(&start);
	for (; !atomic_load_explicit(&stop, memory_order_relaxed); worker->done++)
		move(worker);
	return NULL;
}

static int construct(PMEMobjpool *pool, void *memory, void *argument)
{
	struct account *table = memory;

	for (size_t i = 0; i < accounts; i++)
		table[i] = (struct account){ .amount = OPENING };
	pmemobj_persist(pool, memory, accounts * sizeof(*table));
	return 0;
}

/* The sum of all accounts must not change. */
static int audit(const struct worker *worker)
{
	int64_t sum = 0;

	for (size_t i = 0; i < accounts; i++)
		sum += worker->accounts[i].amount;
	return sum == (int64_t)accounts * OPENING;
}

int main(int argc, char **argv)
{
	unsigned threads = argc >= 3 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
	double seconds = argc > 3 ? strtod(argv[3], NULL) : 1, taken, done = 0;
	static struct worker workers[THREADS_MAX];
	struct timespec from, to;
	PMEMobjpool *pool;
	struct root *root;

	if (argc > 4)
		accounts = strtoul(argv[4], NULL, 10);
	if (threads < 1 || threads > THREADS_MAX || accounts < 1 || accounts > ACCOUNTS_MOST) {
		fprintf(stderr,
			"usage: objects_time THREADS POOL [SECONDS [ACCOUNTS]]: 1 to %d threads, "
			"1 to %zu accounts\n",
			THREADS_MAX, ACCOUNTS_MOST);
		return 2;
	}
	pool = pmemobj_create(argv[2], "objects_time", POOL_BYTES, 0600);
	if (!pool)
		die(argv[2]);
	root = pmemobj_direct(pmemobj_root(pool, sizeof(*root)));
	pthread_barrier_init(&start, NULL, threads + 1);
	for (unsigned i = 0; i < threads; i++) {
		if (pmemobj_alloc(pool, &root->tables[i], accounts * sizeof(struct account), 0, construct,
				  NULL) != 0)
			die("no room for the accounts");
		workers[i] = (struct worker){ .pool = pool, .accounts = pmemobj_direct(root->tables[i]),
					      .random = 88172645463325252u + i };
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
			die("no thread");
	}
	pthread_barrier_wait(&start);
	clock_gettime(CLOCK_MONOTONIC, &from);
	usleep((useconds_t)(seconds * 1e6));
	atomic_store(&stop, true);
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(workers[i].thread, NULL);
		done += (double)workers[i].done;
	}
	clock_gettime(CLOCK_MONOTONIC, &to);
	for (unsigned i = 0; i < threads; i++)
		if (!audit(&workers[i]))
			die("accounts do not add up");
	taken = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
	printf("%.0f\n", done / taken);
	pmemobj_close(pool);
	return 0;
}
