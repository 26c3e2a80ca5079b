#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# ext4 on a loop device on a pool. Its barriers arrive as FSYNC: what was fsynced on
# it is back after a cut and a replay of its journal.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
# shellcheck source=tests/engines/cuts.bash
. "$abs_top_srcdir/tests/engines/cuts.bash"

loop=
ext4=$work/ext4

# The policies that may tear a journal block need sectors, as on any disk.
image=/disks/image

detach() {
	mountpoint -q "$ext4" && umount "$ext4"
	[ -z "$loop" ] || losetup -d "$loop"
	loop=
}
detach_at_exit() {
	mountpoint -q "$ext4" && umount -l "$ext4"
	[ -z "$loop" ] || losetup -d "$loop"
}
at_exit+=(detach_at_exit)

attach() {
	loop=$(losetup --find --show --direct-io=on "$("$softpmem" path "$image")")
}

# attach_and_mount OPTIONS: no commit of ext4's own accord comes between.
attach_and_mount() {
	attach && mount -t ext4 -o "commit=600,$1" "$loop" "$ext4"
}

# write_files ROUND: ten files fsynced with their directory, one that is not.
write_files() {
	local n
	mkdir "$ext4/$1" "$work/expected/$1" || return 1
	for n in 0 1 2 3 4 5 6 7 8 9; do
		head -c $((RANDOM * 7 + 1)) /dev/urandom >"$work/expected/$1/$n" || return 1
		dd if="$work/expected/$1/$n" of="$ext4/$1/$n" bs=64K conv=fsync status=none || return 1
	done
	sync "$ext4/$1" "$ext4" || return 1
	head -c 300000 /dev/urandom >"$ext4/unsynced-$1"
}

# cut_and_replay POLICY: what the reset machine does when it comes up again.
cut_and_replay() {
	cut "$1" || return 1
	umount -l "$ext4" && losetup -d "$loop" || return 1
	# The old file system goes when its last writer gave up; a new device does not wait for it.
	attach || return 1
	mount -t ext4 "$loop" "$ext4" && umount "$ext4" && e2fsck -fn "$loop"
}

synced_are_back() {
	mount -t ext4 -o ro "$loop" "$ext4" || return 1
	diff -r "$work/expected/$1" "$ext4/$1"
}

unsynced_is_whole() {
	[ -e "$ext4/unsynced-$1" ] && [ "$(stat -c %s "$ext4/unsynced-$1")" -eq 300000 ]
}

if [ "$(id -u)" -ne 0 ] || ! losetup --find >/dev/null 2>&1 || ! grep -qw ext4 /proc/filesystems; then
	skip "ext4 on a loop device" "needs root, loop devices and ext4"
	finish
fi

mkdir "$ext4" "$work/expected"
replay_note
daemon_start --region memfd:256M || bail "the daemon does not start"
check "a directory of mode sector" "$softpmem" create --directory --mode sector /disks
check "a pool for the image" "$softpmem" create --size 64M "$image"
check "losetup --direct-io=on takes the pool" attach
check "mkfs.ext4" mkfs.ext4 -q "$loop"
check "detached" detach
for policy in lose keep random; do
	check "ext4 is mounted" attach_and_mount barrier=1
	check "files are written and fsynced" write_files "$policy"
	check "policy $policy: the journal replays and e2fsck -fn is clean" cut_and_replay "$policy"
	check "policy $policy: what was fsynced is back, byte for byte" synced_are_back "$policy"
	check_fails "policy $policy: what was not fsynced is not" '' unsynced_is_whole "$policy"
	check "detached" detach
done

# The control: without barriers, fsync does not reach the pool.
check "ext4 is mounted without barriers" attach_and_mount barrier=0
check "files are written and fsynced, but nothing says so to the device" write_files control
cut_and_replay lose >/dev/null 2>&1
if synced_are_back control >/dev/null 2>&1; then
	not_ok "without barriers the cut loses what was fsynced"
else
	ok "without barriers the cut loses what was fsynced"
fi
detach
check "the daemon stops cleanly" daemon_stop
finish
