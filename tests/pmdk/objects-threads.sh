#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The same with 4 threads, cut at moments of their work, with each policy in turn.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
# shellcheck source=tests/pmdk/objects.bash
. "$abs_top_srcdir/tests/pmdk/objects.bash"
pool=$mnt/pool

rounds moments 13 200

daemon_start --region memfd:32M || bail "no daemon"
check "a pool of 4 threads that is cut at $moments moments is consistent" \
	cut_at_moments "$moments" "$pool" "$pool"
note_cuts
export SOFTPMEM_TEST_SKIP_FLUSH=7
check_fails "negative control: with one flush in seven left out the checker fails" "$judge_says" \
	cut_at_moments "$moments" "$pool" "$pool"
finish
