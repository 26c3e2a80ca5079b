#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Metadata modes on the mount: which names a power failure takes back, and what it reports.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

report=$work/report

fail_power() {
	softpmem powerfail --json "$@" >"$report"
}

# lost OPERATION PATH [TO_PATH]: the report has this operation.
lost() {
	local member="\"operation\":\"$1\",\"path\":\"$2\""
	[ $# -lt 3 ] || member+=",\"to_path\":\"$3\""
	tr -d ' \n\t' <"$report" | grep -Fq "$member"
}

# put PATH TEXT: a new file with these bytes, which are synced; its name is not.
put() {
	printf '%s' "$2" >"$mnt/$1" && sync "$mnt/$1"
}

holds() {
	[ "$(cat "$mnt/$1")" = "$2" ]
}

# Neither the kernel's lookup nor a listing of the directory finds it.
absent() {
	! [ -e "$mnt/$1" ] && [ -z "$(find "$mnt/$(dirname "$1")" -maxdepth 1 -name "$(basename "$1")")" ]
}

both_looked_up() {
	! [ -e "$mnt/stale" ] && [ -e "$mnt/fresh" ]
}

with_mode() {
	daemon_start --region memfd:64M --metadata "$1" || bail "the daemon with --metadata $1 does not start"
}

# ---- strict

with_mode strict
check "status shows the mode strict" grep -q '^metadata: *strict$' <(softpmem status)
put new bytes
mkdir "$mnt/dir"
check "powerfail with unsynced names succeeds" fail_power
check "strict: a synced file is lost if its directory was not synced" absent new
check "strict: the report has the creation of the file" lost create /new
check "strict: the report has the directory" lost mkdir /dir

put kept bytes
sync "$mnt"
check "powerfail after a sync of the directory succeeds" fail_power
check "strict: a file is kept if it and its directory were synced" holds kept bytes

put kept.tmp newer
check "a rename over an existing name succeeds" mv -T "$mnt/kept.tmp" "$mnt/kept"
check "before the power failure the new name is there" holds kept newer
check "powerfail after the rename succeeds" fail_power
check "strict: a rename is taken back, and the old file is there" holds kept bytes
check "strict: the report has both paths of the rename" lost rename /kept.tmp /kept
check "strict: what was created for the rename is lost too" absent kept.tmp

rm "$mnt/kept"
check "an unlinked file is gone" absent kept
check "powerfail after the unlink succeeds" fail_power
check "strict: an unlink that was not synced is taken back" holds kept bytes
check "a restored file can be written again" put kept again
check "powerfail keeps what is synced" fail_power
check "the restored file has its new bytes" holds kept again

rm "$mnt/kept"
mkdir "$mnt/other"
check "powerfail --policy keep succeeds" fail_power --policy keep
check "keep: the unlink survives" absent kept
check "keep: the directory survives" test -d "$mnt/other"
check "keep: the report has no lost operation" grep -q '"operations_lost":0' <(tr -d ' ' <"$report")

touch "$mnt/a" "$mnt/b"
check "powerfail --metadata durable succeeds" fail_power --metadata durable
check "--metadata durable loses no name" test -e "$mnt/a" -a -e "$mnt/b"
check "the daemon with --metadata strict stops cleanly" daemon_stop

# ---- ordered

with_mode ordered
check_fails "powerfail refuses a weaker mode than the daemon's, and says what to do" \
	"metadata 'strict': .*start it with --metadata strict" softpmem powerfail --metadata strict
check_fails "powerfail refuses a mode that is none" "'loose'" softpmem powerfail --metadata loose
check_fails "softpmemd refuses a mode that is none" "'loose'" softpmemd --metadata loose
mkdir "$mnt/dir"
put dir/first one
printf two >"$mnt/dir/second"
mv "$mnt/dir/second" "$mnt/dir/third"
check "powerfail with a synced file succeeds" fail_power
check "ordered: a sync of a file commits its name and the directory before it" holds dir/first one
check "ordered: an operation after the last sync is lost" absent dir/third
check "ordered: so is the one before it" absent dir/second
check "ordered: the report has the rename" lost rename /dir/second /dir/third

put data 0123456789
truncate -s 4 "$mnt/data"
chmod 600 "$mnt/data"
check "powerfail after truncate and chmod succeeds" fail_power
check "ordered: a truncate is taken back, with the bytes that were cut off" holds data 0123456789
check "ordered: a chmod is taken back" test "$(stat -c %a "$mnt/data")" = 644
check "the report has the truncate" lost resize /data

# The kernel has looked these names up before the power failure.
touch "$mnt/stale"
sync "$mnt"
rm "$mnt/stale"
touch "$mnt/fresh"
check "before the power failure the kernel knows both names" both_looked_up
check "powerfail with names in the kernel's cache succeeds" fail_power
check "the kernel finds a name that came back" test -e "$mnt/stale"
check "the kernel does not find a name that is lost" absent fresh

printf unsynced >"$mnt/unsynced"
# So many that the kernel is told to look up all names again, where it can.
many() { (cd "$mnt/many" && for ((i = 0; i < 400; i++)); do "$@" "$i" || exit; done); }
make_old() { : >"$1.old"; }
change_one() { : >"$1.new" && rm "$1.old"; }
created() { test -e "$1.new" -a ! -e "$1.old"; }
restored() { test -e "$1.old" -a ! -e "$1.new"; }
mkdir "$mnt/many" && many make_old && softpmem sync
check "many files are created, and as many removed" many change_one
check "the kernel knows all these names" many created
check "powerfail with many names in the kernel's cache succeeds" fail_power
check "the kernel finds all that came back, and none that is lost" many restored

check "softpmem sync succeeds" softpmem sync
check "powerfail after sync succeeds" fail_power
check "what softpmem sync made durable is there" holds unsynced unsynced

coproc holder { perl -MIO::Handle -e '$| = 1; sysopen(D, $ARGV[0], 0) or die; print "open\n"; <STDIN>;
	print D->sync ? "synced\n" : "$!\n"' "$mnt"; }
# The shell closes its own descriptors of a coprocess as soon as that ends.
exec {answers}<&"${holder[0]}" {questions}>&"${holder[1]}"
read -r -u "$answers" _
check "powerfail while a directory is open succeeds" fail_power
echo >&"$questions"
read -r -u "$answers" answer
check "fsync of a directory that was opened before the power failure fails" \
	test "$answer" = "Input/output error"

check "softpmem create succeeds" softpmem create --size 1M /made
check "powerfail after create succeeds" fail_power
check "what a command created is durable when it returns" test -s "$mnt/made"

survivors() {
	find "$mnt" -name 'n[0-9]*' -printf '%f\n' | sort
}
for i in {1..40}; do
	: >"$mnt/n$i"
done
fail_power --policy random --seed 5
first=$(survivors)
count=$(wc -w <<<"$first")
check "random keeps some names and loses others" test "$count" -gt 0 -a "$count" -lt 40
check "ordered: the survivors are the first ones" \
	test "$(printf '%s\n' n{1..40} | head -n "$count" | sort)" = "$first"
check "check finds no damage" softpmem check
check "the daemon with --metadata ordered stops cleanly" daemon_stop

# ---- A daemon that is killed ------------------------------------------------------------------
# All is written through: a region that outlives the daemon keeps what an outage would take back.
media=file:$work/media,64M
daemon_start --region "$media" --metadata strict || bail "the daemon does not start on a file"
put old bytes && softpmem sync
change() {
	put new.tmp newer && mv "$mnt/new.tmp" "$mnt/old" && mkdir "$mnt/made" && put made/file bytes &&
		ln "$mnt/old" "$mnt/made/link" && chmod 600 "$mnt/old"
}
kept() {
	holds old newer && holds made/file bytes && holds made/link newer &&
		[ "$(stat -c %a "$mnt/old")" = 600 ] && absent new.tmp
}
check "names change, and nothing is synced" change
daemon_kill
check "after the daemon was killed it starts again" daemon_start --region "$media" --metadata strict
check "all names are as they were when it was killed" kept
check "powerfail after the restart succeeds" fail_power
check "what was there after the restart is durable" kept
check "the region has no damage" softpmem check
change_again() { mv "$mnt/old" "$mnt/older" && fail_power && kept; }
check "negative control: a power failure takes back what is not synced" change_again
check "the daemon on a file stops cleanly" daemon_stop
finish
