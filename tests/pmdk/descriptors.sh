#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The library's descriptors are not the program's: it neither sees them nor closes them.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
descriptors=$abs_top_builddir/tests/pmdk/descriptors
without_pidfd=$abs_top_builddir/tests/pmdk/without_pidfd

daemon_start --region memfd:64M || bail "no daemon"
chmod 755 "$work"
run() { "$softpmem" run -- "$@"; }
numbers() {
	local page
	for page in 1 2 3 4 5 6; do
		dd if="$mnt/pool" bs=4096 skip="$page" count=1 status=none | od -A n -t u1 -N 1
	done | tr -d ' \n'
}
wanted=123456
[ "$(id -u)" = 0 ] || wanted=123406

"$softpmem" create --size 64K pool
# Sanitizers do not know a thread that is made by clone(2).
relay run "$descriptors" "$mnt/pool" ${sanitized:+seen}
"$softpmem" powerfail --policy lose >/dev/null
check "everything that was persisted survives" test "$(numbers)" = "$wanted"

"$softpmem" destroy pool
"$softpmem" create --size 64K pool
run "$without_pidfd" "$descriptors" "$mnt/pool" >"$work/out"
sed 's/^/# without pidfd_getfd: /' "$work/out"
check "negative control: without pidfd_getfd(2) the program sees the library's descriptor" \
	grep -Eq '^not ok .*the program sees no descriptor' "$work/out"
others_fail() { grep '^not ok' "$work/out" | grep -Ev 'sees no descriptor|nor after'; }
check "without pidfd_getfd(2) everything else is the same" test -z "$(others_fail)"
"$softpmem" powerfail --policy lose >/dev/null
check "without pidfd_getfd(2) everything that was persisted survives" test "$(numbers)" = "$wanted"
check "check finds no damage" "$softpmem" check
finish
