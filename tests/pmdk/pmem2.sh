#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A program of libpmem2 falls back to msync(2), and what it persisted survives.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
pmem2=$abs_top_builddir/tests/pmdk/pmem2

daemon_start --region memfd:64M || bail "no daemon"
"$softpmem" create --size 64K pool
persists() { [ "$("$softpmem" run -- "$pmem2" "$mnt/pool")" = "granularity 2" ]; }
text_at() { dd if="$mnt/pool" bs=64 skip="$1" count=1 status=none | tr -d '\0'; }

check "libpmem2 maps a pool at page granularity and persists to it" persists
check "the mount shows what was stored" test "$(text_at 1)" = stored
"$softpmem" powerfail --policy lose >/dev/null
check "what libpmem2 persisted survives" test "$(text_at 0)" = persisted
check_fails "libpmem2 refuses a program that requires cache line granularity" 'pmem2: map: .*granularity' \
	"$softpmem" run -- "$pmem2" "$mnt/pool" required
forced() { PMEM2_FORCE_GRANULARITY=CACHE_LINE "$softpmem" run -- "$pmem2" "$mnt/pool"; }
"$softpmem" destroy pool
"$softpmem" create --size 64K pool
check "libpmem2 is told to flush by its own instructions" forced
"$softpmem" powerfail --policy lose >/dev/null
check "negative control: then nothing survives" test -z "$(text_at 0)"
finish
