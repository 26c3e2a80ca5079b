#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# softpmem stat: what is counted, that it stays, and the live view.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
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

check "stat of an unused daemon shows no pool" json_says '"pools":\[\]'
count pool 10000
check "stat counts what a program persisted" test "$(counts /pool)" = "10000 10000 10000 640000 0"
check "stat of an unused pool shows zeros" test "$(counts /dir/other)" = "0 0 0 0 0"
check "the table of stat shows the counts" says '^ +10000 +10000 +10000 +625K +- /pool$' "$softpmem" stat
check "the table of stat does not show unused pools" test "$("$softpmem" stat | grep -c /)" -eq 1
count dir/other 100
check "stat of a directory shows the pools below it" says '^ +100 .* /dir/other$' "$softpmem" stat /dir
check "stat of a directory shows no other pool" test "$("$softpmem" stat /dir | grep -c /)" -eq 1
check "stat takes several paths" test "$("$softpmem" stat /pool /dir/other | grep -c /)" -eq 2
check_fails "stat refuses a path that does not exist" 'No such file' "$softpmem" stat /pool /nothing
PMEM_NO_FLUSH=1 count pool 1000
check "fences without flushes are not counted" test "$(counts /pool)" = "10000 10000 10000 640000 0"

count pool 10000
check "clean lines are not counted at first" test "$(member clean_lines /pool)" = 0
check "stat --clean on turns the count of clean lines on" json_says '"counts_clean":true' --clean on
count pool 10000
check "lines that were flushed without a change count as clean" \
	test "$(counts /pool)" = "30000 30000 30000 1920000 10000"
dd if=/dev/zero of="$mnt/pool" bs=1M count=1 conv=notrunc,fsync status=none
count pool 10000
check "negative control: lines that were changed do not count as clean" \
	test "$(member clean_lines /pool)" = 10000
"$softpmem" stat --clean off >/dev/null
count pool 10000
check "a later flush of changed lines does not count as clean" test "$(member clean_lines /pool)" = 10000

before=$(counts /pool)
"$softpmem" powerfail >/dev/null
check "counts go on over a power failure" test "$(counts /pool)" = "$before"
check "stat --dirty shows no volatile line after a power failure" \
	test "$(member volatile_lines --dirty /pool)" = 0
run "$survivor" store "$mnt/pool"
check "stat --dirty shows 8 lines that were stored and not flushed" \
	test "$(member volatile_lines --dirty /pool)" = 8
check "the table of stat --dirty has a column for them" says ' DIRTY POOL' "$softpmem" stat --dirty /pool
check "stat without --dirty does not count volatile lines" test -z "$(member volatile_lines /pool)"
"$softpmem" powerfail >/dev/null
check "a power failure leaves no volatile line" test "$(member volatile_lines --dirty /pool)" = 0

# ---- Processes ----------------------------------------------------------------------

check "stat shows no client at first" json_says '"clients":\[\]'
mkfifo "$work/pipe"
"$softpmem" run -- "$survivor" count "$mnt/pool" 1000000000 >"$work/pipe" &
client=$!
at_exit+=("kill $client")
exec 5<"$work/pipe"
read -r _ <&5
cat <&5 >/dev/null &
at_exit+=("kill $!")
check "stat shows a connected process" says "^ +[0-9]+ .*% +1 +$(id -u) +$client survivor\$" "$softpmem" stat
check "stat --json shows a connected process" json_says '"comm":"survivor"'

# ---- Again and again -----------------------------------------------------------------

follow() { timeout 60 "$softpmem" stat --follow --interval 0.1 "$@"; }
lines() { follow "$@" | head -n 4 >"$work/lines"; cat "$work/lines"; [ "$(wc -l <"$work/lines")" -eq 4 ]; }
check "stat --follow prints a line for each interval" lines
check "stat --follow prints a heading" says '^TIME +PERSISTS/S .* RING CLIENTS$' head -n 1 "$work/lines"
check "a line of stat --follow shows persists" grep -Eq '^[0-9:]+ +[1-9][0-9]* .*% 1$' "$work/lines"
check "stat --follow --json prints an object for each interval" lines --json --dirty
rates='"persists_per_second":[1-9].*' dirty='"volatile_lines":.*'
check "the objects of stat --follow have rates" \
	test "$(grep -Ec "^\{.*$rates$dirty\}$|^\{.*$dirty$rates\}$" "$work/lines")" -eq 4

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
	check "stat --follow fills a terminal" shows 'PERSISTS/S'
	check "the view shows the pool that is written to" shows '/pool'
	check "the view shows the process" shows "$client survivor"
	check "the view leaves out what does not fit" test "$(grep -ac "/dir/other" "$screen")" -eq 0
	echo yes >"$work/tall"
	check "the view uses a larger window" shows "/dir/other"
	printf q >&6
	check "the key q ends the view" end_terminal
	exec 6>&-
	: >"$screen"
	terminal xterm &
	watcher=$!
	exec 6>"$work/keys"
	check "stat --follow fills a terminal again" shows 'PERSISTS/S'
	kill "$client"
	check "the daemon stops" daemon_stop
	end_terminal
	check "the view ends with status 1 when the daemon stops" test $? -eq 1
	check "the view says that no daemon answers" shows 'softpmem: .*no daemon answers'
	exec 6>&-
	daemon_start --region memfd:64M || bail "no daemon"
	: >"$screen"
	terminal no-such-terminal &
	watcher=$!
	exec 6>"$work/keys"
	check "stat --follow prints lines on an unknown terminal" shows '^[0-9:]+ +0 +0 +0 .*% 0'
	kill "$watcher"
	exec 6>&-
	: >"$screen"
	terminal dumb &
	watcher=$!
	exec 6>"$work/keys"
	check "stat --follow prints lines on a dumb terminal" shows '^[0-9:]+ +0 +0 +0 .*% 0'
	kill "$watcher"
	exec 6>&-
else
	skip "the live view" "there are no pseudo terminals"
fi
finish
