/* SPDX-License-Identifier: BSD-3-Clause */

/* pmem_memmove, pmem_memcpy, pmem_memset: store, then flush, then fence. */

#include <libpmem.h>
#include <string.h>

#include "client/connection.h"
#include "client/flush.h"
#include "client/queues.h"
#include "client/settings.h"
#include "common/align.h"

/* Do the stores go past the caches? */
static bool is_nontemporal(size_t length, unsigned flags)
{
	if (flags & PMEM_F_MEM_NOFLUSH || client_settings()->nontemporal_from == SIZE_MAX)
		return false;
	if (flags & (PMEM_F_MEM_NONTEMPORAL | PMEM_F_MEM_WC))
		return true;
	if (flags & (PMEM_F_MEM_TEMPORAL | PMEM_F_MEM_WB))
		return false;
	return length >= client_settings()->nontemporal_from;
}

/*
 * Some lines that somebody asks to be stored past the caches, and that are better not: libpmemobj does it
 * with its logs, which it stores to over and over. Each would go to memory, and the fence wait for it.
 */
static bool is_warm(size_t length, unsigned flags)
{
	const size_t most = 1024;

	return flags & (PMEM_F_MEM_NONTEMPORAL | PMEM_F_MEM_WC) && length <= most;
}

/* eADR: what is stored is durable, but for non-temporal stores until their fence. */
static void store_undoable(unsigned char *to, const unsigned char *from, size_t length)
{
	while (length) {
		struct range at = ranges_find((uintptr_t)to);
		size_t piece = min_u64(length, LINE_SIZE - (uintptr_t)to % LINE_SIZE);

		if (at.flags & RANGE_POOL)
			queue_store_undoable(&at, to, from, piece);
		else
			memcpy(to, from, piece);
		to += piece;
		from += piece;
		length -= piece;
	}
}

static bool overlap(const unsigned char *to, const unsigned char *from, size_t length)
{
	return to < from + length && from < to + length;
}

static inline void after_store(const void *to, size_t length, unsigned flags)
{
	if (flags & PMEM_F_MEM_NOFLUSH)
		return;
	if (flags & PMEM_F_MEM_NODRAIN)
		client_flush((uintptr_t)to, length);
	else
		client_persist((uintptr_t)to, length);
}

/* Lines go past the caches and into the WPQ at once; parts of lines, and what is no pool, as ever. */
static void move_streaming(unsigned char *to, const unsigned char *from, size_t length, unsigned flags)
{
	const bool drain = !(flags & PMEM_F_MEM_NODRAIN);
	uint32_t how = drain ? WPQ_PERSIST : 0;

	if (drain && length > QUEUE_EARLY_FROM)
		how |= QUEUE_EARLY;
	while (length) {
		struct range at = ranges_find((uintptr_t)to);
		size_t piece = min_u64(length, at.end - (uintptr_t)to);
		size_t to_line = -(uintptr_t)to % LINE_SIZE;
		bool stream = at.flags & RANGE_POOL && !to_line && piece >= LINE_SIZE;

		if (stream)
			piece = align_down(piece, LINE_SIZE);
		else if (to_line)
			piece = min_u64(piece, to_line);
		if (stream && likely(!client_flush_left_out())) {
			queue_stream(&at, to, from, piece, how);
		} else {
			memcpy(to, from, piece);
			if (!stream)
				client_flush_range((uintptr_t)to, piece, how);
		}
		how |= WPQ_CONTINUED;
		to += piece;
		from += piece;
		length -= piece;
	}
	if (drain)
		client_fence();
}

static inline void *move(void *to, const void *from, size_t length, unsigned flags)
{
	/* Overlapping bytes have an order to keep, which line by line would not. */
	const bool nontemporal = is_nontemporal(length, flags) && !overlap(to, from, length);

	if (nontemporal && !is_warm(length, flags) && likely(client_flushes_count())) {
		move_streaming(to, from, length, flags);
		return to;
	}
	if (nontemporal && (flags & PMEM_F_MEM_NODRAIN) && connection_domain() == PERSISTENCE_CPU_CACHE)
		store_undoable(to, from, length);
	else
		memmove(to, from, length);
	after_store(to, length, flags);
	return to;
}

static inline void *set(void *to, int value, size_t length, unsigned flags)
{
	memset(to, value, length);
	after_store(to, length, flags);
	return to;
}

PUBLIC void *pmem_memmove(void *pmemdest, const void *src, size_t len, unsigned flags)
{
	return move(pmemdest, src, len, flags);
}

PUBLIC void *pmem_memcpy(void *pmemdest, const void *src, size_t len, unsigned flags)
{
	return move(pmemdest, src, len, flags);
}

PUBLIC void *pmem_memset(void *pmemdest, int c, size_t len, unsigned flags)
{
	return set(pmemdest, c, len, flags);
}

PUBLIC void *pmem_memmove_nodrain(void *pmemdest, const void *src, size_t len)
{
	return move(pmemdest, src, len, PMEM_F_MEM_NODRAIN);
}

PUBLIC void *pmem_memcpy_nodrain(void *pmemdest, const void *src, size_t len)
{
	return move(pmemdest, src, len, PMEM_F_MEM_NODRAIN);
}

PUBLIC void *pmem_memset_nodrain(void *pmemdest, int c, size_t len)
{
	return set(pmemdest, c, len, PMEM_F_MEM_NODRAIN);
}

PUBLIC void *pmem_memmove_persist(void *pmemdest, const void *src, size_t len)
{
	return move(pmemdest, src, len, 0);
}

PUBLIC void *pmem_memcpy_persist(void *pmemdest, const void *src, size_t len)
{
	return move(pmemdest, src, len, 0);
}

PUBLIC void *pmem_memset_persist(void *pmemdest, int c, size_t len)
{
	return set(pmemdest, c, len, 0);
}
