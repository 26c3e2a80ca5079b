#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Programs of libpmemblk and libpmemlog, cut at their fences: see blocks.c.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
pool=$mnt/pool
steps=16
rounds stride 4 1

run() { "$softpmem" run -- "${faulty[@]}" "$@"; }
compile() {
	${CC:-cc} -O1 -Wall -o "$work/blocks" "$abs_top_srcdir/tests/pmdk/blocks.c" -lpmemblk -lpmemlog
}
if ! compile 2>"$work/compile.log"; then
	skip "libpmemblk and libpmemlog" "not installed: $(head -n 1 "$work/compile.log")"
	finish
fi
daemon_start --region memfd:128M || bail "no daemon"

# cut_all KIND: at every $stride-th fence of the run, each time from the pool as it was after the first step:
# the first write to a block lays out all of them.
cut_all() {
	local kind=$1 n cuts status
	rm -f "$pool"
	: >"$work/journal"
	SOFTPMEM_TEST_SKIP_FLUSH=0 run "$work/blocks" run "$kind" "$pool" "$work/journal" 1 || return 1
	cp "$pool" "$work/base"
	cuts=0
	for ((n = 1; ; n += stride)); do
		dd if="$work/base" of="$pool" bs=1M conv=notrunc,fsync status=none || return 1
		printf . >"$work/journal"
		SOFTPMEM_TEST_CUT_AT=$n run "$work/blocks" run "$kind" "$pool" "$work/journal" "$steps"
		status=$?
		"$softpmem" powerfail --policy lose >/dev/null || return 1
		if ! SOFTPMEM_TEST_SKIP_FLUSH=0 run "$work/blocks" check "$kind" "$pool" "$work/journal"; then
			echo "cut at fence $n"
			return 1
		fi
		[ "$status" -eq 137 ] || break
		cuts=$((cuts + 1))
	done
	[ "$status" -eq 0 ] && [ "$(stat -c %s "$work/journal")" -eq "$steps" ] || return 1
	echo "$cuts cuts" >"$work/cuts"
	[ "$cuts" -gt $((steps / stride)) ]
}

for kind in blk log; do
	check "a libpmem$kind pool that is cut at its fences is consistent" cut_all "$kind"
	note "$(cat "$work/cuts")"
	export SOFTPMEM_TEST_SKIP_FLUSH=2
	check_fails "negative control: with every second flush left out the checker fails" \
		"torn|was written|were written|not consistent|^blocks: " cut_all "$kind"
	unset SOFTPMEM_TEST_SKIP_FLUSH
done
finish
