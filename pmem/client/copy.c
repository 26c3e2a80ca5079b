/* SPDX-License-Identifier: BSD-3-Clause */

/* pmem_memmove, pmem_memcpy, pmem_memset: store, then flush, then fence. */

#include "client/private.h"

#include <libpmem.h>
#include <string.h>

/* From this many bytes on libpmem goes past the caches, if it is left the choice. */
#define NONTEMPORAL_THRESHOLD 256u

/* Would the stores be non-temporal? Only under eADR does it matter to what survives. */
static bool is_nontemporal(size_t length, unsigned flags)
{
	if (flags & PMEM_F_MEM_NOFLUSH)
		return false;
	if (flags & (PMEM_F_MEM_NONTEMPORAL | PMEM_F_MEM_WC))
		return true;
	if (flags & (PMEM_F_MEM_TEMPORAL | PMEM_F_MEM_WB))
		return false;
	return length >= NONTEMPORAL_THRESHOLD;
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
	if (likely(flushes_count()))
		flush_range((uintptr_t)to, length);
	if (!(flags & PMEM_F_MEM_NODRAIN))
		fence();
}

static inline void *move(void *to, const void *from, size_t length, unsigned flags)
{
	/* Overlapping bytes have an order to keep, which line by line would not. */
	if (unlikely(connection_domain() == DOMAIN_CPU_CACHE) && is_nontemporal(length, flags) &&
	    (flags & PMEM_F_MEM_NODRAIN) && !overlap(to, from, length))
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
