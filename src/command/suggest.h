/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMAND_SUGGEST_H
#define COMMAND_SUGGEST_H

/* Which known word a person may have meant. */

struct suggestion {
	const char *word; /* what was written */
	const char *best; /* the known word that is most like it; NULL: none is */
	unsigned distance; /* of `best` */
};

/* Consider another known word, which must outlive the suggestion. */
void suggest(struct suggestion *suggestion, const char *known);

#endif
