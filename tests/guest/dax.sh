#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Reserved RAM as the kernel's own emulated NVDIMM (memmap=SIZE!START): the daemon refuses it while a
# namespace is active on it, and file: regions on its DAX file system work.
. "$abs_top_srcdir/tests/lib.sh" || exit 1
. "$abs_top_srcdir/tests/guest/guest.sh"

guest_prepare || {
	skip "a DAX file system in a guest" "$guest_reason"
	finish
}
mkfs=$(command -v mkfs.ext4) || {
	skip "a DAX file system in a guest" "mkfs.ext4 is not installed"
	finish
}
# shellcheck disable=SC2034 # for guest_image
guest_modules="fuse libnvdimm nd_btt nd_pmem nd_e820"
guest_image "$abs_top_srcdir/tests/guest/dax.guest" "$softpmemd" "$softpmem" "$mkfs" ||
	bail "cannot build the initramfs"
guest_start 'memmap=1G!5G'
check "the guest writes before it is reset" guest_wait '^@written$' 300
guest_reset
check "after the reset the guest boots again and ends its checks" guest_wait '^@done$' 300
guest_report
finish
