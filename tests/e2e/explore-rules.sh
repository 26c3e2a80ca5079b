#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What a trace says of its files, and the explorer obeys: metadata modes of directories, sectors that writes
# leave whole, and ext4's auto_da_alloc.
# shellcheck disable=SC2016 # the commands are for other shells
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

cd "$work" || exit 1
export TMPDIR=$work

# explored STATUS OPTION... -- COMMAND: a search with this status; the command's $1 is the tree of a state.
explored() {
	local wanted=$1 options=() status
	shift
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	timeout 120 "$softpmem" explore "${options[@]}" --checker mount run.trace -- sh -c "$2" check '{}' \
		>out 2>&1
	status=$?
	cat out
	[ "$status" -eq "$wanted" ]
}
tells() { grep -q -e "$1" out || { cat out; return 1; }; }
recorded() { (cd "$mnt" && "$softpmem" record -o "$work/run.trace" -- sh -c "$1"); }

# ---- Modes of directories

daemon_start --region memfd:64M || bail "no daemon"
made() { "$softpmem" create --directory "$@"; }
check "directories have modes of their own" \
	eval 'made --metadata durable /firm && made --metadata strict /loose && made /plain'
check "a region whose directories have modes is recorded" \
	recorded 'echo >firm/a; mkdir loose/below; echo >loose/below/b; sync loose/below/b; echo >plain/c
		ln plain/c firm/d; echo done'
check "in a durable directory no name is lost" explored 0 -- \
	'[ ! -s "$SOFTPMEM_STDOUT" ] || { test -e $1/firm/a && test -e $1/firm/d; }'
check "below a strict directory a name is lost" explored 1 -- \
	'[ ! -s "$SOFTPMEM_STDOUT" ] || test -e $1/loose/below/b'
check "the finding says that the modes are those of the directories" \
	tells 'it fails in the metadata modes that the directories of the trace have'
command=$(sed -n 's/^  replay: softpmem //p' out | head -n 1)
replays() {
	eval "$softpmem $command" >replayed
	[ $? -eq 1 ]
}
check "the command of the finding fails again" replays
check "other directories have the mode of the search" explored 0 --metadata durable -- \
	'[ ! -s "$SOFTPMEM_STDOUT" ] || test -e $1/plain/c'
check "negative control: in ordered a name is lost there" explored 1 -- \
	'[ ! -s "$SOFTPMEM_STDOUT" ] || test -e $1/plain/c'
check "the trace has the modes in its text" grep -q '^rules file=[0-9]* metadata=3$' \
	<("$softpmem" trace dump run.trace)

# ---- Sectors

check "directories have sectors" \
	eval 'made --mode sector:512 /sector && made /lines'
two_writes='letters() { printf "%0512d" 0 | tr 0 $1; }
	for d in sector lines; do
		letters a >$d/f && sync $d/f $d && letters b | dd of=$d/f conv=notrunc bs=512 2>/dev/null
	done'
check "two files are written over, one of them in a directory of a sector mode" recorded "$two_writes"
# The file has one letter, or none yet.
whole='[ ! -e $1/%s/f ] || [ "$(od -An -v -tx1 -w1 $1/%s/f | sort -u | wc -l)" -le 1 ]'
# shellcheck disable=SC2059 # it is a format
check "a write of a sector is not torn" explored 0 --states 200 -- "$(printf "$whole" sector sector)"
# shellcheck disable=SC2059
check "negative control: a write of 512 bytes of a file without sectors is torn" \
	explored 1 --states 200 -- "$(printf "$whole" lines lines)"
check "the daemon stops" daemon_stop

# ---- Modes of directories, in recoveries

# A recovery that is complete leaves three files. Of one that is not, y may be there without x only where x is
# in a strict directory, and z without y only where z is in a durable one.
cat >recover <<-'END'
	#!/bin/sh
	cd "$1" || exit 9
	[ "$2" != strict ] || [ ! -e plain/y ] || [ -e other/x ] || exit 1
	[ "$2" != durable ] || [ ! -e other/z ] || [ -e plain/y ] || exit 1
	[ -e plain/log ] || exit 0
	: >other/x
	: >plain/y
	: >other/z
	sync plain
END
chmod +x recover
# recovery STATUS MODE: a search of depth 2 where the directory has that mode, or none of its own.
recovery() {
	local wanted=$1 status
	daemon_start --region memfd:64M && made ${3:+--metadata "$3"} /other && made /plain || return
	recorded ': >plain/log && sync plain' && daemon_stop || return
	timeout 120 "$softpmem" explore --depth 2 --states 100 --checker mount run.trace \
		-- ./recover '{}' "$2" >out 2>&1
	status=$?
	cat out
	[ "$status" -eq "$wanted" ]
}
check "a recovery loses names in a directory that is strict" recovery 1 strict strict
check "the finding is one of a recovery that creates the name" \
	eval 'tells "if power fails again during recovery" && tells "lost: create of other/x"'
command=$(sed -n 's/^  replay: softpmem //p' out | head -n 1)
check "the command of that finding fails again" replays
check "a recovery keeps names in a directory that is durable" \
	eval 'recovery 1 durable durable && tells "lost: create of plain/y"'
for mode in strict durable; do
	check "negative control: what $mode would show is not found where no directory has a mode" \
		recovery 0 "$mode" ''
done

# An engine that relies on whole sectors, and whose recovery writes one again.
# It has one process at a time, so that it is the same each time.
printf "%0512d" 0 | tr 0 a >as
tr a b <as >bs
head -c 512 /dev/zero >zeros
cat >recover <<-END
	#!/bin/sh
	cd "\$1" || exit 9
	[ ! -s f ] || cmp -s f "$work/as" || cmp -s f "$work/bs" || cmp -s f "$work/zeros" || exit 1
	[ -e log ] || exit 0
	dd if="$work/bs" of=f conv=notrunc bs=512 2>/dev/null
	sync f
	rm log
	sync .
END
chmod +x recover
deep() {
	local wanted=$1 status
	daemon_start --region memfd:64M --mode "$2" || return
	recorded 'printf "%0512d" 0 | tr 0 a >f && sync f . && : >log && sync log .' && daemon_stop || return
	timeout 120 "$softpmem" explore --depth 2 --states 120 --checker mount run.trace -- ./recover '{}' \
		>out 2>&1
	status=$?
	cat out
	[ "$status" -eq "$wanted" ]
}
check "a recovery of files in sectors does not tear them, either" deep 0 sector:512
check "power failed in recoveries" tells '^[1-9][0-9]* states of power failures in recoveries checked'
check "negative control: the recovery of files without sectors tears them" deep 1 fsdax
check "the finding is one of a recovery" tells 'if power fails again during recovery'

# ---- auto_da_alloc

replaces='echo old >f && sync f . && echo synced && echo new >g && mv g f && sync .'
holds='[ ! -s "$SOFTPMEM_STDOUT" ] || [ -s $1/f ]'
daemon_start --region memfd:64M --auto-da-alloc || bail "no daemon"
check "files are replaced without fsync" recorded "$replaces"
check "ext4 hides that a file that was renamed was not synced" explored 0 -- "$holds"
closed='[ ! -s "$SOFTPMEM_STDOUT" ] || [ -s $1/i ]'
check "the file is truncated, closed, and its directory synced" \
	recorded 'echo old >h && sync h . && echo new >h && mv h i && sync . && echo closed'
check "the trace has the closes" grep -q 'close-last file=' <("$softpmem" trace dump run.trace)
check "ext4 hides that a file that was truncated and closed was not synced" explored 0 -- "$closed"
check "POSIX does not" explored 1 --metadata strict -- "$closed"
check "the daemon stops again" daemon_stop
daemon_start --region memfd:64M || bail "no daemon"
check "files are replaced with a daemon without the option" recorded "$replaces"
check "negative control: without the option a file is empty" explored 1 -- "$holds"
check "no close is recorded there" test -z "$("$softpmem" trace dump run.trace | grep 'close')"

workload() {
	local status
	"$softpmem" explore --checker mount "${@:2}" --workload "$replaces" -- sh -c "$holds" check '{}' \
		>out 2>&1
	status=$?
	cat out
	[ "$status" -eq "$1" ]
}
check "--workload takes --auto-da-alloc" workload 0 --auto-da-alloc
check_fails "--auto-da-alloc is refused for a trace" "recorded with softpmemd --auto-da-alloc" \
	"$softpmem" explore --auto-da-alloc run.trace -- true
printf 'softpmem-trace 1\nfile file=1 mode=040755 path="/"\ninfo key="auto-da-alloc" value="yes"\n' >late.txt
check_fails "a property that comes after a file is refused" "event 2 .info.: Invalid argument" \
	"$softpmem" explore --list-states late.txt
finish
