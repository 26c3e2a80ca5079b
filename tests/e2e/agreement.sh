#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# One truth: the mount and the mappings of one pool. See agreement.c and pairings.c.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

daemon_start --region memfd:64M --metadata durable || bail "no daemon"
relay "$abs_top_builddir/tests/e2e/agreement" "$mnt" "$softpmem"
relay "$softpmem" run -- "$abs_top_builddir/tests/e2e/pairings" "$mnt" "$softpmem"
check "the region is sound" "$softpmem" check
finish
