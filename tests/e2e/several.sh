#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Several regions in one daemon: where things are, what they are called, and power that fails for all of them.
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

a=(--region "file:$work/a,32M" --label alpha)
b=(--region "file:$work/b,48M" --label beta)
c=(--region memfd:16M)

daemon_start "${a[@]}" "${b[@]}" "${c[@]}" || bail "no daemon"

# ---- What is where ------------------------------------------------------------
check "the mount has a directory for each, by label or place" test "$(ls "$mnt")" = $'alpha\nbeta\nregion2'
check "the directory of each region can be opened by its name" test -d "$mnt/beta" -a ! -e "$mnt/gamma"
check "'..' of a region is the root" test "$(stat -c %i "$mnt/alpha/..")" = "$(stat -c %i "$mnt")"
# shellcheck disable=SC2012 # only ls shows the numbers that readdir(3) has
numbers() {
	local name
	for name in . alpha beta region2; do
		[ "$(ls -aiU "$mnt" | awk -v name="$name" '$2 == name { print $1 }')" = \
			"$(stat -c %i "$mnt/$name")" ] || return
	done
	[ "$(ls -aiU "$mnt/beta" | awk '$2 == ".." { print $1 }')" = "$(stat -c %i "$mnt")" ]
}
check "readdir, stat and open give a region's directory the same inode number" numbers
forbidden() {
	check_fails "$1" "${3:-Operation not permitted}" sh -c "$2"
}
cd "$mnt" || bail "no mount"
denied='Operation not permitted|Permission denied'
forbidden "no file can be created beside the regions" 'echo >file' "cannot create.*($denied)"
forbidden "no directory can be created beside the regions" 'mkdir directory' "$denied"
forbidden "no symbolic link can be created beside the regions" 'ln -s alpha link' "$denied"
forbidden "a region's directory cannot be renamed" 'mv alpha gamma' "$denied"
forbidden "a region's directory cannot be moved into another region" 'mv alpha beta/alpha' "$denied"
forbidden "a region's directory cannot be removed" 'rmdir region2' "$denied"
forbidden "the root keeps its mode" 'chmod 777 .' "$denied"
mkdir alpha/dir
forbidden "no directory can be moved beside the regions" 'mv -T alpha/dir gamma' "$denied"
check "a region's own directory has a mode to change" chmod 700 alpha
chmod 755 alpha

echo one >alpha/file
check "rename(2) works within a region" mv alpha/file alpha/dir/file
renamed() { python3 -c 'import os, sys; os.rename(*sys.argv[1:])' "$@"; }
if command -v python3 >/dev/null; then
	check_fails "rename(2) from one region to another fails with EXDEV" \
		'cross-device' renamed alpha/dir/file beta/file
else
	skip "and not into another" "python3 is not installed"
fi
check_fails "link(2) from one region to another fails with EXDEV" 'cross-device' ln alpha/dir/file beta/file
check "mv(1) moves a file to another region by copying it" mv alpha/dir/file beta/file
check "the file that mv(1) copied has its content" grep -q one beta/file
sync beta/file
touch alpha/first region2/first
check "files of two regions have different inode numbers" \
	test "$(stat -c %i alpha/first)" != "$(stat -c %i region2/first)"
blocks() { stat -f -c %b "$1"; }
check "statfs(2) of a file reports the size of its region" test "$(blocks beta/file)" = 12288
check "statfs(2) of the mount's root reports the size of all regions" \
	test "$(blocks .)" = "$(((32 + 48 + 16) * 256))"
cd /

members() { "$softpmem" status --json | sed -n 's/^  "\([a-z_]*\)":.*/\1/p' | paste -sd ' '; }
check "status --json has the same members as with one region" \
	test "$(members)" = "state regions mount mark awaits_event pid version"

# ---- The control socket ------------------------------------------------------------
check "create takes a path that begins with the region's name" \
	"$softpmem" create --parents --size 1M /alpha/db/pool
check "create takes --region and a path in the region" "$softpmem" create --region beta --size 1M /pool
check "both pools are files on the mount" test -f "$mnt/alpha/db/pool" -a -f "$mnt/beta/pool"
paths() { "$softpmem" list "$@" --json | sed -n 's/^ *"path":"\(.*\)",$/\1/p' | sort | tr '\n' ' '; }
check "list shows the pools of all regions" \
	test "$(paths)" = "/alpha /alpha/db /alpha/db/pool /alpha/dir /alpha/first \
/beta /beta/file /beta/pool /region2 /region2/first "
check "list --region shows the pools of one region by their paths in it" \
	test "$(paths --region beta)" = "/file /pool "
check "list of a path shows whole paths" test "$(paths /alpha/db)" = "/alpha/db/pool "
check "each item of list --json names its region" \
	grep -q '"region":"beta"' <("$softpmem" list --json --region beta /pool)
check "path takes --region and a path in the region" \
	test "$("$softpmem" path --region beta /pool)" = "$mnt/beta/pool"
check "path takes a path that begins with the region's name" \
	test "$("$softpmem" path /beta/pool)" = "$mnt/beta/pool"
check_fails "the message about a missing pool names its region" '/beta/none: No such file' \
	"$softpmem" path --region beta none
check_fails "a region name that does not exist is refused" \
	'gamma: the daemon does not serve a region of that name.*list -R' \
	"$softpmem" create --region gamma /pool
check_fails "a path that names no region is refused" '/pool: the daemon serves several regions.*--region' \
	"$softpmem" create /pool
check_fails "nothing can be created in the root of several regions" \
	"only the directories of the regions are here" "$softpmem" create /
check_fails "the directory of a region cannot be destroyed" \
	'the root cannot be destroyed' "$softpmem" destroy /beta
check "a pool is destroyed by --region and its path" "$softpmem" destroy --region beta pool
check "pools of the other regions are still there" test ! -e "$mnt/beta/pool" -a -e "$mnt/alpha/db/pool"
regions() { "$softpmem" list -R | awk 'NR > 1 { print $9, $10, $8, $1 }'; }
check "list -R shows the regions in the order of the command line" \
	test "$(regions)" = "alpha file:$work/a,32M active 32M
beta file:$work/b,48M active 48M
region2 memfd:16M active 16M"
check "list -R --json shows all regions" \
	test "$("$softpmem" list -R --json | grep -c '"persistence_domain":"memory_controller"')" = 3
check "status shows all regions" test "$("$softpmem" status | grep -c '^region: ')" = 3
check "check without arguments checks all regions" test "$("$softpmem" check | grep -c '^0 damaged')" = 3
check "check --region checks one region" \
	grep -q "^region file:$work/b,48M: 1 file," <("$softpmem" check --region beta)

# ---- What programs persist ------------------------------------------------------------
persist() { "$softpmem" run -- "$abs_top_builddir/tests/pmdk/survivor" count "$mnt/$1" "$2"; }
"$softpmem" create --region beta --size 1M /counted
"$softpmem" create --region alpha --size 1M /counted
check "a libpmem program persists in a pool of the first region" persist alpha/counted 30
check "a libpmem program persists in a pool of the second region" persist beta/counted 500
counted() { "$softpmem" stat "$@" | awk '$NF ~ /counted$/ { print $1, $NF }' | sort -k 2; }
check "stat counts persists in both regions" test "$(counted)" = $'30 /alpha/counted\n500 /beta/counted'
check "stat --region counts the persists of one region" test "$(counted --region beta)" = "500 /counted"
check "stat PATH counts the persists below a path" test "$(counted /alpha)" = "30 /alpha/counted"
check "each item of stat --json names its region" \
	grep -q '"region":"beta"' <("$softpmem" stat --json /beta/counted)
"$softpmem" destroy /alpha/counted
"$softpmem" destroy /beta/counted

# ---- Power: one failure for all ------------------------------------------------------
write_both() { # $1 synced, then $2 not
	local region
	for region in alpha beta region2; do
		printf %s "$1" >"$mnt/$region/fate"
		sync "$mnt/$region/fate"
		printf %s "$2" >>"$mnt/$region/fate"
	done
}
fates() { for region in alpha beta region2; do cat "$mnt/$region/fate"; echo; done; }
write_both synced hoped
check "before the power failure synced and unsynced bytes are visible" test "$(fates | sort -u)" = syncedhoped
check "powerfail succeeds with several regions" "$softpmem" powerfail
check "after the power failure each region has exactly the synced bytes" test "$(fates | sort -u)" = synced
write_both synced hoped
check "negative control: powerfail --policy keep succeeds" "$softpmem" powerfail --policy keep
check "negative control: with keep the unsynced bytes are there too" test "$(fates | sort -u)" = syncedhoped
generations() { "$softpmem" list -R | awk 'NR > 1 { print $6, $7 }' | sort -u; }
check "each region counted both power failures" test "$(generations)" = "3 2"

# The same number of pool and the same bytes in each: the seed is one, the coins are not.
coins() {
	local region
	for region in alpha beta region2; do
		head -c 65536 /dev/zero >"$mnt/$region/coins"
		sync "$mnt/$region/coins"
		head -c 65536 /dev/zero | tr '\0' x |
			dd of="$mnt/$region/coins" conv=notrunc bs=64k status=none
	done
	"$softpmem" powerfail --policy random --seed 5 >"$work/report" || return
	sha256sum <"$mnt/alpha/coins" >"$work/coins.$1"
	sha256sum <"$mnt/region2/coins" >>"$work/coins.$1"
}
check "powerfail --policy random with a seed succeeds" coins first
check "the report of a power failure has the pools of all regions" \
	test "$(grep -c '/coins$' "$work/report")" = 3
check "equal pools of two regions keep different lines" test "$(sort -u "$work/coins.first" | wc -l)" = 2
check "powerfail with the same seed succeeds again" coins second
check "the same seed leaves the same bytes" cmp "$work/coins.first" "$work/coins.second"

# ---- Restart -------------------------------------------------------------------------
check "the daemon stops cleanly" daemon_stop
check "the daemon starts with the regions in another order" daemon_start "${c[@]}" "${b[@]}" "${a[@]}"
check "each region keeps its label in another order" test "$(ls "$mnt")" = $'alpha\nbeta\nregion0'
check "each region keeps its files in another order" \
	test -f "$mnt/alpha/db/pool" -a "$(cat "$mnt/beta/file")" = one
daemon_kill
check "after SIGKILL the daemon starts again" daemon_start "${b[@]}" "${a[@]}"
check "after SIGKILL each region has its files" \
	test -f "$mnt/alpha/db/pool" -a "$(cat "$mnt/beta/file")" = one
check "each region counts SIGKILL as a dirty shutdown" test "$(generations)" = "7 5"
check "the daemon stops cleanly" daemon_stop
daemon_start "${b[@]}" || bail "no daemon"
check "a single region is the root of the mount" test "$(cat "$mnt/file")" = one
check "--region is accepted by a daemon with one region" test "$(paths --region beta /file)" = "/file "
check_fails "--region with a wrong name is refused by a daemon with one region" \
	'alpha: the daemon does not serve a region of that name' "$softpmem" list --region alpha
check "the daemon stops cleanly" daemon_stop
check "check finds no damage in the first region" "$softpmem" check "file:$work/a"
check "check finds no damage in the second region" "$softpmem" check "file:$work/b"

# ---- Names and words -------------------------------------------------------------------
refused() {
	local what=$1 pattern=$2
	shift 2
	check_fails "$what" "$pattern" timeout 20 "$softpmemd" --mount "$mnt" --socket "$socket" "$@"
}
ln -s "$work/a" "$work/link"
refused "a file that is given twice is refused" "a: its memory is in use already, as region file:$work/a" \
	--region "file:$work/a" --region "file:$work/a"
refused "a file that is given by two names is refused" \
	'in use already' --region "file:$work/a" --region "file:$work/link"
refused "a file that is given by two names is refused with --read-only too" \
	'in use already' --read-only --region "file:$work/a" \
	--region "file:$work/link"
refused "a daemon with one missing file among its regions is refused" \
	'nowhere: no such file' "${a[@]}" --region "file:$work/nowhere"
check "a daemon that could not open all regions has released the others" "$softpmem" check "file:$work/a"

"$softpmem" format --label same "file:$work/same1,4M" || bail "format"
"$softpmem" format --label same "file:$work/same2,4M" || bail "format"
"$softpmem" format --label a/b "file:$work/slash,4M" || bail "format"
"$softpmem" format --label region1 "file:$work/given,4M" || bail "format"
daemon_start --region "file:$work/same1" --region "file:$work/same2" --region "file:$work/slash" \
	--region "file:$work/given" || bail "no daemon"
check "labels that cannot be file names are not used as directory names" \
	test "$(ls "$mnt")" = $'region0\nregion1\nregion2\nregion3'
check "the log says why a label is not used as a name" \
	test "$(grep -c "its name is region., not its label '" "$work/daemon.log")" = 4
check "the daemon stops cleanly" daemon_stop

# ---- Without a mount ---------------------------------------------------------------------
"$softpmemd" --socket "$socket" --region memfd:16M --label one --region "file:$work/two,16M" --label two \
	>>"$work/daemon.log" 2>&1 &
daemon_pid=$!
for _ in $(seq 300); do
	"$softpmem" status >/dev/null 2>&1 && break
	sleep 0.05
done
check "without a mount create takes a path that begins with the region's name" \
	"$softpmem" create --size 1M /one/pool
check "without a mount create takes --region" "$softpmem" create --region two --size 1M /pool
one=$("$softpmem" path /one/pool)
two=$("$softpmem" path --region two /pool)
check "without a mount each pool has a path of its own" test -f "$one" -a -f "$two" -a "$one" != "$two"
check_fails "without a mount the root has no path" 'only pools can be opened' "$softpmem" path /
for path in "$one" "$two"; do
	check "a libpmem program persists to the path of a pool" \
		"$softpmem" run -- "$abs_top_builddir/tests/pmdk/survivor" \
		count "$path" 77
	printf lost | dd of="$path" bs=64 seek=200 conv=notrunc status=none
done
check "powerfail without a mount succeeds" "$softpmem" powerfail
holds() { [ "$(od -A n -t u8 -j $((77 * 64)) -N 8 "$1" | tr -d ' ')" = 77 ] && ! grep -q lost "$1"; }
check "the first region has exactly the fenced bytes" holds "$one"
check "the second region has exactly the fenced bytes" holds "$two"
truncate -s 0 "$work/two"
lost() { "$softpmem" list -R | grep -q ' failed two '; }
check_fails "a request to a region whose memory was taken away fails" \
	'taken away' "$softpmem" create --region two /more
check "list -R shows that the region has failed" await lost
dark() { ! head -c 1 "$two" >/dev/null 2>&1; }
check "the path of a pool of the failed region cannot be read" await dark
check_fails "path refuses a pool of the failed region" 'taken away' "$softpmem" path /two/pool
check "the pool of the other region can still be read" holds "$one"
check "powerfail succeeds for the remaining region" "$softpmem" powerfail
recorded() { "$softpmem" record -o "$work/degraded" -- true 2>"$work/record.err"; }
check "record records the remaining region" recorded
check "record says that the other region is not in the trace" \
	grep -q 'a region has failed, and is not in the trace.*taken away' "$work/record.err"
check_fails "softpmem sync fails if one region has failed" 'taken away' "$softpmem" sync
check "the pool of the remaining region can be read after the power failure" holds "$one"
not_in_good_order() { ! daemon_stop; }
check "the daemon exits with an error because one region had failed" not_in_good_order

many=()
for ((i = 0; i < 64; i++)); do
	many+=(--region memfd:2M --label "with-a-name-of-some-length-$i")
done
daemon_start "${many[@]}" || bail "no daemon"
check "a daemon serves 64 regions" test "$(find "$mnt" -mindepth 1 -maxdepth 1 | wc -l)" = 64
check "powerfail succeeds with 64 regions" "$softpmem" powerfail
check "the daemon stops cleanly" daemon_stop
finish
