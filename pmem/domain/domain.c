/* SPDX-License-Identifier: BSD-3-Clause */
#include "domain/private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "domain/order.h"

static const char *const kind_names[] = {
	[DOMAIN_MEMORY_CONTROLLER] = "memory_controller",
	[DOMAIN_CPU_CACHE] = "cpu_cache",
};

static const char *const policy_names[] = {
	[DOMAIN_LOSE] = "lose",
	[DOMAIN_KEEP] = "keep",
	[DOMAIN_RANDOM] = "random",
};

/* The index of `text` among `count` names, or -EINVAL. */
static int name_index(const char *text, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(text, names[i]) == 0)
			return (int)i;
	return -EINVAL;
}

const char *domain_kind_name(enum domain_kind kind)
{
	return kind_names[kind];
}

int domain_kind_parse(const char *text, enum domain_kind *kind)
{
	int index = name_index(text, kind_names, sizeof(kind_names) / sizeof(kind_names[0]));

	if (index < 0)
		return index;
	*kind = (enum domain_kind)index;
	return 0;
}

const char *domain_policy_name(enum domain_policy policy)
{
	return policy_names[policy];
}

int domain_policy_parse(const char *text, enum domain_policy *policy)
{
	int index = name_index(text, policy_names, sizeof(policy_names) / sizeof(policy_names[0]));

	if (index < 0)
		return index;
	*policy = (enum domain_policy)index;
	return 0;
}

int domain_create(struct region *region, enum domain_kind kind, struct domain **out)
{
	struct domain *domain = calloc(1, sizeof(*domain));

	if (!domain)
		return -ENOMEM;
	domain->region = region;
	domain->kind = kind;
	/* 0 is for lines that no batch wrote. */
	domain->batch = 1;
	pthread_mutex_init(&domain->lock, NULL);
	pthread_cond_init(&domain->buried, NULL);
	*out = domain;
	return 0;
}

void domain_destroy(struct domain *domain)
{
	if (!domain)
		return;
	assert(!domain->views && !domain->wpqs);
	pthread_mutex_lock(&domain->lock);
	while (domain->burials)
		pthread_cond_wait(&domain->buried, &domain->lock);
	pthread_mutex_unlock(&domain->lock);
	pthread_cond_destroy(&domain->buried);
	pthread_mutex_destroy(&domain->lock);
	order_destroy(domain->recent);
	free(domain->gather);
	free(domain);
}

enum domain_kind domain_kind(const struct domain *domain)
{
	return domain->kind;
}

struct view *domain_find_view(struct domain *domain, uint32_t id)
{
	for (struct view *view = domain->views; view; view = view->next)
		if (view->id == id)
			return view;
	return NULL;
}
