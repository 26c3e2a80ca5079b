#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The examples that come with libpmemobj, built as they are: each map cut while it inserts.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
keys=60
# shellcheck disable=SC2034 # for examples.bash
region=memfd:256M
# shellcheck source=tests/pmdk/examples.bash
. "$abs_top_srcdir/tests/pmdk/examples.bash"

lines() { local key; for key in $(seq "$keys"); do echo "$1 $key"; done; }
# present TYPE: for each key in its turn 0 or 1, in one line.
present() {
	{ lines c; echo q; } | run "$work/mapcli" "$1" "$mnt/map" 1 2>&1 | tr -cd '01\n$' | tr -d '\n$'
}
# survives TYPE FENCE: a run of insertions is there up to one of them, and no later one.
survives() {
	local found
	rm -f "$mnt/map"
	echo q | run "$work/mapcli" "$1" "$mnt/map" 1 >/dev/null || return 1
	lines i | SOFTPMEM_TEST_CUT_AT=$2 run "$work/mapcli" "$1" "$mnt/map" 1 >/dev/null
	[ $? -eq 137 ] || { echo "it was not cut"; return 1; }
	cut_power
	found=$(present "$1")
	# Some say numbers of their own when they recover.
	found=${found: -keys}
	echo "present: $found"
	[ "${#found}" -eq "$keys" ] && [[ "$found" =~ ^1+0+$ ]]
}

cd "$examples" || bail "no $examples"
check "mapcli builds" example mapcli map/mapcli.c map/map.c map/map_*.c tree_map/*.c hashmap/hashmap_*.c \
	list_map/*.c
# Not ctree: mapcli inserts no values, and a tree that tells its leaves by their type looks at them. See
# examples-all.sh.
for type in btree rtree rbtree skiplist hashmap_tx hashmap_atomic hashmap_rp; do
	check "$type survives cuts during insertions" survives $type 200
done

survives_often() {
	local fence
	for fence in $(seq 60 13 200); do
		survives "$1" "$fence" || return 1
	done
}
export SOFTPMEM_TEST_SKIP_FLUSH=2
check_fails "negative control: with every second flush left out a cut is reported" \
	"present|open|cut" survives_often btree
unset SOFTPMEM_TEST_SKIP_FLUSH

check "string_store builds" example writer string_store/writer.c
check "the reader of string_store builds" example reader string_store/reader.c
# The mode, which libpmemobj gives the file last, is durable only once it is synced.
write_string() { echo persistent | run "$work/writer" "$mnt/strings" && sync "$mnt/strings"; }
read_string() { run "$work/reader" "$mnt/strings" | grep -x persisten; }
check "string_store stores a string" write_string
cut_power
check "string_store reads its string after a power failure" read_string
finish
