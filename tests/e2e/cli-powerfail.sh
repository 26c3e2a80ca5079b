#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# powerfail and mark: policies, seeds, reports.
. "$abs_top_srcdir/tests/lib.sh" || exit 1

pattern() { # pattern WORD: 64 KiB of it
	yes "$1" | head -c 65536
}
number() { # number KEY: of the report's own members
	sed -n "s/^  \"$1\":\([0-9]*\),*\$/\1/p" "$work/report"
}
fail_power() {
	"$softpmem" powerfail --json "$@" >"$work/report"
}
# A pool of synced old bytes, with new ones over it that are not.
prepare() {
	pattern old >"$mnt/$1" && sync "$mnt/$1" &&
		pattern new | dd of="$mnt/$1" conv=notrunc bs=64k status=none
}

daemon_start --region memfd:128M || bail "the daemon does not start"
check "the first report" fail_power
check "is of nothing" test "$(number lines_undetermined)" = 0
check "of the second generation" test "$(number generation)" = 2
check "and one dirty shutdown" test "$(number dirty_shutdowns)" = 1
check "which status says too" grep -Fq '"generation":2' <("$softpmem" status --json)

check "old and new bytes" prepare lose
check "the new ones are seen" cmp <(pattern new) "$mnt/lose"
check "lose" fail_power --policy lose
check "the old ones are back" cmp <(pattern old) "$mnt/lose"
check "the report says so" test "$(number lines_lost)" -gt 0 -a "$(number lines_kept)" = 0
check "and sums up" test "$(number lines_undetermined)" = "$(number lines_lost)"
check "and names the pool" grep -Fq '"path":"/lose"' "$work/report"

check "old and new bytes again" prepare keep
check "keep" fail_power --policy keep
check "the new ones are there" cmp <(pattern new) "$mnt/keep"
check "the report says so too" test "$(number lines_kept)" -gt 0 -a "$(number lines_lost)" = 0

# The same state twice, twice the same seed, once another.
random() {
	rm -f "$mnt/random" && prepare random && fail_power --policy random --seed "$1" &&
		cp "$mnt/random" "$work/random.$2" && cp "$work/report" "$work/report.$2"
}
check "random, seed 7" random 7 a
check "lost some" test "$(number lines_lost)" -gt 0
check "kept some" test "$(number lines_kept)" -gt 0
check "names the seed" test "$(number seed)" = 7
check "again" random 7 b
check "another seed" random 8 c
check "is another outcome" test "$(cmp "$work/random.a" "$work/random.c" 2>&1)" != ""
check "random without a seed" fail_power --policy random
check "draws one and says so" test -n "$(number seed)"
check "the largest seed" fail_power --policy random --seed 0xffffffffffffffff
check "comes back" test "$(number seed)" = 18446744073709551615

check "synced" prepare synced
sync "$mnt/synced"
check "before a failure" fail_power --policy lose
check "stays" cmp <(pattern new) "$mnt/synced"
pattern new >"$mnt/grown"
check "what grew" fail_power --policy lose
check "and was not synced is empty" test ! -s "$mnt/grown"
check "before" grep -Fq '"size_before":65536' "$work/report"
check "and after" grep -Fq '"size_after":0' "$work/report"

# ---- For people
prepare text
check "the table" "$softpmem" powerfail
"$softpmem" powerfail --policy random >"$work/text"
check "says the seed" grep -Eq "^power failed: policy random, seed [0-9]+; generation [0-9]+, \
dirty shutdowns [0-9]+; last mark: none$" "$work/text"
check "mark" "$softpmem" mark $'moved the\nmoney'
check "is in the log, on one line" grep -Fq 'mark: moved the\012money' "$work/daemon.log"
check "in status" grep -Fq 'last mark:          moved the\012money' <("$softpmem" status)
"$softpmem" powerfail >"$work/text"
check "and in the report" grep -Eq 'last mark: moved the.012money$' "$work/text"
check "a mark of 255 bytes" "$softpmem" mark "$(printf '%255s' x)"
check "the log has the failures" grep -Eq 'power failure: policy random, seed 7; generation [0-9]+; lines: ' \
	"$work/daemon.log"

# Others ask while the power fails.
storm() {
	local i pids=()
	for i in 1 2 3 4; do
		(for _ in $(seq 10); do
			"$softpmem" status >/dev/null && "$softpmem" list >/dev/null || exit 1
		done) &
		pids+=($!)
	done
	for i in $(seq 10); do
		prepare storm && "$softpmem" powerfail --policy random --seed "$i" >/dev/null || return 1
	done
	wait "${pids[@]}"
}
check "failures while others ask" storm
check "the tree is sound" "$softpmem" check
check "the daemon stops cleanly" daemon_stop

# ---- Without a mount
"$softpmemd" --region memfd:64M --socket "$socket" >>"$work/daemon.log" 2>&1 &
daemon_pid=$!
for _ in $(seq 200); do
	"$softpmem" status >/dev/null 2>&1 && break
	sleep 0.05
done
check "a pool" "$softpmem" create --size 1M /pool
check "without a mount the power fails too" fail_power
check "and counts" test "$(number generation)" = 2
check "and the pool is there" "$softpmem" list /pool
check "and has a path all the same" test "$(stat -L -c %s "$("$softpmem" path /pool)")" = 1048576
check "it stops cleanly" daemon_stop

# ---- eADR: caches are part of the persistence domain
check "with --domain cpu_cache" daemon_start --region memfd:64M --domain cpu_cache
pattern new >"$mnt/file"
check "the power fails" fail_power --policy lose
check "and what was written is there, synced or not" cmp <(pattern new) "$mnt/file"
check "it stops cleanly" daemon_stop
finish
