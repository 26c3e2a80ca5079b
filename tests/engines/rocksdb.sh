#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# RocksDB: a power failure during db_bench fillsync. Its seed determines what it writes, so that another
# db_bench, on tmpfs, makes the database that is expected after any number of operations.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
# shellcheck source=tests/engines/cuts.bash
. "$abs_top_srcdir/tests/engines/cuts.bash"
needs RocksDB db_bench ldb

# Small buffers have tables and the MANIFEST written frequently. RocksDB does not open a database whose
# MANIFEST has its full length, but only a part of its last record: it expects that a file system makes a
# file longer only after the bytes are durable.
small_memtable=65536
large_memtable=67108864
memtable=$small_memtable

# bench DATABASE OPERATIONS [OPTION...]: run fillsync with a line of output after each operation.
bench() {
	local database=$1 operations=$2
	shift 2
	exec db_bench --benchmarks=fillsync --db="$database" --num=400000 --writes="$operations" \
		--seed="$bench_seed" --stats_interval=1 --value_size=400 --write_buffer_size="$memtable" \
		--compression_type=none "$@"
}

# acknowledged_by_bench: print N of the last "(1,N) ops" of fillsync.
acknowledged_by_bench() {
	sed -n 's/.*thread 0: ([0-9]*,\([0-9]*\)) ops.*/\1/p' "$work/bench.err" | tail -n 1
}

content() {
	ldb --db="$1" scan --hex >"$2" 2>"$work/ldb.err"
}

# reference OPERATIONS: make the database after that many operations in $work/reference.
reference() {
	rm -rf "$work/reference.db"
	: >"$work/reference"
	[ "$1" -eq 0 ] || {
		(bench "$work/reference.db" "$1") >/dev/null 2>&1 &&
			content "$work/reference.db" "$work/reference"
	}
}

# verify_content DATABASE: it must open, and have the acknowledged operations, or one more.
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

# fill_and_cut POLICY DATABASE: run fillsync until the power fails.
fill_and_cut() {
	local wanted=$((20 + RANDOM % 400)) writer status=0
	bench_seed=$RANDOM
	: >"$work/bench.err"
	(bench "$2" 20000) >/dev/null 2>"$work/bench.err" &
	writer=$!
	until [ "$(wc -l <"$work/bench.err")" -ge "$wanted" ] || ! kill -0 "$writer" 2>/dev/null; do :; done
	cut "$1" || status=1
	# RocksDB continues after a failed write, so kill it as the power failure of a machine would.
	kill -KILL "$writer" 2>/dev/null
	wait "$writer" 2>/dev/null
	acknowledged=$(acknowledged_by_bench)
	acknowledged=${acknowledged:-0}
	# Not every line stands for an operation, so there may be fewer operations than lines.
	[ "$(wc -l <"$work/bench.err")" -ge "$wanted" ] && [ "$acknowledged" -gt 0 ] || status=1
	note "policy $1: db_bench seed $bench_seed, $acknowledged operations acknowledged"
	return "$status"
}

fill_cut_and_verify() {
	local n
	for ((n = 1; n <= cuts; n++)); do
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
rounds cuts 2 5
daemon_start --region memfd:512M || bail "the daemon does not start"
for policy in lose keep random; do
	[ "$policy" != random ] || memtable=$large_memtable
	what="RocksDB: fillsync cut $cuts times with policy $policy"
	verdict_of "$what, exactly the acknowledged operations are there" \
		fill_cut_and_verify "$policy"
done

# Negative control: the same operations without sync.
bench_seed=$RANDOM
acknowledged=300
(bench "$mnt/nosync" 300 --benchmarks=fillrandom --num=400) >/dev/null 2>&1
check "RocksDB without sync: db_bench succeeds, and its operations can be read" \
	content "$mnt/nosync" "$work/before"
check "the power fails" cut lose
content "$mnt/nosync" "$work/found"
if [ -s "$work/before" ] && ! cmp -s "$work/before" "$work/found"; then
	ok "RocksDB without sync: the power failure loses completed operations"
else
	not_ok "RocksDB without sync: the power failure loses completed operations"
fi

check "the daemon stops cleanly" daemon_stop
finish
