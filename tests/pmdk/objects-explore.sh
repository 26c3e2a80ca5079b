#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# softpmem explore finds nothing in libpmemobj's transactions, allocator and lists, and flushes that are left
# out of them; and in the list of the documentation of pmreorder what that finds, before the same drains.
# shellcheck disable=SC2016 # the checkers are for other shells
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

objects=$abs_top_builddir/tests/pmdk/objects_explored
list=$abs_top_builddir/tests/explore/drained_list
cd "$work" || exit 1
export TMPDIR=$work
rounds states 40 4000

daemon_start --region memfd:64M || bail "no daemon"

# ---- libpmemobj

check "a pool is created" "$softpmem" run -- "$objects" create "$mnt/pool"
check "six steps are recorded" "$softpmem" record -o objects.trace -- "$objects" load "$mnt/pool" 6
explored() { "$softpmem" explore --states "$states" "$1" -- "$objects" check {}; }
check "libpmemobj is consistent after each power failure" explored objects.trace
# Each seventh flush is left out, and the end, which counts the events.
"$softpmem" trace dump objects.trace |
	awk '/ clwb | clflushopt / && ++flushes % 7 == 0 || /(^| )end events/ { next } { print }' >fewer.txt
check_fails "negative control: without each seventh flush of the trace it is not" '^finding 1: ' \
	explored fewer.txt

# ---- pmreorder's list

# fails_before WHICH DRAIN: does the checker fail when power fails right before this drain?
fails_before() {
	local event
	event=$("$softpmem" trace dump "$1.trace" | tail -n +2 | grep -n ' sfence ' | sed -n "$2s/:.*//p")
	"$softpmem" explore --at "$((event - 1))" "$1.trace" -- "$list" check {} >report 2>&1
	grep -q '^[1-9][0-9]* states of 1 point checked' report || cat report >&2
	grep -q '^finding 1: ' report
}
inconsistent_drains() {
	local drain
	rm -f "$mnt"/* && truncate -s 4096 "$mnt/list" &&
		"$softpmem" record -o "$1.trace" -- "$list" "$1" "$mnt/list" || return
	for drain in 1 2 3 4 5 6 7 8 9 10; do
		! fails_before "$1" "$drain" || echo -n "$drain "
	done
}
bad=$(inconsistent_drains bad 2>err)
note "the bad list is inconsistent before: $bad"
check "the bad list is inconsistent before the drains 4, 7 and 10 alone" test "$bad" = "4 7 10 "
good=$(inconsistent_drains good 2>>err)
check "the good list is never inconsistent" test -z "$good"

# ---- A file that is mapped keeps its size, as with MAP_SYNC

# The size was not synced, but the first fence comes after the mapping.
check "a file of a new size is mapped" \
	"$softpmem" record -o mapped.trace -- sh -c "truncate -s 4096 $mnt/new && exec $list good $mnt/new"
check "the trace tells of the mapping" grep -q '^map ' <("$softpmem" trace dump mapped.trace)
after=$("$softpmem" trace dump mapped.trace | tail -n +2 | grep -n ' sfence ' | head -n 1 | sed 's/:.*//')
check "no power failure takes the size from what was stored by the mapping" \
	"$softpmem" explore --at "$((after - 1))" mapped.trace -- sh -c 'test -s "$1/new"' check {}

check "each search has told its result" test ! -s <(grep -v 'recorded' err)
finish
