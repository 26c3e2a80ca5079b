/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BRUTE_LINES_H
#define BRUTE_LINES_H

/*
 * A second implementation of the line model, for tests. It was written from the
 * rules alone, shares no code with pmem/model, and works the other way round: it
 * executes PTSOsyn. A line's state is the set of pieces that have reached the
 * media; between two events any piece that may go next does or does not; a
 * fence is passed only by executions in which what it waits for has arrived. It
 * keeps all states that some execution reaches.
 */

#include <stdbool.h>
#include <stdint.h>

#define BRUTE_LINES 4
#define BRUTE_LINE_BYTES 64
#define BRUTE_PIECES 64	  /* of one line, in one trace */
#define BRUTE_STATES 512 /* of one line */

/* The rules, or one of them wrong: a comparison that does not notice proves nothing. */
enum brute_rules {
	BRUTE_RIGHT,
	BRUTE_ANY_THREAD_FENCES,
	BRUTE_CLWB_COVERS_LATER_STORES,
	BRUTE_CLWB_NEEDS_NO_FENCE,
	BRUTE_CLFLUSH_NEEDS_A_FENCE,
	BRUTE_STORES_ARE_ATOMIC,
	BRUTE_PIECES_ARE_ORDERED,
	BRUTE_LINES_ARE_UNORDERED,
	BRUTE_NONTEMPORAL_IS_ORDERED,
	BRUTE_NONTEMPORAL_IS_FLUSHED,
	BRUTE_NONTEMPORAL_NEEDS_A_FLUSH,
	BRUTE_EADR_COVERS_NONTEMPORAL,
	BRUTE_RULES
};

enum brute_kind { BRUTE_STORE, BRUTE_NONTEMPORAL, BRUTE_CLWB, BRUTE_CLFLUSH, BRUTE_FENCE };

struct brute_event {
	enum brute_kind kind;
	unsigned thread;
	unsigned address; /* below BRUTE_LINES * BRUTE_LINE_BYTES */
	unsigned length;
	unsigned char bytes[BRUTE_LINE_BYTES];
	bool stored[BRUTE_LINE_BYTES]; /* which of the bytes are: masked stores */
};

struct brute_piece {
	unsigned store;	 /* the number of its event */
	unsigned thread;
	unsigned word;
	bool nontemporal;
	bool flushed_by[8]; /* threads with a clwb that covers it, and no fence since */
	bool stored[8];
	unsigned char bytes[8];
};

struct brute_line {
	struct brute_piece pieces[BRUTE_PIECES]; /* in memory order */
	unsigned piece_count;
	uint64_t states[BRUTE_STATES]; /* each a set of pieces */
	unsigned state_count;
};

struct brute {
	enum brute_rules rules;
	bool words_apart; /* mode `word` */
	bool eadr;
	unsigned events;
	struct brute_line lines[BRUTE_LINES];
};

/* All memory is 0 at the start. */
void brute_begin(struct brute *brute, enum brute_rules rules, bool words_apart, bool eadr);
/* False: the trace is too large for the tables above. */
bool brute_step(struct brute *brute, const struct brute_event *event);
/* The content of a line in one of its states. */
void brute_content(const struct brute_line *line, uint64_t state, unsigned char content[BRUTE_LINE_BYTES]);

#endif
