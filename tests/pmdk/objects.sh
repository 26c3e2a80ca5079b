#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A libpmemobj program, cut at its fences: what is left is consistent and complete. See objects.c.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
objects=$abs_top_builddir/tests/pmdk/objects
pool=$mnt/pool
steps=24
# Every fence takes minutes; SOFTPMEM_TEST_LONG=1 does that.
stride=5
[ "${SOFTPMEM_TEST_LONG:-0}" = 0 ] || stride=1

daemon_start --region memfd:32M || bail "no daemon"
run() { "$softpmem" run -- "$@"; }

check "a pool is created" run "$objects" create "$pool"
"$softpmem" powerfail >/dev/null
cp "$pool" "$work/base"
touch "$work/journal"
check "and survives a power failure" run "$objects" check "$pool" "$work/journal"

# cut N POLICY...: run until the Nth fence, or to the end, and lose power.
# 1: the run came to its end; 2: it failed.
cut() {
	local n=$1 status=0
	shift
	cp "$work/base" "$pool" || return 2
	: >"$work/journal"
	SOFTPMEM_TEST_CUT_AT=$n run "$objects" run "$pool" "$work/journal" "$steps" || status=$?
	"$softpmem" powerfail --policy "$@" >/dev/null || return 2
	case $status in
	137) return 0 ;;
	0) return 1 ;;
	*) return 2 ;;
	esac
}

# cut_all FROM POLICY: at every stride'th fence of the run. Fails at the first pool that is not right.
cut_all() {
	local n=$1 policy=("$2") status
	cuts=0
	while :; do
		[ "$2" != random ] || policy=(random --seed "$n")
		cut "$n" "${policy[@]}"
		status=$?
		if [ "$status" -ge 2 ] || ! run "$objects" check "$pool" "$work/journal"; then
			echo "cut at fence $n"
			return 1
		fi
		[ "$status" -eq 0 ] || return 0
		cuts=$((cuts + 1))
		n=$((n + stride))
	done
}

check "cut at fences, what was not flushed is lost" cut_all 1 lose
note "$cuts cuts"
check "that was often" test "$cuts" -gt 40
stride=$((stride * 3))
check "cut at fences, each line by a coin" cut_all 2 random
check "cut at fences, caches were written back" cut_all 3 keep

export SOFTPMEM_TEST_SKIP_FLUSH=7
check_fails "negative control: with one flush in seven left out the judge sees it" \
	"committed|damaged|torn|published|pmemobj_check says|open:|exception|fault|Aborted" cut_all 1 lose
finish
