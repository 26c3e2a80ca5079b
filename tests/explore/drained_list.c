/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A list in a pool, as in the example of PMDK's pmreorder, written anew:
 *
 *   drained_list good POOL    insert three nodes, each complete before the list refers to it
 *   drained_list bad POOL     the same, but a node's value is made durable by the same drain as what refers
 *                             to it
 *   drained_list check POOL   each node of the list has its value
 *
 * The first drain is that of the empty list, and each insertion has three. With `bad` the list may be
 * inconsistent right before the last one of each: before drains 4, 7 and 10. Exit status: 0; 1 if a value is
 * missing; 2 for errors.
 */

#include <libpmem.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define LINE 64
#define NODES 3u

struct node {
	_Alignas(LINE) volatile uint64_t value; /* not 0 */
	volatile uint64_t next;			/* 0: none */
	unsigned char rest[LINE - 16];
};
struct list {
	_Alignas(LINE) volatile uint64_t head; /* the number of a node, from 1 */
	_Alignas(LINE) volatile uint64_t used; /* nodes */
	struct node nodes[NODES];
};

static void persist(const volatile void *at)
{
	pmem_persist((const void *)(uintptr_t)at, sizeof(uint64_t));
}

static void insert_good(struct list *list, uint64_t number)
{
	struct node *node = &list->nodes[number - 1];

	node->value = 10 * number;
	node->next = list->head;
	persist(&node->value);
	list->used = number;
	persist(&list->used);
	list->head = number;
	persist(&list->head);
}

static void insert_bad(struct list *list, uint64_t number)
{
	struct node *node = &list->nodes[number - 1];

	node->next = list->head;
	persist(&node->next);
	list->used = number;
	persist(&list->used);
	list->head = number;
	pmem_flush((const void *)(uintptr_t)&list->head, sizeof(list->head));
	node->value = 10 * number;
	persist(&node->value);
}

static int check(const struct list *list)
{
	uint64_t at = list->head;

	for (unsigned length = 0; at; at = list->nodes[at - 1].next) {
		if (at > NODES || length++ == NODES)
			return 2;
		if (list->nodes[at - 1].value != 10 * at) {
			printf("node %llu has no value\n", (unsigned long long)at);
			return 1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *how = argc == 3 ? argv[1] : "";
	size_t size;
	struct list *list = argc == 3 ? pmem_map_file(argv[2], 0, 0, 0, &size, NULL) : NULL;

	if (!list || size < sizeof(*list))
		return 2;
	if (strcmp(how, "check") == 0)
		return check(list);
	list->head = 0;
	persist(&list->head);
	for (uint64_t number = 1; number <= NODES; number++) {
		if (strcmp(how, "bad") == 0)
			insert_bad(list, number);
		else
			insert_good(list, number);
	}
	return 0;
}
