#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Indexes of the literature that flush by instructions of their own, recorded: each prints what it prints
# unrecorded, the replay of its trace is what the pool holds, and the explorer finds no state of a crash
# from which it does not recover.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
# shellcheck source=tests/record/recorded.bash
. "$abs_top_srcdir/tests/record/recorded.bash"

grep -qw clwb /proc/cpuinfo || { skip "indexes" "this processor has no clwb"; finish; }
daemon_start --region memfd:64M || bail "no daemon"
indexes=$abs_top_builddir/tests/engines/indexes

rounds keys 500 2000
rounds explored 12 100
rounds states 60 20000
# explores NAME: a load with one thread; the checker asks for what was printed before the crash.
explores() {
	new_pool && recorded "$indexes" "$1" "$mnt/pool" load 1 "$explored" || return
	"$softpmem" explore --states "$states" "$trace" -- "$indexes" "$1" {} check
}
# explores_mistake NAME MISTAKE KEYS: of indexes.h. Tables grow, and slots are used again, after some keys.
explores_mistake() {
	local INDEXES_MISTAKE=$2 explored=$3 states=1200
	export INDEXES_MISTAKE
	explores "$1"
}
explores_with_fewer_flushes() {
	export INDEXES_FLUSHES_KEPT=5
	explores "$1"
}

for index in level_hash fast_fair clht; do
	both "$index" "$indexes" "$index" "$mnt/pool" load 1 "$keys"
	both "$index with four threads" "$indexes" "$index" "$mnt/pool" load 4 "$keys"
	check "the explorer finds no crash from which $index does not recover" explores "$index"
	check_fails "negative control: it finds one if each sixth flush of $index is left out" \
		"^finding 1: the checker" explores_with_fewer_flushes "$index"
	unset INDEXES_FLUSHES_KEPT
done
check_fails "explore finds the constructor of fast_fair that does not flush" "^finding 1: the checker" \
	explores_mistake fast_fair constructor 12
check_fails "explore finds the table of clht that is referred to before it has the keys" \
	"^finding 1: the checker" explores_mistake clht growth 200
check_fails "explore finds the token of level_hash that is durable before its item" \
	"^finding 1: the checker" explores_mistake level_hash token 80
check "negative control: it finds nothing in clht where the table grows" explores_mistake clht "" 200
check "negative control: it finds nothing in level_hash with more keys" explores_mistake level_hash "" 80
finish
