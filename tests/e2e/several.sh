#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Several regions in one daemon: where things are, what they are called, and power that fails for all of them.
. "$abs_top_srcdir/tests/lib.sh"

a=(--region "file:$work/a,32M" --label alpha)
b=(--region "file:$work/b,48M" --label beta)
c=(--region memfd:16M)

daemon_start "${a[@]}" "${b[@]}" "${c[@]}" || bail "no daemon"

# ---- What is where ------------------------------------------------------------
check "the mount has a directory for each, by label or place" test "$(ls "$mnt")" = $'alpha\nbeta\nregion2'
check "they are there by name too" test -d "$mnt/beta" -a ! -e "$mnt/gamma"
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
check "numbers are the same by any way" numbers
forbidden() {
	check_fails "$1" "${3:-Operation not permitted}" sh -c "$2"
}
cd "$mnt" || bail "no mount"
denied='Operation not permitted|Permission denied'
forbidden "nothing is made beside them: a file" 'echo >file' "cannot create.*($denied)"
forbidden "a directory" 'mkdir directory' "$denied"
forbidden "a symbolic link" 'ln -s alpha link' "$denied"
forbidden "a region's directory is not renamed" 'mv alpha gamma' "$denied"
forbidden "nor into another" 'mv alpha beta/alpha' "$denied"
forbidden "nor removed" 'rmdir region2' "$denied"
forbidden "the root keeps its mode" 'chmod 777 .' "$denied"
mkdir alpha/dir
forbidden "nothing is moved there" 'mv -T alpha/dir gamma' "$denied"
check "a region's own directory has a mode to change" chmod 700 alpha
chmod 755 alpha

echo one >alpha/file
check "rename(2) goes within a region" mv alpha/file alpha/dir/file
renamed() { python3 -c 'import os, sys; os.rename(*sys.argv[1:])' "$@"; }
if command -v python3 >/dev/null; then
	check_fails "and not into another" 'cross-device' renamed alpha/dir/file beta/file
else
	skip "and not into another" "python3 is not installed"
fi
check_fails "nor does link(2)" 'cross-device' ln alpha/dir/file beta/file
check "mv(1) copies, as between file systems" mv alpha/dir/file beta/file
check "and it is there" grep -q one beta/file
sync beta/file
touch alpha/first region2/first
check "files of two regions have two numbers" \
	test "$(stat -c %i alpha/first)" != "$(stat -c %i region2/first)"
blocks() { stat -f -c %b "$1"; }
check "statfs(2) tells of a file's region" test "$(blocks beta/file)" = 12288
check "and at the root of all" test "$(blocks .)" = "$(((32 + 48 + 16) * 256))"
cd /

# ---- The control socket ------------------------------------------------------------
check "a pool is made by its whole path" "$softpmem" create --parents --size 1M /alpha/db/pool
check "or by the region" "$softpmem" create --region beta --size 1M /pool
check "both are files" test -f "$mnt/alpha/db/pool" -a -f "$mnt/beta/pool"
paths() { "$softpmem" list "$@" --json | sed -n 's/^ *"path":"\(.*\)",$/\1/p' | sort | tr '\n' ' '; }
check "a list has all of them" test "$(paths)" = "/alpha /alpha/db /alpha/db/pool /alpha/dir /alpha/first \
/beta /beta/file /beta/pool /region2 /region2/first "
check "or a region's, by its own paths" test "$(paths --region beta)" = "/file /pool "
check "or by whole ones" test "$(paths /alpha/db)" = "/alpha/db/pool "
check "an item tells its region" grep -q '"region":"beta"' <("$softpmem" list --json --region beta /pool)
check "path goes by the region" test "$("$softpmem" path --region beta /pool)" = "$mnt/beta/pool"
check "or whole" test "$("$softpmem" path /beta/pool)" = "$mnt/beta/pool"
check_fails "what is not there is told with its region" '/beta/none: No such file' \
	"$softpmem" path --region beta none
check_fails "no region of that name" 'gamma: the daemon serves none of that name.*list -R' \
	"$softpmem" create --region gamma /pool
check_fails "a path without a region" '/pool: the daemon serves several regions.*--region' \
	"$softpmem" create /pool
check_fails "nothing is made in the root" "regions' directories, and nothing else" "$softpmem" create /
check_fails "a region is not destroyed" 'the root cannot be destroyed' "$softpmem" destroy /beta
check "a pool is" "$softpmem" destroy --region beta pool
check "and nothing else" test ! -e "$mnt/beta/pool" -a -e "$mnt/alpha/db/pool"
regions() { "$softpmem" list -R | awk 'NR > 1 { print $9, $10, $8, $1 }'; }
check "list -R has them in order" test "$(regions)" = "alpha file:$work/a,32M active 32M
beta file:$work/b,48M active 48M
region2 memfd:16M active 16M"
check "and in JSON" \
	test "$("$softpmem" list -R --json | grep -c '"persistence_domain":"memory_controller"')" = 3
check "status has all" test "$("$softpmem" status | grep -c '^region: ')" = 3
check "check checks all" test "$("$softpmem" check | grep -c '^0 damaged')" = 3
check "or one" grep -q "^region file:$work/b,48M: 1 files" <("$softpmem" check --region beta)

# ---- What programs persist ------------------------------------------------------------
persist() { "$softpmem" run -- "$abs_top_builddir/tests/pmdk/survivor" count "$mnt/$1" "$2"; }
"$softpmem" create --region beta --size 1M /counted
"$softpmem" create --region alpha --size 1M /counted
check "a program persists in one" persist alpha/counted 30
check "another in the other" persist beta/counted 500
counted() { "$softpmem" stat "$@" | awk '$NF ~ /counted$/ { print $1, $NF }' | sort -k 2; }
check "stat counts both" test "$(counted)" = $'30 /alpha/counted\n500 /beta/counted'
check "or those of a region" test "$(counted --region beta)" = "500 /counted"
check "or of a path" test "$(counted /alpha)" = "30 /alpha/counted"
check "an item tells its region" grep -q '"region":"beta"' <("$softpmem" stat --json /beta/counted)
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
check "before: both are seen" test "$(fates | sort -u)" = syncedhoped
check "power fails" "$softpmem" powerfail
check "in every region what was synced is there, and no more" test "$(fates | sort -u)" = synced
write_both synced hoped
check "negative control: power fails and all is kept" "$softpmem" powerfail --policy keep
check "then all of it is there" test "$(fates | sort -u)" = syncedhoped
generations() { "$softpmem" list -R | awk 'NR > 1 { print $6, $7 }' | sort -u; }
check "each has counted both" test "$(generations)" = "3 2"

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
check "power fails by a seed" coins first
check "its report has pools of all" test "$(grep -c '/coins$' "$work/report")" = 3
check "coins differ by region" test "$(sort -u "$work/coins.first" | wc -l)" = 2
check "the same again" coins second
check "the same seed leaves the same bytes" cmp "$work/coins.first" "$work/coins.second"

# ---- Restart -------------------------------------------------------------------------
check "the daemon stops cleanly" daemon_stop
check "in another order they start" daemon_start "${c[@]}" "${b[@]}" "${a[@]}"
check "labels stay with their regions" test "$(ls "$mnt")" = $'alpha\nbeta\nregion0'
check "and so does what is in them" test -f "$mnt/alpha/db/pool" -a "$(cat "$mnt/beta/file")" = one
daemon_kill
check "killed, it starts once more" daemon_start "${b[@]}" "${a[@]}"
check "all is there" test -f "$mnt/alpha/db/pool" -a "$(cat "$mnt/beta/file")" = one
check "each counts a dirty shutdown" test "$(generations)" = "7 5"
check "the daemon stops cleanly" daemon_stop
daemon_start "${b[@]}" || bail "no daemon"
check "one alone is the mount's root" test "$(cat "$mnt/file")" = one
check "--region is heard with one too" test "$(paths --region beta /file)" = "/file "
check_fails "and checked" 'alpha: the daemon serves none of that name' "$softpmem" list --region alpha
check "the daemon stops cleanly" daemon_stop
check "one is sound" "$softpmem" check "file:$work/a"
check "and the other" "$softpmem" check "file:$work/b"

# ---- Names and words -------------------------------------------------------------------
refused() {
	local what=$1 pattern=$2
	shift 2
	check_fails "$what" "$pattern" timeout 20 "$softpmemd" --mount "$mnt" --socket "$socket" "$@"
}
ln -s "$work/a" "$work/link"
refused "the same file twice" "a: its memory is in use already, as region file:$work/a" \
	--region "file:$work/a" --region "file:$work/a"
refused "by another name" 'in use already' --region "file:$work/a" --region "file:$work/link"
refused "also where both only read" 'in use already' --read-only --region "file:$work/a" \
	--region "file:$work/link"
refused "one that is not there" 'nowhere: there is no such file' "${a[@]}" --region "file:$work/nowhere"
check "that has freed the others" "$softpmem" check "file:$work/a"

"$softpmem" format --label same "file:$work/same1,4M" || bail "format"
"$softpmem" format --label same "file:$work/same2,4M" || bail "format"
"$softpmem" format --label a/b "file:$work/slash,4M" || bail "format"
"$softpmem" format --label region1 "file:$work/given,4M" || bail "format"
daemon_start --region "file:$work/same1" --region "file:$work/same2" --region "file:$work/slash" \
	--region "file:$work/given" || bail "no daemon"
check "labels that cannot be names are not" test "$(ls "$mnt")" = $'region0\nregion1\nregion2\nregion3'
check "and the log says why" \
	test "$(grep -c "it is called region., and not by its label '" "$work/daemon.log")" = 4
check "the daemon stops cleanly" daemon_stop

# ---- Without a mount ---------------------------------------------------------------------
"$softpmemd" --socket "$socket" --region memfd:16M --label one --region "file:$work/two,16M" --label two \
	>>"$work/daemon.log" 2>&1 &
daemon_pid=$!
for _ in $(seq 300); do
	"$softpmem" status >/dev/null 2>&1 && break
	sleep 0.05
done
check "without a mount a pool is made in each" "$softpmem" create --size 1M /one/pool
check "by its region too" "$softpmem" create --region two --size 1M /pool
one=$("$softpmem" path /one/pool)
two=$("$softpmem" path --region two /pool)
check "each has a path" test -f "$one" -a -f "$two" -a "$one" != "$two"
check_fails "the root has none" 'only pools have a path' "$softpmem" path /
for path in "$one" "$two"; do
	check "a program persists there" "$softpmem" run -- "$abs_top_builddir/tests/pmdk/survivor" \
		count "$path" 77
	printf lost | dd of="$path" bs=64 seek=200 conv=notrunc status=none
done
check "power fails" "$softpmem" powerfail
holds() { [ "$(od -A n -t u8 -j $((77 * 64)) -N 8 "$1" | tr -d ' ')" = 77 ] && ! grep -q lost "$1"; }
check "what was fenced is in one, and no more" holds "$one"
check "and in the other" holds "$two"
truncate -s 0 "$work/two"
lost() { "$softpmem" list -R | grep -q ' failed two '; }
check_fails "one is taken away: who comes to it finds out" 'taken away' "$softpmem" create --region two /more
check "list -R tells" await lost
dark() { ! head -c 1 "$two" >/dev/null 2>&1; }
check "its path leads nowhere" await dark
check_fails "and is not given any more" 'taken away' "$softpmem" path /two/pool
check "the other's does" holds "$one"
check "power fails for the other" "$softpmem" powerfail
check "and it is there again" holds "$one"
not_in_good_order() { ! daemon_stop; }
check "the daemon stops, and says that it was not in good order" not_in_good_order

many=()
for ((i = 0; i < 64; i++)); do
	many+=(--region memfd:2M --label "with-a-name-of-some-length-$i")
done
daemon_start "${many[@]}" || bail "no daemon"
check "64 regions are served" test "$(find "$mnt" -mindepth 1 -maxdepth 1 | wc -l)" = 64
check "and lose power" "$softpmem" powerfail
check "the daemon stops cleanly" daemon_stop
finish
