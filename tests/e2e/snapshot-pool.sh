#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# softpmem snapshot and restore of one pool.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

media=file:$work/media,16M
daemon_start --region "$media" || bail "no daemon"

pool=$mnt/db/data
sum() { sha256sum <"$pool"; }
is_as_before() { [ "$(sum)" = "$before" ]; }
changed() { ! is_as_before; }
memory() {
	"$softpmem" snapshot --json | tr -d ' \n\t' | grep -o "\"name\":\"$1\"[^}]*" |
		grep -o '"memory":[0-9]*'
}
# A file that was just closed may still be open to the daemon.
restore() { "$softpmem" restore "$@" 2>"$work/err" || { grep -q 'is open' "$work/err" && return 1; }; }
restored() { await restore "$@" && is_as_before; }

make_files() {
	mkdir "$mnt/db" && head -c 1000000 /dev/urandom >"$pool" && truncate -s 1100000 "$pool" &&
		head -c 100000 /dev/urandom >"$mnt/other" && sync "$mnt/other"
}
make_files || bail "cannot write to the mount"
before=$(sum)
others=$(sha256sum <"$mnt/other")
check "snapshot remembers the contents of a pool" "$softpmem" snapshot /db/data first
check "a snapshot takes no memory while nothing changes" test "$(memory first)" = '"memory":0'

overwrite() { printf changed | dd of="$pool" bs=1 seek=5000 conv=notrunc status=none; }
overwrite && sync "$pool" && echo kept >"$mnt/kept"
check "negative control: without a restore the bytes are other ones" changed
check "a page is copied when it changes, and no other" test "$(memory first)" = '"memory":4096'
check "restore goes back" restored first
change() {
	fallocate -p -o 40960 -l 40960 "$pool" && truncate -s 70000 "$pool" &&
		head -c 2000000 /dev/urandom >>"$pool" && chmod 600 "$pool"
}
check "the pool is punched, cut and made longer" change
check "restore goes back from a pool that was punched, cut and made longer" restored first
check "restore leaves the attributes as they are" test "$(stat -c %a "$pool")" = 600
check "restore leaves another file as it is" test "$(cat "$mnt/kept")" = kept
lost() { "$softpmem" powerfail && is_as_before; }
check "what was restored is durable" lost
after_outage() {
	change && sync "$pool" && "$softpmem" powerfail --policy random --seed 3 && restored first
}
check "a snapshot is restored after a power failure" after_outage

# The blocks that the pool gives up get other bytes.
reused() {
	: >"$pool" && sync "$pool" && "$softpmem" sync && head -c 9M /dev/urandom >"$mnt/filler" &&
		sync "$mnt/filler" && restored first
}
check "a snapshot is restored when other files have the blocks of the pool" reused
check "another file keeps its bytes" test "$(sha256sum <"$mnt/other")" = "$others"

fill() { : >"$pool" && "$softpmem" sync && ! cat /dev/urandom >"$mnt/full" 2>/dev/null; }
check "the region is full" fill
full=$(sha256sum <"$mnt/full")
no_space() { ! "$softpmem" restore first 2>"$work/err" && grep -q 'no space for the blocks' "$work/err"; }
check "a restore without space is refused" await no_space
check "the pool is as before the refused restore" test ! -s "$pool"
check "the file that took the space is as before the refused restore" \
	test "$(sha256sum <"$mnt/full")" = "$full"
space() { rm "$mnt/full" "$mnt/filler" && "$softpmem" sync && restored first; }
check "the restore succeeds once there is space" space
check "the region has no damage" "$softpmem" check

# ---- Names ------------------------------------------------------------------------------------
renamed() { mv "$pool" "$mnt/moved" && pool=$mnt/moved && overwrite && restored first; }
check "a renamed pool is found" renamed
check "the path of the pool is accepted" "$softpmem" restore /moved first
check_fails "restore refuses the path of another pool" \
	'of /db/data, not of /other' "$softpmem" restore /other first
check_fails "restore refuses the path of the region" 'of /db/data, not of /' "$softpmem" restore / first
has_path() { "$softpmem" snapshot --json | grep -q '"path":"/db/data"'; }
check "the list has the path that the pool had" has_path

# ---- Refused ----------------------------------------------------------------------------------
exec 8<"$pool"
check_fails "restore refuses a pool that is open" 'the pool is open' "$softpmem" restore first
exec 8<&-
check_fails "restore refuses a name that no snapshot has" \
	'there is no snapshot nothing' "$softpmem" restore nothing
check_fails "a name that is in use is refused" 'first: it exists' "$softpmem" snapshot /other first
check_fails "a snapshot of a missing pool is refused" 'No such file' "$softpmem" snapshot /nothing second
check_fails "a snapshot of a directory is refused" \
	'of a pool, or of a whole region' "$softpmem" snapshot /db second
"$softpmem" run -- "$abs_top_builddir/tests/pmdk/survivor" nontemporal "$pool" >"$work/out" 2>&1 &
mapper=$!
check "a process maps the pool" await grep -qx stored "$work/out"
check "a snapshot is taken of a mapped pool" "$softpmem" snapshot /moved mapped
check_fails "a restore is refused while a process maps a pool" \
	'has pools mapped: end it first' "$softpmem" restore first
kill -KILL "$mapper" && wait "$mapper" 2>/dev/null
mapped=$(sum)
check "the pool is restored once the process that mapped it has ended" restored first
went_back() { await restore mapped && [ "$(sum)" = "$mapped" ]; }
check "the snapshot of the mapped pool has what was fenced" went_back

# ---- Beside snapshots of the region ---------------------------------------------------------------
check "a snapshot of the region is taken" "$softpmem" snapshot / all
beside() {
	restored first && overwrite && "$softpmem" restore all && [ "$(sum)" = "$mapped" ] && restored first
}
check "the pool is restored after a restore of its region" beside
gone() { rm "$pool" && "$softpmem" sync && head -c 3M /dev/urandom >"$mnt/new"; }
check "the pool is removed" gone
check_fails "restore refuses a pool that was removed" 'is not there any more' "$softpmem" restore first
check "the snapshot of a removed pool is dropped" "$softpmem" snapshot --drop first
check "a file that was written later is there" test -s "$mnt/new"
check "the daemon stops with snapshots of pools" daemon_stop
daemon_start --region "$media" || bail "no daemon"
check "after a restart there is no snapshot" test "$("$softpmem" snapshot --json | tr -d ' \n')" = '[]'
check_fails "restore after a restart says that there is no snapshot" \
	'there is no snapshot mapped' "$softpmem" restore mapped
finish
