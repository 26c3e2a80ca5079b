#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# QEMU is recorded while a guest writes to its NVDIMM and to its virtio-pmem disk, which are pools. The stores
# are those of code that QEMU makes as it runs, which is never patched: each of them faults.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
# shellcheck source=tests/guest/guest.sh
. "$abs_top_srcdir/tests/guest/guest.sh"
# shellcheck source=tests/record/recorded.bash
. "$abs_top_srcdir/tests/record/recorded.bash"

guest_prepare || {
	skip "a recorded guest whose NVDIMM is a pool" "$guest_reason"
	finish
}
# shellcheck source=tests/pmdk/qemu.bash
. "$abs_top_srcdir/tests/pmdk/qemu.bash"
# shellcheck disable=SC2034,SC2154 # for guest_start; recorded.bash sets it
guest_runner=("$softpmem" record -o "$trace" --)
quit() {
	echo quit >&"$guest_monitor"
	wait "$guest_pid"
}
same() { "$here/same_contents" "$trace" "/$1" "$mnt/$1"; }
# stored PATH PLACE BYTES: the store of these bytes, in hexadecimal, to the PLACEth 64 KiB of the file.
stored() {
	local file
	file=$("$softpmem" trace info "$trace" | awk -v path="$1" '$3 == path { print $1 }')
	"$softpmem" trace dump "$trace" | grep -q "store $file+$(printf '0x%x' $(($2 * 65536))) .*bytes=$3"
}

not_stored() { ! stored "$@"; }

daemon_start --region memfd:256M || bail "no daemon"
check "two pools are created for the guest" pools
guest_start act=write
check "a recorded guest writes to its NVDIMM" guest_wait '^@written' 240
guest_report
check "QEMU ends as it does when it is not recorded" quit
guest_pid=
# "flushed" and "stored", of which the guest's processor stores eight bytes at once.
check "the trace has the first store to the NVDIMM" stored /nvdimm 1 666c75736865640a
check "the trace has a store to the virtio-pmem disk that was not flushed" stored /virtio 2 73746f7265640a73
check "negative control: nothing was stored where the guest did not write" \
	not_stored /nvdimm 3 666c75736865640a
check "the trace replays to what the NVDIMM holds" same nvdimm
check "the trace replays to what the virtio-pmem disk holds" same virtio
finish
