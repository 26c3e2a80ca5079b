#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Sparse pools that are larger than their region, and msync of mappings that are mostly holes: see larger.c.
# shellcheck source=tests/lib.sh
. "${abs_top_srcdir:?}/tests/lib.sh" || exit 1
needs_fuse

daemon_start --region memfd:64M || bail "no daemon"
pool=$mnt/pool
program=$abs_top_builddir/tests/pmdk/larger
larger() { "$softpmem" run -- "$program" "$@"; }

# A file with a store that has no block yet shows one page.
map_takes_no_space() {
	rm -f "$pool"
	larger map "$pool" "$1" "$2" && [ "$(stat -c %b "$pool")" -le 8 ]
}
check "a file of 10 GiB is mapped in a region of 64 MiB, and takes no space" map_takes_no_space 10240 mmap
check "a file of 1 TiB is mapped" map_takes_no_space 1048576 mmap
check "a file of 10 GiB is mapped for reading" map_takes_no_space 10240 read-only
check "pmem_map_file maps a new sparse file of 4 GiB" map_takes_no_space 4096 pmem_map_file

# stored_and_lost SIZE WAY: the power fails right after the program has ended.
stored_and_lost() {
	rm -f "$pool"
	larger store "$pool" "$1" "$2" || return 1
	"$softpmem" powerfail --policy lose >/dev/null || return 1
	"$program" verify "$pool" "$1"
}
for size in 1 64 10240 1048576; do
	for way in persist msync; do
		check "$size MiB: $way makes stores to holes durable" stored_and_lost $size $way
	done
done
check_fails "negative control: without either, stores to holes are lost" "byte 100 of place 0 is 0" \
	stored_and_lost 10240 nothing
rm "$pool"

# As on a DAX file system, where such a store raises SIGBUS.
larger fill "$pool" 100 persist >/dev/null 2>&1
check "a program that persists more than the region holds is killed" test $? -eq 137
rm "$pool"
check_fails "msync of more than the region holds fails with ENOSPC" "msync: No space left" \
	larger fill "$pool" 63 msync
rm -f "$pool"
check "a program that stores as much as there is runs to its end" larger fill "$pool" 50 persist
rm "$pool"
check "the same with msync" larger fill "$pool" 50 msync
rm "$pool"

# Stores that are not persisted: as many pages of holes as the region has, and no more.
views_take_at_most() {
	local fd blocks=0
	for fd in "/proc/$daemon_pid/fd/"*; do
		case $(readlink "$fd") in
		*memfd:softpmem-view*) blocks=$((blocks + $(stat -Lc %b "$fd"))) ;;
		esac
	done
	[ "$blocks" -le $(($1 * 2048)) ]
}
mkfifo "$work/other"
exec 5<>"$work/other"
truncate -s 1M "$mnt/other"
larger inside "$mnt/other" 1 msync <&5 >"$work/other.out" &
other=$!
await test -s "$work/other.out"
(larger fill "$pool" 300 wait) >/dev/null 2>&1
check "a program that stores to more pages than the region has gets SIGBUS" test $? -eq 135
check "the log says so" \
	await grep -q 'SIGBUS to 1 processes that map the pool /pool: they stored to more' "$work/daemon.log"
check "what was too much of that is taken back" await views_take_at_most 65
(
	trap '' BUS
	larger fill "$mnt/second" 300 wait
) >/dev/null 2>&1
check "one that ignores SIGBUS is killed" test $? -eq 137
check "its memory is taken back too" await views_take_at_most 66
check "what the program before stored first is there" test "$(head -c1 "$pool")" = Q
printf 'ss' >&5
check "a program that maps another pool goes on" wait "$other"
exec 5>&-
rm "$pool" "$mnt/second" "$mnt/other"

# seen_outside SIZE WAY: by a process that opened, mapped and read the file before the store.
seen_outside() {
	rm -f "$pool"
	: >"$pool"
	"$program" outside "$pool" "$1" "$softpmem" run -- "$program" inside "$pool" "$1" "$2"
}
for size in 1 10240; do
	check "$size MiB: a process outside sees stores when msync returns" seen_outside $size msync
done
check_fails "negative control: without msync it reads its old pages" "is 0 when read, and 0 in" \
	seen_outside 1 nothing
rm "$pool"
check "check finds no damage" "$softpmem" check
check "the daemon stops cleanly" daemon_stop
finish
