#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Outages and requests that are answered after the kernel has written pages back: neither waits for the other.
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

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
		check "a power failure ends while requests wait for the kernel (policy $policy, $1 threads)" \
			timeout 60 "$softpmem" powerfail --policy "$policy"
	done
	for pid in "${storms[@]}"; do
		check "the programs end after the power failures ($1 threads)" wait "$pid"
	done
	rounds=$(awk '{ sum += $1 } END { print sum + 0 }' "$work/rounds-$1")
	note "$rounds rounds"
	check "requests were served between the power failures ($1 threads)" test "$rounds" -gt 10
	"$storm" "$mnt/three" "$seconds" >"$work/last" &
	pid=$!
	await test -s "$mnt/three"
	check "the daemon stops while requests wait for the kernel ($1 threads)" daemon_stop
	kill "$pid" 2>/dev/null
	wait "$pid"
	# Without the mount it creates its file in the directory, over which the next daemon would not mount.
	rm -f "$mnt/three"
}

outages 1
outages 4
finish
