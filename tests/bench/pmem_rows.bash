# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Rows of make bench for programs written for libpmem: the same binary under `softpmem run` on a pool, and
# with the system's libpmem on tmpfs, which is told to treat it as persistent memory.

pmdk_examples=/usr/share/doc/libpmemobj-dev/examples

# beside SIDE COMMAND...: run a command as on that side.
beside() {
	local side=$1
	shift
	case $side in
	softpmem) "$softpmem" run -- "$@" ;;
	*) PMEM_IS_PMEM_FORCE=1 "$@" ;;
	esac
}

# micro SIDE persist|memcpy SIZE order|scatter: print operations per second.
micro() {
	beside "$1" "$abs_top_builddir/tests/bench/pmem_time" "$2" "$3" "$4" "${directory[$1]}/pmem" \
		"$pmem_seconds" "$pmem_mib"
}

# handover SIDE: print the MiB/s of large copies without softpmem. On our side a second thread copies each
# piece once more; on the other side there is no second thread.
handover() {
	local how=alone
	[ "$1" != softpmem ] || how=both
	"$abs_top_builddir/tests/bench/handover_time" "$how" "$pmem_mib" "$pmem_seconds"
}

# objects SIDE THREADS ACCOUNTS: print transactions per second.
objects() {
	local pool=${directory[$1]}/objects
	rm -f "$pool"
	beside "$1" "$abs_top_builddir/tests/bench/objects_time" "$2" "$pool" "$pmem_seconds" "$3" &&
		rm "$pool"
}

# The examples are compiled unchanged, so their warnings are ignored.
map_time_make() (
	cd "$pmdk_examples" && gcc -O2 -w -o "$work/map_time" -I. -Itree_map -Ihashmap -Imap \
		-I"$abs_top_srcdir/tests/pmdk/examples" "$abs_top_srcdir/tests/bench/map_time.c" \
		map/map.c map/map_{btree,ctree,hashmap_tx}.c tree_map/{btree,ctree}_map.c \
		hashmap/hashmap_tx.c -lpmemobj -lpmem -lpthread
)

map_inserts() {
	[ -x "$work/map_time" ] || map_time_make || return 1
	rm -f "${directory[$1]}/map"
	beside "$1" "$work/map_time" "$2" "${directory[$1]}/map" "$map_keys" && rm "${directory[$1]}/map"
}

# record_figure SIDE NAME: one figure of those that record_time prints.
record_figure() {
	truncate -s 1M "$mnt/recorded" || return 1
	"$softpmem" record -o "$work/trace" -- "$abs_top_builddir/tests/bench/record_time" "$mnt/recorded" \
		2>"$work/record.err" | sed -n "s/^$2 \([0-9.]*\) .*/\1/p"
	rm "$mnt/recorded" "$work/trace"
}

# recorded_map SIDE MAP FIGURE: PMDK's example map, recorded, and under softpmem run on the other side.
# FIGURE: inserts, or the share of instructions that are patched, in percent.
recorded_map() {
	local verb=(-v record -o "$work/trace")
	[ "$1" = softpmem ] || verb=(run)
	[ -x "$work/map_time" ] || map_time_make || return 1
	rm -f "$mnt/map" "$work/trace"
	"$softpmem" "${verb[@]}" -- "$work/map_time" "$2" "$mnt/map" "$map_keys" >"$work/record.out" \
		2>"$work/record.err" || return 1
	rm "$mnt/map"
	if [ "$3" = inserts ]; then
		cat "$work/record.out"
	else
		sed -n 's/.*: \([0-9]*\) instructions stored to pools, \([0-9]*\) of .*/\1 \2/p' \
			"$work/record.err" | awk '{ printf "%.1f\n", 100 * $2 / $1 }'
	fi
}

# pmem_fio SIDE FIELD OPTION...: print a figure of fio's libpmem engine.
pmem_fio() {
	local side=$1 field=$2
	shift 2
	beside "$side" fio --name=bench --filename="${directory[$side]}/fio" --size="${pmem_mib}M" --bs=4k \
		--ioengine=libpmem --direct=1 --sync=1 --norandommap --time_based \
		--runtime="${pmem_fio_ms}ms" \
		--output-format=terse --terse-version=3 --randseed="$seed" "$@" |
		awk -F ';' -v f="$field" '$1 == 3 { print $f; found = $f > 0 } END { exit !found }'
}

# first_touch SIDE load|store [cut]: print the time of the first access to each page, in a process that has
# just mapped the file. With `cut`, the power has failed on our side since the data was written.
first_touch() {
	local file=${directory[$1]}/touched
	[ -s "$file" ] || tr '\0' x </dev/urandom |
		dd of="$file" bs=1M count="$gib_mib" conv=fsync iflag=fullblock status=none || return 1
	if [ "$1" = softpmem ] && [ "${3:-}" = cut ]; then
		"$softpmem" powerfail --policy lose >/dev/null || return 1
	fi
	beside "$1" "$abs_top_builddir/tests/bench/pmem_time" touch "$2" "$file"
}

pmem_rows() {
	local where

	# Sequential accesses, as in a log, and scattered ones, as in a table.
	for where in order scatter; do
		row "store + pmem_persist, 64 B, $where" ops/s higher 1 libpmem micro persist 64 "$where"
		row "store + pmem_persist, 256 B, $where" ops/s higher 1 libpmem micro persist 256 "$where"
		row "store + pmem_persist, 4 KiB, $where" ops/s higher 0.6 libpmem micro persist 4096 "$where"
		row "pmem_memcpy_persist, 64 B, $where" ops/s higher 2 libpmem micro memcpy 64 "$where"
		row "pmem_memcpy_persist, 4 KiB, $where" ops/s higher 0.6 libpmem micro memcpy 4096 "$where"
		row "pmem_memcpy_persist, 64 KiB, $where" ops/s higher 0.5 libpmem micro memcpy 65536 "$where"
		row "pmem_memcpy_persist, 1 MiB, $where" ops/s higher 0.5 libpmem \
			micro memcpy 1048576 "$where"
	done
	rm -f "$mnt/pmem" "$shm/direct/pmem"
	row "large copies of two bare threads, no softpmem" MiB/s higher - alone handover
	if [ -x "$abs_top_builddir/tests/bench/objects_time" ]; then
		row "libpmemobj transactions, 1 thread" tx/s higher 1 libpmem objects 1 10000
		row "libpmemobj transactions, 2 threads" tx/s higher 1 libpmem objects 2 10000
		row "libpmemobj transactions, 1 thread, scatter" tx/s higher 1 libpmem objects 1 \
			"$objects_scatter"
		row "libpmemobj transactions, 2 threads, scatter" tx/s higher 1 libpmem objects 2 \
			"$objects_scatter"
	fi
	if [ -r "$pmdk_examples/map/map.h" ]; then
		row "PMDK's btree, insert" inserts/s higher 1 libpmem map_inserts btree
		row "PMDK's hashmap_tx, insert" inserts/s higher 1 libpmem map_inserts hashmap_tx
		row "PMDK's btree, insert, recorded" inserts/s higher 0.8 run recorded_map btree inserts
		row "instructions patched in it" % higher 95 - recorded_map btree patched
	fi
	row "recorded store of 8 bytes" ns lower 10 - record_figure one_thread
	row "recorded store, two threads on own lines" ns lower 30 - record_figure own_lines
	row "recorded store, two threads on one line" ns lower 130 - record_figure one_line
	row "first store of an instruction, recorded" us lower 100 - record_figure first_store
	if fio --enghelp 2>/dev/null | grep -q libpmem; then
		row "fio libpmem, 4 KiB random write" IOPS higher 0.5 libpmem pmem_fio 49 --rw=randwrite
		row "fio libpmem, 4 KiB random read" IOPS higher 1 libpmem pmem_fio 8 --rw=randread
	fi
	row "map $gib_mib MiB of data, load from each page" ms lower 1.5 libpmem first_touch load
	row "map $gib_mib MiB of data, store to each page" ms lower 1.5 libpmem first_touch store
	row "the same after a power failure, load" ms lower 1.5 libpmem first_touch load cut
	row "the same after a power failure, store" ms lower 1.5 libpmem first_touch store cut
	rm -f "$mnt/touched" "$shm/direct/touched"
}
