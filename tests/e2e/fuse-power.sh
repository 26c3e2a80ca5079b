#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Power failures under open files, mappings and load.
. "$abs_top_srcdir/tests/lib.sh"

powercut=$abs_top_builddir/tests/e2e/powercut

daemon_start --region memfd:64M || bail "no daemon"
relay "$powercut" effects "$mnt" "$softpmem"
relay "$powercut" storm "$mnt" "$softpmem" 40
check "the region is sound afterwards" "$softpmem" check
check "and the daemon stops" daemon_stop

note "with one thread, which must never be the one that waits"
daemon_start --region memfd:64M --threads 1 || bail "no daemon"
relay "$powercut" storm "$mnt" "$softpmem" 20
check "and the daemon stops" daemon_stop
finish
