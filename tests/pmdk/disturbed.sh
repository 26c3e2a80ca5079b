#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What happens around a libpmem program while it works: it is stopped, its pool shrinks, grows, is destroyed.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
survivor=$abs_top_builddir/tests/pmdk/survivor
stopped_for=1
[ "${SOFTPMEM_TEST_LONG:-0}" = 0 ] || stopped_for=60

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
check "a client counts" await has_said_more stopped 20000
kill -STOP "$client"
stopped=$client
said=$(last_said stopped)
count_on other 200000
check "another client works beside one that is stopped" ended_well
sleep "$stopped_for"
check "the power fails" "$softpmem" powerfail --policy lose
wait "$stopped" 2>/dev/null
check "it is over for the stopped one" test $? -eq 137
check "what it had fenced is there" holds stopped "$said" 16384
check "and what the other had" holds other 200000 16384
check_fails "negative control: not what it never fenced" "and not" holds stopped "$((said + 100000000))" 16384

"$softpmem" create --size 1M shrunk
count_on shrunk 3000000
check "a client counts in a pool that will shrink" await has_said_more shrunk
check "it shrinks" truncate -s 64K "$mnt/shrunk"
check "the client comes to its end" ended_well
"$softpmem" powerfail --policy lose >/dev/null
check "the pool has its new size" test "$(stat -c %s "$mnt/shrunk")" -eq 65536
check "and what was fenced of that part" holds shrunk 3000000 16384

"$softpmem" create --size 1M grown
count_on grown 3000000
check "a client counts in a pool that will grow" await has_said_more grown
check "it grows" truncate -s 4M "$mnt/grown"
check "the client comes to its end" ended_well
"$softpmem" powerfail --policy lose >/dev/null
check "all that was fenced is there" holds grown 3000000 16384
check "the pool has its new size" test "$(stat -c %s "$mnt/grown")" -eq $((4 << 20))

"$softpmem" create --size 1M destroyed
count_on destroyed 3000000
check "a client counts in a pool that will be destroyed" await has_said_more destroyed
check "it is destroyed" "$softpmem" destroy destroyed
check "the client comes to its end" ended_well
check "the pool does not come back" test ! -e "$mnt/destroyed"
"$softpmem" create --size 1M destroyed
check "one of its name has nothing of it" cmp -n 1048576 "$mnt/destroyed" /dev/zero

# Caches that were written back by a coin, or whole.
"$softpmem" create --size 1M kept
"$softpmem" run -- "$survivor" store "$mnt/kept"
"$softpmem" powerfail --policy keep >/dev/null
check "keep: stores that were never flushed are there" test "$(tr -cd s <"$mnt/kept" | wc -c)" -eq 512
coin() {
	rm -f "$mnt/tossed"
	"$softpmem" create --size 1M tossed
	"$softpmem" run -- "$survivor" store "$mnt/tossed"
	"$softpmem" powerfail --policy random --seed "$1" >/dev/null
	od -A n -v -t a -w64 "$mnt/tossed" | head -n 8 | awk '{ printf "%s", $1 == "s" ? "s" : "-" }'
}
one=$(coin 1)
note "random, seed 1: $one; seed 2: $(coin 2)"
check "random: some lines of them are, and others not" grep -q 's.*-\|-.*s' <<<"$one"
check "each line as a whole" test "$(($(tr -cd s <"$mnt/tossed" | wc -c) % 64))" -eq 0
check "the region is sound" "$softpmem" check
finish
