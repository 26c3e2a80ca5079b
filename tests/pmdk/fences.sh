#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Power failures at an exact fence of programs.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

daemon_start --region memfd:64M || bail "no daemon"
check "a pool is created" "$softpmem" create --size 1M pool
fences() { "$softpmem" run "$abs_top_builddir/tests/pmdk/fences" "$mnt/pool" "$@"; }
is_awaited() { "$softpmem" status --json | grep -q '"awaits_event":true'; }
# The number that is in the line of each thread.
numbers() { od -A n -v -t u8 -w64 -N $(($1 * 64)) "$mnt/pool" | awk '{ print $1 }' | paste -s -d ' '; }

# cut_at OPTION NUMBER COUNT THREADS: the power fails at a fence of a program, which persists COUNT numbers
# with each of its threads.
cut_at() {
	local status
	dd if=/dev/zero of="$mnt/pool" bs=4k count=1 conv=notrunc,fsync status=none
	"$softpmem" powerfail --wait 60 "--$1" "$2" >"$work/report" 2>&1 &
	cut=$!
	await is_awaited || return
	fences "$3" "$4" >"$work/program" 2>&1
	status=$?
	wait "$cut" || { cat "$work/report"; return 1; }
	# The program is not told that it ran to its end.
	[ "$status" -ne 0 ] && ! grep -q finished "$work/program"
}
left() { [ "$(numbers "$1")" = "$2" ] || { numbers "$1"; return 1; }; }
check "the power fails before the fifth fence" cut_at before-fence 5 20 1
check "what four fences made durable is left" left 1 4
check "the report names the fence and the process" grep -q '^before fence 5, of process [1-9]' "$work/report"
check "the power fails after the fifth fence" cut_at after-fence 5 20 1
check "what five fences made durable is left" left 1 5
check "the report says that it was after the fence" grep -q '^after fence 5, of process' "$work/report"
sums() {
	local number sum=0
	for number in $(numbers 4); do sum=$((sum + number)); done
	[ "$sum" -eq "$1" ] || { numbers 4; return 1; }
}
for number in 1 30 77 400; do
	check "the power fails before fence $number of four threads" cut_at before-fence $number 1000 4
	check "exactly the $((number - 1)) fences before it are durable" sums $((number - 1))
	check "the power fails after fence $number of four threads" cut_at after-fence $number 1000 4
	check "exactly $number fences are durable" sums $number
done

# A client that announces the first fence, and does not say that it has published it.
silent='import socket, struct, sys, time
def request(kind): return struct.pack("<IHHIIIIQQ24x", 0x48435441, 4, kind, 64, 0, 0, 0, 0, 0)
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(sys.argv[1] + ".attach")
for kind in 1, 12:
    s.send(request(kind))
    s.recv(4096)
open(sys.argv[2], "w").close()
time.sleep(600)'
with_silent_client() {
	local client
	dd if=/dev/zero of="$mnt/pool" bs=4k count=1 conv=notrunc,fsync status=none
	"$softpmem" powerfail --wait 60 --before-fence 50 >"$work/report" 2>&1 &
	cut=$!
	await is_awaited || return
	python3 -c "$silent" "$socket" "$work/announced" &
	client=$!
	await test -e "$work/announced" && ! fences 100 1 >"$work/program" 2>&1 && wait "$cut"
	local status=$?
	kill "$client" 2>/dev/null
	return "$status"
}
check "a client that is silent after its announcement does not keep others from their fences" \
	with_silent_client
check "its fence counts, and 48 of the program before the fiftieth are durable" left 1 48

# Beyond the end of the run.
too_few() {
	"$softpmem" powerfail --wait 3 --before-fence 50 >"$work/report" 2>&1 &
	cut=$!
	await is_awaited && fences 7 1 >"$work/program" && ! wait "$cut" &&
		grep -q "only 7 of 50 fences came: the power is still on" "$work/report"
}
check "a number beyond the run is reported after the wait, with the number of fences" too_few
check "the program was not disturbed" grep -q finished "$work/program"
check "afterwards a program persists without being cut" fences 100 2
check "its numbers are there" left 2 "100 100"
check_fails "a pattern of paths with a fence is refused" "--path requires operations or syncs" \
	"$softpmem" powerfail --before-fence 1 --path pool
check_fails "two moments are refused, and fences are named among the events" \
	"--before-fence, --after-fence and --at-mark" \
	"$softpmem" powerfail --before-fence 1 --after-fence 2
check_fails "fence 0 is refused" "before-fence" "$softpmem" powerfail --before-fence 0
killed() {
	"$softpmem" powerfail --before-fence 5 >"$work/report" 2>&1 &
	cut=$!
	await is_awaited && kill "$cut" || return
	wait "$cut"
	fences 10 1 | grep -q finished
}
check "a command that was killed leaves programs alone from then on" killed
check "the daemon stops cleanly" daemon_stop
finish
