/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_MESSAGE_H
#define COMMON_MESSAGE_H

/*
 * What went wrong, in a person's words, beside the negative errno a function
 * returns: it names the object and the way out. The caller owns the struct; a
 * NULL pointer is allowed everywhere and drops the text.
 */
struct message {
	char text[768];
};

/* Write the text and return `error`, so that failing reads as one line. */
int message_fail(struct message *message, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
