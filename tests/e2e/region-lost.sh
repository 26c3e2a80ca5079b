#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Memory that is taken away under a running daemon: here a file cut short, which
# to a mapping is what a claimed range is. The daemon lives, and says so to all.
. "$abs_top_srcdir/tests/lib.sh"

region=$work/region
daemon_start --region "file:$region,64M" || bail "no daemon"
seq 100000 >"$mnt/numbers"
check "while the memory is there, a sync succeeds" sync "$mnt/numbers"
check "and nothing is amiss" grep -q '"state":"active"' <("$softpmem" status --json | tr -d ' \n')
cp "$region" "$work/before"
exec {held}<"$mnt/numbers"
mkdir "$mnt/dir"

truncate -s 0 "$region"
check_fails "what finds it gone fails" 'Input/output error' touch "$mnt/more"
check_fails "so does a sync of what was there" 'Input/output error' sync "$mnt/numbers"
check_fails "what needs the media fails" 'Input/output error' mkdir "$mnt/another"
check_fails "so does removing" 'Input/output error' rm -f "$mnt/numbers"
check "the daemon lives" kill -0 "$daemon_pid"
check "and says what happened" grep -q 'was taken away while it was in use' <("$softpmem" status)
check_fails "a request of its socket is told why" 'was taken away while it was in use' "$softpmem" list
check_fails "also a power failure" 'was taken away' "$softpmem" powerfail

told() {
	for _ in $(seq 200); do
		grep -q 'was taken away' "$work/daemon.log" && return 0
		sleep 0.05
	done
	return 1
}
check "its log has it" told
unread() {
	for _ in $(seq 200); do
		cat <&"$held" >/dev/null 2>"$work/err" || grep -q 'Input/output error' "$work/err" && return 0
		sleep 0.05
	done
	return 1
}
check "who had a file open is told too, and not from a cache" unread
exec {held}<&-
not_in_good_order() { ! daemon_stop; }
check "what is stopped then was not stopped in good order" not_in_good_order
unmounted() { ! mountpoint -q "$mnt"; }
check "the mount is gone with it" unmounted

cp "$work/before" "$region"
check "with the memory back the region is taken up" daemon_start --region "file:$region"
check "with what was synced" cmp "$mnt/numbers" <(seq 100000)
daemon_stop
finish
