/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRACE_ENCODE_H
#define TRACE_ENCODE_H

/*
 * Events as bytes: a byte for the kind, then the fields that schema.h lists. Stamp and
 * thread are not among them; the frame around the bytes has those. The same encoding
 * is in trace files and in TRACE_SLOT_EVENT.
 */

#include <stddef.h>
#include <stdint.h>

#include "trace/event.h"

/* An encoded event is not longer than this. */
#define TRACE_ENCODED_MAX (TRACE_BYTES_MAX + (16u << 10))

/* The arrays of a decoded event are kept here; its strings stay where they were encoded. */
struct trace_arrays {
	struct trace_frame frames[TRACE_FRAMES_MAX];
	struct trace_segment segments[TRACE_SEGMENTS_MAX];
};

/* How many bytes trace_encode() may need for the event: an upper bound, at most TRACE_ENCODED_MAX. */
size_t trace_encoded_bound(const struct trace_event *event);

/*
 * Encode a legal event (trace_event_wrong() returned NULL). There is room for trace_encoded_bound() bytes.
 * Returns the length. Async-signal-safe.
 */
size_t trace_encode(const struct trace_event *event, unsigned char *to);

/*
 * Decode. Every byte is hostile: the result is an event that trace_event_wrong() finds nothing wrong with,
 * except that stamp and thread are 0, or -EBADMSG with the reason. The event refers to `from` and `arrays`.
 * `thread` is what will be set in it.
 */
int trace_decode(const unsigned char *from, size_t length, uint32_t thread, struct trace_arrays *arrays,
		 struct trace_event *event, const char **wrong);

#endif
