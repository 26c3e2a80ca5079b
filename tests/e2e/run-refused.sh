#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A daemon that has no place for a program: the program does not run without persistent memory by accident.
# shellcheck disable=SC2016 # what is quoted is for an inner shell
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
survivor=$abs_top_builddir/tests/pmdk/survivor

ulimit -n 8192 || bail "the limit of descriptors cannot be raised"
daemon_start --region memfd:64M || bail "the daemon does not start"
"$softpmem" create --size 1M pool

# run_later NAME OPTION...: a program under run that maps the pool once NAME.go has a line.
run_later() {
	local name=$1
	shift
	mkfifo "$work/$name.go"
	"$softpmem" run "$@" -- sh -c 'echo started && read -r line <"$1" && exec "$2" count "$3" 10' \
		sh "$work/$name.go" "$survivor" "$mnt/pool" >"$work/$name.out" 2>"$work/$name.err" &
	started=$!
}
has_line() { grep -q "$@"; }
run_later late
late=$started
run_later allowed --allow-unattached
allowed=$started
await has_line started "$work/late.out" || bail "the program does not start"
await has_line started "$work/allowed.out" || bail "the program does not start"

mkfifo "$work/crowd"
"$abs_top_builddir/tests/e2e/crowd" 1024 <"$work/crowd" >"$work/crowd.out" &
crowd=$!
exec 5>"$work/crowd"
await has_line held "$work/crowd.out"
check "one process holds all 1,024 attach connections" has_line 'held 1024' "$work/crowd.out"
check_fails "run prints the daemon's reason if it cannot attach" \
	'refuses to attach the program: .*(places|clients)' "$softpmem" run touch "$work/ran"
check "run does not start a program that cannot attach" test ! -e "$work/ran"
check "run --allow-unattached starts a program that cannot attach" \
	"$softpmem" run --allow-unattached touch "$work/ran"
check "a program that was started with --allow-unattached has run" test -e "$work/ran"

echo go >"$work/late.go"
wait "$late"
check "a program that cannot attach when it first maps a pool ends with status 1" test $? -eq 1
check "a program that cannot attach prints the daemon's reason" \
	grep -Eq '^softpmem: the daemon cannot be reached: .*(places|clients)' "$work/late.err"
check "a program that cannot attach has persisted nothing" test "$(cat "$work/late.out")" = started
echo go >"$work/allowed.go"
wait "$allowed"
check "a program that runs with --allow-unattached maps the file on the mount" test $? -eq 0
check "a program that runs with --allow-unattached prints the daemon's reason too" \
	grep -q '^softpmem: the daemon cannot be reached' "$work/allowed.err"

exec 5>&-
wait "$crowd"
attaches() { "$softpmem" run true 2>/dev/null; }
check "once the other process has ended, run attaches" await attaches
check "negative control: then a program maps the pool" "$softpmem" run "$survivor" count "$mnt/pool" 10

# Who is recorded shares locks with all others that are.
check "a program and the programs that it starts are recorded" \
	"$softpmem" record -o "$work/trace" -- sh -c '"$@"; exit' sh "$survivor" count "$mnt/pool" 10
check_fails "a process that does not know the recording's key is not recorded, and ends" \
	'this process cannot be recorded, and ends: not a process of the program that is recorded' \
	"$softpmem" record -o "$work/trace" -- env SOFTPMEM_RECORD=1 "$survivor" count "$mnt/pool" 10
check "the daemon stops cleanly" daemon_stop
finish
