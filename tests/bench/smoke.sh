#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# One round of make bench with tiny sizes: every row must have figures, whose values mean nothing.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

if ! [ -r /usr/share/doc/libfuse3-dev/examples/passthrough_ll.c ] || ! command -v fio >/dev/null; then
	skip "make bench" "needs fio and libfuse3-dev's examples"
	finish
fi
# One row for each way to measure; in make check-long all rows.
names=('1 MiB sequential read' '4 KiB random write, psync, recorded' 'SQLite WAL' 'daemon start'
	'sync of one page of 16' 'create and fsync'
	'power failure with 20 open' 'uncommitted names' 'pmem_persist, 64 B'
	'trace of 10000 events, read' 'after a power failure, store'
	'states checked by a fork server')
only=$(IFS='|' && echo "${names[*]}")
rounds only "$only" .
if [ "$only" = . ]; then
	names+=('states checked by a shared object' 'states checked by a command'
		'states checked on a tree' 'crash points of' '100 states of')
	names+=('unlink, ordered' 'unlink, durable' '4 KiB random write, libaio' 'mmap store' 'LMDB'
		'memory' 'reload' 'power failure,' 'pmem_memcpy_persist, 1 MiB'
		'large copies of two bare threads' 'load from each page')
	[ ! -x "$abs_top_builddir/tests/bench/objects_time" ] ||
		names+=('libpmemobj transactions, 2 threads' 'btree, insert' 'fio libpmem, 4 KiB random read')
fi
check "the benchmark runs" env BENCH_SMALL=1 BENCH_ROUNDS=1 BENCH_ONLY="$only" \
	bash "$abs_top_srcdir/tests/bench/bench.sh"
cp "$work/check.out" "$work/table"
measures() { grep -Eq "^\\| [^|]*$1[^|]* \\| [^|]+ \\| [0-9.]+ \\|" "$work/table"; }
for name in "${names[@]}"; do
	check "the benchmark measures: $name" measures "$name"
done
check_fails "negative control: memory that is not persistent is not measured" "is no persistent memory" \
	"$abs_top_builddir/tests/bench/pmem_time" persist 64 order "$work/plain" 0.01 1
finish
