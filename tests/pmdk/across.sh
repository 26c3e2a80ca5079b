#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Programs with pools of several regions: one fence for all of them, and one region that is taken away.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
across=$abs_top_builddir/tests/pmdk/across
export SOFTPMEM_ATTACH=$socket.attach

# start NAME WHAT POOL...: in the background, its words in NAME.out and its pid in $client.
start() {
	local name=$1
	shift
	: >"$work/$name.out"
	"${faulty[@]}" "$across" "$@" >"$work/$name.out" 2>"$work/$name.err" &
	client=$!
}
has_said() { [ "$(wc -l <"$work/$1.out")" -ge "$2" ]; }
has_ended() { ! kill -0 "$1" 2>/dev/null; }
letters() { tr -cd "$1" <"$2" | wc -c; }
size=1M
fresh() { # fresh POOL...
	local pool
	for pool; do
		rm -f "$mnt/$pool"
		"$softpmem" create --size "$size" "/$pool" || bail "no pool $pool"
	done
}
three=("$mnt/alpha/pool" "$mnt/beta/pool" "$mnt/gamma/pool")

kept=$work/kept
daemon_start --region memfd:32M --label alpha --region "file:$kept,32M" --label beta \
	--region memfd:32M --label gamma ||
	bail "no daemon"

# ---- One fence ------------------------------------------------------------------
# once POLICY: a program flushes to three regions and fences once; then power fails. How much each has.
once() {
	fresh alpha/pool beta/pool gamma/pool
	start once once "${three[@]}"
	await has_said once 1 || return
	"$softpmem" powerfail --policy "$1" >/dev/null || return
	await has_ended "$client" || return
	wait "$client" 2>/dev/null
	has="$(letters f "${three[0]}") $(letters f "${three[1]}") $(letters f "${three[2]}")"
}
check "a program that flushes to three regions and fences once loses power" once lose
check "after lose each region has exactly what was fenced" test "$has" = "4096 4096 4096"
check "the same program loses power with caches written back" once keep
check "negative control: with keep each region also has what was not fenced" test "$has" = "8192 8192 8192"
export SOFTPMEM_TEST_SKIP_FLUSH=2
check "the same program loses power with every second flush left out" once lose
check "negative control: the region whose flush was left out has nothing" test "$has" = "4096 0 4096"
unset SOFTPMEM_TEST_SKIP_FLUSH

# Two regions count their views alike: the same view goes on at the same offset, and is another region's.
fresh alpha/pool beta/pool
check "one persist of two adjacent mappings of two regions succeeds" \
	"$softpmem" run -- "$across" beside "${three[0]}" "${three[1]}"
"$softpmem" powerfail --policy lose >/dev/null
check "each region has its own half of the range" \
	test "$(letters b "${three[0]}") $(letters B "${three[1]}")" = "524288 524288"
check "no region has the other's half" test "$(letters B "${three[0]}") $(letters b "${three[1]}")" = "0 0"

# ---- Threads and handlers ---------------------------------------------------------
# holds POOL NUMBER HANDLED: the pool has every number that can be expected after NUMBER, in its line, or a
# later one.
holds() {
	local lines
	lines=$(($(stat -c %s "$mnt/$1") / 64))
	od -A n -v -t u8 -w64 "$mnt/$1" | awk -v last="$2" -v handled="$3" -v lines=$((lines - 1)) '
		NR > lines { if ($1 < handled) { print "the handler: " $1 " and not " handled; exit 1 } next }
		{ line = NR - 1; expected = last - (last - line) % lines
		  if (expected > last) expected -= lines
		  if (expected > 0 && $1 < expected) {
			print "line " line ": " $1 " and not " expected
			exit 1
		  } }'
}
# said NAME: what it said last, whole.
said() { sed -n '/^[0-9]* [0-9]*$/p' "$work/$1.out" | tail -n 1; }
has_handled() { read -r _ handled <<<"$(said "$1")" && [ "${handled:-0}" -ge "$2" ]; }
for end in killed cut; do
	fresh alpha/pool alpha/other beta/pool gamma/pool
	start count count "${three[@]}" "$mnt/alpha/other"
	check "short-lived threads with signal handlers persist to three regions" await has_handled count 1000
	[ $end = cut ] || kill -KILL "$client"
	"$softpmem" powerfail --policy lose >/dev/null
	wait "$client" 2>/dev/null
	read -r number handled <<<"$(said count)"
	for pool in alpha/pool alpha/other beta/pool gamma/pool; do
		check "$end: $pool has exactly what was fenced" holds $pool "$number" "$handled"
	done
done
check_fails "negative control: a number that was never acknowledged is reported as missing" 'and not' \
	holds beta/pool $((number + 10000000)) 0

# Each line once, and so one flush that went elsewhere is seen. Two pools are of one region: a handler that
# flushes to one while it interrupts a flush to another must mix up neither pools nor regions.
size=8M
fresh alpha/pool alpha/other beta/pool gamma/pool
start fill fill "${three[@]}" "$mnt/alpha/other"
has_filled() { read -r number handled <<<"$(said fill)" && [ "${number:-0}" -ge 131071 ]; }
check "a program fills all lines of four pools" await has_filled
check "signal handlers flushed while a flush was interrupted" test "$handled" -gt 500
"$softpmem" powerfail --policy lose >/dev/null
wait "$client" 2>/dev/null
for pool in alpha/pool alpha/other beta/pool gamma/pool; do
	check "each line of $pool is there" holds $pool 131070 "$handled"
done
size=1M

# ---- One region is taken away --------------------------------------------------------
fresh alpha/pool beta/pool gamma/pool alpha/other gamma/other
seq 100000 >"$mnt/alpha/numbers"
seq 100000 >"$mnt/beta/numbers"
sync "$mnt/alpha/numbers" "$mnt/beta/numbers"
start all count "${three[@]}"
all=$client
start others count "$mnt/alpha/other" "$mnt/gamma/other"
others=$client
check "a program persists to all three regions" await has_said all 5
check "another program persists to two regions" await has_said others 5
read -r number handled <<<"$(said all)"
cp "$kept" "$work/before"
truncate -s 0 "$kept"
check "the program that uses the region whose memory was taken away ends" await has_ended "$all"
wait "$all" 2>/dev/null
status=$?
check "the program that used the lost region was killed by SIGKILL" test $status = 137
logged() {
	grep -q "attach: pid $all, uid $(id -u): killed: it uses the region beta, whose memory is gone" \
		"$work/daemon.log"
}
check "the log says which process was killed and why" await logged
already=$(wc -l <"$work/others.out")
check "the program that does not use the lost region goes on" await has_said others $((already + 20))
check_fails "files of the lost region answer EIO" 'Input/output error' cat "$mnt/beta/numbers"
check_fails "create in the lost region fails with EIO" 'Input/output error' touch "$mnt/beta/new"
check "the directory of the lost region is still listed" test "$(ls "$mnt")" = $'alpha\nbeta\ngamma'
check "the directory of the lost region can be stat'ed" stat "$mnt/beta"
check "files of the other regions are unchanged" cmp "$mnt/alpha/numbers" <(seq 100000)
check "files of the other regions can be written" \
	sh -c "echo more >'$mnt/gamma/more' && sync '$mnt/gamma/more'"
check_fails "a move out of the lost region fails" \
	'Input/output error' mv "$mnt/beta/numbers" "$mnt/alpha/stolen"
check_fails "create in the lost region fails and says why" 'taken away while it was in use' \
	"$softpmem" create --region beta /new
check "create in another region succeeds" "$softpmem" create --region gamma /new
states() { "$softpmem" list -R | awk 'NR > 1 { print $9, $8 }'; }
check "list -R shows the lost region as failed" test "$(states)" = $'alpha active\nbeta failed\ngamma active'
check "status shows the daemon as degraded" grep -q '"state":"degraded"' <("$softpmem" status --json)
check_fails "list fails because of the lost region" 'taken away' sh -c "'$softpmem' list >'$work/list'"
check "list shows the pools of the other regions" grep -q '/gamma/new$' "$work/list"
check_fails "check fails because of the lost region" 'taken away' sh -c "'$softpmem' check >'$work/checked'"
check "check finds no damage in the other regions" test "$(grep -c '^0 damaged' "$work/checked")" = 2
start late count "$mnt/alpha/pool" "$mnt/beta/pool"
wait "$client" 2>/dev/null
status=$?
check "no process maps pools of the lost region" test $status -ne 0
check "the other program still runs" kill -0 "$others"
check "powerfail succeeds for the remaining regions" "$softpmem" powerfail --policy lose
check "the power failure ends the other program" await has_ended "$others"
wait "$others" 2>/dev/null
read -r other_number other_handled <<<"$(said others)"
check "the first remaining region has exactly what was fenced" \
	holds alpha/other "$other_number" "$other_handled"
check "the second remaining region has exactly what was fenced" \
	holds gamma/other "$other_number" "$other_handled"
check "a remaining region has what the killed program had fenced" holds alpha/pool "$number" "$handled"
check "other files are unchanged after the power failure" cmp "$mnt/alpha/numbers" <(seq 100000)
not_in_good_order() { ! daemon_stop; }
check "the daemon exits with an error" not_in_good_order

cp "$work/before" "$kept"
check "once the memory is back a daemon serves all regions" \
	daemon_start --region "file:$kept" --region memfd:32M
check "what was fenced before the loss is there" holds beta/pool 0 0
check "what was synced before the loss is there" cmp "$mnt/beta/numbers" <(seq 100000)
check "the daemon stops cleanly" daemon_stop
check "check finds no damage in the region that was lost" "$softpmem" check "file:$kept"
finish
