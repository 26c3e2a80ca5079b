/* SPDX-License-Identifier: BSD-3-Clause */
#include "turn.h"

#include "common/cleanup.h"
#include "common/clock.h"

/* After so many looks without a new request, nobody looks until there is one. */
#define QUIET_LOOKS 50u

void turn_init(struct turn *turn, unsigned helpers_max)
{
	*turn = (struct turn){ .helpers_max = helpers_max };
	pthread_mutex_init(&turn->seat, NULL);
	sem_init(&turn->call, 0, 0);
}

void turn_destroy(struct turn *turn)
{
	sem_destroy(&turn->call);
	pthread_mutex_destroy(&turn->seat);
}

/*
 * Sequentially consistent, with turn_got(): either this worker sees the new request, or the leader sees that
 * this one is asleep, and wakes it.
 */
static void sleep_until_called(struct turn *turn, uint64_t requests)
{
	atomic_store(&turn->asleep, true);
	if (atomic_load(&turn->requests) == requests)
		sem_wait(&turn->call);
	atomic_store(&turn->asleep, false);
}

static void sleep_until_next_look(struct turn *turn)
{
	const struct timespec next = clock_deadline_ms(TURN_LOOK_MS);

	sem_clockwait(&turn->call, CLOCK_MONOTONIC, &next);
}

enum turn_role turn_stand_by(struct turn *turn)
{
	uint64_t last_serving = 0, last_requests = 0;
	unsigned quiet = 0;

	LOCK_SCOPE(&turn->seat);
	for (;;) {
		uint64_t requests = atomic_load(&turn->requests), serving = atomic_load(&turn->serving);

		if (atomic_load(&turn->over))
			return TURN_OVER;
		if (atomic_exchange(&turn->help, false)) {
			atomic_fetch_add(&turn->helpers, 1);
			return TURN_HELP;
		}
		if (serving && serving == last_serving &&
		    atomic_compare_exchange_strong(&turn->serving, &serving, 0))
			return TURN_LEAD;
		quiet = requests == last_requests && !serving ? quiet + 1 : 0;
		last_requests = requests;
		last_serving = serving;
		if (quiet < QUIET_LOOKS)
			sleep_until_next_look(turn);
		else
			sleep_until_called(turn, requests);
	}
}

void turn_helped(struct turn *turn)
{
	atomic_fetch_sub(&turn->helpers, 1);
}

uint64_t turn_got(struct turn *turn)
{
	uint64_t number = atomic_fetch_add(&turn->requests, 1) + 1;

	atomic_store(&turn->serving, number);
	if (atomic_load(&turn->asleep) && atomic_exchange(&turn->asleep, false))
		sem_post(&turn->call);
	return number;
}

bool turn_done(struct turn *turn, uint64_t number)
{
	return atomic_compare_exchange_strong(&turn->serving, &number, 0);
}

void turn_call_help(struct turn *turn)
{
	if (atomic_load(&turn->helpers) < turn->helpers_max && !atomic_exchange(&turn->help, true))
		sem_post(&turn->call);
}

void turn_end(struct turn *turn)
{
	atomic_store(&turn->over, true);
	sem_post(&turn->call);
}
