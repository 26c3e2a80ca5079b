#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What PMDK and fio ship, unmodified: pmempool, fio's libpmem engine.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

daemon_start --region memfd:256M || bail "no daemon"
run() { "$softpmem" run -- "$@"; }
cut_power() { "$softpmem" powerfail --policy lose >/dev/null; }

# pool_of KIND [OPTION...]: pmempool's verbs on it, with a power failure among them.
pool_of() {
	local kind=$1 pool=$mnt/$1
	check "pmempool create works on a pool of kind $kind" run pmempool create --size 20M "$@" "$pool"
	check "pmempool info works on a pool of kind $kind" run pmempool info "$pool"
	check "pmempool check passes on a pool of kind $kind" run pmempool check "$pool"
	cut_power
	check "pmempool check passes on a pool of kind $kind after a power failure" run pmempool check "$pool"
	[ "$kind" = obj ] || check "pmempool dump works on a pool of kind $kind" run pmempool dump "$pool"
	dd if=/dev/urandom of="$pool" bs=64 count=64 conv=notrunc status=none
	check_fails "negative control: pmempool check fails on a damaged pool of kind $kind" \
		. run pmempool check "$pool"
	check "pmempool rm works on a pool of kind $kind" run pmempool rm -f "$pool"
	check "pmempool rm removes the pool of kind $kind" test ! -e "$pool"
}

if command -v pmempool >/dev/null; then
	pool_of obj --layout test
	pool_of blk 512
	pool_of log
else
	skip "pmempool" "not installed"
fi

# Through the mount: libpmem's engine would write the file anew first.
verify() {
	fio --name=verify --filename="$1" --size=8M --bs=4k --rw=read --ioengine=psync --verify=crc32c \
		--verify_state_save=0
}
if fio --enghelp 2>/dev/null | grep -q libpmem; then
	for jobs in 1 2 4; do
		check "fio writes at random and verifies with $jobs jobs" run fio --name=job \
			--directory="$mnt" --size=8M --bs=4k --rw=randwrite --ioengine=libpmem --direct=1 \
			--sync=1 --verify=crc32c --verify_state_save=0 --numjobs="$jobs"
		cut_power
		for file in "$mnt"/job.*; do
			check "all blocks of ${file##*/} verify after a power failure" verify "$file"
		done
	done
	dd if=/dev/urandom of="$mnt/job.0.0" bs=4k seek=7 count=1 conv=notrunc status=none
	check_fails "negative control: fio reports changed bytes" "verify|crc" verify "$mnt/job.0.0"
else
	skip "fio" "without its libpmem engine"
fi
finish
