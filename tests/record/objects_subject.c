/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * objects_subject POOL THREADS COUNT: a libpmemobj program to be recorded. Each thread adds COUNT nodes to
 * a list, in transactions that hold a lock in the pool, which is created unless it is there. Prints
 * what is in the list.
 */

#include <err.h>
#include <errno.h>
#include <libpmemobj.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define LAYOUT "softpmem-record"

struct node {
	uint64_t key;
	PMEMoid next;
	unsigned char rest[100];
};

struct root {
	PMEMmutex lock;
	uint64_t count;
	PMEMoid first;
};

static PMEMobjpool *pool;
static struct root *root;
static unsigned nodes;

static void add(uint64_t key)
{
	TX_BEGIN_PARAM(pool, TX_PARAM_MUTEX, &root->lock, TX_PARAM_NONE)
	{
		PMEMoid oid = pmemobj_tx_zalloc(sizeof(struct node), 1);
		struct node *node = pmemobj_direct(oid);

		node->key = key;
		node->next = root->first;
		pmemobj_tx_add_range_direct(&root->count, sizeof(root->count) + sizeof(root->first));
		root->first = oid;
		root->count++;
	}
	TX_ONABORT
	{
		errx(1, "a transaction was aborted: %s", pmemobj_errormsg());
	}
	TX_END
}

static void *run(void *argument)
{
	for (unsigned i = 0; i < nodes; i++)
		add((uintptr_t)argument * 1000000 + i);
	return NULL;
}

int main(int argc, char **argv)
{
	const unsigned count = argc == 4 ? (unsigned)atoi(argv[2]) : 0;
	pthread_t threads[8];
	uint64_t sum = 0, length = 0;

	if (!count || count > 8)
		errx(2, "usage: objects_subject POOL THREADS COUNT");
	nodes = (unsigned)atoi(argv[3]);
	pool = pmemobj_create(argv[1], LAYOUT, 16 << 20, 0644);
	if (!pool && errno == EEXIST)
		pool = pmemobj_open(argv[1], LAYOUT);
	if (!pool)
		errx(1, "%s: %s", argv[1], pmemobj_errormsg());
	root = pmemobj_direct(pmemobj_root(pool, sizeof(*root)));
	for (uintptr_t i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, run, (void *)i) != 0)
			errx(1, "pthread_create");
	for (unsigned i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	for (PMEMoid at = root->first; !OID_IS_NULL(at); at = ((struct node *)pmemobj_direct(at))->next) {
		sum += ((struct node *)pmemobj_direct(at))->key;
		length++;
	}
	printf("%llu nodes, %llu counted, sum %llu\n", (unsigned long long)length,
	       (unsigned long long)root->count, (unsigned long long)sum);
	pmemobj_close(pool);
	printf("checked: %d\n", pmemobj_check(argv[1], LAYOUT));
	return 0;
}
