#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Clients that map pools: what becomes of their stores, and of them.
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

attached=$abs_top_builddir/tests/e2e/attached
rounds clients 30 100

daemon_start --region memfd:64M || bail "the daemon does not start"
check "each kind of store through an attached pool meets its fate at a power failure" \
	"$attached" fates "$mnt" "$softpmem"
check "$((10 * clients)) clients that are killed at random moments leave the daemon working" \
	"$attached" killed "$mnt" "$softpmem" "$clients"
check "check finds no damage" "$softpmem" check
check "the daemon stops cleanly" daemon_stop

# Clients of another user's, and one that is not of the group.
stranger=(setpriv --reuid 65534 --regid 65534 --clear-groups)
if [ "$(id -u)" != 0 ]; then
	skip "clients of another user's" "root can run them"
else
	share softpmem tests/e2e/attached tests/e2e/crowd tests/e2e/reused_pid ||
		bail "the programs cannot be copied"
	daemon_start --region memfd:64M --allow-other --group "$(getent group 65534 | cut -d: -f1)" ||
		bail "the daemon does not start"
	mkdir -m 777 "$mnt/open" "$mnt/strange"
	check "a power failure kills clients of another user and keeps what they fenced" \
		"${stranger[@]}" "$shared/tests/e2e/attached" fates "$mnt/open" "$shared/softpmem"
	check_fails "a user outside the group cannot attach" 'Permission denied' \
		setpriv --reuid 65533 --regid 65533 --clear-groups \
		"$shared/tests/e2e/attached" fates "$mnt/strange" "$shared/softpmem"
	mkfifo "$work/crowd"
	"${stranger[@]}" "$shared/tests/e2e/crowd" 3 4096 <"$work/crowd" >"$work/crowd.out" &
	crowd=$!
	exec 5>"$work/crowd"
	await grep -q held "$work/crowd.out"
	check "a user gets at most half of the WPQs, on any number of connections" \
		grep -qx "held 3, 4096 WPQs" "$work/crowd.out"
	check "another user gets one then" grep -qx 'held 1, 1 WPQs' <(setpriv --reuid 65533 --regid 65534 \
		--clear-groups "$shared/tests/e2e/crowd" 1 1 </dev/null)
	exec 5>&-
	wait "$crowd"
	chmod 4755 "$shared/tests/e2e/reused_pid"
	"$softpmem" create --size 64K pool
	relay "$abs_top_builddir/tests/e2e/reused_pid" "$mnt/pool" "$shared/tests/e2e/reused_pid"
	check "the daemon stops cleanly" daemon_stop
fi

daemon_start --region memfd:64M --domain cpu_cache || bail "the daemon does not start"
check "with --domain cpu_cache stores of attached clients survive" "$attached" battery "$mnt" "$softpmem"
check "the daemon stops cleanly" daemon_stop
check "a stopped daemon removes the attach socket" test ! -e "$socket.attach"
finish
