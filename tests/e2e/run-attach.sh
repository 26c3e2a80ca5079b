#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Clients that map pools: what becomes of their stores, and of them.
. "$abs_top_srcdir/tests/lib.sh" || exit 1

attached=$abs_top_builddir/tests/e2e/attached

daemon_start --region memfd:64M || bail "the daemon does not start"
check "fates" "$attached" fates "$mnt" "$softpmem"
check "killed at any moment" "$attached" killed "$mnt" "$softpmem" 100
check "mount and mapping agree" "$abs_top_builddir/tests/e2e/agreement" "$mnt" "$softpmem"
check "the region is sound" "$softpmem" check
check "the daemon stops cleanly" daemon_stop

daemon_start --region memfd:64M --domain cpu_cache || bail "the daemon does not start"
check "eADR" "$attached" battery "$mnt" "$softpmem"
check "the daemon stops cleanly" daemon_stop
check "and leaves no socket" test ! -e "$socket.attach"
finish
