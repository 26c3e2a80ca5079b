#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Regions that outlive the daemon: format, check, taking up, refusing.
. "$abs_top_srcdir/tests/lib.sh" || exit 1

image=$work/image
region=file:$image
status_of() {
	"$softpmem" status --json | sed -n "s/^  \"$1\":\(.*[^,]\),*\$/\1/p"
}

# ---- format
check "format makes the file" "$softpmem" format --label 'the first' --mode sector "$region,64M"
check "of its size" test "$(stat -c %s "$image")" = 67108864
check "and check finds it sound" "$softpmem" check "$region"
check "with nothing damaged, in JSON" grep -Fq '"damaged":0' <("$softpmem" check --json "$region")
cp "$image" "$work/before"
check_fails "formatting again is refused" "$image" "$softpmem" format "$region"
check "and changes nothing" cmp "$image" "$work/before"

check "a daemon takes it up" daemon_start --region "$region"
check "with its label" test "$(status_of label)" = '"the first"'
check "and its mode" test "$(status_of mode)" = '"sector"'
check "a file" sh -c "echo durable >'$mnt/file' && sync '$mnt/file'"
check_fails "format is refused while it runs" "$image.*(daemon|use|lock)" "$softpmem" format --force "$region"
check_fails "check too" "$image.*(daemon|use|lock)" "$softpmem" check "$region"
check "but the daemon checks itself" "$softpmem" check
check_fails "a second daemon is refused" "$image" "$softpmemd" --region "$region" --socket "$work/second.sock"
check "and leaves no socket" test ! -e "$work/second.sock"
check "it stops cleanly" daemon_stop
check "sound" "$softpmem" check "$region"

check "the next daemon" daemon_start --region "$region" --mode fsdax --label other
check "finds the file" test "$(cat "$mnt/file")" = durable
check "with no dirty shutdown" test "$(status_of dirty_shutdowns)" = 0
check "--mode sets the root's" test "$(status_of mode)" = '"fsdax"'
check "--label does not rename" test "$(status_of label)" = '"the first"'
check "and it is said" grep -q "keeps its label 'the first'" "$work/daemon.log"
echo volatile >"$mnt/lost"
daemon_kill
check "after a kill, check finds no damage" "$softpmem" check "$region"
check "and a daemon comes up over the stale mount" daemon_start --region "$region"
check "with a dirty shutdown" test "$(status_of dirty_shutdowns)" = 1
check "a generation more" test "$(status_of generation)" = 3
check "what was synced" test "$(cat "$mnt/file")" = durable
check "not what was not" test ! -s "$mnt/lost"
check "it stops cleanly" daemon_stop

# ---- --read-only
cp "$image" "$work/before"
check "read-only" daemon_start --region "$region" --read-only
check "reads" test "$(cat "$mnt/file")" = durable
check_fails "makes nothing" 'Read-only file system: the daemon runs with --read-only' "$softpmem" create /x
check_fails "destroys nothing" 'Read-only file system' "$softpmem" destroy /file
check_fails "writes nothing" 'Read-only file system' sh -c "echo x >>'$mnt/file'"
check "status says so" test "$(status_of read_only)" = true
check "it stops cleanly" daemon_stop
check "and has not changed a byte" cmp "$image" "$work/before"

# ---- What is no region of ours
truncate -s 64M "$work/blank"
check_fails "read-only and blank" 'it is blank: format it first' \
	"$softpmemd" --read-only --region "file:$work/blank" --socket "$socket"
check "a blank region is formatted unasked" daemon_start --region "file:$work/blank"
check "it stops cleanly" daemon_stop
cp "$work/blank" "$work/taken"

head -c 67108864 /dev/urandom >"$work/foreign"
cp "$work/foreign" "$work/before"
check_fails "foreign bytes are not formatted" 'softpmem format' \
	"$softpmemd" --region "file:$work/foreign" --socket "$socket"
check_fails "not by format either" 'force' "$softpmem" format "file:$work/foreign"
check "they stay" cmp "$work/foreign" "$work/before"
check_fails "check says what it is" "$work/foreign" "$softpmem" check "file:$work/foreign"
check "--force formats them" "$softpmem" format --force "file:$work/foreign"
check "sound" "$softpmem" check "file:$work/foreign"

check_fails "no such file" "$work/none" "$softpmem" check "file:$work/none"
check_fails "too small" '(at least|too small)' "$softpmem" format "file:$work/small,1M"
check_fails "not aligned" '4096' "$softpmem" format "file:$work/odd,67108865"
check_fails "no such backend" 'tape' "$softpmem" format tape:0
check_fails "no backend at all" "$work" "$softpmem" format "$work/image"

# ---- The media goes away under the daemon
check "a region" "$softpmem" format "file:$work/cut,64M"
check "is served" daemon_start --region "file:$work/cut"
truncate -s 32M "$work/cut"
check_fails "half of it taken away, a check says so" "region file:$work/cut: its memory was taken away" \
	"$softpmem" check
ended() {
	daemon_stop
	[ $? -eq 1 ]
}
check "stopped, the daemon ends with status 1" ended
check "another daemon mounts there" daemon_start --region memfd:64M
check "it stops cleanly" daemon_stop

# ---- Damage: both superblocks gone.
dd if=/dev/urandom of="$work/taken" bs=64k count=1 conv=notrunc status=none
dd if=/dev/urandom of="$work/taken" bs=64k count=1 seek=1023 conv=notrunc status=none
cp "$work/taken" "$work/before"
check_fails "check fails" "$work/taken" "$softpmem" check "file:$work/taken"
check "and repairs nothing behind one's back" cmp "$work/taken" "$work/before"
finish
