/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ATTACH_DRAIN_H
#define ATTACH_DRAIN_H

/* Draining: from the clients' WPQs to the media, when a client asks and by a thread that looks. */

struct attach_client;
struct attach_server;

/*
 * Drain the regions in which the client has WPQs; with NULL, all that have something to drain. Expels the
 * clients that have put malformed records into their WPQs, and wakes the drain thread to tell those that
 * cache pools: the caller does not wait for that. 0, or the last error. The caller holds attach->power.
 */
int attach_drain(struct attach_server *attach, struct attach_client *client);

/* Ask the drain thread for a drain. Does not wait for it. */
void attach_drain_kick(struct attach_server *attach);

/*
 * Kill clients whose WPQ is dead because it had a malformed record. The daemon does not drain such a WPQ
 * again, so what the client fences from here on would be lost.
 */
void attach_expel_malformed(struct attach_server *attach);

/*
 * Kill a client of a region whose media are lost: its fences would promise what is not kept. The lock is
 * held.
 */
void attach_expel(struct attach_client *client, unsigned region);

/* The drain thread. 0 or a negative errno. */
int attach_drain_start(struct attach_server *attach);
void attach_drain_stop(struct attach_server *attach);

#endif
