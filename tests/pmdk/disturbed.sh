#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What happens around a libpmem program while it works: it is stopped, its pool shrinks, grows, is destroyed.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
survivor=$abs_top_builddir/tests/pmdk/survivor
rounds stopped_for 1 60

# count_on POOL COUNT: in the background, its numbers in POOL's name with .out. softpmem becomes the program.
count_on() {
	"$softpmem" run -- "$survivor" count "$mnt/$1" "$2" >"$work/$1.out" 2>"$work/$1.err" &
	client=$!
}
last_said() { tail -n 1 "$work/$1.out"; }
has_said_more() { [ "$(last_said "$1")" -gt "${2:-0}" ] 2>/dev/null; }
ended_well() { wait "$client"; }
# holds POOL LAST LINES: each of the first so many lines has its number, as far as the pool goes (survivor.c).
holds() {
	head -c $(($3 * 64)) "$mnt/$1" | od -A n -v -t u8 -w64 | awk -v last="$2" -v lines="$3" '
		{ line = NR - 1; expected = last - (last - line) % lines
		  if (expected > last) expected -= lines
		  if (expected <= 0 || $1 >= expected) next
		  print "line " line ": " $1 " and not " expected
		  exit 1 }'
}

daemon_start --region memfd:64M || bail "no daemon"

"$softpmem" create --size 1M stopped
"$softpmem" create --size 1M other
count_on stopped 1000000000
check "a client persists numbers" await has_said_more stopped 20000
kill -STOP "$client"
stopped=$client
said=$(last_said stopped)
count_on other 200000
check "a client works while another one is stopped" ended_well
sleep "$stopped_for"
check "powerfail succeeds with a stopped client" "$softpmem" powerfail --policy lose
wait "$stopped" 2>/dev/null
check "the power failure kills the stopped client" test $? -eq 137
check "what the stopped client had fenced survives" holds stopped "$said" 16384
check "what the other client had fenced survives" holds other 200000 16384
check_fails "negative control: a number that was never fenced is reported as missing" \
	"and not" holds stopped "$((said + 100000000))" 16384

"$softpmem" create --size 1M shrunk
count_on shrunk 3000000
check "a client persists to a pool that will shrink" await has_said_more shrunk
check "the pool is truncated to 64 KiB" truncate -s 64K "$mnt/shrunk"
check "the client of the truncated pool ends normally" ended_well
"$softpmem" powerfail --policy lose >/dev/null
check "the extended pool has its new size" test "$(stat -c %s "$mnt/shrunk")" -eq 65536
check "what was fenced in the remaining part survives" holds shrunk 3000000 16384

"$softpmem" create --size 1M grown
count_on grown 3000000
check "a client persists to a pool that will grow" await has_said_more grown
check "the pool is extended to 4 MiB" truncate -s 4M "$mnt/grown"
check "the client of the extended pool ends normally" ended_well
"$softpmem" powerfail --policy lose >/dev/null
check "all that was fenced survives" holds grown 3000000 16384
check "the pool has its new size" test "$(stat -c %s "$mnt/grown")" -eq $((4 << 20))

"$softpmem" create --size 1M destroyed
count_on destroyed 3000000
check "a client persists to a pool that will be destroyed" await has_said_more destroyed
check "the pool is destroyed" "$softpmem" destroy destroyed
check "the client of the destroyed pool ends normally" ended_well
check "the destroyed pool does not come back" test ! -e "$mnt/destroyed"
"$softpmem" create --size 1M destroyed
check "a new pool of its name has none of its bytes" cmp -n 1048576 "$mnt/destroyed" /dev/zero

# Caches that were written back by a coin, or whole.
"$softpmem" create --size 1M kept
"$softpmem" run -- "$survivor" store "$mnt/kept"
"$softpmem" powerfail --policy keep >/dev/null
check "keep leaves stores that were never flushed" test "$(tr -cd s <"$mnt/kept" | wc -c)" -eq 512
coin() {
	rm -f "$mnt/tossed"
	"$softpmem" create --size 1M tossed
	"$softpmem" run -- "$survivor" store "$mnt/tossed"
	"$softpmem" powerfail --policy random --seed "$1" >/dev/null
	od -A n -v -t a -w64 "$mnt/tossed" | head -n 8 | awk '{ printf "%s", $1 == "s" ? "s" : "-" }'
}
one=$(coin 1)
note "random, seed 1: $one; seed 2: $(coin 2)"
check "random keeps some lines that were never flushed and loses others" grep -q 's.*-\|-.*s' <<<"$one"
check "random keeps or loses each line as a whole" test "$(($(tr -cd s <"$mnt/tossed" | wc -c) % 64))" -eq 0
check "check finds no damage" "$softpmem" check
finish
