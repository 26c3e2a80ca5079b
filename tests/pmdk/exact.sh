#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What a power failure leaves of stores through mappings, to the byte: see exact.c.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
exact=$abs_top_builddir/tests/pmdk/exact

daemon_start --region memfd:64M || bail "no daemon"

# leaves WHAT SEED: after the run and a cut, the pool is what the model says.
leaves() {
	rm -f "$mnt/pool" "$work/model"
	"$softpmem" create --size 8M pool || return 1
	"$softpmem" run -- "$exact" "$1" "$mnt/pool" "$work/model" "$2" || return 1
	"$softpmem" powerfail --policy lose || return 1
	"$exact" judge "$mnt/pool" "$work/model"
}

for seed in 1 2 3; do
	check "mappings cut, covered and moved, seed $seed" leaves mappings $seed
done
check "every length, at every offset" leaves odd 1
check "10,000 mappings" leaves many 1
check "2,000 threads" leaves threads 1
check "a child beside its parent, in the midst of a flush" leaves fork 1
check "signal handlers that flush in the midst of a flush" leaves signals 1

export SOFTPMEM_TEST_SKIP_FLUSH=7
check_fails "negative control: one flush in seven left out" "older than" leaves mappings 1
unset SOFTPMEM_TEST_SKIP_FLUSH
check "and with all of them again" leaves mappings 1
finish
