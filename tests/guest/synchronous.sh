#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Synchronous writes through the page cache are durable on Debian's kernel. The daemon relies on the FSYNC
# that the kernel sends after each.
. "$abs_top_srcdir/tests/lib.sh" || exit 1
. "$abs_top_srcdir/tests/guest/guest.sh"

guest_prepare || {
	skip "synchronous writes in a guest" "$guest_reason"
	finish
}
guest_image "$abs_top_srcdir/tests/guest/synchronous.guest" "$softpmemd" "$softpmem" \
	"$abs_top_builddir/tests/guest/synchronous" ||
	bail "cannot build the initramfs"
guest_start softpmem.case=synchronous
check "the guest boots and ends its checks" guest_wait '^@done$' 300
guest_report
finish
