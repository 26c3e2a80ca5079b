/* SPDX-License-Identifier: BSD-3-Clause */
#include "turn.h"

#include "common/cleanup.h"
#include "common/clock.h"

/* How often one that stands by looks at the leader, in milliseconds. */
#define LOOK_MS 4u
/* A lead ends after so many looks without a request. */
#define QUIET_LOOKS 25u

void turn_init(struct turn *turn)
{
	*turn = (struct turn){ 0 };
	pthread_mutex_init(&turn->seat, NULL);
	sem_init(&turn->call, 0, 0);
}

void turn_destroy(struct turn *turn)
{
	sem_destroy(&turn->call);
	pthread_mutex_destroy(&turn->seat);
}

/* Numbers are used once, so that a leader knows if its lead has ended meanwhile. */
static uint64_t new_number(struct turn *turn)
{
	return 2 * (atomic_fetch_add(&turn->numbers, 1) + 1);
}

static bool change(struct turn *turn, uint64_t from, uint64_t to)
{
	return atomic_compare_exchange_strong(&turn->lead, &from, to);
}

uint64_t turn_take(struct turn *turn)
{
	uint64_t lead = new_number(turn);

	return change(turn, 0, lead) ? lead : 0;
}

uint64_t turn_got(struct turn *turn, uint64_t lead)
{
	return change(turn, lead, lead + 1) ? lead + 1 : 0;
}

uint64_t turn_done(struct turn *turn, uint64_t lead)
{
	uint64_t next = new_number(turn);

	return change(turn, lead, next) ? next : 0;
}

void turn_leave(struct turn *turn, uint64_t lead)
{
	if (change(turn, lead, 0))
		sem_post(&turn->call);
}

void turn_stand_by(struct turn *turn)
{
	uint64_t last = 0, lead;
	unsigned same = 0;

	/* The seat is for those who wait: while nobody leads, all come here after each request. */
	if (!atomic_load(&turn->lead))
		return;
	LOCK_SCOPE(&turn->seat);
	/* What ended before is no reason to look now. */
	while (!sem_trywait(&turn->call))
		;
	while (!atomic_load(&turn->over) && (lead = atomic_load(&turn->lead))) {
		const struct timespec next = clock_deadline_ms(LOOK_MS);

		same = lead == last ? same + 1 : 0;
		last = lead;
		if (same && (lead % 2 || same > QUIET_LOOKS) && change(turn, lead, 0))
			return;
		sem_clockwait(&turn->call, CLOCK_MONOTONIC, &next);
	}
}

void turn_end(struct turn *turn)
{
	atomic_store(&turn->over, true);
	sem_post(&turn->call);
}
