#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Clients that map pools: what becomes of their stores, and of them.
. "$abs_top_srcdir/tests/lib.sh" || exit 1

attached=$abs_top_builddir/tests/e2e/attached

daemon_start --region memfd:64M || bail "the daemon does not start"
check "fates" "$attached" fates "$mnt" "$softpmem"
check "1,000 clients, killed at any moment" "$attached" killed "$mnt" "$softpmem" 100
check "the region is sound" "$softpmem" check
check "the daemon stops cleanly" daemon_stop

# Clients of another user's, and one that is not of the group.
stranger=(setpriv --reuid 65534 --regid 65534 --clear-groups)
if [ "$(id -u)" != 0 ] || ! "${stranger[@]}" test -x "$attached" -a -x "$softpmem"; then
	skip "clients of another user's" "root can run them, where they can read what was built"
else
	chmod 711 "$work"
	daemon_start --region memfd:64M --allow-other --group "$(getent group 65534 | cut -d: -f1)" ||
		bail "the daemon does not start"
	mkdir -m 777 "$mnt/open" "$mnt/strange"
	check "clients of another user's are killed, and what they fenced is there" \
		"${stranger[@]}" "$attached" fates "$mnt/open" "$softpmem"
	check_fails "who is not of the group is sent away" 'Permission denied' \
		setpriv --reuid 65533 --regid 65533 --clear-groups "$attached" \
		fates "$mnt/strange" "$softpmem"
	check "the daemon stops cleanly" daemon_stop
fi

daemon_start --region memfd:64M --domain cpu_cache || bail "the daemon does not start"
check "eADR" "$attached" battery "$mnt" "$softpmem"
check "the daemon stops cleanly" daemon_stop
check "and leaves no socket" test ! -e "$socket.attach"
finish
