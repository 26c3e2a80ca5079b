#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The media have exactly the durable bytes at any time, so killing the daemon has the effect of a power
# failure. On a region in a file, the next daemon removes the stale mount, and SQLite finds every
# acknowledged commit.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
# shellcheck source=tests/engines/cuts.bash
. "$abs_top_srcdir/tests/engines/cuts.bash"

load=$abs_top_builddir/tests/engines/sqlite_load

# kill_under_writer DB SYNCHRONOUS: kill the daemon while a writer runs, and start the next daemon.
kill_under_writer() {
	writer_start "$load" write "$1" WAL "$2"
	read_acks $((1 + RANDOM % 40)) || return 1
	spin $((RANDOM % 3000))
	daemon_kill
	writer_end || return 1
	daemon_start --region "file:$work/region"
}

kills() {
	local n before=$acknowledged
	for n in 1 2 3 4 5 6 7 8; do
		kill_under_writer "$mnt/db" FULL && verify_cut "kill $n" "$load" verify "$mnt/db" || return 1
	done
	note "8 kills, $((acknowledged - before)) transactions"
	[ "$acknowledged" -gt "$before" ]
}

replay_note
daemon_start --region "file:$work/region,128M" || bail "the daemon does not start"
verdict_of "SQLite, WAL, synchronous=FULL: every acknowledged commit survives 8 kills of the daemon" \
	kills
check "check finds no damage in the region" "$softpmem" check
acknowledged=0
check "the daemon is killed under synchronous=OFF" kill_under_writer "$mnt/off" OFF
loses "SQLite, WAL, synchronous=OFF: the kill loses acknowledged commits" "$load" verify "$mnt/off"
check "the daemon stops cleanly" daemon_stop
finish
