#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Every way to reserve memory, each in a machine of its own: what 'softpmem regions' prints about it, whether
# the daemon can use it, and what happens when it is taken away.
. "$abs_top_srcdir/tests/lib.sh" || exit 1
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
guest_modules_later="reed_solomon ramoops kmem"
guest_programs=("$softpmemd" "$softpmem" "$abs_top_builddir/tests/guest/map_uncached")
for program in ndctl daxctl mkfs.ext4 kexec setpriv; do
	guest_programs+=("$(command -v $program)")
done
# The kernel and the initramfs that kexec loads.
mkdir "$work/guest" && cp "$guest_cache/vmlinuz" "$work/guest/vmlinuz"
guest_image "$abs_top_srcdir/tests/guest/reservations.guest" "${guest_programs[@]}" ||
	bail "cannot build the initramfs"

# machine CASE PARAMETER...: boot a guest and record how it ended.
machine() (
	trap - EXIT
	name=$1
	shift
	guest_own "$work/$name"
	[ "$(type -t "devices_$name")" != function ] || "devices_$name" "$@"
	guest_start "softpmem.case=$name" "$@"
	trap guest_stop EXIT
	[ "$(type -t "host_$name")" != function ] || "host_$name"
	guest_wait '^@done$' 400 >"$guest_work/waited" ||
		printf "\n@not_ok the guest ends its checks\n" >>"$guest_log"
)

# A disk that boots by UEFI: a boot loader, the kernel and the initramfs.
boot_from_disk() {
	guest_boot=(-drive "if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE.fd"
		-drive "if=virtio,format=raw,file=fat:rw:$guest_work/esp")
	mkdir -p "$guest_work/esp/EFI/BOOT"
	cp "$guest_cache/vmlinuz" "$work/guest.img" "$guest_work/esp/"
}

# The format of systemd-boot's entries: a key and its value a line, without quoting.
devices_systemd() {
	boot_from_disk
	cp /usr/lib/systemd/boot/efi/systemd-bootx64.efi "$guest_work/esp/EFI/BOOT/BOOTX64.EFI"
	mkdir -p "$guest_work/esp/loader/entries"
	echo "timeout 0" >"$guest_work/esp/loader/loader.conf"
	printf '%s\n' "title softpmem" "linux /vmlinuz" "initrd /guest.img" \
		"options $guest_words softpmem.case=systemd $1" \
		>"$guest_work/esp/loader/entries/softpmem.conf"
}

# /etc/default/grub is read by a shell (grub-mkconfig), and GRUB reads the result, so \$ is quoted twice.
devices_grub() {
	local words=${1//\$/'\\\$'}
	boot_from_disk
	{
		printf 'GRUB_CMDLINE_LINUX="%s softpmem.case=grub %s"\n' "$guest_words" "$words"
		# Not escaped, not escaped enough, and in single quotes: what becomes of them?
		cat <<-'END'
			GRUB_CMDLINE_LINUX_DEFAULT="softpmem.bare=1G$5G softpmem.single=1G\$5G"
			GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT "'softpmem.quoted=1G\$5G'
		END
	} >"$guest_work/default"
	(
		set +u
		# shellcheck disable=SC1091
		. "$guest_work/default"
		printf '%s\n' 'set root=(hd0,msdos1)' \
			"linux /vmlinuz $GRUB_CMDLINE_LINUX $GRUB_CMDLINE_LINUX_DEFAULT" \
			"initrd /guest.img" boot
	) >"$guest_work/grub.cfg"
	grub-mkstandalone -O x86_64-efi --install-modules= --modules="normal fat part_msdos linux boot" \
		--locales= --fonts= --themes= -o "$guest_work/esp/EFI/BOOT/BOOTX64.EFI" \
		"boot/grub/grub.cfg=$guest_work/grub.cfg"
}

devices_nvdimm() {
	guest_devices=(-machine "nvdimm=on" -m "5G,slots=4,maxmem=16G"
		-object "memory-backend-ram,id=nv,size=768M,reserve=off"
		-device "nvdimm,memdev=nv,id=nv0,label-size=256K")
}

# The reserved memory is on the upper one of two NUMA nodes.
devices_reserved() {
	guest_machine=pc
	guest_memory=memory-backend-ram,id=ram,size=4G,reserve=off
	guest_devices=(-object "memory-backend-ram,id=upper,size=1G,reserve=off" -numa "node,memdev=ram"
		-numa "node,memdev=upper")
}

# The kernel can use memory as its own only where it knows the NUMA node.
devices_soft() {
	guest_machine=pc
	guest_devices=(-numa "node,memdev=ram")
}

# Memory that outlives the machine: a second machine with another kernel command line finds it.
devices_memory() {
	guest_memory=memory-backend-file,id=ram,size=5G,share=on,mem-path=$guest_work/memory
}
host_memory() {
	guest_wait '^@done$' 300 >/dev/null || return
	guest_stop
	mv "$guest_log" "$guest_work/guest.first.log"
	guest_start softpmem.case=another 'memmap=64M!5G'
}

# A hot-plugged device whose memory window only fits into the gap that mem= has left.
host_gap() {
	guest_wait '^@plug$' 300 >/dev/null || return
	echo 'object_add memory-backend-ram,id=window,size=1G,reserve=off' >&"$guest_monitor"
	echo 'device_add ivshmem-plain,memdev=window,id=plugged' >&"$guest_monitor"
}

# shellcheck disable=SC2016 # the dollar is the kernel's
declare -A parameters=(
	[reserved]='memmap=512M$5G memmap=256M$5632M crashkernel=64M'
	[variants]='memmap=256M%0x140000000-1+2,256M%0x150000000-1+12,256M%0x160000000-1'
	[memory]='memmap=64M$5G'
	[legacy]='memmap=1G!5G'
	[relaxed]='memmap=1G!5G iomem=relaxed'
	[soft]='memmap=1G%0x140000000-1+0xefffffff'
	[gap]='mem=4G pci=nocrs'
	[nvdimm]=''
	[kexec]='memmap=1G$5G'
	[plain]='memmap=32M$6112M'
	[ramoops]='memmap=1G$5G'
	[systemd]='memmap=1G$5G'
	[grub]='memmap=1G$5G'
)
cases=(kexec nvdimm reserved memory soft relaxed systemd grub gap ramoops legacy plain variants)
# /dev/mem with another kernel by kexec, and an NVDIMM. The others are for make check-long. A person may
# choose some of the machines.
rounds machines 2 ${#cases[@]}
cases=("${cases[@]:0:machines}")
[ -z "${SOFTPMEM_TEST_GUESTS-}" ] || read -ra cases <<<"$SOFTPMEM_TEST_GUESTS"

declare -A needs=(
	[systemd]='/usr/share/OVMF/OVMF_CODE.fd /usr/lib/systemd/boot/efi/systemd-bootx64.efi'
	[grub]='/usr/share/OVMF/OVMF_CODE.fd /usr/lib/grub/x86_64-efi/linux.mod /usr/bin/grub-mkstandalone'
)
for i in "${!cases[@]}"; do
	for file in ${needs[${cases[i]}]-}; do
		[ -e "$file" ] && continue
		skip "the machine ${cases[i]}" "there is no $file"
		unset "cases[i]"
		break
	done
done

# Two machines at a time, because each keeps one processor busy.
for name in "${cases[@]}"; do
	while [ "$(jobs -rp | wc -l)" -ge 2 ]; do
		wait -n
	done
	machine "$name" "${parameters[$name]}" &
done
wait
for name in "${cases[@]}"; do
	note "machine: $name"
	for guest_log in "$work/$name"/guest*.log; do
		guest_report
	done
	sed 's/^/# /' "$work/$name/waited"
done
finish
