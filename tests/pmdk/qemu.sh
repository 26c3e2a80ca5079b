#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# QEMU, which uses libpmem: a guest's NVDIMM (pmem=on) and its virtio-pmem disk are pools. Its processor's
# flushes reach nobody outside, so the NVDIMM's stores are safe only where caches are (eADR); virtio-pmem asks
# QEMU, which calls fsync(2).
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
# shellcheck source=tests/guest/guest.sh
. "$abs_top_srcdir/tests/guest/guest.sh"

guest_prepare || {
	skip "a guest whose NVDIMM is a pool" "$guest_reason"
	finish
}
# shellcheck source=tests/pmdk/qemu.bash
. "$abs_top_srcdir/tests/pmdk/qemu.bash"
# shellcheck disable=SC2034 # for guest_start
guest_runner=("$softpmem" run --)

# write_and_cut: the guest writes, and QEMU ends with the power.
write_and_cut() {
	guest_start act=write
	check "the guest writes to its NVDIMM" guest_wait '^@written' 240
	guest_report
	"$softpmem" powerfail --policy lose >/dev/null
	{ wait "$guest_pid"; } 2>/dev/null
	check "a power failure ends QEMU" test $? -eq 137
	guest_pid=
}

# look: the guest boots again, and $found is what it finds.
look() {
	guest_start act=look
	check "the guest boots again" guest_wait '^@done' 240
	found=$(guest_said '@found (.*)' | tr '\n' ',')
	guest_stop
	note "found: $found"
}
# finds DISK WORD...: of the first place, of the second.
finds() { [[ ",$found" == *",$1 $2,$1 $3,"* ]]; }

daemon_start --region memfd:256M || bail "no daemon"
check "two pools are created for the guest" pools
write_and_cut
look
check "virtio-pmem: what the guest flushed survives, and what it only stored is lost" finds virtio flushed ""
check "negative control: a flush by the guest's processor is not seen outside, and its bytes are lost" \
	finds nvdimm "" ""
daemon_stop

daemon_start --region memfd:256M --domain cpu_cache || bail "no daemon"
check "two pools are created with --domain cpu_cache" pools
write_and_cut
look
check "with --domain cpu_cache everything that the guest wrote survives" finds nvdimm flushed stored
finish
