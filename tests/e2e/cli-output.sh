#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Files that verbs write for --output: a run that fails changes nothing there and leaves nothing behind.
. "$abs_top_srcdir/tests/lib.sh" || exit 1

mkdir "$work/here"
cd "$work/here" || bail "no working directory"
trace_of_one_store >once.txt
"$softpmem" trace import -o once.trace once.txt || bail "the trace is not imported"
"$softpmem" explore --output found.json once.txt -- false >/dev/null
[ -s found.json ] || bail "explore writes no result"
echo junk >junk
echo precious >old
printf '%s\n' * >../before

# unchanged COMMAND...: it fails, the old file is as it was, and no file was added.
unchanged() {
	local status
	"$@"
	status=$?
	[ "$status" -eq 1 ] || { echo "status $status"; return 1; }
	printf '%s\n' * | diff ../before - && [ "$(cat old)" = precious ]
}
writes() { # writes FILE COMMAND...: it succeeds, and the file has other contents
	local file=$1
	shift
	"$@" && [ -s "$file" ] && ! grep -q precious "$file" && rm "$file" && echo precious >old
}
for input in nowhere junk; do
	check "trace dump of $input keeps what --output has" unchanged "$softpmem" trace dump -o old $input
	check "trace export of $input keeps what --output has" \
		unchanged "$softpmem" trace export --pmemcheck -o old $input
	check "trace import of $input keeps what --output has" \
		unchanged "$softpmem" trace import -o old $input
	check "trace import of the log $input keeps what --output has" \
		unchanged "$softpmem" trace import --pmemcheck -o old $input
	check "report of $input keeps what --output has" unchanged "$softpmem" report -o old $input
done
check "trace dump replaces a file" writes old "$softpmem" trace dump -o old once.trace
check "trace export makes a file" writes new "$softpmem" trace export --pmemcheck -o new once.trace
check "trace import replaces a file" writes old "$softpmem" trace import -o old once.txt
check "report makes a file" writes new "$softpmem" report -o new found.json
keeps_permissions() {
	chmod 640 old && "$softpmem" report -o old found.json && [ "$(stat -c %a old)" = 640 ]
}
follows() { "$softpmem" report -o link found.json && [ -L link ] && grep -q html old; }
check "a file that is replaced keeps its permissions" keeps_permissions
echo precious >old
ln -s old link
check "a symbolic link is followed" follows
rm link
echo precious >old

cp found.json ../found.json
check_fails "report refuses to write over a file that it reads" 'it is a file that is read' \
	"$softpmem" report -o found.json found.json
check "the file that report reads is as it was" cmp found.json ../found.json
cp once.txt ../once.txt
check_fails "explore refuses to write its result over the trace" 'it is a file that is read' \
	"$softpmem" explore --output once.txt once.txt -- true
check "the trace is as it was" cmp once.txt ../once.txt
check_fails "explore refuses a directory for its result before it checks a state" \
	'^softpmem: \.: Is a directory' \
	"$softpmem" explore --output . once.txt -- touch "$work/checked"
check "no state was checked" test ! -e "$work/checked"

# ---- What is no file of ours -------------------------------------------------------------

mkfifo ../fifo
in_time() { timeout 20 "$@"; }
check_fails "trace info refuses a fifo and does not wait for it" \
	'^softpmem: ../fifo: a trace is read from a file' in_time "$softpmem" trace info ../fifo
check_fails "explore refuses a fifo and does not wait for it" '^softpmem: ../fifo: not a regular file' \
	in_time "$softpmem" explore ../fifo -- true
check_fails "report refuses a fifo and does not wait for it" '^softpmem: ../fifo: not a regular file' \
	in_time "$softpmem" report ../fifo
head -c 100 once.trace >../cut.trace
check_fails "explore refuses a trace that is cut before its first event" 'nothing can be explored' \
	"$softpmem" explore ../cut.trace -- true
check_fails "report says that two files are of the same part" 'has the whole search as well' \
	"$softpmem" report found.json found.json
check_fails "a device with an endless line is no trace" '/dev/zero:1: .*not so long' \
	"$softpmem" trace info /dev/zero
check_fails "a size that is none is told" 'no size after the comma' "$softpmem" format file:nowhere,1E
without_directory() { (mkdir ../gone && cd ../gone && rmdir ../gone && "$@"); }
check_fails "a working directory that is gone is not taken for want of memory" \
	'^softpmem: softpmem.trace: cannot write it .*No such file' \
	without_directory "$softpmem" explore --workload true -- true

# ---- A full disk -------------------------------------------------------------------------

check_fails "a device that is full is named" '^softpmem: /dev/full: No space left' \
	"$softpmem" trace dump -o /dev/full once.trace
check_fails "explore prints its findings although the file for them is full" 'finding 1:' \
	"$softpmem" explore --output /dev/full once.txt -- false
if [ "$(id -u)" -eq 0 ] && mkdir ../small && mount -t tmpfs -o size=16k none ../small 2>/dev/null; then
	at_exit+=("umount -l $work/small")
	echo precious >../small/old
	head -c 8192 /dev/zero >../small/rest
	# Larger than what is left.
	{
		cat once.txt
		for ((i = 0; i < 2000; i++)); do
			echo "t1 store 1+0x$(printf %x $((i % 512 * 8))) u64=$((i * 7919 + 1))"
		done
	} >../large.txt
	small_unchanged() {
		"$@" && return 1
		printf '%s\n' ../small/* | diff <(printf '../small/%s\n' old rest) - &&
			[ "$(cat ../small/old)" = precious ]
	}
	check "trace dump to a full disk keeps the old file, and leaves none" \
		small_unchanged "$softpmem" trace dump -o ../small/old ../large.txt
	check "trace dump to a full disk leaves no new file" \
		small_unchanged "$softpmem" trace dump -o ../small/new ../large.txt
	check "trace import to a full disk leaves no new file" \
		small_unchanged "$softpmem" trace import -o ../small/new ../large.txt
	check "report to a full disk keeps the old file" \
		small_unchanged "$softpmem" report -o ../small/old found.json
else
	skip "a full disk keeps the old file" "this process may not mount a small file system"
fi

# ---- A check that always fails ------------------------------------------------------------

check_fails "explore says that a checker has failed on every state, and how to see why" \
	'^the checker failed on every state: .*--replay 5n --save' "$softpmem" explore once.txt -- false
whole_state() { "$softpmem" explore --replay 5n --save ../whole once.txt && grep -q . ../whole/log; }
check "the state that it names is that in which nothing is lost" whole_state
some() { "$softpmem" explore once.txt -- grep -q . {}; }
check_fails "negative control: a checker that fails on one of the states is a finding" '1 failed' some
check "explore does not hint at a checker that has failed on some states only" \
	test -z "$(some | grep 'on every state')"

# ---- Command lines of explore that would write or check something else --------------------

check_fails "explore refuses options after the trace" 'options come before the trace' \
	"$softpmem" explore once.txt --json -- true
check_fails "explore refuses a trace beside --workload" "leave 'once.txt' out" \
	"$softpmem" explore --workload true once.txt -- true
check "explore that refuses its command line has not recorded the workload" test ! -e softpmem.trace
check_fails "explore --list-states refuses --json" 'no form in JSON' \
	"$softpmem" explore --list-states --json once.txt
finish
