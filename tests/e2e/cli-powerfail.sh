#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# powerfail and mark: policies, seeds, reports.
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

pattern() { # pattern WORD: 64 KiB of it
	yes "$1" | head -c 65536
}
number() { # number KEY: of the report's own members
	sed -n "s/^  \"$1\":\([0-9]*\),*\$/\1/p" "$work/report"
}
of_region() { # of_region KEY: of the one region
	sed -n "/\"regions\"/,/\]/s/^      \"$1\":\([0-9]*\),*\$/\1/p" "$work/report"
}
fail_power() {
	"$softpmem" powerfail --json "$@" >"$work/report"
}
# A pool of synced old bytes, with new ones over it that are not.
prepare() {
	pattern old >"$mnt/$1" && sync "$mnt/$1" &&
		pattern new | dd of="$mnt/$1" conv=notrunc bs=64k status=none
}

daemon_start --region memfd:128M --metadata durable || bail "the daemon does not start"
check "powerfail of an unused region succeeds" fail_power
check "the report of an unused region has no undetermined lines" test "$(number lines_undetermined)" = 0
check "the first power failure begins generation 2" test "$(of_region generation)" = 2
check "the first power failure counts as a dirty shutdown" test "$(of_region dirty_shutdowns)" = 1
check "status shows the new generation" grep -Fq '"generation":2' <("$softpmem" status --json)

check "synced bytes are overwritten without a sync before lose" prepare lose
check "the new bytes are visible before the power failure" cmp <(pattern new) "$mnt/lose"
check "powerfail --policy lose succeeds" fail_power --policy lose
check "lose brings the synced bytes back" cmp <(pattern old) "$mnt/lose"
check "the report of lose counts lost lines and no kept ones" \
	test "$(number lines_lost)" -gt 0 -a "$(number lines_kept)" = 0
check "the report of lose counts the lines that were synced before they were overwritten" \
	test "$(number lines_guaranteed)" -ge 1024
check "in the report undetermined is the sum of kept and lost" \
	test "$(number lines_undetermined)" = "$(number lines_lost)"
check "the report names the pool" grep -Fq '"path":"/lose"' "$work/report"

check "synced bytes are overwritten without a sync before keep" prepare keep
check "powerfail --policy keep succeeds" fail_power --policy keep
check "keep leaves the new bytes" cmp <(pattern new) "$mnt/keep"
check "the report of keep counts kept lines and no lost ones" \
	test "$(number lines_kept)" -gt 0 -a "$(number lines_lost)" = 0

# The same state twice, twice the same seed, once another.
random() {
	rm -f "$mnt/random" && prepare random && fail_power --policy random --seed "$1" &&
		cp "$mnt/random" "$work/random.$2" && cp "$work/report" "$work/report.$2"
}
check "powerfail --policy random --seed 7 succeeds" random 7 a
check "random loses some lines" test "$(number lines_lost)" -gt 0
check "random keeps some lines" test "$(number lines_kept)" -gt 0
check "the report of random has the seed" test "$(number seed)" = 7
check "powerfail with the same seed on the same state succeeds" random 7 b
check "the same seed on the same state leaves the same bytes" cmp "$work/random.a" "$work/random.b"
check "powerfail with another seed succeeds" random 8 c
check "another seed leaves other bytes" test "$(cmp "$work/random.a" "$work/random.c" 2>&1)" != ""
check "powerfail --policy random without a seed succeeds" fail_power --policy random
check "the report has the seed that was drawn" test -n "$(number seed)"
check "powerfail accepts the largest seed" fail_power --policy random --seed 0xffffffffffffffff
check "the report has the largest seed unchanged" test "$(number seed)" = 18446744073709551615

check "new bytes are written and synced" prepare synced
sync "$mnt/synced"
check "powerfail --policy lose succeeds after the sync" fail_power --policy lose
check "synced bytes survive lose" cmp <(pattern new) "$mnt/synced"
pattern new >"$mnt/grown"
check "powerfail succeeds with a file that grew" fail_power --policy lose
check "a file that grew without a sync is empty after lose" test ! -s "$mnt/grown"
check "the report has the size before the failure" grep -Fq '"size_before":65536' "$work/report"
check "the report has the size after the failure" grep -Fq '"size_after":0' "$work/report"

# ---- For people
prepare text
check "powerfail prints a table" "$softpmem" powerfail
"$softpmem" powerfail --policy random >"$work/text"
check "the table of random has the seed" \
	grep -Eq "^power failed: policy random, seed [0-9]+; generation [0-9]+, \
dirty shutdowns [0-9]+; last mark: none$" "$work/text"
check "mark succeeds" "$softpmem" mark $'moved the\nmoney'
check "the log has the mark on one line" grep -Fq 'mark: moved the\012money' "$work/daemon.log"
check "status shows the last mark" grep -Fq 'last mark:          moved the\012money' <("$softpmem" status)
"$softpmem" powerfail >"$work/text"
check "the report has the last mark" grep -Eq 'last mark: moved the.012money$' "$work/text"
check "mark accepts 255 bytes" "$softpmem" mark "$(printf '%255s' x)"
check "the log has each power failure with policy, seed and counts" \
	grep -Eq 'power failure: policy random, seed 7; generation [0-9]+; lines: ' \
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
check "power failures and requests of other clients at the same time all succeed" storm
check "check finds no damage after many power failures" "$softpmem" check
check "the daemon stops cleanly" daemon_stop

# ---- Without a mount
"$softpmemd" --region memfd:64M --socket "$socket" >>"$work/daemon.log" 2>&1 &
daemon_pid=$!
for _ in $(seq 200); do
	"$softpmem" status >/dev/null 2>&1 && break
	sleep 0.05
done
check "a pool is created without a mount" "$softpmem" create --size 1M /pool
check "powerfail without a mount succeeds" fail_power
check "a power failure without a mount begins a new generation" test "$(of_region generation)" = 2
check "the pool is there after a power failure without a mount" "$softpmem" list /pool
check "the pool has a path after a power failure without a mount" \
	test "$(stat -L -c %s "$("$softpmem" path /pool)")" = 1048576
check "the daemon without a mount stops cleanly" daemon_stop

# ---- eADR: caches are part of the persistence domain
check "a daemon starts with --domain cpu_cache" \
	daemon_start --region memfd:64M --domain cpu_cache --metadata durable
pattern new >"$mnt/file"
check "powerfail with --domain cpu_cache succeeds" fail_power --policy lose
check "with --domain cpu_cache unsynced bytes survive" cmp <(pattern new) "$mnt/file"
check "the daemon with --domain cpu_cache stops cleanly" daemon_stop
finish
