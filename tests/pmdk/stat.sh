#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# softpmem stat: what is counted, that it stays, and the live view.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
survivor=$abs_top_builddir/tests/pmdk/survivor

daemon_start --region memfd:64M || bail "no daemon"
"$softpmem" create --size 1M /pool
"$softpmem" create --parents --size 1M /dir/other
run() { "$softpmem" run -- "$@" >"$work/out"; }
count() { run "$survivor" count "$mnt/$1" "$2"; }

# member NAME [OPTION...] PATH: a number that stat tells of one pool.
member() {
	local name=$1
	shift
	"$softpmem" stat --json "$@" | grep -o "\"$name\":[0-9]*" | head -n 1 | cut -d: -f2
}
# counts PATH: persists, flushes, fences, bytes and clean lines.
counts() {
	local name
	for name in persists flushes fences bytes clean_lines; do
		member "$name" "$1"
	done | paste -sd ' '
}
# says PATTERN COMMAND...
says() {
	local pattern=$1
	shift
	"$@" >"$work/said" 2>&1
	cat "$work/said"
	grep -Eq -- "$pattern" "$work/said"
}

json_says() {
	local pattern=$1
	shift
	"$softpmem" stat --json "$@" | tr -d ' \n' >"$work/said"
	cat "$work/said"
	grep -Eq -- "$pattern" "$work/said"
}

# ---- Pools ------------------------------------------------------------------------

check "at first there is nothing" json_says '"pools":\[\]'
count pool 10000
check "what a program persisted" test "$(counts /pool)" = "10000 10000 10000 640000 0"
check "in a pool that was asked for, and was not used: nothing" test "$(counts /dir/other)" = "0 0 0 0 0"
check "in the table, too" says '^ +10000 +10000 +10000 +625K +- /pool$' "$softpmem" stat
check "there is no pool that was not used" test "$("$softpmem" stat | grep -c /)" -eq 1
count dir/other 100
check "of a directory, what is in it" says '^ +100 .* /dir/other$' "$softpmem" stat /dir
check "and nothing else" test "$("$softpmem" stat /dir | grep -c /)" -eq 1
check "of several" test "$("$softpmem" stat /pool /dir/other | grep -c /)" -eq 2
check_fails "of one that is not there" 'No such file' "$softpmem" stat /pool /nothing
PMEM_NO_FLUSH=1 count pool 1000
check "fences without flushes make nothing durable" test "$(counts /pool)" = "10000 10000 10000 640000 0"

count pool 10000
check "lines that were clean are not counted at first" test "$(member clean_lines /pool)" = 0
check "they are counted from now on" json_says '"counts_clean":true' --clean on
count pool 10000
check "all of them were flushed for nothing" test "$(counts /pool)" = "30000 30000 30000 1920000 10000"
dd if=/dev/zero of="$mnt/pool" bs=1M count=1 conv=notrunc,fsync status=none
count pool 10000
check "negative control: and none of other bytes" test "$(member clean_lines /pool)" = 10000
"$softpmem" stat --clean off >/dev/null
count pool 10000
check "and no more" test "$(member clean_lines /pool)" = 10000

before=$(counts /pool)
"$softpmem" powerfail >/dev/null
check "counts go on over a power failure" test "$(counts /pool)" = "$before"
check "nothing is dirty" test "$(member volatile_lines --dirty /pool)" = 0
run "$survivor" store "$mnt/pool"
check "stored and not flushed: 8 lines are dirty" test "$(member volatile_lines --dirty /pool)" = 8
check "in the table" says ' DIRTY POOL' "$softpmem" stat --dirty /pool
check "not unless it is asked for" test -z "$(member volatile_lines /pool)"
"$softpmem" powerfail >/dev/null
check "and not after a power failure" test "$(member volatile_lines --dirty /pool)" = 0

# ---- Processes ----------------------------------------------------------------------

check "nobody is connected" json_says '"clients":\[\]'
mkfifo "$work/pipe"
"$softpmem" run -- "$survivor" count "$mnt/pool" 1000000000 >"$work/pipe" &
client=$!
at_exit+=("kill $client")
exec 5<"$work/pipe"
read -r _ <&5
cat <&5 >/dev/null &
at_exit+=("kill $!")
check "a process is" says "^ +[0-9]+ .*% +1 +$(id -u) +$client survivor\$" "$softpmem" stat
check "in JSON" json_says '"comm":"survivor"'

# ---- Again and again -----------------------------------------------------------------

follow() { timeout 60 "$softpmem" stat --follow --interval 0.1 "$@"; }
lines() { follow "$@" | head -n 4 >"$work/lines"; cat "$work/lines"; [ "$(wc -l <"$work/lines")" -eq 4 ]; }
check "a line each time" lines
check "under a head" says '^TIME +PERSISTS/S .* RING CLIENTS$' head -n 1 "$work/lines"
check "somebody persists" grep -Eq '^[0-9:]+ +[1-9][0-9]* .*% 1$' "$work/lines"
check "an object each time" lines --json --dirty
rates='"persists_per_second":[1-9].*' dirty='"volatile_lines":.*'
check "with rates" test "$(grep -Ec "^\{.*$rates$dirty\}$|^\{.*$dirty$rates\}$" "$work/lines")" -eq 4

# A terminal: 7 lines high, which has room for the pool that moves most, and then 24.
screen=$work/screen
terminal() {
	TERM=$1 script -qec "stty rows 7 cols 100; (until [ -s $work/tall ]; do sleep 0.05; done
		stty rows 24 cols 100 <&1) & exec $softpmem stat --follow --interval 0.1" \
		/dev/null <"$work/keys" >"$screen" 2>&1
}
shows() {
	for _ in $(seq 600); do
		grep -aEq -- "$1" "$screen" && return 0
		sleep 0.05
	done
	sed -n l "$screen"
	return 1
}
end_terminal() {
	wait "$watcher"
}
if command -v script >/dev/null && [ -e /dev/ptmx ]; then
	mkfifo "$work/keys"
	: >"$screen"
	: >"$work/tall"
	terminal xterm &
	watcher=$!
	exec 6>"$work/keys"
	check "a terminal is filled" shows 'PERSISTS/S'
	check "with what moves" shows '/pool'
	check "and the process" shows "$client survivor"
	check "there is no room for the other pool" test "$(grep -ac "/dir/other" "$screen")" -eq 0
	echo yes >"$work/tall"
	check "there is in a larger window" shows "/dir/other"
	printf q >&6
	check "q quits" end_terminal
	exec 6>&-
	: >"$screen"
	terminal xterm &
	watcher=$!
	exec 6>"$work/keys"
	check "a terminal is filled again" shows 'PERSISTS/S'
	kill "$client"
	check "the daemon stops" daemon_stop
	end_terminal
	check "the view ends" test $? -eq 1
	check "and says why" shows 'softpmem: .*no daemon answers'
	exec 6>&-
	daemon_start --region memfd:64M || bail "no daemon"
	: >"$screen"
	terminal no-such-terminal &
	watcher=$!
	exec 6>"$work/keys"
	check "a terminal that nobody knows gets lines" shows '^[0-9:]+ +0 +0 +0 .*% 0'
	kill "$watcher"
	exec 6>&-
else
	skip "the live view" "there are no pseudo terminals"
fi
finish
