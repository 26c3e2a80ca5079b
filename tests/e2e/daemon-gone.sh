#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A daemon that is stopped by a signal, ends or is killed while softpmem waits for it: no command hangs
# without a word, and none succeeds that was cut off.
# shellcheck disable=SC2016 # what is quoted is for an inner shell
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

says() { grep -q "the daemon does not answer: is it stopped?" "$1"; }
ended() { ! kill -0 "$1" 2>/dev/null; }

daemon_start --region memfd:64M || bail "the daemon does not start"
kill -STOP "$daemon_pid"
"$softpmem" status >"$work/status.out" 2>"$work/status.err" &
status=$!
"$softpmem" record -o "$work/unbegun" -- true >"$work/unbegun.out" 2>"$work/unbegun.err" &
unbegun=$!
check "a command says that the daemon does not answer" await says "$work/status.err"
check "record says so" await says "$work/unbegun.err"
kill -TERM "$unbegun"
wait "$unbegun"
check "record that has not begun ends by SIGTERM" test $? -eq 143
kill -CONT "$daemon_pid"
wait "$status"
check "the command goes on when the daemon does" test $? -eq 0
check "negative control: a daemon that answers is not waited for" \
	test -z "$("$softpmem" status 2>&1 >/dev/null)"

# record_program NAME: record a program that ends with status 0 once NAME.go has a line.
record_program() {
	mkfifo "$work/$1.go"
	"$softpmem" record -o "$work/$1" -- sh -c 'echo started && read -r line <"$1"' sh "$work/$1.go" \
		>"$work/$1.out" 2>"$work/$1.err" &
	recorded=$!
	await grep -q started "$work/$1.out"
}
record_program stopped
kill -STOP "$daemon_pid"
echo go >"$work/stopped.go"
check "record says that the daemon does not answer at the end of the program" await says "$work/stopped.err"
kill -TERM "$recorded"
check "record that waits for a stopped daemon ends by SIGTERM" await ended "$recorded"
kill -CONT "$daemon_pid"
wait "$recorded"
check "record that SIGTERM has ended has the status 143" test $? -eq 143
idle() { ! "$softpmem" record --stop 2>/dev/null; }
check "the daemon has ended the recording" await idle

for end in daemon_stop daemon_kill; do
	record_program "$end"
	"$end"
	echo go >"$work/$end.go"
	wait "$recorded"
	check "record of a program that ends well has status 1 if the daemon has gone ($end)" test $? -eq 1
	check "record says that the daemon hung up ($end)" \
		grep -q 'the daemon hung up before it had answered' "$work/$end.err"
	fusermount3 -u -z "$mnt" 2>/dev/null
	daemon_start --region memfd:64M || bail "the daemon does not start"
done
record_program whole
echo go >"$work/whole.go"
wait "$recorded"
check "negative control: with the daemon it has the program's status" test $? -eq 0

# A removed pool is memory of the program until that unmaps it.
"$softpmem" create --size 1M pool
"$softpmem" run "$abs_top_builddir/tests/pmdk/survivor" count "$mnt/pool" 100000000 >"$work/removed" 2>&1 &
removed=$!
check "a program persists" await test -s "$work/removed"
check "the pool of a program that runs is destroyed" "$softpmem" destroy pool
before=$(tail -n 1 "$work/removed")
goes_on() { [ "$(tail -n 1 "$work/removed")" -gt "$before" ]; }
check "a program whose pool was destroyed goes on" await goes_on
kill "$removed"
wait "$removed" 2>/dev/null
check "the daemon stops cleanly" daemon_stop
finish
