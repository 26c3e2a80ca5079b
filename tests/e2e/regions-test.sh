#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# softpmem regions --test: what it refuses to overwrite, what it says of sound
# memory and of memory that is not, and that it can be stopped. Real reserved
# memory is tested in tests/guest.
. "$abs_top_srcdir/tests/lib.sh"

memory=$work/memory
truncate -s 32M "$memory"

check "blank memory passes" sh -c "'$softpmem' regions --test 'file:$memory' >'$work/passed'"
check "it is said what was done" grep -Eq 'memory: 32M tested in [0-9.]+ s [(][0-9]+ MiB/s[)]: no fault' \
	"$work/passed"
check "and it is blank afterwards" cmp -n 33554432 "$memory" /dev/zero
check "so that it can be a region" "$softpmem" format "file:$memory"
cp "$memory" "$work/before"
check_fails "a region is not overwritten" 'holds softpmem pools .*--force' \
	"$softpmem" regions --test "file:$memory"
truncate -s 64M "$work/larger"
dd if="$memory" of="$work/larger" bs=1M seek=16 conv=notrunc status=none
check_fails "nor one that begins inside" '33554432 bytes is at 0x1000000' \
	"$softpmem" regions --test "file:$work/larger"
dd if=/dev/zero of="$work/larger" bs=4096 count=1 seek=4096 conv=notrunc status=none
check_fails "nor one that ends inside" '33554432 bytes is at 0x2fff000' \
	"$softpmem" regions --test "file:$work/larger"
check "nothing in it has changed" cmp "$memory" "$work/before"
seq 20000000 | head -c 4M >"$work/text"
cp "$work/text" "$work/text.before"
check_fails "nor is a file with other bytes" 'holds something' "$softpmem" regions --test "file:$work/text"
check "of which none has changed" cmp "$work/text" "$work/text.before"
check "unless one insists" "$softpmem" regions --force --test "file:$work/text"
check "daemon" daemon_start --region "file:$memory"
check_fails "what a daemon has is refused" 'in use by another' \
	"$softpmem" regions --force --test "file:$memory"
daemon_stop

check "with --json it is an object" \
	sh -c "'$softpmem' regions --json --force --test 'file:$memory' >'$work/json'"
check "that tells how much" grep -Eq '"bytes_read": *335544320' "$work/json"
check "that it came to its end" grep -Eq '"complete": *true' "$work/json"

# A neighbour that writes to the memory makes it faulty.
disturb() {
	while :; do
		printf '\001' | dd of="$memory" bs=1 seek=8195 conv=notrunc status=none
		printf '\002' | dd of="$memory" bs=1 seek=8195 conv=notrunc status=none
	done
}
found_faulty() {
	local status=0 found=1
	disturb &
	for _ in 1 2 3 4 5; do
		status=0
		"$softpmem" regions --force --test "file:$memory" >"$work/faulty" || status=$?
		[ "$status" -eq 1 ] && found=0 && break
	done
	kill $!
	wait $! 2>/dev/null
	return "$found"
}
check "memory that does not hold what is written is found, status 1" found_faulty
check "and its address" grep -q '^offset 0x2000: bits\{0,1\} .*wrote 0x.*, read 0x' "$work/faulty"
check "and it is called faulty" grep -Eq 'faulty, [0-9]+ wrong words read$' "$work/faulty"

interrupted() {
	local status=0
	truncate -s 512M "$memory"
	# Job control, or the shell has it ignore SIGINT.
	set -m
	"$softpmem" -v regions --force --test "file:$memory" >"$work/out" 2>"$work/err" &
	until grep -q 'MiB/s' "$work/err"; do kill -0 $! || break; done
	kill -INT $!
	wait $! || status=$?
	set +m
	[ "$status" -eq 1 ]
}
check "SIGINT ends it, status 1" interrupted
check "it had said how far it was, and how fast" \
	grep -Eq 'softpmem: [a-z -]* at [0-9]+ MiB/s, MiB: [0-9]+ of 10240 [(][0-9]+%[)]' "$work/err"
check "it says what it leaves" grep -q 'the test was stopped: .*format --force' "$work/err"
check "and what it knows so far" grep -q 'tested in part' "$work/out"
check "the region is free again" "$softpmem" format --force "file:$memory"

check_fails "memory that would be gone with the command" 'name memory that is there' \
	"$softpmem" regions --test memfd:64M
check "is the wrong word" test "$("$softpmem" regions --test memfd:64M >"$work/out" 2>&1; echo $?)" -eq 2
check "--force without --test too" test "$("$softpmem" regions --force >"$work/out" 2>&1; echo $?)" -eq 2
check_fails "what is in use is refused" 'is System RAM|needs root|no /dev/mem|not all RAM' \
	"$softpmem" regions --force --test 1M+16M
finish
