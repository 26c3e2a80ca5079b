#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The two persistence domains as a program sees them, and a fence that waits for the media.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
survivor=$abs_top_builddir/tests/pmdk/survivor

run() { "$softpmem" run -- "$@"; }
fresh_pool() {
	rm -f "$mnt/pool"
	"$softpmem" create --size 1M pool
}
# count_of LETTER: how many of it the pool holds.
count_of() { tr -cd "$1" <"$mnt/pool" | wc -c; }
says() { [ "$("${@:2}")" = "$1" ]; }
cut_power() { "$softpmem" powerfail --policy lose >/dev/null; }

daemon_start --region memfd:64M || bail "no daemon"
check "memory_controller: pmem_has_auto_flush() is 0" says 0 run "$survivor" ask
fresh_pool
run "$survivor" store "$mnt/pool"
check "memory_controller: a store is visible" says 512 count_of s
cut_power
check "memory_controller: a store that was not flushed is lost" says 0 count_of s
fresh_pool
export PMEM_NO_FLUSH=1
check "with PMEM_NO_FLUSH=1 the program runs" run "$survivor" count "$mnt/pool" 1000
unset PMEM_NO_FLUSH
cut_power
check "with PMEM_NO_FLUSH=1 nothing is durable" cmp -n 1048576 "$mnt/pool" /dev/zero
fresh_pool
check "without PMEM_NO_FLUSH the program runs" run "$survivor" count "$mnt/pool" 1000
cut_power
check_fails "negative control: without PMEM_NO_FLUSH the bytes are durable" \
	differ cmp -n 1048576 "$mnt/pool" /dev/zero
check "a program runs with run --through" "$softpmem" run --through -- "$survivor" count "$mnt/pool" 300

# It makes a thousand numbers durable for each line it is given; its queue has room for thirty times as many.
mkfifo "$work/pace"
program=
# shellcheck disable=SC2016 # then, not now
at_exit+=('[ -z "$program" ] || kill -CONT "$daemon_pid"; kill -KILL "$program"')
says_up_to() { [ "$(tail -n 1 "$work/numbers")" = "$1" ]; }
# while_stopped FUNCTION OPTION...: what FUNCTION says when the second thousand is asked of a program that
# was run with the options, while the daemon stands still.
while_stopped() {
	local status
	: >"$work/numbers"
	exec 9<>"$work/pace"
	"$softpmem" run "${@:2}" -- "$survivor" paced "$mnt/pool" 1000000 <"$work/pace" >>"$work/numbers" &
	program=$!
	echo >&9
	await says_up_to 1000 || return 1
	kill -STOP "$daemon_pid"
	echo >&9
	"$1"
	status=$?
	kill -CONT "$daemon_pid"
	await says_up_to 2000 || return 1
	kill -KILL "$program"
	wait "$program" 2>/dev/null
	program=
	exec 9>&-
	return "$status"
}
waits() { sleep 0.5 && says_up_to 1000; }
goes_on() { await says_up_to 2000; }
check "with --through no fence returns while the daemon is stopped" while_stopped waits --through
check "negative control: without --through fences return while the daemon is stopped" while_stopped goes_on
daemon_stop

daemon_start --region memfd:64M --domain cpu_cache || bail "no daemon"
check "cpu_cache: pmem_has_auto_flush() is 1" says 1 run "$survivor" ask
fresh_pool
run "$survivor" store "$mnt/pool"
cut_power
check "cpu_cache: a store survives" says 512 count_of s
fresh_pool
run "$survivor" nontemporal "$mnt/pool" >"$work/out" &
for _ in $(seq 600); do
	[ -s "$work/out" ] && break
	sleep 0.05
done
check "cpu_cache: a non-temporal store is visible" says 512 count_of n
cut_power
wait "$!" 2>/dev/null
check "cpu_cache: a non-temporal store without a fence is lost" says 0 count_of n
check "cpu_cache: a plain store after a non-temporal one survives" says 512 count_of s
finish
