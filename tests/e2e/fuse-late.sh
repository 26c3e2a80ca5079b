#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Outages and requests that are answered after the kernel has written pages back: neither waits for the other.
. "$abs_top_srcdir/tests/lib.sh"

storm=$abs_top_builddir/tests/e2e/cache_storm
seconds=6

# outages THREADS: power failures while two programs send such requests, to two files and to one.
outages() {
	local storms=() policy pid rounds
	daemon_start --region memfd:64M --threads "$1" || bail "no daemon"
	for file in one two two; do
		"$storm" "$mnt/$file" "$seconds" >>"$work/rounds-$1" &
		storms+=($!)
	done
	for policy in keep lose random; do
		sleep 1
		check "with $1 threads a power failure ends while requests wait for the kernel: $policy" \
			timeout 60 "$softpmem" powerfail --policy "$policy"
	done
	for pid in "${storms[@]}"; do
		check "with $1 threads the programs end" wait "$pid"
	done
	rounds=$(awk '{ sum += $1 } END { print sum + 0 }' "$work/rounds-$1")
	note "$rounds rounds"
	check "with $1 threads requests were served between the power failures" test "$rounds" -gt 10
	"$storm" "$mnt/three" "$seconds" >"$work/last" &
	pid=$!
	await test -s "$mnt/three"
	check "with $1 threads the daemon stops while requests wait for the kernel" daemon_stop
	kill "$pid" 2>/dev/null
	wait "$pid"
}

outages 1
outages 4
finish
