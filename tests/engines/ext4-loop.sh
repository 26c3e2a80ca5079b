#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# ext4 on a loop device on a pool. Its barriers arrive as FSYNC: what was fsynced on
# it is back after a cut and a replay of its journal.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
# shellcheck source=tests/engines/cuts.bash
. "$abs_top_srcdir/tests/engines/cuts.bash"
needs "ext4 on a loop device" mkfs.ext4 e2fsck losetup

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
	while mountpoint -q "$ext4"; do umount -l "$ext4"; done
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

# content_of N: what file N holds.
content_of() {
	yes "file $1" | head -c $((1 + $1 * 7919 % 150000))
}

# Files that are fsynced, each acknowledged by its number, until one cannot be.
# shellcheck disable=SC2016 # the writer expands it
write_files='number=$1
while yes "file $((number + 1))" | head -c $((1 + (number + 1) * 7919 % 150000)) |
	dd of="$0/$((number + 1))" bs=64K iflag=fullblock conv=fsync status=none; do
	number=$((number + 1))
	echo "$number"
done'

# write_and_cut POLICY: beside the synced files there is one that is not.
write_and_cut() {
	local status=0
	# Under a new name each time: ext4 flushes what replaces a file.
	unsynced=$ext4/unsynced-$1-$acknowledged
	content_of 18 >"$unsynced"
	cut_under_writer "$1" bash -c "$write_files" "$ext4" "$acknowledged" || status=1
	umount -l "$ext4" && losetup -d "$loop" || status=1
	loop=
	return "$status"
}

# replay: what the reset machine does when it comes up again. A new device does not wait for the old.
replay() {
	attach && mount -t ext4 "$loop" "$ext4" && umount "$ext4" && e2fsck -fn "$loop"
}

synced_are_back() {
	local number
	mount -t ext4 -o ro "$loop" "$ext4" || return 1
	for ((number = 1; number <= acknowledged; number++)); do
		content_of "$number" | cmp - "$ext4/$number" || return 1
	done
}

unsynced_is_back() {
	content_of 18 | cmp - "$unsynced"
}

# cut_and_come_back POLICY: once.
cut_and_come_back() {
	{
		attach_and_mount barrier=1 && write_and_cut "$1" && replay && synced_are_back
	} >"$work/verdict" 2>&1 || {
		sed 's/^/#   /' "$work/verdict"
		return 1
	}
	unsynced_is_back >"$work/verdict" 2>&1 && {
		note "policy $1: a file that was not synced is back"
		return 1
	}
	detach
}

# cut_often POLICY: three times.
cut_often() {
	local before=$acknowledged
	for _ in 1 2 3; do
		cut_and_come_back "$1" || {
			detach_at_exit
			loop=
			return 1
		}
	done
	note "policy $1: $((acknowledged - before)) files synced"
	[ "$acknowledged" -gt "$before" ]
}

if [ "$(id -u)" -ne 0 ] || ! losetup --find >/dev/null 2>&1 || ! grep -qw ext4 /proc/filesystems; then
	skip "ext4 on a loop device" "needs root, loop devices and ext4"
	finish
fi

mkdir "$ext4"
replay_note
daemon_start --region memfd:256M || bail "the daemon does not start"
check "a directory of mode sector" "$softpmem" create --directory --mode sector /disks
check "a pool for the image" "$softpmem" create --size 64M "$image"
check "losetup --direct-io=on takes the pool" attach
check "mkfs.ext4" mkfs.ext4 -q "$loop"
detach
for policy in lose keep random; do
	what="ext4: 3 cuts with policy $policy"
	verdict_of "$what, e2fsck -fn is clean, exactly the synced files are back" \
		cut_often "$policy"
done

# The control: without barriers, fsync does not reach the pool.
check "ext4 is mounted without barriers" attach_and_mount barrier=0
check "files are fsynced, but nothing says so to the pool, and the power fails" write_and_cut lose
if { replay && synced_are_back; } >"$work/verdict" 2>&1; then
	not_ok "ext4 without barriers: the cut loses what was fsynced"
else
	ok "ext4 without barriers: the cut loses what was fsynced"
fi
detach
check "the daemon stops cleanly" daemon_stop
finish
