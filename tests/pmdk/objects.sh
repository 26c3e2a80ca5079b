#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A libpmemobj program, cut at its fences: what is left is consistent and complete. See
# objects_cuts.c.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
# shellcheck source=tests/pmdk/objects.bash
. "$abs_top_srcdir/tests/pmdk/objects.bash"
pool=$mnt/pool
rounds stride 13 1
rounds lose_stride 5 1

daemon_start --region memfd:32M || bail "no daemon"
check "a pool that is cut at fences with lose is consistent" \
	cut_at_fences $((100 / lose_stride)) lose "$lose_stride" "$pool" "$pool"
note_cuts
check "a pool that is cut at fences with random is consistent" \
	cut_at_fences $((140 / stride)) random "$stride" "$pool" "$pool"
note_cuts
check "a pool that is cut at fences with keep is consistent" \
	cut_at_fences $((140 / stride)) keep "$stride" "$pool" "$pool"
note_cuts
export SOFTPMEM_TEST_SKIP_FLUSH=7
check_fails "negative control: with one flush in seven left out the checker fails" "$judge_says" \
	cut_at_fences $((100 / lose_stride)) lose "$lose_stride" "$pool" "$pool"
finish
