#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Two threads that flush one line at once, ten million times each. See oneline.c.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1

daemon_start --region memfd:64M || bail "no daemon"
"$softpmem" create --size 1M pool
oneline() { "$softpmem" run -- "$abs_top_builddir/tests/pmdk/oneline" "$softpmem" "$mnt/pool" "$@"; }

check "10,000,000 flushes of one line by two threads each, cut 50 times: never older than fenced" \
	oneline 10000000 50
note "$(cat "$work/check.out")"
export SOFTPMEM_TEST_SKIP_FLUSH=7
check_fails "negative control: one flush in seven left out, and it is" "it is older" oneline 1000000 100 1
finish
