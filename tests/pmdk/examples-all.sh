#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What else comes with libpmemobj and needs no terminal: each program does something, loses power, and is
# asked what it knows. Left out are those that want a screen, FUSE 2 or a pool at a path of their own.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
# shellcheck disable=SC2034 # for examples.bash
region=memfd:1G
# shellcheck source=tests/pmdk/examples.bash
. "$abs_top_srcdir/tests/pmdk/examples.bash"

# knows WHAT WORDS COMMAND...: what the program says after a power failure, white space aside.
knows() {
	local what=$1 words=$2 said
	shift 2
	cut_power
	said=$(run "$@" 2>"$work/said.err" | tr -s '\n\t ' ' ' | sed 's/ $//')
	check "$what: the data is there after a power failure" test "$said" = "$words"
	[ "$said" = "$words" ] || note "it said: $said" "$(tail -n 2 "$work/said.err")"
}

cd "$examples" || bail "no $examples"
maps=(map/map.c map/map_*.c tree_map/*.c hashmap/hashmap_*.c list_map/*.c)

check "btree builds" example btree btree.c
insert_in_btree() { run "$work/btree" "$mnt/btree" i 5 five && run "$work/btree" "$mnt/btree" i 3 three; }
check "btree inserts two entries" insert_in_btree
knows "btree" "3 three 5 five" "$work/btree" "$mnt/btree" p

check "fifo builds" example fifo linkedlist/fifo.c
fill_fifo() {
	local element
	for element in a b c; do
		run "$work/fifo" "$mnt/fifo" insert "$element" || return 1
	done
	run "$work/fifo" "$mnt/fifo" remove
}
check "fifo inserts and removes an entry" fill_fifo
knows "fifo" "Elements in FIFO: c b" "$work/fifo" "$mnt/fifo" print

check "lists builds" example lists lists.c
fill_lists() { run "$work/lists" "$mnt/lists" 1 foo 7 && run "$work/lists" "$mnt/lists" 1 foo 8; }
check "lists inserts two entries" fill_lists
knows "lists" "8 7" "$work/lists" "$mnt/lists" 1 foo print

check "pi builds" example pi pi.c
check "pi runs with two threads" run "$work/pi" "$mnt/pi" calc 2 100000
knows "pi" "pi: 3.1415826536" "$work/pi" "$mnt/pi" print

check "queue builds" example queue queue/queue.c
fill_queue() {
	run pmempool create obj -l queue "$mnt/queue" && run "$work/queue" "$mnt/queue" new 4 &&
		run "$work/queue" "$mnt/queue" enqueue a && run "$work/queue" "$mnt/queue" enqueue b &&
		run "$work/queue" "$mnt/queue" dequeue
}
if command -v pmempool >/dev/null; then
	check "queue inserts and removes entries" fill_queue
	knows "queue" "Entries 1/4 1: b" "$work/queue" "$mnt/queue" show
	# Killed while it writes an entry: the entry is there as a whole, or the queue is as it was.
	SOFTPMEM_TEST_CUT_AT=12 run "$work/queue" "$mnt/queue" enqueue c >/dev/null 2>&1
	check "queue is killed while it inserts an entry" test $? -eq 137
	cut_power
	check "queue has one or two entries after a power failure" \
		grep -Eq '^Entries [12]/4' <(run "$work/queue" "$mnt/queue" show)
else
	skip "queue" "no pmempool to make its pool"
fi

check "buffon's needle builds" example buffon buffons_needle_problem.c
check "buffon's needle makes 1000 throws" run "$work/buffon" "$mnt/buffon" 1000
cut_power
check "buffon's needle continues after a power failure" run "$work/buffon" "$mnt/buffon"

check "slab_allocator builds" example slab slab_allocator/*.c
check "slab_allocator runs with two classes" run "$work/slab" "$mnt/slab"
knows "slab_allocator" "" "$work/slab" "$mnt/slab"
check "slab_allocator runs after a power failure" run "$work/slab" "$mnt/slab"

check "data_store builds" example data_store map/data_store.c "${maps[@]}"
for type in ctree btree rbtree skiplist; do
	check "data_store with $type inserts and removes 200 entries" \
		run "$work/data_store" "$type" "$mnt/$type.map" 200
	cut_power
	check "data_store with $type runs after a power failure" \
		run "$work/data_store" "$type" "$mnt/$type.map" 50
done
# These cannot destroy a map.
for type in hashmap_atomic hashmap_tx hashmap_rp; do
	check "data_store with $type inserts and removes 200 entries" \
		run "$work/data_store" "$type" "$mnt/$type.map" 200
done
# It destroys the map that it finds, and looks at each item of the one it makes.
for fence in 100 350 700; do
	SOFTPMEM_TEST_CUT_AT=$fence run "$work/data_store" ctree "$mnt/ctree.map" 200 2>/dev/null
	check "data_store with ctree is killed at fence $fence" test $? -eq 137
	cut_power
	check "data_store with ctree continues after a cut" run "$work/data_store" ctree "$mnt/ctree.map" 50
done

check "obj_pmemblk builds" example blocks pmemblk/obj_pmemblk.c
check "obj_pmemblk writes a block" run "$work/blocks" c "$mnt/blocks" 512 w:7:seven
knows "obj_pmemblk" "read: 7 seven" "$work/blocks" o "$mnt/blocks" 512 r:7
for kind in obj_pmemlog obj_pmemlog_macros obj_pmemlog_minimal; do
	check "$kind builds" example "$kind" "pmemlog/$kind.c"
	check "$kind appends two records" run "$work/$kind" c "$mnt/$kind" a:first a:second
	knows "$kind" "walk log contains: first log contains: second" "$work/$kind" o "$mnt/$kind" w
done
check "obj_pmemlog_simple builds" example simple pmemlog/obj_pmemlog_simple.c
check "obj_pmemlog_simple appends two records" run "$work/simple" c "$mnt/simple" a:first a:second
knows "obj_pmemlog_simple" "walk log contains: firstsecond" "$work/simple" o "$mnt/simple" w

# Both of its sources define the same table.
check "arttree builds" example arttree -Wl,-z,muldefs libart/arttree.c libart/art.c
fill_tree() { printf 'k1\nv1\nk2\nv2\n' | run "$work/arttree" -m f -n 2 -s 16777216 "$mnt/tree"; }
check "arttree inserts two keys" fill_tree
cut_power
check "arttree has its keys after a power failure" grep -q 'k2.*v2' <(run "$work/arttree" -m d "$mnt/tree")

for kind in string_store_tx string_store_tx_type; do
	check "$kind builds" example writer "$kind/writer.c"
	check "the reader of $kind builds" example reader "$kind/reader.c"
	echo durable | run "$work/writer" "$mnt/$kind"
	knows "$kind" durable "$work/reader" "$mnt/$kind"
done

# ask LINE...: the server's answers, or nothing if nobody listens.
ask() {
	exec 3<>"/dev/tcp/127.0.0.1/$port" || return 1
	printf '%s\n' "$@" >&3
	timeout 20 cat <&3 | tr -d '\0' | tr '\n' ' '
	exec 3<&- 3>&-
} 2>/dev/null
serve() {
	run "$work/kv_server" ctree "$mnt/kv" "$port" >"$work/kv.log" 2>&1 &
	server=$!
	at_exit+=("kill $server")
	for _ in $(seq 200); do
		[ -z "$(ask BYE && echo yes)" ] || return 0
		kill -0 "$server" 2>/dev/null || return 1
		sleep 0.05
	done
	return 1
}
if [ -e /usr/include/uv.h ]; then
	check "kv_server builds" example kv_server map/kv_server.c "${maps[@]}" -luv
	port=$((20000 + RANDOM % 10000))
	check "kv_server starts" serve
	check "kv_server stores a key" test "$(ask "INSERT key value" "GET key" BYE)" = "SUCCESS value "
	cut_power
	wait "$server" 2>/dev/null
	check "kv_server starts again" serve
	check "kv_server has the key after a power failure" \
		test "$(ask "GET key" "GET other" BYE)" = "value NULL "
	ask KILL >/dev/null
	wait "$server"
else
	skip "kv_server" "needs libuv1-dev"
fi
finish
