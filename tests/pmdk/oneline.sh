#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Two threads that flush one line at once, ten million times each. See oneline.c.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

daemon_start --region memfd:64M || bail "no daemon"
"$softpmem" create --size 1M pool
oneline() {
	"$softpmem" run -- "${faulty[@]}" "$abs_top_builddir/tests/pmdk/oneline" "$softpmem" "$mnt/pool" "$@"
}

check "two threads that flush one line 10000000 times each never leave less than was fenced" \
	oneline 10000000 50
note "$(cat "$work/check.out")"
export SOFTPMEM_TEST_SKIP_FLUSH=7
check_fails "negative control: with one flush in seven left out an older value is reported" \
	"it is older" oneline 1000000 100 1
finish
