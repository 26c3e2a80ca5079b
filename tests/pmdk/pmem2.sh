#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A program of libpmem2 persists by its own flush instructions. With --no-inline it falls back to msync(2).
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
pmem2=$abs_top_builddir/tests/pmdk/pmem2

daemon_start --region memfd:64M || bail "no daemon"
text_at() { dd if="$mnt/pool" bs=64 skip="$1" count=1 status=none | tr -d '\0'; }
# fresh: an empty pool. persists GRANULARITY OPTION...
fresh() { rm -f "$mnt/pool"; "$softpmem" create --size 64K pool; }
persists() { [ "$("$softpmem" run "${@:2}" -- "$pmem2" "$mnt/pool")" = "granularity $1" ]; }
is_kept() { "$softpmem" powerfail --policy lose >/dev/null && [ "$(text_at 0)" = persisted ]; }

fresh
check "libpmem2 maps a pool at cache line granularity and persists to it" persists 1
check "the mount shows what was stored" test "$(text_at 1)" = stored
check "what libpmem2 persisted by instructions survives" is_kept
check "negative control: what it only stored is lost" test -z "$(text_at 1)"
check "a program that requires cache line granularity gets it" \
	"$softpmem" run -- "$pmem2" "$mnt/pool" required

fresh
check "with --no-inline libpmem2 maps a pool at page granularity" persists 2 --no-inline
check "what libpmem2 persisted by msync survives" is_kept
check_fails "with --no-inline a program that requires cache line granularity is refused" \
	'pmem2: map: .*granularity' "$softpmem" run --no-inline -- "$pmem2" "$mnt/pool" required

fresh
forced() { PMEM2_FORCE_GRANULARITY=CACHE_LINE "$softpmem" run --no-inline -- "$pmem2" "$mnt/pool"; }
check "with --no-inline libpmem2 is told to flush by its own instructions" forced
"$softpmem" powerfail --policy lose >/dev/null
check "negative control: then nothing survives" test -z "$(text_at 0)"
finish
