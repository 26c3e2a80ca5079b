#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What a power failure leaves of stores through mappings, to the byte: see exact.c.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
exact=$abs_top_builddir/tests/pmdk/exact

daemon_start --region memfd:64M || bail "no daemon"

# leaves WHAT SEED: after the run and a cut, the pool is what the model says.
leaves() {
	rm -f "$mnt/pool" "$work/model"
	"$softpmem" create --size 8M pool || return 1
	"$softpmem" run -- "${faulty[@]}" "$exact" "$1" "$mnt/pool" "$work/model" "$2" || return 1
	"$softpmem" powerfail --policy lose || return 1
	"$exact" judge "$mnt/pool" "$work/model"
}

rounds seeds 1 3
for seed in $(seq "$seeds"); do
	check "mappings that are cut, covered and moved leave only legal bytes, seed $seed" \
		leaves mappings "$seed"
done
check "flushes of every length at every offset leave only legal bytes" leaves odd 1
check "10000 mappings leave only legal bytes" leaves many 1
check "2000 threads leave only legal bytes" leaves threads 1
check "a child that is forked during a flush leaves only legal bytes" leaves fork 1
check "signal handlers that flush during a flush leave only legal bytes" leaves signals 1

export SOFTPMEM_TEST_SKIP_FLUSH=7
check_fails "negative control: with one flush in seven left out older bytes are reported" \
	"older than" leaves mappings 1
unset SOFTPMEM_TEST_SKIP_FLUSH
check "with all flushes again only legal bytes are left" leaves mappings 1
finish
