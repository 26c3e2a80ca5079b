#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Clients that attack the daemon: none blocks it, and none disturbs another client.
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

ulimit -n 8192 || skip "descriptors" "the limit cannot be raised"
daemon_start --region memfd:64M --region memfd:64M || bail "the daemon does not start"
relay "$abs_top_builddir/tests/e2e/hostile" "$mnt/region1"
relay "$abs_top_builddir/tests/e2e/view_growth" "$mnt/region0"
check "the log names the process that damaged its WPQ" \
	grep -Eq 'attach: pid [0-9]+, uid [0-9]+: killed: its WPQ held a malformed record' \
	"$work/daemon.log"
# The lines of the daemon's own user are not limited.
check "the daemon killed only the processes that damaged their WPQs" \
	test "$(grep -c 'killed: its WPQ' "$work/daemon.log")" = 13
check "check finds no damage" "$softpmem" check
check "the log has one line about clients that took memory past the end of pools" \
	test "$(grep -c 'a client took [0-9]* bytes past its end' "$work/daemon.log")" = 1
if [ "$(id -u)" = 0 ]; then
	"$softpmem" create --size 1M /region0/pool
	relay "$abs_top_builddir/tests/e2e/reused_pid" "$mnt/region0/pool"
else
	skip "the connection of an ended process gets no WPQ" "only root can choose a pid"
fi
descriptors() {
	find "/proc/$daemon_pid/fd" -mindepth 1 | wc -l
}
few_descriptors() {
	[ "$(descriptors)" -le 40 ]
}
# The threads of the last clients may still be ending.
check "the daemon has no descriptors of ended clients" await few_descriptors
check "the daemon stops cleanly" daemon_stop
finish
