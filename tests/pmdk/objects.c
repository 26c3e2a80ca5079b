/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The number of a step determines what it does: transactions that allocate, free, and change small and large
 * ranges, some of which are aborted; and allocations outside of transactions, which are published one by one
 * or several at once. The checker does the same steps to a model in its own memory and compares.
 */

#include "objects.h"

#include <errno.h>
#include <inttypes.h>
#include <libpmemobj.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LAYOUT "softpmem-objects"
#define BUCKETS 8
#define PAGE_WORDS 256
#define MOST_NODES 4096

struct node {
	PMEMoid next;
	uint64_t key;
	uint64_t words; /* that follow; each is `key` */
	uint64_t value[];
};

struct work {
	uint64_t steps; /* committed */
	PMEMoid list;	/* newest first */
	PMEMoid buckets[BUCKETS];
	PMEMoid scratch;
	PMEMoid made; /* changes together with made_by and made_for */
	uint64_t made_by, made_for;
	uint64_t page[PAGE_WORDS]; /* all have the same value */
};

struct root {
	struct work work[WORKERS];
};

struct model {
	uint64_t list[MOST_NODES], list_length;
	bool map[MOST_NODES];
	uint64_t page;
};

static uint64_t mix(uint64_t x)
{
	x ^= x >> 31;
	x *= 0x9e3779b97f4a7c15u;
	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9u;
	return x ^ x >> 32;
}

enum action { LIST_INSERT, LIST_REMOVE, MAP_INSERT, MAP_REMOVE, PAGE_CHANGE, SCRATCH, PUBLISH, ABORTED };

static enum action action_of(uint64_t step)
{
	static const enum action script[] = {
		LIST_INSERT, MAP_INSERT, SCRATCH, PUBLISH, PAGE_CHANGE, ABORTED, LIST_REMOVE, MAP_REMOVE,
		SCRATCH, PUBLISH, LIST_INSERT, LIST_REMOVE, MAP_INSERT, MAP_REMOVE
	};

	return script[step % (sizeof(script) / sizeof(script[0]))];
}

/* Few sizes, because each takes a chunk of the small pool. */
static uint64_t words_of(uint64_t key)
{
	return 1 + mix(key + 77) % 3 * 19;
}

/* An earlier insertion of that kind. Its object may have been removed since. */
static uint64_t victim_of(uint64_t step, enum action insertion)
{
	uint64_t victim = step - 1 - mix(step) % (step < 32 ? 1 : 32);

	while (victim && action_of(victim) != insertion)
		victim--;
	return victim;
}

static void die(const char *what)
{
	fprintf(stderr, "objects: %s: %s\n", what, pmemobj_errormsg());
	_exit(2);
}

/* ---- The program ------------------------------------------------------------- */

static struct node *node_of(PMEMoid oid)
{
	return pmemobj_direct(oid);
}

static size_t bytes_of(uint64_t key)
{
	return sizeof(struct node) + words_of(key) * sizeof(uint64_t);
}

static void fill(struct node *node, uint64_t key, PMEMoid next)
{
	node->next = next;
	node->key = key;
	node->words = words_of(key);
	for (uint64_t i = 0; i < node->words; i++)
		node->value[i] = key;
}

static void insert(PMEMoid *head, uint64_t key)
{
	PMEMoid oid = pmemobj_tx_alloc(bytes_of(key), 1);

	fill(node_of(oid), key, *head);
	pmemobj_tx_add_range_direct(head, sizeof(*head));
	*head = oid;
}

static void delete(PMEMoid *link, uint64_t key)
{
	while (!OID_IS_NULL(*link) && node_of(*link)->key != key)
		link = &node_of(*link)->next;
	if (OID_IS_NULL(*link))
		return;
	PMEMoid oid = *link;

	pmemobj_tx_add_range_direct(link, sizeof(*link));
	*link = node_of(oid)->next;
	pmemobj_tx_free(oid);
}

static void change_page(struct work *work, uint64_t value)
{
	pmemobj_tx_add_range_direct(work->page, sizeof(work->page));
	for (unsigned i = 0; i < PAGE_WORDS; i++)
		work->page[i] = value;
}

static int construct(PMEMobjpool *pool, void *memory, void *argument)
{
	struct node *node = memory;
	uint64_t key = *(uint64_t *)argument;

	fill(node, key, OID_NULL);
	pmemobj_persist(pool, node, bytes_of(key));
	return 0;
}

static void renew_scratch(PMEMobjpool *pool, struct work *work, uint64_t step)
{
	if (!OID_IS_NULL(work->scratch))
		pmemobj_free(&work->scratch);
	if (pmemobj_alloc(pool, &work->scratch, bytes_of(step), 2, construct, &step) != 0)
		die("alloc");
}

/* One redo log publishes the new object, sets three words and frees the old object. */
static void publish(PMEMobjpool *pool, struct work *work, uint64_t step)
{
	struct pobj_action actions[6];
	PMEMoid made = pmemobj_reserve(pool, &actions[0], bytes_of(step), 3);
	size_t count = 5;

	if (OID_IS_NULL(made))
		die("reserve");
	construct(pool, node_of(made), &step);
	pmemobj_set_value(pool, &actions[1], &work->made.pool_uuid_lo, made.pool_uuid_lo);
	pmemobj_set_value(pool, &actions[2], &work->made.off, made.off);
	pmemobj_set_value(pool, &actions[3], &work->made_by, step);
	pmemobj_set_value(pool, &actions[4], &work->made_for, ~step);
	if (!OID_IS_NULL(work->made))
		pmemobj_defer_free(pool, work->made, &actions[count++]);
	if (pmemobj_publish(pool, actions, count) != 0)
		die("publish");
}

static void change(struct work *work, uint64_t step)
{
	uint64_t victim;

	switch (action_of(step)) {
	case LIST_INSERT:
		insert(&work->list, step);
		break;
	case LIST_REMOVE:
		delete(&work->list, victim_of(step, LIST_INSERT));
		break;
	case MAP_INSERT:
		insert(&work->buckets[step % BUCKETS], step);
		break;
	case MAP_REMOVE:
		victim = victim_of(step, MAP_INSERT);
		delete(&work->buckets[victim % BUCKETS], victim);
		break;
	case PAGE_CHANGE:
		change_page(work, step);
		break;
	default:
		break;
	}
}

static void do_and_abort(PMEMobjpool *pool, struct work *work, uint64_t step)
{
	uint64_t victim = victim_of(step, MAP_INSERT);

	TX_BEGIN(pool) {
		insert(&work->list, step);
		change_page(work, step);
		delete(&work->buckets[victim % BUCKETS], victim);
		pmemobj_tx_abort(ECANCELED);
	} TX_END
}

static void do_step(PMEMobjpool *pool, struct work *work, uint64_t step)
{
	if (action_of(step) == SCRATCH)
		renew_scratch(pool, work, step);
	if (action_of(step) == PUBLISH)
		publish(pool, work, step);
	if (action_of(step) == ABORTED)
		do_and_abort(pool, work, step);
	TX_BEGIN(pool) {
		change(work, step);
		pmemobj_tx_add_range_direct(&work->steps, sizeof(work->steps));
		work->steps = step + 1;
	} TX_ONABORT {
		die("transaction");
	} TX_END
}

struct worker {
	pthread_t thread;
	PMEMobjpool *pool;
	struct work *work;
	_Atomic uint64_t *committed;
	uint64_t steps;
};

static void *work_on(void *argument)
{
	struct worker *worker = argument;

	while (worker->work->steps < worker->steps) {
		do_step(worker->pool, worker->work, worker->work->steps);
		atomic_store(worker->committed, worker->work->steps);
	}
	return NULL;
}

int objects_run(const char *path, struct journal *journal, unsigned workers, uint64_t steps)
{
	PMEMobjpool *pool = pmemobj_open(path, LAYOUT);
	struct worker all[WORKERS];
	struct root *root;

	if (!pool || steps > MOST_NODES)
		die("open");
	root = pmemobj_direct(pmemobj_root(pool, sizeof(struct root)));
	for (unsigned i = 0; i < workers; i++) {
		all[i] = (struct worker){ .pool = pool, .work = &root->work[i],
					  .committed = &journal->committed[i], .steps = steps };
		if (workers > 1 && pthread_create(&all[i].thread, NULL, work_on, &all[i]) != 0)
			die("pthread_create");
	}
	for (unsigned i = 0; i < workers; i++) {
		if (workers == 1)
			work_on(&all[i]);
		else
			pthread_join(all[i].thread, NULL);
	}
	pmemobj_close(pool);
	return 0;
}

/* ---- The judge ------------------------------------------------------------------ */

static void model_remove(struct model *model, uint64_t key)
{
	for (uint64_t i = 0; i < model->list_length; i++) {
		if (model->list[i] != key)
			continue;
		model->list_length--;
		memmove(&model->list[i], &model->list[i + 1], (model->list_length - i) * sizeof(uint64_t));
		return;
	}
}

static void model_step(struct model *model, uint64_t step)
{
	switch (action_of(step)) {
	case LIST_INSERT:
		model->list[model->list_length++] = step;
		break;
	case LIST_REMOVE:
		model_remove(model, victim_of(step, LIST_INSERT));
		break;
	case MAP_INSERT:
		model->map[step] = true;
		break;
	case MAP_REMOVE:
		model->map[victim_of(step, MAP_INSERT)] = false;
		break;
	case PAGE_CHANGE:
		model->page = step;
		break;
	default:
		break;
	}
}

static bool node_is_whole(PMEMoid oid)
{
	const struct node *node = node_of(oid);

	if (!node || node->words != words_of(node->key))
		return false;
	for (uint64_t i = 0; i < node->words; i++)
		if (node->value[i] != node->key)
			return false;
	return true;
}

static const char *judge_list(const struct work *work, const struct model *model)
{
	uint64_t left = model->list_length;

	for (PMEMoid at = work->list; !OID_IS_NULL(at); at = node_of(at)->next)
		if (!node_is_whole(at) || left == 0 || node_of(at)->key != model->list[--left])
			return "the list is not what was committed";
	return left ? "the list lacks what was committed" : NULL;
}

static const char *judge_map(const struct work *work, const struct model *model)
{
	bool seen[MOST_NODES] = { false };

	for (unsigned i = 0; i < BUCKETS; i++) {
		for (PMEMoid at = work->buckets[i]; !OID_IS_NULL(at); at = node_of(at)->next) {
			if (!node_is_whole(at) || node_of(at)->key >= work->steps || seen[node_of(at)->key])
				return "the map is damaged";
			seen[node_of(at)->key] = true;
		}
	}
	for (uint64_t i = 0; i < work->steps; i++)
		if (seen[i] != model->map[i])
			return "the map is not what was committed";
	return NULL;
}

static const char *judge_objects(const struct work *work)
{
	if (!OID_IS_NULL(work->scratch) && !node_is_whole(work->scratch))
		return "an allocation was published before it was constructed";
	if (OID_IS_NULL(work->made))
		return work->made_by || work->made_for ? "half of a publication is there" : NULL;
	if (!node_is_whole(work->made) || node_of(work->made)->key != work->made_by ||
	    work->made_for != ~work->made_by)
		return "half of a publication is there";
	return NULL;
}

static const char *judge(const struct work *work, uint64_t committed)
{
	struct model model = { 0 };
	const char *verdict;

	if (work->steps < committed)
		return "a committed transaction is not there";
	if (work->steps > committed + 1 || work->steps > MOST_NODES)
		return "there is more than was ever done";
	for (uint64_t i = 0; i < work->steps; i++)
		model_step(&model, i);
	for (unsigned i = 0; i < PAGE_WORDS; i++)
		if (work->page[i] != model.page)
			return "a page is torn or not what was committed";
	verdict = judge_objects(work);
	if (!verdict)
		verdict = judge_list(work, &model);
	return verdict ? verdict : judge_map(work, &model);
}

int objects_check(const char *path, struct journal *journal)
{
	const char *verdict = NULL;
	const struct root *root;
	PMEMobjpool *pool;
	int consistent = pmemobj_check(path, LAYOUT);

	if (consistent != 1) {
		printf("pmemobj_check says %d: %s\n", consistent, pmemobj_errormsg());
		return 1;
	}
	pool = pmemobj_open(path, LAYOUT);
	if (!pool) {
		printf("open: %s\n", pmemobj_errormsg());
		return 1;
	}
	root = pmemobj_direct(pmemobj_root(pool, sizeof(*root)));
	for (unsigned i = 0; i < WORKERS && !verdict; i++) {
		uint64_t committed = journal->committed[i];

		verdict = judge(&root->work[i], committed);
		if (verdict)
			printf("worker %u, after %" PRIu64 " committed steps: %s\n", i, committed, verdict);
		journal->committed[i] = root->work[i].steps;
	}
	pmemobj_close(pool);
	return verdict != NULL;
}

int objects_create(const char *path, size_t size)
{
	PMEMobjpool *pool = pmemobj_create(path, LAYOUT, access(path, F_OK) == 0 ? 0 : size, 0600);

	if (!pool || OID_IS_NULL(pmemobj_root(pool, sizeof(struct root))))
		die("create");
	pmemobj_close(pool);
	return 0;
}
