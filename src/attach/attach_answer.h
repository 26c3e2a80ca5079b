/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ATTACH_ANSWER_H
#define ATTACH_ANSWER_H

/* Answering one client's messages. What a client sends is hostile until checked. */

#include <stdbool.h>

struct attach_client;

/* Receive one message and answer it, on the client's thread. False: hang up. */
bool attach_answer(struct attach_client *client);

#endif
