#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The same on poolsets, of three parts and with a replica, cut at fences.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
# shellcheck source=tests/pmdk/objects.bash
. "$abs_top_srcdir/tests/pmdk/objects.bash"

# set_of NAME LINE...
set_of() {
	printf '%s\n' PMEMPOOLSET "${@:2}" >"$work/$1.set"
}

rounds stride 13 1

daemon_start --region memfd:64M || bail "no daemon"
parts=("$mnt/part1" "$mnt/part2" "$mnt/part3")
set_of parts "2M ${parts[0]}" "4M ${parts[1]}" "4M ${parts[2]}"
check "a pool set of three parts that is cut at fences is consistent" \
	cut_at_fences $((140 / stride)) lose "$stride" "$work/parts.set" "${parts[@]}"
note_cuts
rm -f "${parts[@]}"

if command -v pmempool >/dev/null; then
	set_of replica "8M $mnt/part" REPLICA "8M $mnt/copy"
	set_of alone "8M $mnt/part"
	export OBJECTS_ALONE=$work/alone.set
	check "a pool set with a replica that is cut at fences is consistent" \
		cut_at_fences $((140 / stride)) lose "$stride" "$work/replica.set" "$mnt/part" "$mnt/copy"
	note_cuts
	unset OBJECTS_ALONE
	rm -f "$mnt/part" "$mnt/copy"
else
	skip "one with a replica" "no pmempool"
fi

export SOFTPMEM_TEST_SKIP_FLUSH=7
check_fails "negative control: with one flush in seven left out the checker fails on three parts" \
	"$judge_says" \
	cut_at_fences $((140 / stride)) lose "$stride" "$work/parts.set" "${parts[@]}"
finish
