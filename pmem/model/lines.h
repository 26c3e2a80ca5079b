/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MODEL_LINES_H
#define MODEL_LINES_H

/*
 * The line model: which contents of memory a power failure may leave. The model
 * is fed the stores, flushes and fences of all threads in memory order, and
 * answers for the moment after the last event.
 *
 * The rules are those of Px86 in its synchronous form PTSOsyn: Raad, Wickerson,
 * Neiger, Vafeiadis: "Persistency semantics of the Intel-x86 architecture"
 * (POPL'20); Khyzha, Lahav: "Taming x86-TSO persistency" (POPL'21); machine
 * checked in Cho, Lee, Raad, Kang: "Revamping hardware persistency models"
 * (PLDI'21).
 *
 * A store consists of *pieces*, one for each aligned word of 8 bytes that it
 * touches; a piece is durable as a whole or not at all. Lines are independent of
 * each other. In one line a piece is durable only if
 *   1. all earlier pieces in the same word are;
 *   2. mode `line`, unless the store is non-temporal: all pieces of all earlier
 *      stores to the line are, not counting non-temporal stores.
 * So the pieces of one store are unordered. Mode `word` drops rule 2, as if
 * each word were a line of its own.
 *
 * Guaranteed to be durable are the pieces below, and what rules 1 and 2 then
 * demand:
 *   - clflush of a line: every earlier piece there, but for non-temporal ones;
 *   - clwb or clflushopt of a line: the same, after the next fence of the thread
 *     that executed the clwb;
 *   - a non-temporal store: its pieces, after the next fence of its thread, and
 *     by nothing else. It waits in a write-combining buffer, which only that
 *     thread's fences empty (Intel SDM volume 1, 10.4.6.2: weakly ordered; volume 3,
 *     "Write Combining Memory Location");
 *   - under eADR (PERSISTENCE_CPU_CACHE): any other store at once.
 * A fence is an sfence, an mfence or a locked instruction. A locked instruction
 * that stores is lines_fence() and then lines_store(); `rep movs` is one store,
 * as its pieces are unordered (SDM volume 3, 8.2.4).
 *
 * What a program tells the outside world, for instance by printing that a
 * transaction is committed, has no place in memory order: it may happen while
 * earlier stores and clflushes of that thread still wait in its store buffer. A
 * caller that checks such acknowledgements must count one as given at each crash
 * point since the last fence of its thread.
 *
 * Stores that are guaranteed are handed to the caller, which applies them to its
 * copy of the memory, the *base content*, and are forgotten. The memory used is
 * therefore proportional to what is not guaranteed.
 *
 * Not thread safe; one model may be used by one thread at a time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/align.h"
#include "common/persistence.h"

enum lines_mode {
	LINES_MODE_LINE, /* a line's stores become durable in memory order */
	LINES_MODE_WORD	 /* those of each aligned 8 bytes do; allows a superset of LINES_MODE_LINE */
};
/* "line" or "word"; "unknown" for a number that is no mode. Static. */
const char *lines_mode_name(enum lines_mode mode);
/* 0, or -EINVAL and *mode is unchanged. */
int lines_mode_parse(const char *text, enum lines_mode *mode);

struct lines;

struct lines_options {
	enum lines_mode mode;
	enum persistence_domain domain;
	/*
	 * Called during an event, for bytes that are guaranteed from now on: the
	 * caller copies them to the base content. Several calls for one byte come in
	 * memory order. The bytes never straddle a line. Must not call the model.
	 */
	void (*commit)(void *context, uint64_t address, const void *bytes, size_t length);
	void *context;
	/*
	 * How many stores to remember of one line that is never flushed, at least 4;
	 * 0: all of them. Beyond that neighbouring old stores are merged: of two only
	 * both or none survive. No illegal state arises, but legal ones are missed; see
	 * lines_merged().
	 */
	uint32_t stores_per_line;
};

/* 0, -EINVAL (bad options) or -ENOMEM. The options are copied. */
int lines_create(const struct lines_options *options, struct lines **out);
/* NULL is ignored. */
void lines_destroy(struct lines *lines);

/* ---- Events ------------------------------------------------------------------ */

/*
 * Addresses are numbers below 2^63 that the caller gives meaning to, for
 * instance a pool's number and the offset in its file; 64 bytes at a multiple of
 * 64 are one line of the processor. Threads are numbered from 0 and below
 * LINES_THREADS. The functions return 0, -EINVAL for arguments out of range
 * (nothing has happened), or -ENOMEM: then the model is incomplete, and good for
 * nothing but lines_destroy().
 */
#define LINES_THREADS 65536u

struct lines_store {
	uint64_t address;
	uint64_t length; /* bytes; 0 is no store at all */
	const void *bytes;
	/* AVX-512 and maskmov: bit i says whether byte i is stored. 0: all are. Else length must be <= 64. */
	uint64_t mask;
	bool nontemporal;
	uint32_t thread;
	uint64_t id; /* returned by lines_pending(); for instance the number of the event */
};
int lines_store(struct lines *lines, const struct lines_store *store);

/* clwb and clflushopt of the line that contains the address. */
int lines_clwb(struct lines *lines, uint32_t thread, uint64_t address);
/* clflush of the line that contains the address. Which thread executed it makes no difference. */
int lines_clflush(struct lines *lines, uint64_t address);
/* sfence, mfence, and what a locked instruction does before it stores. */
int lines_fence(struct lines *lines, uint32_t thread);

/* ---- What is legal now --------------------------------------------------------- */

/*
 * A *place* is what is decided by itself: a line (64 bytes), in mode `word` a
 * word (8 bytes). Any combination of one version for each place is a legal crash
 * state. Versions are numbered from 0 (only what is guaranteed) to
 * lines_versions() - 1 (everything). Where no non-temporal store is pending, a
 * higher version has all the stores that a lower one has as a whole. Versions may
 * have equal content, if stores did not change anything.
 */
size_t lines_place_size(const struct lines *lines);

/*
 * The places with more than one version, by ascending address of their first
 * byte. Returns how many there are, and stores them if `most` is enough for all;
 * else nothing is stored, so that a first call may have most == 0.
 */
size_t lines_undetermined(const struct lines *lines, uint64_t *places, size_t most);

/*
 * How many versions a place has: 1 if it is determined. At most LINES_VERSIONS;
 * only a line with many unfenced non-temporal stores has that many, and then not
 * each of its states has a number. `place` is the address of its first byte.
 */
#define LINES_VERSIONS ((uint64_t)1 << 62)
uint64_t lines_versions(const struct lines *lines, uint64_t place);

/*
 * The content of a version: `content` has the place's bytes of the base content,
 * and gets what this version has beyond it. -EINVAL: no such version; nothing is
 * written.
 */
int lines_apply(const struct lines *lines, uint64_t place, uint64_t version, unsigned char *content);

/* A store that touches the place and that is not guaranteed, or not all of it. */
struct lines_pending {
	uint64_t id;
	uint32_t thread;
	bool nontemporal;
	bool merged;   /* stands for several old stores; id and thread are those of the newest */
	uint64_t bytes; /* bit i: byte i of the line (in both modes) is stored by it, and not guaranteed */
	uint64_t kept;	/* those of the bytes that the version has */
};

/*
 * What a version consists of: the pending stores of its place, in memory order.
 * Returns how many there are, and stores the first `most` of them; 0 if there is
 * no such version.
 */
size_t lines_pending(const struct lines *lines, uint64_t place, uint64_t version,
		     struct lines_pending *pending, size_t most);

/*
 * The number of the version that has the first `count` pending stores of the
 * place and nothing later; lines_versions() - 1 if there are not that many. Of a
 * place with LINES_VERSIONS versions it may be one that has less.
 */
uint64_t lines_version_through(const struct lines *lines, uint64_t place, size_t count);

/* How many stores were merged since the model was created: not 0 means that legal states were missed. */
uint64_t lines_merged(const struct lines *lines);

#endif
