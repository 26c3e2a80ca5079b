#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Which files and sizes can be a region and which cannot, with the message for each.
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

region=$work/region

# no_daemon NAME PATTERN SPEC: a daemon for this region must exit with a message that matches.
no_daemon() {
	check_fails "$1" "$2" timeout 20 "$softpmemd" --region "$3" --socket "$work/second.sock"
}

check "a daemon creates and formats the file of a region" daemon_start --region "file:$region,64M"
seq 100000 >"$mnt/numbers"
sync "$mnt/numbers"
no_daemon "a second daemon on the same file is refused" 'in use by another' "file:$region"
no_daemon "a second daemon on another path of the same file is refused" \
	'in use by another' "file:$work/../${work##*/}/region"
check_fails "format is refused while a daemon serves the file" \
	'in use by another' "$softpmem" format --force "file:$region"
check_fails "an offline check is refused while a daemon serves the file" \
	'in use by another' "$softpmem" check "file:$region"
check "the daemon stops cleanly" daemon_stop
check "all of the region's file is allocated" test "$(($(stat -c '%b * %B' "$region")))" -ge 67108864

check "a daemon serves an existing file without a size in the spec" daemon_start --region "file:$region"
check "the synced file is there after the restart" cmp "$mnt/numbers" <(seq 100000)
seq 200000 >"$mnt/more"
sync "$mnt/more"
daemon_kill
check "after SIGKILL a daemon serves the file again" daemon_start --region "file:$region,64M"
check "after SIGKILL the synced file is there" cmp "$mnt/more" <(seq 200000)
daemon_stop
cp "$region" "$work/before"
no_daemon "a size that differs from that of the file is refused" 'leave the size out' "file:$region,32M"
check "a refused daemon changes no byte of the file" cmp "$region" "$work/before"

no_daemon "a file that does not exist is refused without a size" 'no such file: give a size' "file:$work/none"
no_daemon "a file in a directory that does not exist is refused" 'directory' "file:$work/none/none,16M"
no_daemon "a directory is refused" 'a directory' "file:$work"
no_daemon "a fifo is refused" 'neither a regular file' "file:$(mkfifo "$work/fifo" && echo "$work/fifo")"
no_daemon "a file that is too small is refused" 'at least 2M' \
	"file:$(truncate -s 1M "$work/small" && echo "$work/small")"
no_daemon "a file whose size is not a multiple of 4096 is refused" 'multiple of 4096' \
	"file:$(truncate -s 16777217 "$work/odd" && echo "$work/odd")"
no_daemon "a size that is too small is refused" 'too small' "file:$work/none,1M"
no_daemon "a size for a new file that is not a multiple of 4096 is refused" \
	'multiple of 4096' "file:$work/none,16777217"
no_daemon "a memfd that is too small is refused" 'too small' memfd:1M
no_daemon "a memfd whose size is not a multiple of 4096 is refused" 'multiple of 4096' memfd:16777217
no_daemon "a region of an unknown kind is refused" 'malformed' nvram:16M
no_daemon "memory that is in use is refused" 'devmem:1M|devmem: needs root|is System RAM' devmem:1M+16M
check "a refused spec leaves no file behind" test ! -e "$work/none"

if [ "$(id -u)" -eq 0 ]; then
	share softpmemd || bail "the daemon cannot be copied"
	mkdir -m 777 "$work/sockets"
	chmod 444 "$region"
	check_fails "a file without write permission is refused" 'not allowed to open it for writing' \
		setpriv --reuid=65534 --regid=65534 --clear-groups \
		"$shared/softpmemd" --region "file:$region" --socket "$work/sockets/none.sock"
else
	chmod 444 "$region"
	no_daemon "a file without write permission is refused" \
		'not allowed to open it for writing' "file:$region"
fi
finish
