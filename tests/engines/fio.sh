#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# fio writes blocks and verifies their crc32c, with write(2), a mapping and direct asynchronous I/O. Synced
# blocks survive a power failure.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
# shellcheck source=tests/engines/cuts.bash
. "$abs_top_srcdir/tests/engines/cuts.bash"
needs fio fio

# job NAME OPTION...: write blocks of many sizes in random order, each with its checksum.
job() {
	local name=$1
	shift
	(cd "$work" && fio --name="$name" --filename="$mnt/$name" --size=12M --rw=randwrite --bsrange=4k-64k \
		--bs_unaligned=0 --verify=crc32c --verify_fatal=1 --randseed="$seed" --output-format=terse \
		--output="$work/$name.out" "$@")
}

options_of() {
	case $1 in
	psync) echo --ioengine=psync ;;
	mmap) echo --ioengine=mmap ;;
	libaio) echo --ioengine=libaio --direct=1 --iodepth=16 ;;
	esac
}

replay_note
daemon_start --region memfd:256M || bail "the daemon does not start"
for engine in psync mmap libaio; do
	read -r -a options <<<"$(options_of $engine)"
	check "fio $engine: every written block verifies" job "$engine" "${options[@]}"
	check "fio $engine: a job writes and syncs" \
		job "$engine-synced" "${options[@]}" --do_verify=0 --end_fsync=1
	check "fio $engine: a job writes and does not sync" \
		job "$engine-unsynced" "${options[@]}" --do_verify=0 \
		--fallocate=none
done
check "the power fails" cut lose
for engine in psync mmap libaio; do
	read -r -a options <<<"$(options_of $engine)"
	check "fio $engine: every synced block verifies after the power failure" \
		job "$engine-synced" "${options[@]}" --verify_only
	check_fails "fio $engine: unsynced blocks do not verify after the power failure" '' \
		job "$engine-unsynced" "${options[@]}" --verify_only
done
check "the daemon stops cleanly" daemon_stop
finish
