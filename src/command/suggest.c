/* SPDX-License-Identifier: BSD-3-Clause */
#include "command/suggest.h"

#include <string.h>

#define LENGTH_MAX 32

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned least = a < b ? a : b;

	return least < c ? least : c;
}

/*
 * The number of letters that must be inserted, removed, replaced or exchanged with their neighbour to
 * turn one word into the other (optimal string alignment distance). The words have at most LENGTH_MAX
 * letters.
 */
static unsigned distance(const char *a, const char *b)
{
	const size_t rows = strlen(a), columns = strlen(b);
	unsigned cost[LENGTH_MAX + 1][LENGTH_MAX + 1];

	for (size_t i = 0; i <= rows; i++)
		cost[i][0] = (unsigned)i;
	for (size_t j = 0; j <= columns; j++)
		cost[0][j] = (unsigned)j;
	for (size_t i = 1; i <= rows; i++) {
		for (size_t j = 1; j <= columns; j++) {
			const unsigned differs = a[i - 1] != b[j - 1];

			cost[i][j] = min3(cost[i - 1][j] + 1, cost[i][j - 1] + 1,
					  cost[i - 1][j - 1] + differs);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    cost[i - 2][j - 2] + 1 < cost[i][j])
				cost[i][j] = cost[i - 2][j - 2] + 1;
		}
	}
	return cost[rows][columns];
}

void suggest(struct suggestion *suggestion, const char *known)
{
	const size_t length = strlen(suggestion->word);
	/*
	 * The number of mistakes that a suggestion may have: one in a short word, a third of the letters
	 * in a longer one.
	 */
	const unsigned most = length < 4 ? 1 : (unsigned)(length + 1) / 3;
	unsigned here;

	if (!length || length > LENGTH_MAX || strlen(known) > LENGTH_MAX)
		return;
	/* A prefix of the known word counts as one mistake. */
	here = length > 1 && strncmp(known, suggestion->word, length) == 0
		       ? 1
		       : distance(suggestion->word, known);
	if (here > most || (suggestion->best && here >= suggestion->distance))
		return;
	suggestion->best = known;
	suggestion->distance = here;
}
