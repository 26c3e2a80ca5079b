#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Reserved RAM through the real /dev/mem on a machine that is reset without warning: synced bytes survive,
# unsynced bytes do not.
. "$abs_top_srcdir/tests/lib.sh" || exit 1
. "$abs_top_srcdir/tests/guest/guest.sh"

guest_prepare || {
	skip "reserved RAM in a guest" "$guest_reason"
	finish
}
guest_image "$abs_top_srcdir/tests/guest/devmem.guest" "$softpmemd" "$softpmem" \
	"$abs_top_builddir/tests/guest/map_uncached" || bail "cannot build the initramfs"
# shellcheck disable=SC2016 # the dollar is the kernel's
guest_start 'memmap=1G$5G'

check "the guest acknowledges 25 records before it is reset" guest_wait '^@acked 25$' 300
if [ "$tests_failed" -gt 0 ]; then
	guest_report
	finish
fi
guest_reset
check "after the reset the guest boots again with its region" guest_wait '^@boot 2$' 300
acked=$(guest_said '@acked ([0-9]+)' | tail -n 1)
check "the guest ends its checks" guest_wait '^@done$' 300
records=$(guest_said '@records ([0-9]+)')
guest_report
note "records acknowledged: ${acked:-none}, found: ${records:-none}"
check "every acknowledged record survived the reset, and at most one more" \
	test "${records:-0}" -ge "${acked:-1}" -a "${records:-0}" -le "$((${acked:-0} + 1))"
finish
