/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_TEXT_H
#define SRC_TEXT_H

#include <stdbool.h>

/*
 * A pool's name may hold any byte but '/' and NUL; a terminal, a log and JSON
 * take less. The results belong to the caller; NULL without memory.
 */

/* Control characters and what is no UTF-8 as \ooo: safe to show on one line. */
char *text_printable(const char *text);
/* The same with a backslash as two, so that the name can be told from it. */
char *text_escape(const char *text);
/* What is no UTF-8 replaced by U+FFFD, as JSON needs. *changed tells if anything was. */
char *text_utf8(const char *text, bool *changed);

#endif
