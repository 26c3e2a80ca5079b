/* SPDX-License-Identifier: BSD-3-Clause */
#include "brute_lines.h"

#include <string.h>

static bool has(uint64_t state, unsigned piece)
{
	return state >> piece & 1;
}

/* Must `first` have reached the media before `second` can? */
static bool goes_before(const struct brute *brute, const struct brute_piece *first,
			const struct brute_piece *second)
{
	if (first->word == second->word)
		return true;
	if (brute->words_apart || brute->rules == BRUTE_LINES_ARE_UNORDERED)
		return false;
	if ((first->nontemporal || second->nontemporal) && brute->rules != BRUTE_NONTEMPORAL_IS_ORDERED)
		return false;
	return first->store < second->store || brute->rules == BRUTE_PIECES_ARE_ORDERED;
}

static bool can_go_next(const struct brute *brute, const struct brute_line *line, uint64_t state,
			unsigned piece)
{
	for (unsigned i = 0; i < piece; i++)
		if (!has(state, i) && goes_before(brute, &line->pieces[i], &line->pieces[piece]))
			return false;
	return true;
}

static bool add_state(struct brute_line *line, uint64_t state)
{
	for (unsigned i = 0; i < line->state_count; i++)
		if (line->states[i] == state)
			return true;
	if (line->state_count == BRUTE_STATES)
		return false;
	line->states[line->state_count++] = state;
	return true;
}

/* The state after the piece has gone; with it, all of its store if stores were atomic. */
static uint64_t gone(const struct brute *brute, const struct brute_line *line, uint64_t state, unsigned piece)
{
	state |= (uint64_t)1 << piece;
	for (unsigned i = 0; brute->rules == BRUTE_STORES_ARE_ATOMIC && i < line->piece_count; i++)
		if (line->pieces[i].store == line->pieces[piece].store)
			state |= (uint64_t)1 << i;
	return state;
}

/*
 * Let anything go that can. States that are added are visited as well. What may go does not change until
 * there are new pieces.
 */
static bool write_back(const struct brute *brute, struct brute_line *line)
{
	for (unsigned i = 0; i < line->state_count; i++) {
		const uint64_t state = line->states[i];

		for (unsigned piece = 0; piece < line->piece_count; piece++) {
			if (has(state, piece) || !can_go_next(brute, line, state, piece))
				continue;
			if (!add_state(line, gone(brute, line, state, piece)))
				return false;
		}
	}
	return true;
}

/* Only executions in which the piece has arrived go on from here. */
static void wait_for(struct brute_line *line, unsigned piece)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < line->state_count; i++)
		if (has(line->states[i], piece))
			line->states[kept++] = line->states[i];
	line->state_count = kept;
}

static bool store(struct brute *brute, const struct brute_event *event)
{
	const bool nontemporal = event->kind == BRUTE_NONTEMPORAL;

	for (unsigned i = 0; i < event->length; i++) {
		const unsigned at = event->address + i;
		struct brute_line *line = &brute->lines[at / BRUTE_LINE_BYTES];
		const unsigned word = at % BRUTE_LINE_BYTES / 8;
		struct brute_piece *piece = NULL;

		if (!event->stored[i])
			continue;
		for (unsigned k = 0; k < line->piece_count; k++)
			if (line->pieces[k].store == brute->events && line->pieces[k].word == word)
				piece = &line->pieces[k];
		if (!piece) {
			if (line->piece_count == BRUTE_PIECES)
				return false;
			piece = &line->pieces[line->piece_count++];
			*piece = (struct brute_piece){ .store = brute->events, .thread = event->thread,
						       .word = word, .nontemporal = nontemporal };
		}
		piece->stored[at % 8] = true;
		piece->bytes[at % 8] = event->bytes[i];
	}
	return true;
}

static void clwb(struct brute *brute, const struct brute_event *event)
{
	struct brute_line *line = &brute->lines[event->address / BRUTE_LINE_BYTES];

	for (unsigned i = 0; i < line->piece_count; i++) {
		if (line->pieces[i].nontemporal && brute->rules != BRUTE_NONTEMPORAL_IS_FLUSHED)
			continue;
		line->pieces[i].flushed_by[event->thread] = true;
		if (brute->rules == BRUTE_CLWB_NEEDS_NO_FENCE)
			wait_for(line, i);
	}
}

static void clflush(struct brute *brute, const struct brute_event *event)
{
	struct brute_line *line = &brute->lines[event->address / BRUTE_LINE_BYTES];

	for (unsigned i = 0; i < line->piece_count; i++) {
		if (line->pieces[i].nontemporal && brute->rules != BRUTE_NONTEMPORAL_IS_FLUSHED)
			continue;
		if (brute->rules == BRUTE_CLFLUSH_NEEDS_A_FENCE)
			line->pieces[i].flushed_by[event->thread] = true;
		else
			wait_for(line, i);
	}
}

static bool fence_waits_for(const struct brute *brute, const struct brute_line *line,
			    const struct brute_piece *piece, unsigned thread)
{
	bool flushed = piece->flushed_by[thread];

	for (unsigned i = 0; i < 8 && brute->rules == BRUTE_ANY_THREAD_FENCES; i++)
		flushed |= piece->flushed_by[i];
	for (unsigned i = 0; i < line->piece_count && brute->rules == BRUTE_CLWB_COVERS_LATER_STORES; i++)
		flushed |= line->pieces[i].flushed_by[thread];
	if (piece->nontemporal && piece->thread == thread && brute->rules != BRUTE_NONTEMPORAL_NEEDS_A_FLUSH)
		flushed = true;
	return flushed;
}

static void fence(struct brute *brute, const struct brute_event *event)
{
	for (unsigned i = 0; i < BRUTE_LINES; i++) {
		struct brute_line *line = &brute->lines[i];

		for (unsigned k = 0; k < line->piece_count; k++)
			if (fence_waits_for(brute, line, &line->pieces[k], event->thread))
				wait_for(line, k);
		for (unsigned k = 0; k < line->piece_count; k++)
			line->pieces[k].flushed_by[event->thread] = false;
	}
}

/* eADR: the cache is durable. */
static void wait_for_cached(struct brute *brute)
{
	for (unsigned i = 0; i < BRUTE_LINES; i++)
		for (unsigned k = 0; k < brute->lines[i].piece_count; k++)
			if (!brute->lines[i].pieces[k].nontemporal ||
			    brute->rules == BRUTE_EADR_COVERS_NONTEMPORAL)
				wait_for(&brute->lines[i], k);
}

void brute_begin(struct brute *brute, enum brute_rules rules, bool words_apart, bool eadr)
{
	brute->rules = rules;
	brute->words_apart = words_apart;
	brute->eadr = eadr;
	brute->events = 0;
	for (unsigned i = 0; i < BRUTE_LINES; i++) {
		brute->lines[i].piece_count = 0;
		brute->lines[i].state_count = 1;
		brute->lines[i].states[0] = 0;
	}
}

bool brute_step(struct brute *brute, const struct brute_event *event)
{
	switch (event->kind) {
	case BRUTE_STORE:
	case BRUTE_NONTEMPORAL:
		if (!store(brute, event))
			return false;
		break;
	case BRUTE_CLWB:
		clwb(brute, event);
		break;
	case BRUTE_CLFLUSH:
		clflush(brute, event);
		break;
	case BRUTE_FENCE:
		fence(brute, event);
		break;
	}
	brute->events++;
	for (unsigned i = 0; i < event->length; i++)
		if ((i == 0 || (event->address + i) % BRUTE_LINE_BYTES == 0) &&
		    !write_back(brute, &brute->lines[(event->address + i) / BRUTE_LINE_BYTES]))
			return false;
	if (brute->eadr)
		wait_for_cached(brute);
	return true;
}

void brute_content(const struct brute_line *line, uint64_t state, unsigned char content[BRUTE_LINE_BYTES])
{
	memset(content, 0, BRUTE_LINE_BYTES);
	for (unsigned i = 0; i < line->piece_count; i++)
		for (unsigned k = 0; has(state, i) && k < 8; k++)
			if (line->pieces[i].stored[k])
				content[line->pieces[i].word * 8 + k] = line->pieces[i].bytes[k];
}
