#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# All functions, with good words and bad ones, beside the system's own libpmem.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
functions=$abs_top_builddir/tests/pmdk/functions
tmpfs=/dev/shm
[ -w "$tmpfs" ] || tmpfs=$work
plain=$(mktemp -d "$tmpfs/softpmem-test.XXXXXX") || bail "no room for a directory"
at_exit+=("rm -rf '$plain'")

daemon_start --region memfd:64M || bail "no daemon"

# say FILE DIRECTORY COMMAND...: what the program says there, which is then empty again.
say() {
	local file=$1 directory=$2
	shift 2
	"$@" "$functions" "$directory" >"$work/$file" || return 1
	rm -f "$directory"/*
}

# Not whether it is persistent: that is what differs.
without_is_pmem() {
	sed -E '/is_pmem (of|past)/d; s/is_pmem [01]/is_pmem/' "$work/$1"
}

check "the system's libpmem runs on a plain file" say real "$plain" env
check "softpmem's libpmem runs on a plain file" say plain "$plain" "$softpmem" run --
check "softpmem's libpmem answers as the system's on a plain file" diff "$work/real" "$work/plain"
mkdir "$mnt/directory"
check "softpmem's libpmem runs on a pool" say pool "$mnt/directory" "$softpmem" run --
check "on a pool softpmem's libpmem answers as the system's, except for is_pmem" \
	diff <(without_is_pmem real) <(without_is_pmem pool)
check "is_pmem is true for a pool, and false past its end and for an empty range" \
	diff <(printf 'is_pmem %s\n' 'of the mapping: 1' 'of a part: 1' 'of an empty range: 0' \
		'past its end: 0') \
	<(grep -E '^is_pmem (of|past)' "$work/pool")

for force in 0 1; do
	export PMEM_IS_PMEM_FORCE=$force
	check "the system's libpmem runs with PMEM_IS_PMEM_FORCE=$force" say "real$force" "$plain" env
	check "softpmem's libpmem runs on a pool with PMEM_IS_PMEM_FORCE=$force" \
		say "pool$force" "$mnt/directory" "$softpmem" run --
	check "both answer the same with PMEM_IS_PMEM_FORCE=$force" diff "$work/real$force" "$work/pool$force"
done
unset PMEM_IS_PMEM_FORCE
check_fails "negative control: another answer is reported" "^[<>] is_pmem" diff "$work/pool0" "$work/pool1"

# PMEM_MMAP_HINT: there, or above what is there already.
dd if=/dev/zero of="$mnt/pool" bs=4k count=1 status=none
hinted() {
	PMEM_MMAP_HINT=10000000000 "$softpmem" run -- \
		"$abs_top_builddir/tests/pmdk/survivor" where "$mnt/pool" "$mnt/pool"
}
check "PMEM_MMAP_HINT gives the address of the first mapping, and later ones lie above" \
	diff <(printf '0x10000000000\n0x10000200000\n') <(hinted)
finish
