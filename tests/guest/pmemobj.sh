#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A libpmemobj program on the real /dev/mem, run with --through by a user without privileges, on a machine
# that is reset without warning.
. "$abs_top_srcdir/tests/lib.sh" || exit 1
. "$abs_top_srcdir/tests/guest/guest.sh"

persistent=$abs_top_builddir/tests/guest/persistent
guest_prepare || {
	skip "persistent objects in a guest" "$guest_reason"
	finish
}
[ -x "$persistent" ] || {
	skip "persistent objects in a guest" "built without libpmemobj"
	finish
}
# shellcheck disable=SC2034 # for guest_image
guest_client=yes
guest_image "$abs_top_srcdir/tests/guest/pmemobj.guest" "$softpmemd" "$softpmem" "$persistent" \
	"$abs_top_builddir/tests/pmdk/flush_faults.so" ||
	bail "cannot build the initramfs"
journal=$work/journal
# shellcheck disable=SC2034 # for guest_start
guest_devices=(-serial "file:$journal")

acknowledged() { wc -c <"$journal"; }
# run_and_reset NAME STEPS FROM-LINE: reset the guest soon after so many further steps are acknowledged.
run_and_reset() {
	local before
	check "$1" guest_wait '^@running$' 200 "$3"
	before=$(acknowledged)
	until [ "$(acknowledged)" -ge "$((before + $2))" ]; do
		kill -0 "$guest_pid" 2>/dev/null || break
		[ "$SECONDS" -lt 300 ] || break
		sleep 0.01
	done
	guest_reset
}

# shellcheck disable=SC2016 # the dollar is the kernel's
guest_start 'memmap=64M$5G'
run_and_reset "the program runs" 40 1
acked=$(acknowledged)
check "after the reset the guest boots again and checks its pool" guest_wait '^@boot 2$' 200
from=$(wc -l <"$guest_log")
run_and_reset "the program runs again, without some of its flushes" 40 "$from"
check "after a second reset the guest boots again and checks its pool" guest_wait '^@done$' 200
steps=$(guest_said '@steps ([0-9]+)')
guest_report
note "acknowledged: $acked, found: ${steps:-none}"
check "at least 40 steps were acknowledged, and each of them survived" \
	test "${acked:-0}" -ge 40 -a "${steps:-0}" -ge "${acked:-0}"
finish
