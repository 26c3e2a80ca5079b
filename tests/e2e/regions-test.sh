#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# softpmem regions --test: what it refuses to overwrite, what it says of sound
# memory and of memory that is not, and that it can be stopped. Real reserved
# memory is tested in tests/guest.
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

memory=$work/memory
truncate -s 32M "$memory"

check "regions --test passes on blank memory" \
	sh -c "'$softpmem' regions --test 'file:$memory' >'$work/passed'"
check "regions --test reports size, time and result" \
	grep -Eq 'memory: 32M tested in [0-9.]+ s [(][0-9]+ MiB/s[)]: no fault' \
	"$work/passed"
check "tested memory is blank afterwards" cmp -n 33554432 "$memory" /dev/zero
check "tested memory can be formatted" "$softpmem" format "file:$memory"
cp "$memory" "$work/before"
check_fails "regions --test refuses memory that holds a region" 'holds softpmem pools .*--force' \
	"$softpmem" regions --test "file:$memory"
truncate -s 64M "$work/larger"
dd if="$memory" of="$work/larger" bs=1M seek=16 conv=notrunc status=none
check_fails "regions --test refuses memory in which a region begins" '33554432 bytes is at 0x1000000' \
	"$softpmem" regions --test "file:$work/larger"
dd if=/dev/zero of="$work/larger" bs=4096 count=1 seek=4096 conv=notrunc status=none
check_fails "regions --test refuses memory in which a region ends" '33554432 bytes is at 0x2fff000' \
	"$softpmem" regions --test "file:$work/larger"
check "a refused test changes no byte of a region" cmp "$memory" "$work/before"
seq 20000000 | head -c 4M >"$work/text"
cp "$work/text" "$work/text.before"
check_fails "regions --test refuses a file with other bytes" \
	'holds something' "$softpmem" regions --test "file:$work/text"
check "a refused test changes no byte of a file" cmp "$work/text" "$work/text.before"
check "regions --test --force tests a file with other bytes" \
	"$softpmem" regions --force --test "file:$work/text"
check "a daemon starts on the tested file" daemon_start --region "file:$memory"
check_fails "regions --test refuses a region that a daemon serves" 'in use by another' \
	"$softpmem" regions --force --test "file:$memory"
daemon_stop

check "regions --test --json prints an object" \
	sh -c "'$softpmem' regions --json --force --test 'file:$memory' >'$work/json'"
check "the JSON has the number of bytes read" grep -Eq '"bytes_read": *335544320' "$work/json"
check "the JSON says that the test is complete" grep -Eq '"complete": *true' "$work/json"

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
check "faulty memory is found, with exit status 1" found_faulty
check "the report names the address of faulty memory" \
	grep -q '^offset 0x2000: bits\{0,1\} .*wrote 0x.*, read 0x' "$work/faulty"
check "the summary says that the memory is faulty" grep -Eq 'faulty, [0-9]+ wrong words read$' "$work/faulty"

interrupted() {
	local status=0
	truncate -s 512M "$memory"
	: >"$work/err" # of the runs before
	# Job control, or the shell has it ignore SIGINT.
	set -m
	"$softpmem" -v regions --force --test "file:$memory" >"$work/out" 2>"$work/err" &
	until grep -q 'MiB/s' "$work/err"; do kill -0 $! || break; done
	kill -INT $!
	wait $! || status=$?
	set +m
	[ "$status" -eq 1 ]
}
check "SIGINT ends a test with status 1" interrupted
check "a running test shows progress and speed" \
	grep -Eq 'softpmem: [a-z -]* at [0-9]+ MiB/s, MiB: [0-9]+ of 10240 [(][0-9]+%[)]' "$work/err"
check "a stopped test says what it leaves in the memory" \
	grep -q 'the test was stopped: .*format --force' "$work/err"
check "a stopped test reports what it has tested" grep -q 'tested in part' "$work/out"
check "a stopped test releases the memory" "$softpmem" format --force "file:$memory"

check_fails "regions --test refuses a memfd region" 'give START.SIZE' \
	"$softpmem" regions --test memfd:64M
check "regions --test of a memfd region has exit status 2" \
	test "$("$softpmem" regions --test memfd:64M >"$work/out" 2>&1; echo $?)" -eq 2
check "regions --force without --test has exit status 2" \
	test "$("$softpmem" regions --force >"$work/out" 2>&1; echo $?)" -eq 2
check_fails "regions --test refuses memory in use by the system" \
	'is System RAM|needs root|no /dev/mem|not all RAM' \
	"$softpmem" regions --force --test 1M+16M
finish
