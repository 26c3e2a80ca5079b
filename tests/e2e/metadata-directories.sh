#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Directories with metadata modes of their own.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

media=file:$work/media,64M

# made PATH MODE
made() { softpmem create --directory --metadata "$2" "$1"; }

# listed PATH KEY VALUE: one member of what `list --json` says of a directory's first entry.
listed() { softpmem list --json "$1" | tr -d ' \n\t' | grep -Fq "\"$2\":$3"; }

# The same operations in a directory of the mount, none of which is synced.
change() {
	local dir=$mnt/$1

	mkdir "$dir/sub" && echo >"$dir/sub/file" && ln "$dir/old" "$dir/link" && mv "$dir/old" "$dir/new" &&
		truncate -s 2 "$dir/new" && chmod 600 "$dir/new" && ln -s new "$dir/symlink" && rm "$dir/gone"
}
unchanged() {
	local dir=$mnt/$1

	[ "$(cd "$dir" && echo *)" = "gone old" ] && [ "$(cat "$dir/old")" = bytes ] &&
		[ "$(stat -c %a "$dir/old")" = 644 ]
}
changed() {
	local dir=$mnt/$1

	[ "$(cd "$dir" && echo *)" = "link new sub symlink" ] && [ "$(stat -c %s,%a "$dir/link")" = 2,600 ] &&
		[ -e "$dir/sub/file" ]
}
prepare() {
	for dir; do
		rm -rf "${mnt:?}/$dir"/* && echo bytes >"$mnt/$dir/old" && chmod 644 "$mnt/$dir/old" &&
			: >"$mnt/$dir/gone" || return
	done
	softpmem sync
}

daemon_start --region "$media" --metadata ordered || bail "no daemon"
check "a directory gets a metadata mode of its own" made /firm durable
check "another directory gets another metadata mode" made /loose strict
mkdir "$mnt/plain"
check "status shows the daemon's mode and how many directories have their own" \
	grep -q '^metadata: *ordered, but for 2 directories$' <(softpmem status)
check "list shows the mode of a directory" grep -Eq ' strict +d.*/loose$' <(softpmem list)
check "list --json shows that the mode is the directory's own" listed / own_metadata true
mkdir "$mnt/firm/below" && : >"$mnt/firm/below/file"
check "a new directory inherits the mode, and a file in it is under it" \
	listed /firm/below metadata '"durable"'
rm -r "$mnt/firm/below"

all() { prepare firm loose plain && change firm && change loose && change plain; }
check "the same operations succeed in three directories" all
check "before the power failure all three are changed" changed loose
check "powerfail succeeds" softpmem powerfail
check "the durable directory keeps all of it" changed firm
check "the strict directory loses all of it" unchanged loose
check "the directory with the daemon's mode loses all of it" unchanged plain
by_another_mode() {
	prepare loose && change loose && softpmem powerfail --metadata durable && changed loose
}
check "negative control: powerfail --metadata durable keeps all of a strict directory" by_another_mode
# two_names [OPTION]...: only the second of two files is synced.
two_names() {
	prepare loose && touch "$mnt/loose/one" "$mnt/loose/two" && sync "$mnt/loose/two" &&
		softpmem powerfail "$@"
}
both_there() { two_names --metadata ordered && [ -e "$mnt/loose/one" ] && [ -e "$mnt/loose/two" ]; }
neither_there() { two_names && unchanged loose; }
check "powerfail --metadata ordered keeps what is before a synced file of a strict directory" both_there
check "negative control: by its own mode, a sync of the file commits neither name" neither_there
check "a mode that is no weaker than that of some directory is accepted" softpmem powerfail --metadata strict

# Two directories: the stronger promise.
renamed() {
	prepare firm loose && mv "$mnt/loose/old" "$mnt/firm/moved" && softpmem powerfail &&
		[ -e "$mnt/firm/moved" ] && ! [ -e "$mnt/loose/old" ]
}
check "a rename from a strict directory into a durable one is durable" renamed
has_permissions() { [ "$(stat -c %a "$mnt/loose/link")" = "$1" ]; }
linked() {
	prepare firm loose && ln "$mnt/firm/old" "$mnt/loose/link" && chmod 600 "$mnt/loose/link" &&
		softpmem powerfail && has_permissions 600
}
check "a link to a file of a durable directory is durable, in a strict one too" linked
unlinked() {
	rm "$mnt/firm/old" && chmod 640 "$mnt/loose/link" && softpmem powerfail && has_permissions 600
}
check "without its name in the durable directory a file is strict again" unlinked

# Bad input.
check_fails "a mode that is none is refused" "'loose'" made /other loose
check_fails "a pool has no mode of its own" "give --directory" softpmem create --metadata strict /pool
# ---- A mode that is changed -------------------------------------------------------------------
changes() { softpmem create --directory --change --metadata "$2" "$1"; }
mkdir -p "$mnt/old/below" && : >"$mnt/old/file" && ln "$mnt/old/file" "$mnt/old/below/link"
check "a directory that exists gets a mode" changes /old durable
check "list shows the new mode" grep -Eq ' durable +d.*/old$' <(softpmem list)
check "its files are under the new mode" listed /old/file metadata '"durable"'
check "a directory in it keeps its mode" grep -Eq ' ordered +d.*/old/below$' <(softpmem list)
later() { softpmem powerfail && test -e "$mnt/old/made"; }
mkdir "$mnt/old/made"
check "names in it are durable from then on" later
committed() {
	mkdir "$mnt/loose/before" && changes /old strict && mkdir "$mnt/old/after" && softpmem powerfail &&
		test -d "$mnt/loose/before" -a -d "$mnt/old/made" -a ! -e "$mnt/old/after"
}
check "a change commits what was done before, and nothing later" committed
check "a file is under the stronger mode of its two directories" listed /old/file metadata '"ordered"'
check_fails "a file has no mode to change" "Not a directory" changes /old/file strict
check_fails "a directory that does not exist is named" "/none: No such file" changes /none strict
check_fails "without --metadata nothing can be changed" "metadata alone can be changed" \
	softpmem create --directory --change /old
check_fails "a change has no permissions" "for what is created" \
	softpmem create --directory --change --metadata strict --perm 700 /old
check "a directory that was changed is removed" rm -r "$mnt/old"
check "the region has no damage" softpmem check
check "the daemon stops" daemon_stop

# The modes are on the media.
daemon_start --region "$media" --metadata durable || bail "no daemon"
check "after a restart the strict directory is strict" listed / metadata '"strict"'
check "after a restart a file in the strict directory is strict" listed /loose metadata '"strict"'
loses_and_keeps() {
	prepare loose plain && change loose && change plain && softpmem powerfail && unchanged loose &&
		changed plain
}
check "under a durable daemon the strict directory alone loses what was not synced" loses_and_keeps
check "the daemon stops again" daemon_stop

# A daemon without an undo list gets one.
daemon_start --region memfd:64M --metadata durable || bail "no daemon"
mkdir "$mnt/plain"
check "under a durable daemon the first directory gets a mode" made /loose strict
check "the first directory with a mode alone loses what was not synced" loses_and_keeps
rm -r "$mnt/loose"
coproc recording { exec "$softpmem" record -o "$work/trace" 2>&1; }
for _ in {1..100}; do
	[ -s "$work/trace" ] && break
	sleep 0.1
done
check_fails "no directory gets a mode while a recording is on" "a recording is on" made /late strict
check_fails "no mode is changed while a recording is on" "a recording is on" changes / strict
check "the recording ends" softpmem record --stop
finish
