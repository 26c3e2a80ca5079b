/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_PHYSMAPTEST_H
#define TESTS_PHYSMAPTEST_H

/* Trees of /proc and /sys in a directory of the test, made from captures of guests (tests/data/region). */

#include "common/message.h"

extern char tree_root[64];

int tree_setup(void **state);
int tree_teardown(void **state);

void tree_append(const char *path, const char *text);
/* Lay out a capture, without the lines that contain `without` (NULL: all lines). */
void tree_lay_out(const char *capture, const char *without);

void message_says(const struct message *said, const char *words);

#endif
