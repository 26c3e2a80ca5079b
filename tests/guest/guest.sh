# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A machine that tests can reset: Debian's cloud kernel on QEMU's emulated processor (no KVM, no root), with
# an initramfs of busybox and the programs under test, and a test script inside. After tests/lib.sh:
#
#   . "$abs_top_srcdir/tests/guest/guest.sh"
#   guest_prepare || { skip WHAT "$guest_reason"; finish; }
#   guest_image SCRIPT PROGRAM...
#   guest_start KERNEL-PARAMETER...
#   guest_wait REGEX SECONDS && guest_reset
#   guest_stop
#
# Lines that the script inside writes to /dev/ttyS1 arrive in $guest_log; the kernel's console on ttyS0 is in
# $guest_console.

# shellcheck disable=SC2154 # tests/lib.sh sets them
guest_cache=$abs_top_builddir/tests/guest/kernel
guest_work=$work
guest_log=$work/guest.log
guest_console=$work/guest.console
guest_reason=
guest_pid=
guest_devices=()
guest_boot=()
guest_runner=() # words before QEMU's
mkfifo "$work/silence" && exec {guest_silence}<>"$work/silence" || exit 1
guest_machine=pc,memory-backend=ram
guest_memory=memory-backend-ram,id=ram,size=5G,reserve=off
# Kernel parameters of every guest, beside those of a test. On a busy host the timer is late; no_timer_check
# keeps the kernel from treating that as a fault. The others save time where instructions are emulated.
guest_words='console=ttyS0 quiet panic=-1 no_timer_check mitigations=off init_on_alloc=0 nokaslr'

# The newest cloud kernel that apt knows, without installing it, so that a user without privileges can do it.
guest_fetch_kernel() {
	local apt=("$@") package
	package=$(apt-cache "${apt[@]}" depends linux-image-cloud-amd64 2>/dev/null |
		awk '/Depends: linux-image-/ { print $2; exit }')
	[ -n "$package" ] || return 1
	(cd "$guest_cache.new" && apt-get "${apt[@]}" -qq download "$package") || return 1
	dpkg-deb -x "$guest_cache.new/$package"_*.deb "$guest_cache.new/tree"
}

guest_unpack_kernel() {
	local lists=$guest_cache.new/apt
	rm -rf "$guest_cache.new"
	mkdir -p "$guest_cache.new/tree" "$lists/lists/partial" "$lists/archives/partial"
	if ! guest_fetch_kernel; then
		# A fresh image has no package lists: fetch them for ourselves, not for the system.
		local private=(-o "Dir::State::lists=$lists/lists" -o "Dir::Cache=$lists")
		apt-get "${private[@]}" -qq update && guest_fetch_kernel "${private[@]}" || return 1
	fi
	cp "$guest_cache.new"/tree/boot/vmlinuz-* "$guest_cache.new/vmlinuz" || return 1
	mv "$guest_cache.new"/tree/lib/modules/*/kernel "$guest_cache.new/modules" || return 1
	rm -rf "$guest_cache.new/tree" "$lists" "$guest_cache.new"/*.deb
	mv "$guest_cache.new" "$guest_cache"
}

# guest_own DIRECTORY: from here on the functions refer to another guest with the same image. For subshells.
guest_own() {
	guest_work=$1
	guest_log=$1/guest.log
	guest_console=$1/guest.console
	mkdir "$1"
}

# Prepare everything that a guest needs. On failure the status is not zero and the reason is in $guest_reason.
guest_prepare() {
	local program
	for program in qemu-system-x86_64 busybox; do
		if ! command -v "$program" >/dev/null; then
			guest_reason="$program is not installed"
			return 1
		fi
	done
	if ldd "$(command -v busybox)" >/dev/null 2>&1; then
		guest_reason="busybox is not the static one (busybox-static)"
		return 1
	fi
	mkdir -p "${guest_cache%/*}"
	if ! (flock 9 && { [ -e "$guest_cache/vmlinuz" ] || guest_unpack_kernel; }) \
		9>"$guest_cache.lock" >"$work/kernel.log" 2>&1; then
		sed 's/^/# kernel: /' "$work/kernel.log"
		# shellcheck disable=SC2034 # for the scripts that include this
		guest_reason="linux-image-cloud-amd64 could not be downloaded with apt"
		return 1
	fi
}

# Copy the libraries of a program or library to the places where its loader looks for them.
guest_copy_libraries() {
	local library
	ldd "$1" | grep -o '/[^ ]*' | while read -r library; do
		[ -e "$work/guest$library" ] && continue
		mkdir -p "$work/guest${library%/*}"
		cp -L "$library" "$work/guest$library" || return 1
	done
}

# Without what a debugger needs: a guest unpacks all of the image.
guest_copy_program() {
	strip -o "$work/guest/bin/${1##*/}" "$1" && guest_copy_libraries "$1"
}

# The library of softpmem run, at the same place relative to the program as in the build tree.
guest_copy_client() {
	local client=pmem/client/libpmem.so.1
	mkdir -p "$work/guest/bin/${client%/*}"
	cp -L "$abs_top_builddir/$client" "$work/guest/bin/$client" &&
		guest_copy_libraries "$abs_top_builddir/$client"
}

# guest_copy_module NAME: copy a kernel module to the place where insmod finds it.
guest_copy_module() {
	local file
	file=$(find "$guest_cache/modules" -name "$1.ko*" -print -quit)
	[ -n "$file" ] || return 1
	case $file in
	*.xz) xz -dc "$file" ;;
	*.zst) zstd -dqc "$file" ;;
	*) cat "$file" ;;
	esac >"$work/guest/modules/$1.ko" || return 1
}

# guest_image SCRIPT PROGRAM...: make the initramfs. $guest_modules are loaded in that order,
# $guest_modules_later by the script. If $guest_client is set, the image has what softpmem run needs.
guest_image() {
	local script=$1 program module
	shift
	mkdir -p "$work"/guest/{bin,dev,etc,mnt,modules,proc,root,run,sys,tmp}
	cp "$(command -v busybox)" "$work/guest/bin/busybox"
	cp "$script" "$work/guest/script"
	cp "$abs_top_srcdir/tests/guest/inside.sh" "$work/guest/lib.sh"
	: >"$work/guest/load"
	for program; do
		guest_copy_program "$program" || return 1
	done
	[ -z "${guest_client-}" ] || guest_copy_client || return 1
	for module in ${guest_modules-fuse}; do
		guest_copy_module "$module" || return 1
		echo "insmod /modules/$module.ko" >>"$work/guest/load"
	done
	for module in ${guest_modules_later-}; do
		guest_copy_module "$module" || return 1
	done
	echo 'root:x:0:0::/root:/bin/sh' >"$work/guest/etc/passwd"
	echo 'nobody:x:65534:65534::/tmp:/bin/sh' >>"$work/guest/etc/passwd"
	printf '%s:x:%s:\n' root 0 nogroup 65534 >"$work/guest/etc/group"
	cat >"$work/guest/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t debugfs debug /sys/kernel/debug
chmod 1777 /tmp
ip link set lo up
. /load
cd /tmp
sh /script >/dev/ttyS1 2>&1
poweroff -f
INIT
	chmod +x "$work/guest/init"
	(cd "$work/guest" && find . | busybox cpio -o -H newc) >"$work/guest.img" 2>/dev/null
}

# guest_start PARAMETER...: boot with these kernel parameters, with QEMU's options $guest_devices and
# $guest_memory, and with $guest_boot if it is set instead of loading the kernel directly. The monitor is a
# pair of fifos, through which the shell resets the machine.
guest_start() {
	local boot=(-kernel "$guest_cache/vmlinuz" -initrd "$work/guest.img" -append "$guest_words $*")
	[ "${#guest_boot[@]}" -eq 0 ] || boot=("${guest_boot[@]}")
	[ -p "$guest_work/monitor.in" ] || mkfifo "$guest_work/monitor.in" "$guest_work/monitor.out"
	: >"$guest_log"
	# RAM that the guest does not touch is never allocated, so a small host is enough.
	"${guest_runner[@]}" qemu-system-x86_64 -accel tcg -cpu max -m 5G -object "$guest_memory" \
		-machine "$guest_machine" -display none -nodefaults -no-user-config \
		"${boot[@]}" -serial "file:$guest_console" -serial "file:$guest_log" "${guest_devices[@]}" \
		-chardev "pipe,id=monitor,path=$guest_work/monitor" -mon chardev=monitor,mode=readline \
		>"$guest_work/qemu.log" 2>&1 &
	guest_pid=$!
	at_exit+=(guest_stop)
	# Open both ends of both fifos, so that neither QEMU nor this script waits for the other.
	# shellcheck disable=SC2034
	exec {guest_monitor}<>"$guest_work/monitor.in" {guest_monitor_out}<>"$guest_work/monitor.out"
}

# guest_wait REGEX SECONDS [FROM-LINE]: wait until the script inside has printed a matching line. Fails if the
# guest ends first or the time is over. The loop starts no processes, which would compete with the guest.
guest_wait() {
	local until=$((SECONDS + $2)) from=${3:-1} last=
	while ! guest_printed "$1" "$from"; do
		if [ -n "$last" ]; then
			note "waited for '$1'; the guest's last words:"
			tail -n 5 "$guest_console" "$guest_log" "$guest_work/qemu.log" | tr -d '\r' |
				cut -c 1-200 | sed 's/^/#   /'
			return 1
		fi
		# It may print the line and end between the two looks: look once more.
		if [ "$SECONDS" -ge "$until" ] || ! kill -0 "$guest_pid" 2>/dev/null; then
			last=yes
		else
			guest_pause 0.1
		fi
	done
}

# guest_printed REGEX FROM-LINE
guest_printed() {
	local lines line
	mapfile -t -s $(($2 - 1)) lines <"$guest_log"
	for line in "${lines[@]}"; do
		line=${line%$'\r'}
		[[ $line =~ $1 ]] && return
	done
	return 1
}

# guest_pause SECONDS: nothing is ever written to the other end of this descriptor.
guest_pause() {
	local nothing
	read -r -t "$1" -u "$guest_silence" nothing || return 0
}

guest_reset() {
	echo system_reset >&"$guest_monitor"
}

# guest_said REGEX: print what the first group matched, for each line that matches.
guest_said() {
	tr -d '\r' <"$guest_log" | sed -nE "s/^$1\$/\\1/p"
}

# Report the results of the tests inside the guest (inside.sh) as results of this test.
guest_report() {
	local line
	while read -r line; do
		case $line in
		@ok\ *) ok "${line#@ok }" ;;
		@not_ok\ *) not_ok "${line#@not_ok }" ;;
		@note\ *) note "  ${line#@note }" ;;
		esac
	done < <(tr -d '\r' <"$guest_log")
}

# Kill the guest if it has not ended by itself.
guest_stop() {
	[ -n "$guest_pid" ] || return 0
	kill -KILL "$guest_pid" 2>/dev/null
	wait "$guest_pid" 2>/dev/null
	guest_pid=
}
