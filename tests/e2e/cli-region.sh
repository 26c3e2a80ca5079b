#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Regions that outlive the daemon: format, check, taking up, refusing.
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

image=$work/image
region=file:$image
status_of() {
	"$softpmem" status --json | sed -n "s/^ *\"$1\":\(.*[^,]\),*\$/\1/p"
}

# ---- format
check "format creates the file of a region" "$softpmem" format --label 'the first' --mode sector "$region,64M"
check "the file has the size of the region" test "$(stat -c %s "$image")" = 67108864
check "check finds no damage in a new region" "$softpmem" check "$region"
check "check --json reports no damage in a new region" \
	grep -Fq '"damaged":0' <("$softpmem" check --json "$region")
cp "$image" "$work/before"
check_fails "format refuses a region that holds pools" "$image" "$softpmem" format "$region"
check "a refused format changes no byte" cmp "$image" "$work/before"

check "a daemon starts on the formatted region" daemon_start --region "$region"
check "status shows the label given to format" test "$(status_of label)" = '"the first"'
check "status shows the mode given to format" test "$(status_of mode)" = '"sector"'
check "a file is written and synced" sh -c "echo durable >'$mnt/file' && sync '$mnt/file'"
check_fails "format --force refuses a region that a daemon serves" \
	"$image.*(daemon|use|lock)" "$softpmem" format --force "$region"
check_fails "an offline check refuses a region that a daemon serves" \
	"$image.*(daemon|use|lock)" "$softpmem" check "$region"
check "check without a region is answered by the daemon" "$softpmem" check
check_fails "a second daemon on the same region is refused" \
	"$image" "$softpmemd" --region "$region" --socket "$work/second.sock"
check "a refused daemon leaves no socket" test ! -e "$work/second.sock"
check "the daemon stops cleanly" daemon_stop
check "check finds no damage after a clean stop" "$softpmem" check "$region"

check "a daemon starts with another --mode and --label" \
	daemon_start --region "$region" --mode fsdax --label other
check "the synced file is there after the restart" test "$(cat "$mnt/file")" = durable
check "a clean stop counts no dirty shutdown" test "$(status_of dirty_shutdowns)" = 0
check "--mode sets the mode of the root directory" test "$(status_of mode)" = '"fsdax"'
check "--label does not change the label of a formatted region" test "$(status_of label)" = '"the first"'
check "the log says that the region keeps its label" grep -q "keeps its label 'the first'" "$work/daemon.log"
echo volatile >"$mnt/lost"
daemon_kill
check "after a kill, check finds no damage" "$softpmem" check "$region"
check "after SIGKILL a daemon replaces the stale mount" daemon_start --region "$region"
check "SIGKILL counts as a dirty shutdown" test "$(status_of dirty_shutdowns)" = 1
check "SIGKILL begins a new generation" test "$(status_of generation)" = 3
check "after SIGKILL the synced file is there" test "$(cat "$mnt/file")" = durable
check "after SIGKILL the unsynced file is empty" test ! -s "$mnt/lost"
check "the daemon stops cleanly after SIGKILL of its predecessor" daemon_stop

# ---- --read-only
cp "$image" "$work/before"
check "a daemon starts with --read-only" daemon_start --region "$region" --read-only
check "a read-only daemon serves reads" test "$(cat "$mnt/file")" = durable
check_fails "create is refused by a read-only daemon" \
	'Read-only file system: the daemon runs with --read-only' "$softpmem" create /x
check_fails "destroy is refused by a read-only daemon" 'Read-only file system' "$softpmem" destroy /file
check_fails "a write on a read-only mount fails with EROFS" \
	'Read-only file system' sh -c "echo x >>'$mnt/file'"
check "status shows that the daemon is read-only" test "$(status_of read_only)" = true
check "the read-only daemon stops cleanly" daemon_stop
check "a read-only daemon changes no byte of its region" cmp "$image" "$work/before"

# ---- What is no region of ours
truncate -s 64M "$work/blank"
check_fails "--read-only refuses a blank region" 'it is blank: format it first' \
	"$softpmemd" --read-only --region "file:$work/blank" --socket "$socket"
check "a daemon formats a blank region by itself" daemon_start --region "file:$work/blank"
check "the daemon on the blank region stops cleanly" daemon_stop
cp "$work/blank" "$work/taken"

head -c 67108864 /dev/urandom >"$work/foreign"
cp "$work/foreign" "$work/before"
check_fails "a daemon refuses a region with foreign bytes" 'softpmem format' \
	"$softpmemd" --region "file:$work/foreign" --socket "$socket"
check_fails "format without --force refuses foreign bytes" 'force' "$softpmem" format "file:$work/foreign"
check "refused foreign bytes are unchanged" cmp "$work/foreign" "$work/before"
check_fails "check of foreign bytes names the file" "$work/foreign" "$softpmem" check "file:$work/foreign"
check "format --force formats foreign bytes" "$softpmem" format --force "file:$work/foreign"
check "check finds no damage after format --force" "$softpmem" check "file:$work/foreign"

check_fails "check of a missing file names it" "$work/none" "$softpmem" check "file:$work/none"
check_fails "format refuses a size below the smallest one" \
	'(at least|too small)' "$softpmem" format "file:$work/small,1M"
check_fails "format refuses a size that is no multiple of 4096" \
	'4096' "$softpmem" format "file:$work/odd,67108865"
check_fails "format refuses an unknown scheme" 'tape' "$softpmem" format tape:0
check_fails "format refuses a path without a scheme" "$work" "$softpmem" format "$work/image"

# ---- The media goes away under the daemon
check "a region of 64 MiB is formatted" "$softpmem" format "file:$work/cut,64M"
check "a daemon serves it" daemon_start --region "file:$work/cut"
truncate -s 32M "$work/cut"
check_fails "after the file was cut in half, check says that its memory was taken away" \
	"region file:$work/cut: its memory was taken away" \
	"$softpmem" check
ended() {
	daemon_stop
	[ $? -eq 1 ]
}
check "a daemon whose region has failed exits with status 1" ended
check "another daemon starts on the same mount point" daemon_start --region memfd:64M
check "the other daemon stops cleanly" daemon_stop

# ---- The file is not as long as it was
short=$work/short
check "a region of 8 MiB is formatted" "$softpmem" format "file:$short,8M"
check "a daemon serves the region of 8 MiB" daemon_start --region "file:$short"
check "a file is synced there" sh -c "echo durable >'$mnt/file' && sync '$mnt/file'"
daemon_stop
truncate -s +1M "$short"
check "check finds no damage if the file became longer" "$softpmem" check "file:$short"
truncate -s 8384512 "$short"
cp "$short" "$work/before"
# refused COMMAND...: the command names both sizes and the way out, and none that destroys the region.
refused() {
	timeout 20 "$@" >"$work/refused" 2>&1 && return 1
	grep -q 'has 8388608 bytes, and only 8384512 .*extend the file with truncate -s 8388608' \
		"$work/refused" && ! grep -e --force "$work/refused"
}
check "check tells that the file was cut short" refused "$softpmem" check "file:$short"
for spec in "file:$short" "copy:$short"; do
	check "a daemon with ${spec%%:*}: tells that the file was cut short" \
		refused "$softpmemd" --region "$spec" --socket "$work/second.sock"
done
check "a daemon that only reads tells that the file was cut short" \
	refused "$softpmemd" --read-only --region "file:$short" --socket "$work/second.sock"
check_fails "format tells that the file holds a part of a region" 'a part of a larger region' \
	"$softpmem" format "file:$short"
check "no byte of the file was changed" cmp "$short" "$work/before"
truncate -s 8388608 "$short"
check "a daemon serves the file that was extended" daemon_start --region "file:$short"
check "what was synced is there" test "$(cat "$mnt/file")" = durable
daemon_stop

# The last page of the smaller region is still there, and intact.
truncate -s 16M "$short"
check "the file gets a larger region" "$softpmem" format --force "file:$short"
truncate -s 8M "$short"
check_fails "the superblock of an older, smaller region is not taken for the one of the file" \
	'has 16777216 bytes, and only 8388608' "$softpmem" check "file:$short"
truncate -s 1M "$short"
check_fails "a file that was cut below the smallest size can be extended" 'extend the file' \
	"$softpmem" check "file:$short"
truncate -s 8000001 "$short"
check_fails "a file of an odd length can be rounded up" 'truncate -s %4096' "$softpmem" check "file:$short"

# ---- Damage: both superblocks gone.
dd if=/dev/urandom of="$work/taken" bs=64k count=1 conv=notrunc status=none
dd if=/dev/urandom of="$work/taken" bs=64k count=1 seek=1023 conv=notrunc status=none
cp "$work/taken" "$work/before"
check_fails "check of a damaged region fails" "$work/taken" "$softpmem" check "file:$work/taken"
check "check changes no byte of a damaged region" cmp "$work/taken" "$work/before"
finish
