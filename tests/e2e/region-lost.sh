#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Memory that is taken away under a running daemon: here a file cut short, which
# to a mapping is what a claimed range is. The daemon lives, and says so to all.
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

region=$work/region
daemon_start --region "file:$region,64M" || bail "no daemon"
seq 100000 >"$mnt/numbers"
check "while the memory is there, a sync succeeds" sync "$mnt/numbers"
check "status shows the region as active" \
	grep -q '"state":"active"' <("$softpmem" status --json | tr -d ' \n')
cp "$region" "$work/before"
exec {held}<"$mnt/numbers"
mkdir "$mnt/dir"

truncate -s 0 "$region"
check_fails "a create on memory that was taken away fails with EIO" 'Input/output error' touch "$mnt/more"
check_fails "a sync of an existing file fails with EIO" 'Input/output error' sync "$mnt/numbers"
check_fails "mkdir fails with EIO" 'Input/output error' mkdir "$mnt/another"
check_fails "unlink fails with EIO" 'Input/output error' rm -f "$mnt/numbers"
check "the daemon continues to run" kill -0 "$daemon_pid"
check "status says that the memory was taken away" \
	grep -q 'was taken away while it was in use' <("$softpmem" status)
check_fails "list fails and says that the memory was taken away" \
	'was taken away while it was in use' "$softpmem" list
check_fails "softpmem sync fails and says that the memory was taken away" 'was taken away' "$softpmem" sync
check_fails "record fails and says that the memory was taken away" 'was taken away' \
	"$softpmem" record -o "$work/trace" -- touch "$work/run"
check "a recording that is refused runs no program" test ! -e "$work/run"
check "a recording that is refused leaves no trace" test ! -e "$work/trace"
check_fails "powerfail fails and says that the memory was taken away" 'was taken away' "$softpmem" powerfail

told() {
	for _ in $(seq 200); do
		grep -q 'was taken away' "$work/daemon.log" && return 0
		sleep 0.05
	done
	return 1
}
check "the log says that the memory was taken away" told
unread() {
	for _ in $(seq 200); do
		cat <&"$held" >/dev/null 2>"$work/err" || grep -q 'Input/output error' "$work/err" && return 0
		sleep 0.05
	done
	return 1
}
check "a file that was open fails with EIO and is not read from a cache" unread
exec {held}<&-
not_in_good_order() { ! daemon_stop; }
check "the daemon exits with an error" not_in_good_order
unmounted() { ! mountpoint -q "$mnt"; }
check "the mount ends with the daemon" unmounted

cp "$work/before" "$region"
check "once the memory is back a daemon serves the region" daemon_start --region "file:$region"
check "the synced file is there once the memory is back" cmp "$mnt/numbers" <(seq 100000)
cut_short() { truncate -s 0 "$region" && ! touch "$mnt/more"; }
export -f cut_short
export region mnt
check_fails "record fails if the memory is taken away while it records" 'was taken away' \
	"$softpmem" record -o "$work/trace" -- bash -c cut_short
daemon_stop
finish
