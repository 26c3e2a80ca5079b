#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# LMDB: mdb_load and mdb_dump before and after power failures, and a writer during them. LMDB expects that a
# sector of its meta pages is written as a whole, so random failures need a pool of mode sector.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
# shellcheck source=tests/engines/cuts.bash
. "$abs_top_srcdir/tests/engines/cuts.bash"
needs LMDB mdb_load mdb_dump

load=$abs_top_builddir/tests/engines/lmdb_load

# dump_format ITEMS: print input for mdb_load, sorted as mdb_dump prints it.
dump_format() {
	printf 'VERSION=3\nformat=bytevalue\ntype=btree\nmapsize=33554432\nmaxreaders=126\nHEADER=END\n'
	awk -v items="$1" -v seed="$seed" 'BEGIN {
		srand(seed)
		for (i = 0; i < items; i++) {
			printf " %08x\n ", i
			for (n = 4 + int(rand() * 60); n > 0; n--)
				printf "%08x", int(rand() * 4294967296)
			print ""
		}
		print "DATA=END"
	}'
}

items_of() {
	sed -n '/^HEADER=END/,/^DATA=END/p' "$1" | grep '^ '
}

# load_then_cut POLICY: all items of a finished mdb_load must survive.
load_then_cut() {
	local directory=$mnt/done-$1
	mkdir "$directory"
	mdb_load -f "$work/input" "$directory" || return 1
	cut "$1" || return 1
	mdb_dump "$directory" >"$work/dump" || return 1
	items_of "$work/dump" >"$work/found"
	cmp "$work/expected" "$work/found"
}

# cut_then_dump POLICY N: a mdb_load during a power failure must leave whole transactions, the first of its
# input.
cut_then_dump() {
	local directory=$mnt/middle-$1-$2 loader lines status=0
	mkdir "$directory"
	mdb_load -f "$work/input" "$directory" 2>/dev/null &
	loader=$!
	until [ -s "$directory/data.mdb" ] || ! kill -0 "$loader" 2>/dev/null; do :; done
	spin $((RANDOM % 20000))
	cut "$1" || status=1
	kill -KILL "$loader" 2>/dev/null
	wait "$loader" 2>/dev/null
	mdb_dump "$directory" >"$work/dump" 2>"$work/dump.err" || : >"$work/dump"
	items_of "$work/dump" >"$work/found"
	lines=$(wc -l <"$work/found")
	note "policy $1: $((lines / 2)) of 40000 items are there"
	head -n "$lines" "$work/expected" | cmp - "$work/found" || status=1
	# An environment can be opened once its first transaction was committed.
	[ ! -s "$directory/data.mdb" ] || [ -s "$work/dump" ] || status=1
	return "$status"
}

middle() {
	local n
	for n in 1 2 3; do
		cut_then_dump "$1" "$n" || return 1
	done
}

replay_note
daemon_start --region memfd:256M --mode sector || bail "the daemon does not start"
dump_format 40000 >"$work/input"
items_of "$work/input" >"$work/expected"
mkdir "$mnt/sync" "$mnt/nosync"

for policy in lose keep random; do
	verdict_of "LMDB: all items of a finished mdb_load survive with policy $policy" \
		load_then_cut "$policy"
	verdict_of "LMDB: a mdb_load during a power failure with policy $policy leaves whole transactions" \
		middle "$policy"
	verdict_of "LMDB: every acknowledged commit survives 8 power failures with policy $policy" \
		cuts "$policy" 8 "$load" write "$mnt/sync" sync -- "$load" verify "$mnt/sync"
done

acknowledged=0
writer_start "$load" write "$mnt/nosync" nosync
read_acks 50 || bail "the writer of the control does not write"
kill -KILL "$writer_pid"
writer_end
verdict_of "LMDB, MDB_NOSYNC: killing the writer loses nothing" \
	verify_cut "killed" "$load" verify "$mnt/nosync"
writer_start "$load" write "$mnt/nosync" nosync
read_acks 50 || bail "the writer of the control does not write"
check "the power fails under MDB_NOSYNC" cut lose
writer_end
loses "LMDB, MDB_NOSYNC: the power failure loses acknowledged commits" "$load" verify "$mnt/nosync"

check "the daemon stops cleanly" daemon_stop
finish
