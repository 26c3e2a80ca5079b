#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Reserved RAM through the real /dev/mem, and a machine that is reset without
# warning: what was synced is back, what was not is not.
. "$abs_top_srcdir/tests/lib.sh"
. "$abs_top_srcdir/tests/guest/guest.sh"

guest_prepare || {
	skip "reserved RAM in a guest" "$guest_reason"
	finish
}
guest_image "$abs_top_srcdir/tests/guest/devmem.guest" "$softpmemd" "$softpmem" \
	"$abs_top_builddir/tests/guest/map_uncached" || bail "cannot build the initramfs"
# shellcheck disable=SC2016 # the dollar is the kernel's
guest_start 'memmap=1G$5G'

check "the guest writes until it is reset" guest_wait '^@acked 25$' 300
if [ "$tests_failed" -gt 0 ]; then
	guest_report
	finish
fi
guest_reset
check "the guest comes back with its region" guest_wait '^@boot 2$' 300
acked=$(guest_said '@acked ([0-9]+)' | tail -n 1)
check "the guest ends its checks" guest_wait '^@done$' 300
records=$(guest_said '@records ([0-9]+)')
guest_report
note "records acknowledged: ${acked:-none}, found: ${records:-none}"
check "each acknowledged record is there, and at most the one on its way more" \
	test "${records:-0}" -ge "${acked:-1}" -a "${records:-0}" -le "$((${acked:-0} + 1))"
finish
