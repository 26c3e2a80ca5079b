/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef WIRE_TEXT_H
#define WIRE_TEXT_H

#include <stdbool.h>

/*
 * A pool's name may contain any byte but '/' and NUL. Not all of them are safe on a terminal, in a log or in
 * JSON. The caller frees the results. NULL without memory.
 */

/* Control characters and bytes that are not UTF-8 become \ooo: safe to show on one line. */
char *text_printable(const char *text);
/* The same, and a backslash becomes two: the original name can be told from the result. */
char *text_escape(const char *text);
/* Bytes that are not UTF-8 become U+FFFD, for JSON. *changed: there were such bytes. */
char *text_utf8(const char *text, bool *changed);

#endif
