#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# One round of make bench with tiny sizes: every row must have figures, whose values mean nothing.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1

if ! [ -r /usr/share/doc/libfuse3-dev/examples/passthrough_ll.c ] || ! command -v fio >/dev/null; then
	skip "make bench" "needs fio and libfuse3-dev's examples"
	finish
fi
check "the benchmark runs" env BENCH_SMALL=1 BENCH_ROUNDS=1 bash "$abs_top_srcdir/tests/bench/bench.sh"
cp "$work/check.out" "$work/table"
measures() { grep -Eq "^\\| [^|]*$1[^|]* \\| [^|]+ \\| [0-9.]+ \\|" "$work/table"; }
for name in '1 MiB sequential read' '4 KiB random write, libaio' \
	'4 KiB random write, psync, recorded' 'mmap store' 'SQLite' 'LMDB' 'daemon start' \
	'memory' 'reload' 'create and fsync' 'power failure with' 'power failure,' 'pmem_persist, 64 B' \
	'pmem_memcpy_persist, 1 MiB' 'trace of 10000 events, read' \
	'large copies of two bare threads' 'load from each page' 'after a power failure, store'; do
	check "the benchmark measures: $name" measures "$name"
done
if [ -x "$abs_top_builddir/tests/bench/objects_time" ]; then
	for name in 'libpmemobj transactions, 2 threads' 'btree, insert' 'fio libpmem, 4 KiB random read'; do
		check "the benchmark measures: $name" measures "$name"
	done
fi
check_fails "negative control: memory that is not persistent is not measured" "is no persistent memory" \
	"$abs_top_builddir/tests/bench/pmem_time" persist 64 order "$work/plain" 0.01 1
finish
