/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ATTACH_TRACE_H
#define ATTACH_TRACE_H

/* Clients that are recorded. Each answers a message, on the client's thread: 0 or a negative errno. */

struct attach_client;
struct attach_exchange;
struct pool;

int attach_trace_process(struct attach_client *client, struct attach_exchange *exchange);
int attach_trace_thread(struct attach_client *client, struct attach_exchange *exchange);
int attach_trace_thread_gone(struct attach_client *client, struct attach_exchange *exchange);
/* The client is given the pool. If the client is recorded, the pool is too. */
void attach_trace_pool(struct attach_client *client, struct attach_exchange *exchange, struct pool *pool);
/* The client's connection has ended. */
void attach_trace_end(struct attach_client *client);

#endif
