#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# ext4's auto_da_alloc: the bytes of files that replace others without fsync.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

holds() { [ "$(cat "$mnt/$1")" = "$2" ] || { cat "$mnt/$1"; return 1; }; }
# old NAME: a durable file.
old() { echo old >"$mnt/$1" && softpmem sync; }
# cut DIRECTORY: all operations in it are durable, but not the bytes of files, and power fails.
cut() { : >"$mnt/$1/last" && sync "$mnt/$1/last" "$mnt/$1" && softpmem powerfail; }
# replaced DIRECTORY NAME: a file is replaced by rename.
replaced() { old "$1/$2" && echo new >"$mnt/$1/tmp" && mv -T "$mnt/$1/tmp" "$mnt/$1/$2" && cut "$1"; }
# truncated DIRECTORY NAME: it is written again in place.
truncated() { old "$1/$2" && echo new >"$mnt/$1/$2" && cut "$1"; }

check_fails "softpmemd refuses the option in the mode strict" 'give --metadata ordered' \
	softpmemd --metadata strict --auto-da-alloc
daemon_start --region memfd:64M --auto-da-alloc || bail "no daemon"
check "status shows the option" grep -q '^metadata: *ordered with auto_da_alloc' <(softpmem status)
check "a file is replaced by rename" replaced . renamed
check "the file that was renamed over another one has the new bytes" holds renamed new
check "a file is truncated and written again" truncated . truncated
check "the file that was truncated has the new bytes" holds truncated new
free_name() { echo new >"$mnt/tmp" && mv -T "$mnt/tmp" "$mnt/free" && cut .; }
check "a file is renamed to a free name" free_name
check "a file that was renamed to a free name loses its bytes, as on ext4" \
	test -f "$mnt/free" -a ! -s "$mnt/free"
later() {
	old later && echo new >"$mnt/tmp" && mv -T "$mnt/tmp" "$mnt/later" && echo more >>"$mnt/later" &&
		cut .
}
check "a file is written to after it was renamed" later
check "bytes that are written after the rename are lost" holds later new
lost() { old lost && echo new >"$mnt/tmp" && mv -T "$mnt/tmp" "$mnt/lost" && softpmem powerfail; }
check "a rename is not synced" lost
check "a rename that was not synced is lost, and the old file is there" holds lost old
# The file is open when power fails. A shell closes duplicates of a descriptor, so this is no shell.
coproc holder { exec perl -e '$| = 1; <STDIN>; open(F, ">", $ARGV[0]) or die; syswrite(F, "new\n") or die;
	print "written\n"; <STDIN>' "$mnt/open"; }
exec {answers}<&"${holder[0]}" {questions}>&"${holder[1]}"
open_file() {
	local answer
	old open && echo >&"$questions" && read -r -u "$answers" answer && [ "$answer" = written ] && cut .
}
check "a file is truncated, written, and not closed" open_file
check "a file that was truncated and not closed loses its bytes" test ! -s "$mnt/open"
softpmem create --directory --metadata strict /strict
check "a file is replaced in a strict directory" replaced strict file
check "POSIX promises nothing of its bytes" test ! -s "$mnt/strict/file"
# It was closed once: later closes are as any. The kernel tells of the first one in the background, perhaps
# after the second one.
again() { old again && echo new >"$mnt/again" && echo more >>"$mnt/again" && cut . && holds again new; }
check "a file is closed and opened again: the first close alone keeps its bytes" await again

killed() {
	local writer
	old killed && { sh -c 'echo new && exec sleep 600' >"$mnt/killed" & writer=$!; } &&
		await test -s "$mnt/killed" && softpmem powerfail --kill && ! kill -0 "$writer" 2>/dev/null
}
check "a process that is killed at the power failure ends, though it closes a file" killed
check "the region has no damage" softpmem check
check "the daemon stops" daemon_stop

daemon_start --region memfd:64M || bail "no daemon"
check "negative control: without the option a file is replaced by rename" replaced . renamed
check "without the option the file that replaced another one is empty" \
	test -f "$mnt/renamed" -a ! -s "$mnt/renamed"
check "negative control: a file is truncated and written again" truncated . truncated
check "without the option the file that was truncated is empty" test ! -s "$mnt/truncated"
check "the daemon without the option stops" daemon_stop

# torture STATUS OPTION...: a campaign on a program that replaces a file without fsync.
torture() {
	local wanted=$1 status
	shift
	"$softpmem" torture --setup 'echo old >settings; sync settings' --policy lose \
		--workload 'echo new >settings.tmp; mv settings.tmp settings; sync .' \
		--check 'grep -E "^(old|new)$" settings' --size 16M "$@" >"$work/report" 2>&1
	status=$?
	[ "$status" -eq "$wanted" ] || { cat "$work/report"; return 1; }
}
check "torture finds the missing fsync" torture 1 --metadata ordered
check "torture --auto-da-alloc does not find the missing fsync" torture 0 --auto-da-alloc
check "torture refuses the option with the mode strict" torture 2 --auto-da-alloc --metadata strict
finish
