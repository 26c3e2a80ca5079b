#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Programs with pools of several regions: one fence for all of them, and one region that is taken away.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
across=$abs_top_builddir/tests/pmdk/across
library=$abs_top_builddir/pmem/client/.libs/libpmem.so.1
export SOFTPMEM_ATTACH=$socket.attach

# start NAME WHAT POOL...: in the background, its words in NAME.out and its pid in $client.
start() {
	local name=$1
	shift
	: >"$work/$name.out"
	LD_PRELOAD=$library "$across" "$@" >"$work/$name.out" 2>"$work/$name.err" &
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
check "a program flushes to three regions and fences once" once lose
check "power failed: what it fenced is in each, and no more" test "$has" = "4096 4096 4096"
check "the same, and caches are written back" once keep
check "negative control: all is there, what was not fenced too" test "$has" = "8192 8192 8192"
export SOFTPMEM_TEST_SKIP_FLUSH=2
check "the same with every second flush left out" once lose
check "negative control: its region has nothing" test "$has" = "4096 0 4096"
unset SOFTPMEM_TEST_SKIP_FLUSH

# Two regions count their views alike: the same view goes on at the same offset, and is another region's.
fresh alpha/pool beta/pool
check "one persist over mappings of two regions, end to end" \
	"$softpmem" run -- "$across" beside "${three[0]}" "${three[1]}"
"$softpmem" powerfail --policy lose >/dev/null
check "each has its own half" test "$(letters b "${three[0]}") $(letters B "${three[1]}")" = "524288 524288"
check "and nothing of the other's" test "$(letters B "${three[0]}") $(letters b "${three[1]}")" = "0 0"

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
	check "threads that come and go, with handlers, count in three regions" await has_handled count 1000
	[ $end = cut ] || kill -KILL "$client"
	"$softpmem" powerfail --policy lose >/dev/null
	wait "$client" 2>/dev/null
	read -r number handled <<<"$(said count)"
	for pool in alpha/pool alpha/other beta/pool gamma/pool; do
		check "$end: $pool has what was fenced" holds $pool "$number" "$handled"
	done
done
check_fails "negative control: a number it never said is not there" 'and not' \
	holds beta/pool $((number + 10000000)) 0

# Each line once, and so one flush that went elsewhere is seen. Two pools are of one region: a handler that
# flushes to one in the midst of a flush to another must mix up neither pools nor regions.
size=8M
fresh alpha/pool alpha/other beta/pool gamma/pool
start fill fill "${three[@]}" "$mnt/alpha/other"
has_filled() { read -r number handled <<<"$(said fill)" && [ "${number:-0}" -ge 131071 ]; }
check "a program fills all lines of four pools" await has_filled
check "its handlers flushed in the midst of it" test "$handled" -gt 500
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
check "one program counts in all of them" await has_said all 5
check "another in two" await has_said others 5
read -r number handled <<<"$(said all)"
cp "$kept" "$work/before"
truncate -s 0 "$kept"
check "the third is taken away: who counted there ends" await has_ended "$all"
wait "$all" 2>/dev/null
status=$?
check "killed" test $status = 137
logged() {
	grep -q "attach: pid $all, uid $(id -u): killed: it uses the region beta, whose memory is gone" \
		"$work/daemon.log"
}
check "the log says whom and why" await logged
already=$(wc -l <"$work/others.out")
check "who does not use it goes on" await has_said others $((already + 20))
check_fails "its files answer EIO" 'Input/output error' cat "$mnt/beta/numbers"
check_fails "and nothing is made there" 'Input/output error' touch "$mnt/beta/new"
check "its directory remains" test "$(ls "$mnt")" = $'alpha\nbeta\ngamma'
check "and is seen as one" stat "$mnt/beta"
check "the others' are as they were" cmp "$mnt/alpha/numbers" <(seq 100000)
check "and take more" sh -c "echo more >'$mnt/gamma/more' && sync '$mnt/gamma/more'"
check_fails "a move out of it fails" 'Input/output error' mv "$mnt/beta/numbers" "$mnt/alpha/stolen"
check_fails "the control socket says so of it" 'taken away while it was in use' \
	"$softpmem" create --region beta /new
check "and serves the others" "$softpmem" create --region gamma /new
states() { "$softpmem" list -R | awk 'NR > 1 { print $9, $8 }'; }
check "list -R tells" test "$(states)" = $'alpha active\nbeta failed\ngamma active'
check "so does status" grep -q '"state":"degraded"' <("$softpmem" status --json)
check_fails "a list has the others and fails" 'taken away' sh -c "'$softpmem' list >'$work/list'"
check "they are in it" grep -q '/gamma/new$' "$work/list"
check_fails "check says it, too" 'taken away' sh -c "'$softpmem' check >'$work/checked'"
check "and finds the others sound" test "$(grep -c '^0 damaged' "$work/checked")" = 2
start late count "$mnt/alpha/pool" "$mnt/beta/pool"
wait "$client" 2>/dev/null
status=$?
check "nobody maps its pools any more" test $status -ne 0
check "the other program counts still" kill -0 "$others"
check "power fails for those that remain" "$softpmem" powerfail --policy lose
check "that ends it" await has_ended "$others"
wait "$others" 2>/dev/null
read -r other_number other_handled <<<"$(said others)"
check "all it fenced is in one" holds alpha/other "$other_number" "$other_handled"
check "and in the other" holds gamma/other "$other_number" "$other_handled"
check "and what who was killed had fenced there" holds alpha/pool "$number" "$handled"
check "the rest of the mount is as it was" cmp "$mnt/alpha/numbers" <(seq 100000)
not_in_good_order() { ! daemon_stop; }
check "what is stopped then was not stopped in good order" not_in_good_order

cp "$work/before" "$kept"
check "with the memory back all are taken up" daemon_start --region "file:$kept" --region memfd:32M
check "what was fenced before is there" holds beta/pool 0 0
check "and what was synced" cmp "$mnt/beta/numbers" <(seq 100000)
check "the daemon stops cleanly" daemon_stop
check "it is sound" "$softpmem" check "file:$kept"
finish
