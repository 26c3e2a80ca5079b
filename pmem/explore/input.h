/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_INPUT_H
#define EXPLORE_INPUT_H

/* Opens a trace for exploring: a trace file, or a trace in the text form. */

#include "common/message.h"

/*
 * A seekable descriptor of the trace, for the caller to close. A text is converted to a
 * trace file in memory. Negative errno with a message: it cannot be opened, or a line of the text is wrong.
 */
int explore_input_open(const char *path, int *fd, struct message *message);

#endif
