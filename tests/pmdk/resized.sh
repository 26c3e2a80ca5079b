#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Pools that are truncated, punched and grown while a program has them mapped: see resized.c.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

daemon_start --region memfd:64M || bail "no daemon"
pool=$mnt/pool
resized() { "$softpmem" run -- "${faulty[@]}" "$abs_top_builddir/tests/pmdk/resized" "$@"; }

# outage_after STEP WAY VERIFY: the power fails right after the program has ended.
outage_after() {
	rm -f "$pool"
	resized "$1" "$pool" "$2" || return 1
	"$softpmem" powerfail --policy lose >/dev/null || return 1
	"$abs_top_builddir/tests/pmdk/resized" "$3" "$pool" "$2"
}
for way in truncate-grow truncate-fallocate truncate-write truncate-in-page punch punch-fallocate \
	punch-write zero-range grow-under-mapping write-under-mapping grow-and-mremap; do
	check "$way: what was persisted before is not in the place, not even after a power failure" \
		outage_after change "$way" verify-zero
	check "$way: what is persisted in the place afterwards survives a power failure" \
		outage_after store "$way" verify-stored
done
export SOFTPMEM_TEST_SKIP_FLUSH=1
check_fails "negative control: without its flush the byte is lost" "is 0, not 81" \
	outage_after store truncate-grow verify-stored
unset SOFTPMEM_TEST_SKIP_FLUSH

# The region has 64 MiB: the pool is the only thing in it.
grown() {
	rm -f "$pool"
	resized change "$pool" truncate-write && sync "$pool"
}
check "a pool that was cut and written again under a mapping can be synced" grown
check "check finds no damage" "$softpmem" check
check "the daemon stops cleanly" daemon_stop
finish
