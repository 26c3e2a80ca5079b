#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# softpmem record of the mount: what is in the trace, in which order, and how a recording ends.
# shellcheck disable=SC2016 # Expressions in single quotes are for the shells that run them.
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

trace_tree=$abs_top_builddir/tests/e2e/trace_tree
trace=$work/trace

# begin_recording FILE: record everybody until end_recording.
begin_recording() {
	# Else the header of an earlier recording would be taken for that of this one.
	rm -f "$1"
	"$softpmem" record -o "$1" >"$work/record.out" 2>&1 &
	recorder=$!
	await grep -aq SPMTRACE "$1" 2>/dev/null || return
	# The header is there before the image: an operation waits for the image.
	mkdir "$mnt/region0/.begun" && rmdir "$mnt/region0/.begun"
}
end_recording() {
	kill -INT "$recorder"
	wait "$recorder"
}

# The events of a trace, without stamps, times and definitions.
events() {
	"$softpmem" trace dump "$1" | tail -n +2 | grep -vE '^(file|name|image|xattr) ' |
		sed -E 's/^@[0-9]+ //; s/ [am]time=[0-9]+//g; s/ (uid|gid)=[0-9]+//g'
}
# same_events FILE: the events of the trace are the lines of standard input.
same_events() {
	events "$1" >"$work/events"
	diff - "$work/events"
}

# Type, permissions, links, size and target of everything in a directory.
listing() {
	(cd "$1" && find . ! -type d -printf '%P %y %m %n %s %l\n' -o -printf '%P %y %m\n' | sort)
}
# replays TRACE DIRECTORY: the tree that the trace leaves is that of the directory.
replays() {
	# The directory of several regions is read-only, and so is its copy.
	[ ! -e "$work/tree" ] || chmod -R u+w "$work/tree"
	rm -rf "$work/tree"
	"$trace_tree" "$1" "$work/tree" &&
		diff <(listing "$work/tree") <(listing "$2") &&
		(cd "$2" && find . -type f -exec cmp {} "$work/tree/{}" \;) >"$work/differs" &&
		[ ! -s "$work/differs" ]
}
# replay_differs TRACE DIRECTORY
replay_differs() {
	! replays "$@"
}

daemon_start --region memfd:64M --region memfd:16M || bail "the daemon does not start"
cd "$mnt/region0" || bail "there is no region0"

# ---- What is there when the recording begins -------------------------------------------------
mkdir -p old/deep
echo contents >old/deep/file
ln old/deep/file old/link
ln -s deep/file old/symlink
mkfifo -m 604 old/fifo
truncate -s 3M old/sparse
printf x | dd of=old/sparse bs=1 seek=2000000 conv=notrunc 2>/dev/null
echo other >"$mnt/region1/other"
python3 -c 'import os; os.setxattr("old/deep", "user.was", b"there")'

# ---- Operations in their order ---------------------------------------------------------------
begin_recording "$trace" || bail "the recording does not begin: $(cat "$work/record.out")"
check_fails "a second recording is refused" 'there is a recording already' \
	"$softpmem" record -o "$work/second"
check "a recording that is refused leaves no file" test ! -e "$work/second"
echo keep >"$work/kept"
check_fails "a second recording into a file that exists is refused" 'there is a recording already' \
	"$softpmem" record -o "$work/kept"
check "a recording that is refused changes no file" test "$(cat "$work/kept")" = keep

umask 022
printf one >new
python3 - <<-'END'
	import ctypes, os
	libc = ctypes.CDLL(None, use_errno=True)
	os.mkdir("d", 0o750)
	os.rename("new", "d/one")
	os.link("d/one", "two")
	os.chmod("two", 0o600)
	os.setxattr("two", "user.color", b"red")
	os.setxattr("two", "user.empty", b"")
	os.setxattr("two", "user.color", b"blue")
	os.removexattr("two", "user.empty")
	fd = os.open("two", os.O_RDWR)
	os.pwrite(fd, b"TWO", 8)
	os.fdatasync(fd)
	os.ftruncate(fd, 5)
	os.fsync(fd)
	libc.fallocate(fd, 0, ctypes.c_long(0), ctypes.c_long(6000))
	os.symlink("two", "s")
	AT_FDCWD, EXCHANGE = -100, 2
	libc.renameat2(AT_FDCWD, b"s", AT_FDCWD, b"d", EXCHANGE)
	os.unlink("d")
	os.unlink("s/one")
	os.rmdir("s")
	root = os.open(".", os.O_RDONLY)
	os.fsync(root)
	try:
	    os.mkdir("two")
	except FileExistsError:
	    pass
	os.replace("old/link", "two")
END
"$softpmem" mark "a mark"
"$softpmem" create --size 8K region0/made
"$softpmem" resize region0/made 4K
"$softpmem" rename region0/made region0/moved
"$softpmem" destroy region0/moved
end_recording
check "a recording that was interrupted ends well" grep -Eq "recorded [0-9]+ events, " "$work/record.out"
first=$(sed -n 's/.*create file=\([0-9]*\) .*name="new".*/\1/p' <("$softpmem" trace dump "$trace"))
link=$(sed -n 's/^file file=\([0-9]*\) .*path="[^"]*\/\(link\|file\)".*/\1/p' \
	<("$softpmem" trace dump "$trace") | head -n 1)
# The number of a directory, by its path.
number() { sed -n "s|^file file=\([0-9]*\) .*path=\"$1\".*|\1|p" <("$softpmem" trace dump "$trace"); }
root=$(number /region0/)
[ -n "$root" ] || root=$(number /region0)
old=$(number /region0/old)
n() { echo $((first + $1)); }
check "operations are in the trace as they were done, in their order" same_events "$trace" <<-END
	info key="several-regions" value="yes"
	mkdir file=$(n -1) parent=$root name=".begun" mode=040755
	rmdir file=$(n -1) parent=$root name=".begun"
	create file=$(n 0) parent=$root name="new" mode=0100644
	write $(n 0)+0x0 bytes=6f6e65
	mkdir file=$(n 1) parent=$root name="d" mode=040750
	rename file=$(n 0) parent=$root name="new" new-parent=$(n 1) new-name="one"
	link file=$(n 0) parent=$root name="two"
	setattr op=0x1 file=$(n 0) mode=0100600
	setxattr file=$(n 0) name="user.color" value=726564
	setxattr file=$(n 0) name="user.empty"
	setxattr file=$(n 0) name="user.color" value=626c7565
	removexattr file=$(n 0) name="user.empty"
	write $(n 0)+0x8 bytes=54574f
	fdatasync file=$(n 0)
	truncate file=$(n 0) size=5
	fsync file=$(n 0)
	fallocate $(n 0)+0x0 length=6000
	symlink file=$(n 2) parent=$root name="s" mode=0120777 target="two"
	rename op=0x2 file=$(n 2) parent=$root name="s" new-parent=$root new-name="d" replaced=$(n 1)
	unlink file=$(n 2) parent=$root name="d"
	unlink file=$(n 0) parent=$(n 1) name="one"
	rmdir file=$(n 1) parent=$root name="s"
	fsync file=$root
	rename file=$link parent=$old name="link" new-parent=$root new-name="two" replaced=$(n 0)
	mark "a mark"
	create file=$(n 3) parent=$root name="made" mode=0100644
	truncate file=$(n 3) size=8192
	truncate file=$(n 3) size=4096
	rename op=0x1 file=$(n 3) parent=$root name="made" new-parent=$root new-name="moved"
	unlink file=$(n 3) parent=$root name="moved"
	end events=$("$softpmem" trace dump "$trace" | tail -n +2 | wc -l)
END
check "extended attributes that were there are in the trace" grep -q \
	"^xattr file=$(number /region0/old/deep) name=\"user.was\" value=7468657265\$" \
	<("$softpmem" trace dump "$trace")
check "a replay of the trace has the mount's tree and bytes" replays "$trace" "$mnt"
touch unrecorded
check "negative control: a replay differs from a mount that was changed after the recording" \
	replay_differs "$trace" "$mnt"
rm unrecorded
check "trace info knows the kinds of events" \
	grep -Eq '^ +1 symlink$' <("$softpmem" trace info "$trace")
check "trace stat reads a trace of the mount" "$softpmem" trace stat "$trace"
check "the contents of files that were there are sparse in the trace" \
	test "$(stat -c %s "$trace")" -lt 100000

# ---- Programs ----------------------------------------------------------------------------------
status_is() {
	local wanted=$1 status
	shift
	"$@"
	status=$?
	[ "$status" -eq "$wanted" ]
}
check "record passes on the exit status of its program" \
	status_is 7 "$softpmem" record -o "$trace" -- sh -c 'echo program >program; exit 7'
check "the file operations of the program are in the trace" replays "$trace" "$mnt"
check_fails "a program that maps no pool is told of" 'has mapped no pool with' \
	"$softpmem" record -o "$trace" -- false
check "a program that is not found has the status 127" \
	status_is 127 "$softpmem" record -o "$trace" -- ./no-such-program
echo older >"$work/older"
check "record of a program that is a directory has the status 126" \
	status_is 126 "$softpmem" record -o "$work/older" -- "$work"
for program in ./no-such-program no-such-program "$work"; do
	"$softpmem" record -o "$work/older" -- "$program"
	"$softpmem" record -o "$work/never" -- "$program"
done
check "an older trace is kept if there is nothing to record" grep -qx older "$work/older"
check "no trace is made if there is nothing to record" test ! -e "$work/never"

# ---- Several processes at a time, and pages that are written back -------------------------------
"$softpmem" record -o "$trace" -- bash -c '
	for i in 1 2 3 4; do
		(for j in $(seq 40); do
			echo "$i $j" >>shared.$((j % 3))
			echo "$i $j" >"file.$i" && mv "file.$i" "file.$((i % 2))"
			truncate -s $((j * 100)) "sized.$((i % 2))"
			rm -f "shared.$((j % 5))"
		done) 2>/dev/null &
	done
	wait' 2>"$work/record.out"
check "a replay of concurrent operations has the mount's tree and bytes" replays "$trace" "$mnt"
begin_recording "$trace"
python3 - <<-'END'
	import mmap, os
	fd = os.open("mapped", os.O_RDWR | os.O_CREAT)
	os.ftruncate(fd, 20000)
	memory = mmap.mmap(fd, 20000)
	memory[5000:5005] = b"store"
	memory.flush()
	memory[12000:12005] = b"store"
END
sync -d mapped
end_recording
check "a replay has what was stored through a mapping of the mount" replays "$trace" "$mnt"
check "pages that the kernel writes back are in the trace" \
	grep -Eq '^(@[0-9]+ )?write .* page' <("$softpmem" trace dump "$trace")

# ---- A power failure ----------------------------------------------------------------------------
begin_recording "$trace"
echo durable >durable && sync durable
echo volatile >volatile && sync volatile && echo more >>volatile
"$softpmem" powerfail --policy lose >/dev/null
cd "$mnt/region0" || bail "region0 is gone"
end_recording
check "a power failure is in the trace" \
	grep -Eq '^(@[0-9]+ )?outage generation=2 .*policy="lose"' <("$softpmem" trace dump "$trace")
check "a replay has the bytes that the power failure has left" replays "$trace" "$mnt"
begin_recording "$trace"
mkdir taken-back
"$softpmem" powerfail --policy lose >/dev/null
cd "$mnt/region0" || bail "region0 is gone"
end_recording
check "the trace says how many operations on names a power failure took back" \
	grep -Eq '^(@[0-9]+ )?lost count=[1-9].*took back' <("$softpmem" trace dump "$trace")

# ---- The explorer -------------------------------------------------------------------------------
"$softpmem" record -o "$trace" -- sh -c 'echo data >state && sync state && echo done >flag && sync flag'
check "the explorer finds no crash state in which the second file has bytes without the first" \
	"$softpmem" explore "$trace" -- sh -c '
		cd "$SOFTPMEM_STATE" || exit 2
		flag=$(find . -name "*flag" -size +0) && [ -n "$flag" ] || exit 0
		grep -q data "$(find . -name "*state" | head -n 1)"'
"$softpmem" record -o "$trace" -- sh -c 'echo data >state && echo done >flag && sync flag && sync state'
check_fails "the explorer finds a crash state with bytes in the second file and not in the first" \
	'finding 1: ' \
	"$softpmem" explore "$trace" -- sh -c '
		cd "$SOFTPMEM_STATE" || exit 2
		flag=$(find . -name "*flag" -size +0) && [ -n "$flag" ] || exit 0
		grep -q data "$(find . -name "*state" | head -n 1)"'

# What a program printed was acknowledged: the marks before the crash are the checker's.
acknowledged() { # WORKLOAD
	"$softpmem" record -o "$trace" -- sh -c "$1" >/dev/null && "$softpmem" explore "$trace" -- sh -c '
		cd "$SOFTPMEM_STATE" || exit 2
		grep -q "it is safe" "$SOFTPMEM_MARKS" || exit 0
		grep -q "it is safe" "$SOFTPMEM_STDOUT" || { echo "it is not in the output"; exit 3; }
		grep -q data "$(find . -name "*state" | head -n 1)" || { echo "it was not"; exit 4; }'
}
rm -f state
check "the explorer finds no state without what was synced before the program printed that it is safe" \
	acknowledged 'echo data >state && sync state . && printf "it is %s\n" safe'
rm -f state
check_fails "the explorer finds a state without what is synced after the program printed that it is safe" \
	'it was not' acknowledged 'echo data >state && printf "it is %s\n" safe && sync state .'

# ---- How a recording ends -------------------------------------------------------------------------
check_fails "a trace on the mount is refused" 'it is on the mount' \
	"$softpmem" record -o "$mnt/region0/trace"
check "a trace that is refused is not left on the mount" test ! -e "$mnt/region0/trace"
check_fails "a trace that is no regular file is refused" 'not a regular file' "$softpmem" record -o /dev/null
check_fails "a trace in a directory that does not exist is refused" 'No such file' \
	"$softpmem" record -o "$work/none/trace"
check_fails "record --stop without a recording is refused" 'nothing is being recorded' \
	"$softpmem" record --stop

begin_recording "$trace"
echo x >before-stop
check "record --stop ends the recording of another process" "$softpmem" record --stop
check "another recording may begin when record --stop has returned" \
	"$softpmem" record -o "$work/next" -- true
check "the trace is complete when record --stop returns" replays "$trace" "$mnt"
check "the process whose recording was stopped succeeds" wait "$recorder"

begin_recording "$trace"
echo x >before-kill
kill -KILL "$recorder"
wait "$recorder" 2>/dev/null
check "a recording is not refused for one whose process was killed" \
	"$softpmem" record -o "$work/next" -- true
check "the trace of a process that was killed is complete" replays "$trace" "$mnt"

# A small file system that fills up.
full() {
	mkdir "$work/small" && mount -t tmpfs -o size=1M none "$work/small" &&
		at_exit+=("umount -l $work/small")
}
if full 2>/dev/null; then
	begin_recording "$work/small/trace"
	head -c 3M /dev/urandom >noise
	wait "$recorder"
	check "a full disk ends the recording with an error" \
		grep -q 'No space left on device' "$work/record.out"
	"$softpmem" trace dump "$work/small/trace" >"$work/dump" 2>"$work/dump.err"
	check "a trace on a full disk can be read up to its last whole block" \
		grep -q 'write' "$work/dump"
	check "readers say that a trace on a full disk is cut" grep -q 'without its end' "$work/dump.err"
	check "the mount goes on after a full disk" cmp <(head -c 10 noise) <(head -c 10 noise)
else
	skip "a full disk ends the recording with an error" "it needs a mount of a tmpfs"
fi

# It takes some time to compress these, to three quarters of their length.
head -c 24M /dev/urandom | base64 -w 0 >image
has_image() { # by the time that the program begins
	"$softpmem" record -o "$trace" -- stat -c %s "$trace" >"$work/size" 2>/dev/null
	(($(<"$work/size") >= 23 << 20))
}
check "the trace has what is there before a recorded program begins" has_image
rm image

begin_recording "$trace"
echo first >first
mkdir second
await eval 'events "$trace" 2>/dev/null | grep -q "mkdir.*second"'
daemon_kill
wait "$recorder"
check "a daemon that is killed leaves a trace that can be read" grep -q 'mkdir.*second' <(events "$trace")
check "the client says that the daemon has hung up" grep -q 'hung up' "$work/record.out"
finish
