/* SPDX-License-Identifier: BSD-3-Clause */
#include "domain/domain_state.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "domain/order.h"

int domain_create(struct region *region, enum persistence_domain kind, struct domain **out)
{
	struct domain *domain = calloc(1, sizeof(*domain));

	if (!domain)
		return -ENOMEM;
	domain->region = region;
	domain->kind = kind;
	domain->descriptors = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (domain->descriptors < 0)
		domain->descriptors = -errno;
	/* 0 is for lines that no batch wrote. */
	domain->batch = 1;
	pthread_mutex_init(&domain->lock, NULL);
	pthread_cond_init(&domain->free_ended, NULL);
	*out = domain;
	return 0;
}

void domain_destroy(struct domain *domain)
{
	if (!domain)
		return;
	assert(!domain->views && !domain->wpqs);
	pthread_mutex_lock(&domain->lock);
	while (domain->frees_running)
		pthread_cond_wait(&domain->free_ended, &domain->lock);
	pthread_mutex_unlock(&domain->lock);
	pthread_cond_destroy(&domain->free_ended);
	pthread_mutex_destroy(&domain->lock);
	order_destroy(domain->recent);
	free(domain->gather);
	if (domain->descriptors >= 0)
		close(domain->descriptors);
	free(domain);
}

enum persistence_domain domain_persistence(const struct domain *domain)
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
