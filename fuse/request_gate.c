/* SPDX-License-Identifier: BSD-3-Clause */
#include "request_gate.h"

#include "common/cleanup.h"

#define PHASE_BITS 2u
#define PHASE_MASK ((1u << PHASE_BITS) - 1)

static enum gate_phase phase_of(unsigned turn)
{
	return (enum gate_phase)(turn & PHASE_MASK);
}

static unsigned slot_of(unsigned turn)
{
	return turn >> PHASE_BITS & 1;
}

void fusefs_gate_init(struct request_gate *gate)
{
	atomic_init(&gate->turn, GATE_OPEN);
	atomic_init(&gate->inside[0], 0);
	atomic_init(&gate->inside[1], 0);
	pthread_mutex_init(&gate->lock, NULL);
	pthread_cond_init(&gate->left, NULL);
}

void fusefs_gate_destroy(struct request_gate *gate)
{
	pthread_cond_destroy(&gate->left);
	pthread_mutex_destroy(&gate->lock);
}

static void count_out(struct request_gate *gate, unsigned turn)
{
	if (atomic_fetch_sub(&gate->inside[slot_of(turn)], 1) != 1 || atomic_load(&gate->turn) == turn)
		return;
	/* The last one of an earlier turn. */
	LOCK_SCOPE(&gate->lock);
	pthread_cond_broadcast(&gate->left);
}

void fusefs_gate_enter(struct request_gate *gate, struct gate_token *token)
{
	unsigned turn = atomic_load(&gate->turn);

	/*
	 * Sequentially consistent: either this thread sees the new turn, or the
	 * thread that changes the turn sees this one counted.
	 */
	for (;;) {
		unsigned now;

		atomic_fetch_add(&gate->inside[slot_of(turn)], 1);
		now = atomic_load(&gate->turn);
		if (now == turn)
			break;
		count_out(gate, turn);
		turn = now;
	}
	*token = (struct gate_token){ .gate = gate, .turn = turn };
}

void fusefs_gate_leave(struct gate_token *token)
{
	struct request_gate *gate = steal_pointer(&token->gate);

	if (gate)
		count_out(gate, token->turn);
}

struct gate_token fusefs_gate_token_steal(struct gate_token *from)
{
	struct gate_token token = *from;

	from->gate = NULL;
	return token;
}

enum gate_phase fusefs_gate_token_phase(const struct gate_token *token)
{
	return phase_of(token->turn);
}

enum gate_phase fusefs_gate_phase(const struct request_gate *gate)
{
	return phase_of(atomic_load(&gate->turn));
}

static void wait_for_slot(struct request_gate *gate, unsigned slot)
{
	while (atomic_load(&gate->inside[slot]))
		pthread_cond_wait(&gate->left, &gate->lock);
}

static void begin_turn(struct request_gate *gate, enum gate_phase phase)
{
	unsigned turn = atomic_load(&gate->turn);

	/* The new turn's slot was that of the turn before this one. */
	wait_for_slot(gate, !slot_of(turn));
	atomic_store(&gate->turn, (((turn >> PHASE_BITS) + 1) << PHASE_BITS) | phase);
}

void fusefs_gate_change(struct request_gate *gate, enum gate_phase phase)
{
	LOCK_SCOPE(&gate->lock);

	begin_turn(gate, phase);
}

void fusefs_gate_wait(struct request_gate *gate)
{
	LOCK_SCOPE(&gate->lock);

	wait_for_slot(gate, !slot_of(atomic_load(&gate->turn)));
}

void fusefs_gate_flush(struct request_gate *gate)
{
	LOCK_SCOPE(&gate->lock);

	begin_turn(gate, fusefs_gate_phase(gate));
	wait_for_slot(gate, !slot_of(atomic_load(&gate->turn)));
}
