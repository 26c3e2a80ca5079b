#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# softpmem snapshot and restore.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

daemon_start --region memfd:64M || bail "no daemon"

# state: names, attributes and bytes of all that is on the mount.
state() {
	(cd "$mnt" && find . -printf '%p %y %m %l\n' | sort &&
		find . -type f -exec sha256sum {} + | sort -k 2)
}
changed() { ! cmp -s "$work/before" <(state); }
is_as_before() { state >"$work/now" && diff "$work/before" "$work/now"; }
change() {
	echo changed >"$mnt/kept" && rm -r "$mnt/directory" && mv "$mnt/moved" "$mnt/elsewhere" &&
		head -c 5M /dev/urandom >"$mnt/new" && mkdir "$mnt/more" && echo >"$mnt/more/file" &&
		chmod 600 "$mnt/mode"
}

fill() {
	mkdir -p "$mnt/directory/below" && head -c 300000 /dev/urandom >"$mnt/directory/below/file" &&
		echo kept >"$mnt/kept" && echo moved >"$mnt/moved" && ln -s kept "$mnt/link" &&
		: >"$mnt/mode" && chmod 644 "$mnt/mode"
}
fill || bail "cannot write to the mount"
state >"$work/before"
check "snapshot remembers the state of a region" "$softpmem" snapshot / first
check "files change as before" change
check "negative control: the state is another one" changed
check "restore goes back" "$softpmem" restore first
check "names, attributes and bytes are those of the snapshot" is_as_before
check "the region has no damage" "$softpmem" check
again() { change && "$softpmem" restore first && is_as_before; }
check "a snapshot is restored again after further changes" again
is_durable() { "$softpmem" powerfail && is_as_before; }
check "what the snapshot has is durable" is_durable
writes() {
	echo later >"$mnt/kept" && sync "$mnt/kept" && "$softpmem" powerfail &&
		[ "$(cat "$mnt/kept")" = later ]
}
check "writes after a restore are kept as usual" writes
names_are_lost() {
	mkdir "$mnt/unsynced" && "$softpmem" powerfail --policy lose && [ ! -e "$mnt/unsynced" ]
}
check "names after a restore are lost as usual" names_are_lost

# ---- Open files -------------------------------------------------------------------------------
dead() {
	local status=0
	exec 8<>"$mnt/kept" || return
	"$softpmem" restore first
	echo >&8 2>/dev/null && status=1
	exec 8>&-
	return "$status"
}
check "a file that was open is dead after a restore" dead
in_directory() {
	cd "$mnt/directory" && "$softpmem" restore first && ! ls . 2>/dev/null && cd "$work" && is_as_before
}
check "a working directory of before is dead, and the path leads to the new one" in_directory
cd "$work" || bail "no directory"

# ---- The list ------------------------------------------------------------------------------------
lists() { "$softpmem" snapshot --json | grep -q "$1"; }
check "the list has the snapshot" lists '"name":"first"'
check "the list says that it is whole" lists '"whole":true'
has_row() { "$softpmem" snapshot | grep -q 'whole .*first'; }
check "the list is printed as a table" has_row

# ---- Refused ----------------------------------------------------------------------------------------
check_fails "an unknown snapshot is refused" 'there is no snapshot nothing' "$softpmem" restore nothing
check_fails "a name that is in use is refused" 'first: it exists' "$softpmem" snapshot / first
check_fails "a snapshot of a directory is refused" \
	'of a pool, or of a whole region' "$softpmem" snapshot /directory other
check_fails "a snapshot without a name is refused" 'needs a PATH' "$softpmem" snapshot /
check_fails "a name with control characters is refused" 'no control characters' "$softpmem" snapshot / $'a\nb'
check_fails "an empty name is refused" 'an argument is empty' "$softpmem" snapshot / ''
check_fails "a name of 64 bytes is refused" '1 to 63 bytes' "$softpmem" snapshot / "$(printf '%064d' 0)"
check_fails "the drop of an unknown snapshot is refused" 'there is none' "$softpmem" snapshot --drop nothing
many() { for n in $(seq 15); do "$softpmem" snapshot / "more$n" || return; done; }
check "a region has 16 snapshots" many
check_fails "a seventeenth snapshot of a region is refused" 'at most 16' "$softpmem" snapshot / one-too-many
drops() { for n in $(seq 15); do "$softpmem" snapshot --drop "more$n" || return; done; }
check "snapshots are dropped" drops

"$softpmem" create --size 1M /mapped || bail "cannot create a pool"
"$softpmem" run -- "$abs_top_builddir/tests/pmdk/survivor" nontemporal "$mnt/mapped" >"$work/out" 2>&1 &
mapper=$!
check "a process maps a pool" await grep -qx stored "$work/out"
check_fails "a restore is refused while a process maps a pool" \
	'has pools mapped: end it first' "$softpmem" restore first
check "the process that maps a pool goes on after the refused restore" kill -0 "$mapper"
kill -KILL "$mapper" && wait "$mapper" 2>/dev/null
restores() { "$softpmem" restore first; }
check "a region is restored once the process that mapped a pool has ended" await restores
check "the state is that of the snapshot" is_as_before
start_recording() { "$softpmem" record -o "$work/trace" & recorder=$! && await test -s "$work/trace"; }
check "a recording begins" start_recording
check_fails "a restore is refused during a recording" 'a recording is going on' "$softpmem" restore first
"$softpmem" record --stop && wait "$recorder"
check "the daemon stops cleanly" daemon_stop

# ---- Regions ------------------------------------------------------------------------------------------
daemon_start --region memfd:16M --label one --region memfd:16M --label two || bail "no daemon"
echo one >"$mnt/one/file"
echo two >"$mnt/two/file"
check "a snapshot of one region of several is taken" "$softpmem" snapshot /one state
check_fails "the directory of all regions is refused" 'write /REGION/PATH' "$softpmem" snapshot / all
both() { echo changed >"$mnt/one/file" && echo changed >"$mnt/two/file" && "$softpmem" restore state; }
check "one region of several is restored" both
check "the region is as before" test "$(cat "$mnt/one/file")" = one
check "the other region has lost nothing" test "$(cat "$mnt/two/file")" = changed
check "the daemon stops cleanly with snapshots" daemon_stop
finish
