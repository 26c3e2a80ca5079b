/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A libpmemobj program to be cut short, and the judge of what is left.
 *
 *   objects create POOL              a pool to begin with
 *   objects run POOL JOURNAL STEPS   do so many steps; a byte in JOURNAL for each that is committed
 *   objects check POOL JOURNAL       0 if the pool is consistent and holds exactly the steps that the
 *                                    journal says are committed, or one more
 *
 * What a step does follows from its number: transactions that allocate, free,
 * change small and large ranges, and some that are aborted; allocations outside
 * of transactions. The judge does the same steps to a model in its own memory.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <libpmemobj.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LAYOUT "softpmem-objects"
#define BUCKETS 8
#define PAGE_WORDS 512
#define MOST_NODES 4096

struct node {
	PMEMoid next;
	uint64_t key;
	uint64_t words; /* that follow, each `key` */
	uint64_t value[];
};

struct root {
	uint64_t steps; /* committed */
	PMEMoid list;	/* newest first */
	PMEMoid buckets[BUCKETS];
	PMEMoid scratch;
	uint64_t page[PAGE_WORDS]; /* all alike */
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

enum action { LIST_INSERT, LIST_REMOVE, MAP_INSERT, MAP_REMOVE, PAGE_CHANGE, SCRATCH, ABORTED, ACTIONS };

static enum action action_of(uint64_t step)
{
	return mix(step + 1) % ACTIONS;
}

static uint64_t words_of(uint64_t key)
{
	return 1 + mix(key + 77) % 40;
}

/* An earlier insertion; it may have been removed since. */
static uint64_t victim_of(uint64_t step)
{
	return step ? mix(step + 99) % step : 0;
}

static void die(const char *what)
{
	fprintf(stderr, "objects: %s: %s\n", what, pmemobj_errormsg());
	exit(2);
}

/* ---- The program ------------------------------------------------------------- */

static struct node *node_of(PMEMoid oid)
{
	return pmemobj_direct(oid);
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
	PMEMoid oid = pmemobj_tx_alloc(sizeof(struct node) + words_of(key) * sizeof(uint64_t), 1);

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

static void change_page(struct root *root, uint64_t value)
{
	pmemobj_tx_add_range_direct(root->page, sizeof(root->page));
	for (unsigned i = 0; i < PAGE_WORDS; i++)
		root->page[i] = value;
}

static int construct(PMEMobjpool *pool, void *memory, void *argument)
{
	struct node *node = memory;
	uint64_t key = *(uint64_t *)argument;

	fill(node, key, OID_NULL);
	pmemobj_persist(pool, node, sizeof(*node) + node->words * sizeof(uint64_t));
	return 0;
}

static void renew_scratch(PMEMobjpool *pool, struct root *root, uint64_t step)
{
	size_t size = sizeof(struct node) + words_of(step) * sizeof(uint64_t);

	if (!OID_IS_NULL(root->scratch))
		pmemobj_free(&root->scratch);
	if (pmemobj_alloc(pool, &root->scratch, size, 2, construct, &step) != 0)
		die("alloc");
}

static void change(struct root *root, uint64_t step)
{
	switch (action_of(step)) {
	case LIST_INSERT:
		insert(&root->list, step);
		break;
	case LIST_REMOVE:
		delete(&root->list, victim_of(step));
		break;
	case MAP_INSERT:
		insert(&root->buckets[step % BUCKETS], step);
		break;
	case MAP_REMOVE:
		delete(&root->buckets[victim_of(step) % BUCKETS], victim_of(step));
		break;
	case PAGE_CHANGE:
		change_page(root, step);
		break;
	default:
		break;
	}
}

static void do_and_abort(PMEMobjpool *pool, struct root *root, uint64_t step)
{
	TX_BEGIN(pool) {
		insert(&root->list, step);
		change_page(root, step);
		delete(&root->buckets[step % BUCKETS], victim_of(step));
		pmemobj_tx_abort(ECANCELED);
	} TX_END
}

static void do_step(PMEMobjpool *pool, struct root *root, uint64_t step)
{
	if (action_of(step) == SCRATCH)
		renew_scratch(pool, root, step);
	if (action_of(step) == ABORTED)
		do_and_abort(pool, root, step);
	TX_BEGIN(pool) {
		change(root, step);
		pmemobj_tx_add_range_direct(&root->steps, sizeof(root->steps));
		root->steps = step + 1;
	} TX_ONABORT {
		die("transaction");
	} TX_END
}

static int run(const char *path, const char *journal_path, uint64_t steps)
{
	int journal = open(journal_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	PMEMobjpool *pool = pmemobj_open(path, LAYOUT);
	struct root *root;

	if (!pool || journal < 0)
		die("open");
	root = pmemobj_direct(pmemobj_root(pool, sizeof(struct root)));
	for (uint64_t i = 0; i < steps; i++) {
		do_step(pool, root, root->steps);
		if (write(journal, ".", 1) != 1)
			die("journal");
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
		model_remove(model, victim_of(step));
		break;
	case MAP_INSERT:
		model->map[step] = true;
		break;
	case MAP_REMOVE:
		model->map[victim_of(step)] = false;
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

static const char *judge_list(const struct root *root, const struct model *model)
{
	uint64_t left = model->list_length;

	for (PMEMoid at = root->list; !OID_IS_NULL(at); at = node_of(at)->next)
		if (!node_is_whole(at) || left == 0 || node_of(at)->key != model->list[--left])
			return "the list is not what was committed";
	return left ? "the list lacks what was committed" : NULL;
}

static const char *judge_map(const struct root *root, const struct model *model, uint64_t steps)
{
	static bool seen[MOST_NODES];

	for (unsigned i = 0; i < BUCKETS; i++) {
		for (PMEMoid at = root->buckets[i]; !OID_IS_NULL(at); at = node_of(at)->next) {
			if (!node_is_whole(at) || node_of(at)->key >= steps || seen[node_of(at)->key])
				return "the map is damaged";
			seen[node_of(at)->key] = true;
		}
	}
	for (uint64_t i = 0; i < steps; i++)
		if (seen[i] != model->map[i])
			return "the map is not what was committed";
	return NULL;
}

static const char *judge(const struct root *root, uint64_t committed)
{
	static struct model model;
	const char *verdict;

	if (root->steps < committed)
		return "a committed transaction is not there";
	if (root->steps > committed + 1)
		return "there is more than was ever done";
	for (uint64_t i = 0; i < root->steps; i++)
		model_step(&model, i);
	for (unsigned i = 0; i < PAGE_WORDS; i++)
		if (root->page[i] != model.page)
			return "a page is torn or not what was committed";
	if (!OID_IS_NULL(root->scratch) && !node_is_whole(root->scratch))
		return "an allocation was published before it was constructed";
	verdict = judge_list(root, &model);
	return verdict ? verdict : judge_map(root, &model, root->steps);
}

static int check(const char *path, const char *journal)
{
	struct stat stat_journal = { 0 };
	PMEMobjpool *pool;
	const char *verdict;
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
	stat(journal, &stat_journal);
	verdict = judge(pmemobj_direct(pmemobj_root(pool, sizeof(struct root))), (uint64_t)stat_journal.st_size);
	pmemobj_close(pool);
	if (verdict)
		printf("after %jd committed steps: %s\n", (intmax_t)stat_journal.st_size, verdict);
	return verdict != NULL;
}

static int create(const char *path)
{
	PMEMobjpool *pool = pmemobj_create(path, LAYOUT, access(path, F_OK) == 0 ? 0 : PMEMOBJ_MIN_POOL, 0600);

	if (!pool || OID_IS_NULL(pmemobj_root(pool, sizeof(struct root))))
		die("create");
	pmemobj_close(pool);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "create") == 0)
		return create(argv[2]);
	if (argc == 5 && strcmp(argv[1], "run") == 0)
		return run(argv[2], argv[3], strtoull(argv[4], NULL, 10));
	if (argc == 4 && strcmp(argv[1], "check") == 0)
		return check(argv[2], argv[3]);
	fprintf(stderr, "usage: objects create POOL | run POOL JOURNAL STEPS | check POOL JOURNAL\n");
	return 2;
}
