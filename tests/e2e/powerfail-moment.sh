#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Power failures at an exact operation, sync or mark.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

daemon_start --region memfd:64M --metadata durable || bail "no daemon"

is_awaited() { "$softpmem" status --json | grep -q '"awaits_event":true'; }
# cut_at OPTION...: a power failure that waits for its moment, in the background; it reports to $work/report.
cut_at() {
	"$softpmem" powerfail --wait 60 --json "$@" >"$work/report" 2>"$work/report.err" &
	cut=$!
	await is_awaited
}
has_failed() { wait "$cut"; }
reports() { grep -qE "$1" "$work/report" || { cat "$work/report" "$work/report.err"; return 1; }; }

# steps FILE: write 1, 2, ... to the file and sync it after each, and print those that were acknowledged. The
# file stays open, so that no step is done after the outage.
# shellcheck disable=SC2094 # sync reads nothing
steps() {
	local step
	for step in 1 2 3 4 5; do
		{ echo "$step" >&9 && sync "$1"; } 2>>"$work/steps.err" || break
		echo "$step"
	done 9>"$1"
}

# survives WHEN NUMBER EXPECTED: what is in the file and what was acknowledged, after an outage at a sync.
survives() {
	local acknowledged
	rm -f "$mnt/log"
	: >"$mnt/log" && sync "$mnt/log" || return
	cut_at "--$1" "$2" || return
	acknowledged=$(steps "$mnt/log" | tr -d '\n')
	has_failed || return
	[ "$acknowledged $(tr -d '\n' <"$mnt/log")" = "$3" ] && return
	echo "acknowledged and survived: $acknowledged $(tr -d '\n' <"$mnt/log")"
	return 1
}
check "before the third sync, two steps were acknowledged and survive" survives before-sync 3 "12 12"
check "the report names the sync and the file" reports '"operation":"fsync"'
check "the report has the number of the sync" reports '"number":3'
# The fourth step cannot be acknowledged: its file is of the old generation.
check "after the third sync, three steps were acknowledged and survive" survives after-sync 3 "123 123"
check "after the first sync, one step was acknowledged and survives" survives after-sync 1 "1 1"

# What a synchronous write wrote is volatile until its sync.
synchronous() {
	local flags
	for flags in sync dsync; do
		printf old >"$mnt/synchronous" && sync "$mnt/synchronous" && cut_at --before-sync 1 || return
		printf n | dd of="$mnt/synchronous" oflag="$flags" conv=notrunc 2>>"$work/dd.err" && return 1
		has_failed && [ "$(cat "$mnt/synchronous")" = old ] || return
	done
}
check "before the sync of a write with O_SYNC or O_DSYNC, its bytes are lost" synchronous

# An operation, and what comes after it.
directories() {
	local name
	for name in one two three; do mkdir "$mnt/$name" || return; done
}
made() { (cd "$mnt" && echo ./*/); }
only_two() {
	cut_at --before-op 3 --path '/t*' --policy keep || return
	# /two and /three are the first two. The rename counts by its old path, and is done after the outage.
	directories && mv "$mnt/two" "$mnt/other" && has_failed
}
check "an outage comes before the third operation on paths that match" only_two
check "the report names the path that matched" reports '"path":"/two"'
check "all directories are there, since names are durable at once" test "$(made)" = "./one/ ./other/ ./three/"

renames() {
	cut_at --after-op 1 --path target || return
	echo new >"$mnt/source" && mv "$mnt/source" "$mnt/target" && has_failed
}
check "a rename matches by its new path as well" renames
check "the report says that the operation was a rename" reports '"operation":"rename"'
check "after the rename the new name is there" test -e "$mnt/target"

attributes() {
	cut_at --after-op 1 && setfattr -n user.key -v value "$mnt/target" && has_failed
}
check "an outage comes after a change of an extended attribute" attributes
check "the report says that the operation was a setxattr" reports '"operation":"setxattr"'
check "the report names the file, also without a pattern" reports '"path":"/target"'

# A mark.
marks() {
	cut_at --at-mark "half way" || return
	"$softpmem" mark "not yet" && is_awaited && "$softpmem" mark "half way" && has_failed
}
check "an outage comes at a mark, and not at another one" marks
check "the report names the mark" reports '"mark":"half way"'
returned() {
	echo data >"$mnt/data" && cut_at --at-mark "the end" && "$softpmem" mark "the end" || return
	# The mark returns after the outage: what was not synced is gone.
	[ ! -s "$mnt/data" ] && has_failed
}
check "a mark at which power fails returns after the outage" returned

# --kill
killed() {
	local user other
	sleep 600 3<"$mnt/one" & user=$!
	(cd "$mnt/one" && exec sleep 600) & other=$!
	sleep 600 & stranger=$!
	await in_use "$user" "$other" || return
	"$softpmem" powerfail --kill --json >"$work/report" || return
	wait "$user"; [ $? -eq 137 ] || return
	wait "$other"; [ $? -eq 137 ]
}
in_use() { [ "$(readlink "/proc/$1/fd/3")" = "$mnt/one" ] && [ "$(readlink "/proc/$2/cwd")" = "$mnt/one" ]; }
check "powerfail --kill kills the processes that use the mount" killed
check "the report counts them" reports '"killed":2'
check "a process that does not use the mount goes on" kill "$stranger"

# Linux shows no descriptors and no mappings for such a process itself, only for its threads.
without_first_thread='import ctypes, os, sys, threading
os.dup2(os.open(sys.argv[1], os.O_RDONLY), 3)
libc = ctypes.CDLL(None)
threading.Thread(target=libc.sleep, args=(600,)).start()
libc.pthread_exit(None)'
is_zombie() { grep -q "^State:.Z" "/proc/$1/status"; }
threads_have_ended() { [ "$(find "/proc/$1/task" -mindepth 1 -maxdepth 1 | wc -l)" -le 1 ]; }
kills_without_first_thread() {
	local user status
	python3 -c "$without_first_thread" "$mnt/one" & user=$!
	await is_zombie "$user" || return
	"$softpmem" powerfail --kill --json >"$work/report" && await threads_have_ended "$user"
	status=$?
	kill -KILL "$user"
	wait "$user"
	return "$status"
}
check "a process whose first thread has ended is killed too" kills_without_first_thread

dies_at_sync() {
	local writer
	rm -f "$mnt/log"
	cut_at --after-sync 2 --kill || return
	# It keeps the file open, so that it is found whatever it does at the moment.
	(exec 7>"$mnt/log"; for step in 1 2 3 4; do echo "$step" >&7; sync "$mnt/log"; done; sleep 600) &
	writer=$!
	has_failed || return
	wait "$writer"
	[ $? -eq 137 ] && [ "$(tr -d '\n' <"$mnt/log")" = 12 ]
}
# The shell goes on after a sync that fails, unless it is killed before.
sees_nothing() {
	cut_at --before-sync 2 --kill || return
	(
		cd "$mnt" || exit
		for step in 1 2 3; do echo "$step" >>seen; sync seen; echo "$step" >>"$work/steps"; done
	)
	has_failed && [ "$(cat "$work/steps")" = 1 ]
}
check "no process sees that the sync fails before which it is killed" sees_nothing
not_after_its_end() {
	cut_at --before-op 1 --kill && mkdir "$mnt/never"
	has_failed && sleep 0.2 && [ ! -e "$mnt/never" ]
}
check "the operation at which a process is killed is not done afterwards" not_after_its_end
check "a writer is killed after its second sync, and the file has what was synced" dies_at_sync

# ---- What does not happen ----------------------------------------------------------
cut_at --before-sync 1000000 --path nothing
check_fails "a second command that waits is refused" "another command waits" \
	"$softpmem" powerfail --before-sync 1
check "a power failure in between does not end the waiting" "$softpmem" powerfail
check "the command still waits" is_awaited
kill "$cut"
wait "$cut" 2>/dev/null
nobody_waits() { ! is_awaited; }
check "a command that was killed does not wait any more" nobody_waits
takes_the_turn() {
	cut_at "$@" && kill "$cut" || return
	wait "$cut" 2>/dev/null
	"$softpmem" powerfail --before-sync 7 --wait 0 2>&1 | grep 'only 0 of 7 syncs came'
}
check "a second command is not refused for one that was killed" takes_the_turn --before-op 1
# no_outage COMMAND... OPTION: a command that waits for the moment of the option is killed before the event.
no_outage() {
	local before after event=$1
	shift
	: >"$mnt/log" && sync "$mnt/log" && before=$(generation) || return
	cut_at "$@" && kill "$cut" || return
	wait "$cut" 2>/dev/null
	"$event" && after=$(generation) && [ "$before" = "$after" ] && [ "$(cat "$mnt/log")" = data ]
}
generation() { "$softpmem" status --json | grep -o '"generation":[0-9]*'; }
# The file stays open, so that an outage would show; --kill would kill the subshell only.
# shellcheck disable=SC2094 # sync reads nothing
writes() { (echo data >&9 && sync "$mnt/log") 9>>"$mnt/log"; }
marked() { writes && "$softpmem" mark "the end"; }
check "a command that was killed causes no outage before an operation" no_outage writes --before-op 1
check "a command that was killed causes no outage after an operation" no_outage writes --after-op 1
check "a command that was killed causes no outage before a sync" no_outage writes --before-sync 1
check "a command that was killed kills no process" no_outage writes --before-op 1 --kill
check "a command that was killed causes no outage at a mark" no_outage marked --at-mark "the end"
check_fails "an event that does not come in time is told, with how many came" "only 0 of 7 syncs came" \
	"$softpmem" powerfail --before-sync 7 --wait 0
check "nothing has failed then" test -e "$mnt/one"
check_fails "two moments are a usage error" "has one moment" \
	"$softpmem" powerfail --before-sync 7 --at-mark x
check_fails "a pattern without a number is a usage error" "path requires" "$softpmem" powerfail --path x
check_fails "the number 0 is a usage error" "before-op" "$softpmem" powerfail --before-op 0

# A negative control: an outage at no exact moment, of a file that is never synced, loses all of it.
rm -f "$mnt/log"
echo 1 >"$mnt/log"
"$softpmem" powerfail >/dev/null
check "negative control: without a sync nothing survives" test ! -s "$mnt/log"
check "the daemon stops cleanly" daemon_stop

daemon_start_unmounted() {
	"$softpmemd" --region memfd:16M --socket "$socket" >>"$work/daemon.log" 2>&1 &
	daemon_pid=$!
	await "$softpmem" status
}
check "a daemon without a mount starts" daemon_start_unmounted
check_fails "without a mount there are no syncs to count" "has no mount" "$softpmem" powerfail --before-sync 1
finish
