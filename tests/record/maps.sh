#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The maps of libpmemobj's examples, recorded: each prints what it prints unrecorded, and the replay of
# its trace is what the pool holds.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
# shellcheck disable=SC2034 # for examples.bash
region=memfd:256M faulty=()
# shellcheck source=tests/pmdk/examples.bash
. "$abs_top_srcdir/tests/pmdk/examples.bash"
# shellcheck source=tests/record/recorded.bash
. "$abs_top_srcdir/tests/record/recorded.bash"

rounds keys 150 5000
# Insert all keys in an order of their own, remove every third, ask for all, and print what is left.
commands() {
	local i
	for ((i = 0; i < keys; i++)); do echo "i $((i * 7919 % 10007))"; done
	for ((i = 0; i < keys; i += 3)); do echo "r $((i * 7919 % 10007))"; done
	for ((i = 0; i < keys; i++)); do echo "c $((i * 7919 % 10007))"; done
	echo p
	echo q
}
cat >"$work/map" <<-'END'
	#!/bin/sh
	exec "$1/mapcli" "$2" "$3" 1 <"$1/commands"
END
chmod +x "$work/map"
map() { # TYPE
	prints_the_same "$work/map" "$work" "$1" "$mnt/pool"
}

commands >"$work/commands"
cd "$examples" || bail "no $examples"
check "mapcli builds" example mapcli map/mapcli.c map/map.c map/map_*.c tree_map/*.c hashmap/hashmap_*.c \
	list_map/*.c
# shellcheck disable=SC2034 # for recorded.bash
create=true
# Not ctree, which looks at the values that mapcli does not insert.
types=(btree hashmap_atomic skiplist rbtree rtree hashmap_tx hashmap_rp)
rounds count 3 ${#types[@]}
for type in "${types[@]:0:count}"; do
	check "PMDK's $type prints the same when it is recorded" map "$type"
	check "PMDK's $type: the trace replays to what the pool holds" replays
done
finish
