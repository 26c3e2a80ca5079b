#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The memory of a region follows what its files hold, and not what they once held.
. "${abs_top_srcdir:?}/tests/lib.sh" || exit 1
needs_fuse

daemon_start --region memfd:512M --metadata durable || bail "the daemon does not start"

# The memory of the region, in MiB.
memory() {
	local fd
	for fd in "/proc/$daemon_pid/fd"/*; do
		case $(readlink "$fd") in
		*memfd:softpmem-region*) echo $(($(stat -L -c %b "$fd") / 2048)) ;;
		esac
	done
}
memory_is_below() { [ "$(memory)" -lt "$1" ]; }

before=$(memory)
dd if=/dev/zero bs=1M count=80 status=none | tr '\0' 'x' >"$mnt/file"
sync "$mnt/file"
check "a file of 80 MiB takes 80 MiB" test "$(memory)" -ge $((before + 80))
printf stays >"$mnt/stays"
sync "$mnt/stays"
rm "$mnt/file"
check "the memory of a removed file is given back" await memory_is_below $((before + 4))

mkdir "$mnt/many"
for i in $(seq 2000); do
	: >"$mnt/many/$i"
done
entries=$(memory)
check "2000 files take memory for their entries" test "$entries" -gt "$before"
rm -r "$mnt/many"
check "the table's memory is given back" await memory_is_below $((before + 2))

dd if=/dev/zero bs=1M count=32 status=none | tr '\0' 'y' >"$mnt/file"
sync "$mnt/file"
sum=$(sha256sum <"$mnt/file")
sleep 2
"$softpmem" powerfail --policy lose >/dev/null
check "a file that is there keeps its bytes" test "$(sha256sum <"$mnt/file")" = "$sum"
check "its neighbour keeps its bytes" test "$(cat "$mnt/stays")" = stays
check "the region is sound" "$softpmem" check
check "the daemon stops cleanly" daemon_stop
finish
