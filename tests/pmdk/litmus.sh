#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The persistency model through libpmem, threads and power failures: see litmus.c.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
litmus=$abs_top_builddir/tests/pmdk/litmus
seeds=8

# leaves POLICY [OPTION...]: all rows, a power failure, and what is left is legal.
leaves() {
	local policy=$1 program
	rm -f "$mnt/pool"
	"$softpmem" create --size 1M pool || return 1
	: >"$work/said"
	"$softpmem" run -- "${faulty[@]}" "$litmus" run "$mnt/pool" >"$work/said" &
	program=$!
	for _ in $(seq 1200); do
		[ ! -s "$work/said" ] || break
		sleep 0.05
	done
	"$softpmem" powerfail --policy "$@" >/dev/null || return 1
	wait "$program" 2>/dev/null
	[ -s "$work/said" ] || { echo "the program did not come to its end"; return 1; }
	"$softpmem" run -- "$litmus" judge "$mnt/pool" "$policy"
}

daemon_start --region memfd:64M || bail "no daemon"
for policy in lose keep; do
	check "$policy: each of the $("$litmus" rows) rows is as the model says" leaves "$policy"
done
: >"$work/states"
for ((seed = 1; seed <= seeds; seed++)); do
	check "random with seed $seed leaves a legal state of each row" leaves random --seed "$seed"
	tail -n 1 "$work/check.out" >>"$work/states"
done
check "random leaves different states for different seeds" \
	test "$(sort -u "$work/states" | wc -l)" -gt $((seeds / 2))
export SOFTPMEM_TEST_SKIP_FLUSH=1
check_fails "negative control: without flushes a persist is reported as missing" \
	"a persist: 0, not 1" leaves lose
unset SOFTPMEM_TEST_SKIP_FLUSH
daemon_stop

daemon_start --region memfd:64M --domain cpu_cache || bail "no daemon"
check "under eADR every store is durable except a non-temporal one without a fence" leaves lose
finish
