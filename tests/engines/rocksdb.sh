#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# RocksDB: db_bench fillsync, cut. What it writes follows from its seed, so another
# db_bench, on tmpfs, tells what the database is after any number of operations.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
# shellcheck source=tests/engines/cuts.bash
. "$abs_top_srcdir/tests/engines/cuts.bash"
needs RocksDB db_bench ldb

# Small: tables and the MANIFEST are written all the time. But a MANIFEST whose last record was kept in part,
# and its length in whole, RocksDB does not open: it trusts that a file system lengthens a file only after its
# bytes are there.
small_memtable=65536
large_memtable=67108864
memtable=$small_memtable

# bench DATABASE OPERATIONS [OPTION...]: fillsync in an ever new order, one line after each operation.
bench() {
	local database=$1 operations=$2
	shift 2
	exec db_bench --benchmarks=fillsync --db="$database" --num=400000 --writes="$operations" \
		--seed="$bench_seed" --stats_interval=1 --value_size=400 --write_buffer_size="$memtable" \
		--compression_type=none "$@"
}

# acknowledged_by_bench: fillsync counts what it has done in "(1,N) ops".
acknowledged_by_bench() {
	sed -n 's/.*thread 0: ([0-9]*,\([0-9]*\)) ops.*/\1/p' "$work/bench.err" | tail -n 1
}

content() {
	ldb --db="$1" scan --hex >"$2" 2>"$work/ldb.err"
}

# reference OPERATIONS: the database after that many, in $work/reference.
reference() {
	rm -rf "$work/reference.db"
	: >"$work/reference"
	[ "$1" -eq 0 ] || {
		(bench "$work/reference.db" "$1") >/dev/null 2>&1 &&
			content "$work/reference.db" "$work/reference"
	}
}

# verify_content DATABASE: it opens, and is what the acknowledged operations, or one more, leave.
verify_content() {
	content "$1" "$work/found" || {
		cat "$work/ldb.err" "$work/found"
		return 1
	}
	reference "$acknowledged" && cmp -s "$work/reference" "$work/found" && return 0
	reference $((acknowledged + 1)) && cmp -s "$work/reference" "$work/found" && return 0
	echo "$acknowledged operations were acknowledged," \
		"the database has $(wc -l <"$work/found") keys, not theirs"
	return 1
}

# fill_and_cut POLICY DATABASE: fillsync until the power fails.
fill_and_cut() {
	local wanted=$((20 + RANDOM % 400)) writer status=0
	bench_seed=$RANDOM
	: >"$work/bench.err"
	(bench "$2" 20000) >/dev/null 2>"$work/bench.err" &
	writer=$!
	until [ "$(wc -l <"$work/bench.err")" -ge "$wanted" ] || ! kill -0 "$writer" 2>/dev/null; do :; done
	cut "$1" || status=1
	# RocksDB goes on after a failed write; a machine without power does not.
	kill -KILL "$writer" 2>/dev/null
	wait "$writer" 2>/dev/null
	acknowledged=$(acknowledged_by_bench)
	acknowledged=${acknowledged:-0}
	# Not every line tells an operation, so there may be some fewer of those.
	[ "$(wc -l <"$work/bench.err")" -ge "$wanted" ] && [ "$acknowledged" -gt 0 ] || status=1
	note "policy $1: db_bench seed $bench_seed, $acknowledged operations acknowledged"
	return "$status"
}

fill_cut_and_verify() {
	local n
	for n in 1 2 3 4 5; do
		fill_and_cut "$1" "$mnt/$1-$n" || return 1
		verify_content "$mnt/$1-$n" >"$work/verdict" 2>&1 || {
			sed 's/^/#   /' "$work/verdict"
			return 1
		}
		ldb --db="$mnt/$1-$n" checkconsistency >"$work/verdict" 2>&1 || {
			sed 's/^/#   /' "$work/verdict"
			return 1
		}
	done
}

replay_note
daemon_start --region memfd:512M || bail "the daemon does not start"
for policy in lose keep random; do
	[ "$policy" != random ] || memtable=$large_memtable
	what="RocksDB: fillsync cut 5 times with policy $policy"
	verdict_of "$what, exactly the acknowledged operations are there" \
		fill_cut_and_verify "$policy"
done

# The control: the same operations without sync.
bench_seed=$RANDOM
acknowledged=300
(bench "$mnt/nosync" 300 --benchmarks=fillrandom --num=400) >/dev/null 2>&1
check "RocksDB without sync: db_bench ends, and its operations can be read" \
	content "$mnt/nosync" "$work/before"
check "the power fails" cut lose
content "$mnt/nosync" "$work/found"
if [ -s "$work/before" ] && ! cmp -s "$work/before" "$work/found"; then
	ok "RocksDB without sync: the cut loses operations that had ended"
else
	not_ok "RocksDB without sync: the cut loses operations that had ended"
fi

check "the daemon stops cleanly" daemon_stop
finish
