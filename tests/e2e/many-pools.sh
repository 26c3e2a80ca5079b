#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Programs that map more pools of one daemon, one after the other or at once, than it may have descriptors.
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

limit=200
daemon=$softpmemd
# Root raises every limit, unless it has lost this capability.
bounded=()
[ "$(id -u)" != 0 ] || bounded=(setpriv --bounding-set -sys_resource)
if ! "${bounded[@]}" true 2>/dev/null; then
	skip "a daemon with few descriptors" "root cannot give up CAP_SYS_RESOURCE"
	finish
fi
bounded_daemon() {
	ulimit -n "$limit"
	exec "${bounded[@]}" "$daemon" "$@"
}
softpmemd=bounded_daemon
many_pools=$abs_top_builddir/tests/e2e/many_pools
# A program of the daemon's own user, or of another one where there may be one.
user=()
run=$softpmem
if [ "$(id -u)" = 0 ]; then
	share tests/e2e/many_pools softpmem pmem/client/libpmem.so.1 || bail "the programs cannot be copied"
	run=$shared/softpmem
	many_pools=$shared/tests/e2e/many_pools
	user=(setpriv --reuid 65534 --regid 65534 --clear-groups)
	daemon_start --region memfd:64M --allow-other --group "$(getent group 65534 | cut -d: -f1)" ||
		bail "the daemon does not start"
else
	daemon_start --region memfd:64M || bail "the daemon does not start"
fi
mkdir -m 777 "$mnt/all"
# numbers_of PREFIX COUNT: each pool has its number.
numbers_of() {
	local all
	all=$(seq -f "$1%.0f" 0 $(($2 - 1)))
	# shellcheck disable=SC2086 # a name for each word
	diff <(head -qc4 $all | od -An -vtd4 -w4 | tr -d ' ') <(seq 0 $(($2 - 1)))
}
descriptors() {
	find "/proc/$daemon_pid/fd" -mindepth 1 | wc -l
}
map_all() {
	"${user[@]}" "$many_pools" "$mnt/all/$1" "$2" "$3" </dev/null
}

check "the daemon may have no more descriptors" grep -Eq "^Max open files +$limit +$limit " \
	"/proc/$daemon_pid/limits"
check "a program maps any number of pools one after the other" \
	grep -qx "mapped $((3 * limit))" <(map_all released. $((3 * limit)) release)
check "the daemon has its descriptors back" test "$(descriptors)" -lt "$limit"
check "so does a program that flushes nothing" \
	grep -qx "mapped $((2 * limit))" <(map_all unflushed. $((2 * limit)) unflushed)
check "the pools show what was stored, also what was not flushed" \
	numbers_of "$mnt/all/unflushed." $((2 * limit))
"$softpmem" powerfail >/dev/null
check "what was persisted survives a power failure" numbers_of "$mnt/all/released." $((3 * limit))

# Pages that the kernel caches of a file from when it was mapped, and that are older than what was stored.
mkfifo "$work/steps"
exec 7<>"$work/steps"
truncate -s 1M "$mnt/all/cached"
exec 6<"$mnt/all/cached"
larger=$abs_top_builddir/tests/pmdk/larger
"$softpmem" run "$larger" inside "$mnt/all/cached" 1 nothing <&7 >"$work/steps.out" &
storing=$!
await grep -q mapped "$work/steps.out"
head -c 4096 <&6 >"$work/before"
printf s >&7
await grep -q stored "$work/steps.out"
printf e >&7
wait "$storing"
exec 6<&- 7>&-
is_attached() { "$softpmem" stat --json | grep -A9 '"path": *"/all/cached"' | grep -q '"attached": *true'; }
check "a pool that was mapped is attached at first" is_attached
map_all others. $((2 * limit)) unflushed >"$work/check.out"
is_released() { ! is_attached; }
check "its memory is given back when others need places" is_released
check "a process that opens it then reads what was stored, not what another one has read before" \
	test "$(dd if="$mnt/all/cached" bs=1 skip=100 count=1 2>"$work/dd.err" | tr '\0' 0)" = Q
check "negative control: the other one has read zeros" cmp "$work/before" <(head -c 4096 /dev/zero)

# At once: a user other than root and the daemon's gets half of the places for mapped pools.
mkfifo "$work/hold"
"${user[@]}" "$many_pools" "$mnt/all/kept." "$limit" keep <"$work/hold" >"$work/kept.out" &
holder=$!
exec 5>"$work/hold"
await grep -q mapped "$work/kept.out"
check "a program that keeps them mapped hears where the limit is" \
	grep -Eqx 'mapped [0-9]+: too many pools are mapped: LIMITS in softpmemd\(8\)' "$work/kept.out"
check "the log names the pool and the way out" grep -Eq \
	"refused the pool /all/kept.[0-9]+: too many pools are mapped: unmap some" "$work/daemon.log"
if [ "$(id -u)" = 0 ]; then
	check "a user who is not trusted gets half of the 150 places" grep -q '^mapped 75:' "$work/kept.out"
	check "another user's program maps pools then, one after the other" grep -qx "mapped $limit" \
		<(setpriv --reuid 65533 --regid 65533 --groups 65534 \
			"$many_pools" "$mnt/all/other." "$limit" release </dev/null)
fi
under_run() {
	SOFTPMEM_SOCKET=$socket "${user[@]}" "$run" run "$many_pools" "$mnt/all/run." "$limit" mmap </dev/null
}
under_run >"$work/run.out" 2>&1
check "mmap() of a program under softpmem run fails there too" \
	grep -qx 'mapped [0-9]*: Too many open files' "$work/run.out"
told="cannot be mapped: too many pools are mapped: LIMITS in softpmemd\\(8\\)"
check "softpmem's library names the pool and the way out" \
	grep -Eqx "softpmem: $mnt/all/run.[0-9]+: $told" "$work/run.out"
check "other programs attach" "$softpmem" run touch "$mnt/all/touched"
check "files are written on the mount then, more than there are descriptors" \
	bash -c "for i in {1..$((2 * limit))}; do echo \$i >'$mnt/all/file.'\$i || exit 1; done"
exec 5>&-
wait "$holder"
check "when it has ended, a program maps pools again" grep -qx "mapped $limit" \
	<(map_all again. "$limit" release)
check "check finds no damage" "$softpmem" check
check "the daemon stops cleanly" daemon_stop

# Without a mount each path takes two descriptors until its pool is destroyed.
bounded_daemon --socket "$socket" --region memfd:16M >>"$work/daemon.log" 2>&1 &
daemon_pid=$!
answers() { "$softpmem" status >/dev/null 2>&1; }
await answers || bail "the daemon without a mount does not start"
give_paths() {
	local i
	for ((i = 0; i < limit; i++)); do
		"$softpmem" create --size 4K "pool$i" && "$softpmem" path "pool$i" || return 1
	done
}
check_fails "a daemon without a mount says which pool gets no path, and the way out" \
	'pool75: Too many open files: destroy pools, or raise the limit' give_paths
check "clients get an answer then" "$softpmem" list
check "a pool that has a path is there" test -e "$("$softpmem" path pool74)"
check "the daemon without a mount stops cleanly" daemon_stop
finish
