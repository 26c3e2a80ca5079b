#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Every way to set memory aside, each in a machine of its own: what 'softpmem
# regions' says of it, what the daemon makes of it, and what takes it away.
. "$abs_top_srcdir/tests/lib.sh"
. "$abs_top_srcdir/tests/guest/guest.sh"

guest_prepare || {
	skip "reserved memory in guests" "$guest_reason"
	finish
}
for program in ndctl daxctl mkfs.ext4 kexec setpriv; do
	command -v $program >/dev/null || {
		skip "reserved memory in guests" "$program is not installed"
		finish
	}
done
# shellcheck disable=SC2034 # for guest_image
guest_modules="fuse libnvdimm nd_btt nd_pmem nfit dax_pmem device_dax dax_hmem nd_e820"
# shellcheck disable=SC2034
guest_modules_later="reed_solomon ramoops"
guest_programs=("$softpmemd" "$softpmem" "$abs_top_builddir/tests/guest/map_uncached")
for program in ndctl daxctl mkfs.ext4 kexec setpriv; do
	guest_programs+=("$(command -v $program)")
done
# For kexec.
mkdir "$work/guest" && cp "$guest_cache/vmlinuz" "$work/guest/vmlinuz"
guest_image "$abs_top_srcdir/tests/guest/regions.guest" "${guest_programs[@]}" || bail "cannot build the initramfs"

# machine CASE PARAMETER...: boots, and writes down how it ended.
machine() (
	trap - EXIT
	name=$1
	shift
	guest_own "$work/$name"
	[ "$(type -t "devices_$name")" != function ] || "devices_$name"
	guest_start "softpmem.case=$name" "$@"
	trap guest_stop EXIT
	[ "$(type -t "host_$name")" != function ] || "host_$name"
	guest_wait '^@done$' 120 >"$guest_work/waited" || echo "@not_ok the guest ends its checks" >>"$guest_log"
)

devices_nvdimm() {
	guest_devices=(-machine "nvdimm=on" -m "5G,slots=4,maxmem=16G"
		-object "memory-backend-ram,id=nv,size=768M,reserve=off" -device "nvdimm,memdev=nv,id=nv0,label-size=256K")
}

# A device is plugged in whose window only fits where mem= has left a gap.
host_gap() {
	guest_wait '^@plug$' 100 >/dev/null || return
	echo 'object_add memory-backend-ram,id=window,size=1G,reserve=off' >&"$guest_monitor"
	echo 'device_add ivshmem-plain,memdev=window,id=plugged' >&"$guest_monitor"
}

# shellcheck disable=SC2016 # the dollar is the kernel's
declare -A parameters=(
	[reserved]='memmap=512M$5G memmap=256M$5632M'
	[legacy]='memmap=1G!5G'
	[relaxed]='memmap=1G!5G iomem=relaxed'
	[soft]='memmap=1G%0x140000000-1+0xefffffff'
	[gap]='mem=4G pci=nocrs'
	[nvdimm]=''
	[kexec]='memmap=1G$5G'
	[ramoops]='memmap=1G$5G'
)
cases=(kexec legacy nvdimm reserved soft gap ramoops relaxed)

# Two at a time: a machine is one busy processor.
for name in "${cases[@]}"; do
	while [ "$(jobs -rp | wc -l)" -ge 2 ]; do
		wait -n
	done
	machine "$name" "${parameters[$name]}" &
done
wait
for name in "${cases[@]}"; do
	note "machine: $name"
	guest_log=$work/$name/guest.log guest_report
	sed 's/^/# /' "$work/$name/waited"
done
finish
