/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef WIRE_TEXT_H
#define WIRE_TEXT_H

#include <stdbool.h>

/*
 * A pool's name may contain any byte but '/' and NUL. Not all of them are safe on a terminal, in a log or in
 * JSON. The caller frees the results. NULL without memory.
 */

/*
 * Replace control characters and bytes that are not UTF-8 by \ooo: the result is safe to print on one
 * line.
 */
char *text_printable(const char *text);
/* The same, and double each backslash: the result identifies the original name. */
char *text_escape(const char *text);
/* Replace bytes that are not UTF-8 by U+FFFD, for JSON. *changed: whether there were such bytes. */
char *text_utf8(const char *text, bool *changed);

#endif
