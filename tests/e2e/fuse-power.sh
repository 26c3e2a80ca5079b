#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Power failures under open files, mappings and load.
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

powercut=$abs_top_builddir/tests/e2e/powercut

daemon_start --region memfd:64M --metadata durable || bail "no daemon"
relay "$powercut" effects "$mnt" "$softpmem"
relay "$powercut" storm "$mnt" "$softpmem" 40
check "check finds no damage after the power failures" "$softpmem" check
check "the daemon stops cleanly" daemon_stop

# What a seed leaves is a promise over versions: these are the bytes that 0.1.0 left.
seeded() { # seeded MD5 DIRECTORY OPTION...
	local md5=$1 directory=$2
	shift 2
	daemon_start "$@" || return 1
	yes old | head -c 65536 >"$directory/seeded"
	sync "$directory/seeded"
	yes new | head -c 65536 | dd of="$directory/seeded" conv=notrunc bs=64k status=none
	"$softpmem" powerfail --policy random --seed 12345 >/dev/null
	md5sum <"$directory/seeded"
	md5sum <"$directory/seeded" | grep -q "$md5"
	local same=$?
	daemon_stop && return "$same"
}
check "a seed leaves the same bytes as in earlier versions" \
	seeded a74d01a85d25f378c976f6545a17f687 "$mnt" --region memfd:64M
check "a seed leaves the same sectors as in earlier versions" \
	seeded 983516ac24592d6847f96e5c4a46abf9 "$mnt" --region memfd:64M --mode sector:512
check "a seed leaves the same bytes of one of two regions as in earlier versions" \
	seeded 8074896c69ca33943243461449833d3d "$mnt/beta" \
	--region memfd:64M --label alpha --region memfd:64M --label beta

note "with one thread, which must never be the one that waits"
daemon_start --region memfd:64M --metadata durable --threads 1 || bail "no daemon"
relay "$powercut" storm "$mnt" "$softpmem" 20
check "the daemon with one worker stops cleanly" daemon_stop
finish
