#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Processes made in every way that libc has: see forks.c.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
forks=$abs_top_builddir/tests/e2e/forks

daemon_start --region memfd:64M || bail "the daemon does not start"
"$softpmem" create --size 64K pool
relay "$softpmem" run -- "$forks" make "$mnt/pool"
check "the power fails" "$softpmem" powerfail --policy lose
relay "$softpmem" run -- "$forks" check "$mnt/pool"
"$softpmem" create --size 64K recorded
relay "$softpmem" record -o "$work/trace" -- "$forks" make "$mnt/recorded"
check "the power fails again" "$softpmem" powerfail --policy lose
relay "$softpmem" run -- "$forks" check "$mnt/recorded"
check "the daemon stops cleanly" daemon_stop
finish
