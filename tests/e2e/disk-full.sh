#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A file: region on a disk that is too small, or fills up while the daemon runs; a TMPDIR that is full.
if [ "$(id -u)" -eq 0 ] && [ -z "${SOFTPMEM_OWN_MOUNTS-}" ]; then
	SOFTPMEM_OWN_MOUNTS=1 exec unshare --mount --propagation private "$BASH" "$0" "$@"
fi
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
if [ "$(id -u)" -ne 0 ]; then
	skip "a full disk" "needs root, to mount a small one"
	finish
fi

disk=$work/disk
mkdir "$disk"
mount -t tmpfs -o size=24M none "$disk" || bail "cannot mount a tmpfs"
at_exit+=("umount -l '$disk'")

check_fails "a region larger than the disk is refused at once" 'No space left on device: free space' \
	timeout 20 "$softpmemd" --region "file:$disk/large,64M" --socket "$work/second.sock"
check "a refused region leaves no file" test -z "$(ls "$disk")"

truncate -s 64M "$disk/sparse"
printf 'precious' | dd of="$disk/sparse" bs=1M seek=40 conv=notrunc status=none
cp --sparse=always "$disk/sparse" "$work/sparse"
check_fails "a sparse file with more holes than the disk can fill is refused" \
	'holes of the file: No space left' \
	timeout 20 "$softpmemd" --region "file:$disk/sparse" --socket "$work/second.sock"
check "a refused sparse file is unchanged" cmp "$disk/sparse" "$work/sparse"
rm "$disk/sparse"

check "a region that fits on the disk is created" daemon_start --region "file:$disk/region,16M"
dd if=/dev/zero of="$disk/rest" bs=1M status=none 2>/dev/null
check "the disk is full" test "$(stat -f -c %a "$disk")" -eq 0
check "the region takes writes while the disk is full" dd if=/dev/urandom of="$mnt/file" bs=1M count=8 \
	conv=fsync status=none
cp "$mnt/file" "$work/copy"
check "the daemon stops cleanly on a full disk" daemon_stop
check "the daemon starts on a full disk" daemon_start --region "file:$disk/region"
check "the written file is there on a full disk" cmp "$mnt/file" "$work/copy"

no_space="softpmem: $disk/.*: No space left on device: .*set TMPDIR"
check_fails "torture names a TMPDIR that is full, and the way out" "$no_space" \
	env TMPDIR="$disk" "$softpmem" torture --workload true --check true
cd "$work" || bail "cannot enter $work"
check_fails "explore --workload names a TMPDIR that is full, and the way out" "$no_space" \
	env TMPDIR="$disk" "$softpmem" explore --workload true -- true
check "torture and explore leave nothing in a TMPDIR that is full" \
	test -z "$(ls -d "$disk"/softpmem-* 2>/dev/null)"
finish
