/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMAND_SUGGEST_H
#define COMMAND_SUGGEST_H

/* Finds the known word that a mistyped one may stand for. */

struct suggestion {
	const char *word; /* the unknown word */
	const char *best; /* the known word that is most similar; NULL: none is similar enough */
	unsigned distance; /* between word and best */
};

/* Consider another known word, which must outlive the suggestion. */
void suggest(struct suggestion *suggestion, const char *known);

#endif
