#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# ext4 on a loop device on a pool. Its barriers arrive as FSYNC requests, so that files that were fsynced on
# it survive a power failure and a replay of the journal.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
# shellcheck source=tests/engines/cuts.bash
. "$abs_top_srcdir/tests/engines/cuts.bash"
needs "ext4 on a loop device" mkfs.ext4 e2fsck losetup

loop=
ext4=$work/ext4

# With a policy that may tear a journal block the pool needs atomic sectors, as on any disk.
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

# attach_and_mount OPTIONS: with a commit interval so long that ext4 commits nothing by itself.
attach_and_mount() {
	attach && mount -t ext4 -o "commit=600,$1" "$loop" "$ext4"
}

# content_of N: print the content of file N.
content_of() {
	yes "file $1" | head -c $((1 + $1 * 7919 % 150000))
}

# Write and fsync files, and acknowledge each by its number, until a write fails.
# shellcheck disable=SC2016 # the writer expands it
write_files='number=$1
while yes "file $((number + 1))" | head -c $((1 + (number + 1) * 7919 % 150000)) |
	dd of="$0/$((number + 1))" bs=64K iflag=fullblock conv=fsync status=none; do
	number=$((number + 1))
	echo "$number"
done'

# write_and_cut POLICY: write synced files and an unsynced one, and let the power fail.
write_and_cut() {
	local status=0
	# Use a new name each time: ext4 flushes a file that replaces another one.
	unsynced=$ext4/unsynced-$1-$acknowledged
	content_of 18 >"$unsynced"
	cut_under_writer "$1" bash -c "$write_files" "$ext4" "$acknowledged" || status=1
	umount -l "$ext4" && losetup -d "$loop" || status=1
	loop=
	return "$status"
}

# replay: what a machine does after the reset. A new loop device need not wait for the old one.
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

# cut_and_come_back POLICY: one power failure, and the recovery from it.
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

rounds cuts 1 3

# cut_often POLICY: power failures, each with a recovery.
cut_often() {
	local before=$acknowledged
	for ((cut = 0; cut < cuts; cut++)); do
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
check "create --mode sector makes a directory" "$softpmem" create --directory --mode sector /disks
check "create makes a pool for the image" "$softpmem" create --size 64M "$image"
check "losetup --direct-io=on accepts the pool" attach
check "mkfs.ext4 formats the pool" mkfs.ext4 -q "$loop"
detach
for policy in lose keep random; do
	what="ext4: $cuts cuts with policy $policy"
	verdict_of "$what, e2fsck -fn is clean, exactly the synced files are back" \
		cut_often "$policy"
done

# Negative control: without barriers, fsync does not reach the pool.
check "ext4 is mounted without barriers" attach_and_mount barrier=0
# A cut before the first of these files would lose nothing.
acks_before_cut=20
check "without barriers, files are fsynced and the power fails" write_and_cut lose
if { replay && synced_are_back; } >"$work/verdict" 2>&1; then
	not_ok "ext4 without barriers: the power failure loses files that were fsynced"
else
	ok "ext4 without barriers: the power failure loses files that were fsynced"
fi
detach
check "the daemon stops cleanly" daemon_stop
finish
