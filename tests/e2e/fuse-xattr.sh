#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Extended attributes on the mount, as setfattr, getfattr and rsync use them.
. "${abs_top_srcdir:?}/tests/lib.sh" || exit 1
needs_fuse

command -v setfattr >/dev/null || {
	skip "extended attributes on the mount" "setfattr is missing"
	finish
}
root=
[ "$(id -u)" -ne 0 ] || root=yes
daemon_start --region "file:$work/img,64M" || bail "the daemon does not start"

value() { getfattr -h --only-values -n "$2" "$mnt/$1"; }
has_value() { [ "$(value "$1" "$2")" = "$3" ]; }
names() { getfattr -h -m - --absolute-names "$mnt/$1" | grep -c =; }

echo bytes >"$mnt/file"
mkdir "$mnt/dir"
ln -s file "$mnt/link"
check "a file takes a user attribute" setfattr -n user.color -v blue "$mnt/file"
check "the attribute is read" has_value file user.color blue
check "a directory takes a user attribute" setfattr -n user.color -v red "$mnt/dir"
setfattr -n user.color -v green "$mnt/file"
check "an attribute is replaced" has_value file user.color green
setfattr -n user.empty "$mnt/file"
check "an empty value is a value" has_value file user.empty ""
check_fails "an attribute that is not there has no value" "No such attribute" value file user.none
check_fails "user attributes of symlinks are refused" "not permitted" setfattr -h -n user.x -v y "$mnt/link"
check_fails "other names are refused" "not supported" setfattr -n other.x -v y "$mnt/file"
acl=0x0200000001000600ffffffff04000400ffffffff20000400ffffffff
check_fails "ACLs are refused" "not supported" setfattr -n system.posix_acl_access -v $acl "$mnt/file"

head -c 4000 /dev/zero | tr '\0' v >"$work/long"
check "a value of 4000 bytes is taken" setfattr -n user.long -v "$(cat "$work/long")" "$mnt/file"
check "a value of 4000 bytes is read back" has_value file user.long "$(cat "$work/long")"
check_fails "attributes of more than 8 KiB in all are refused" "No space left" \
	setfattr -n user.longer -v "$(cat "$work/long" "$work/long")" "$mnt/file"
check "the others are unchanged" has_value file user.color green
setfattr -x user.long "$mnt/file"
check_fails "a removed attribute is gone" "No such attribute" value file user.long

if [ -n "$root" ]; then
	check "a symlink takes a trusted attribute" setfattr -h -n trusted.t -v 1 "$mnt/link"
	check "a symlink's attribute is read" has_value link trusted.t 1
	setfattr -n trusted.t -v 1 "$mnt/file"
	check "user 0 sees trusted attributes" getfattr -d -m trusted "$mnt/file"
	if command -v setcap >/dev/null; then
		cp /bin/true "$mnt/true"
		check "a file takes capabilities" setcap cap_net_raw+ep "$mnt/true"
		check "capabilities are listed" sh -c "getcap '$mnt/true' | grep net_raw"
		echo >>"$mnt/true"
		check "a write removes capabilities" test -z "$(getcap "$mnt/true")"
		setcap cap_net_raw+ep "$mnt/true"
		truncate -s 100 "$mnt/true"
		check "a truncation removes capabilities" test -z "$(getcap "$mnt/true")"
		setcap cap_net_raw+ep "$mnt/true"
		chown 1:1 "$mnt/true"
		check "a new owner removes capabilities" test -z "$(getcap "$mnt/true")"
	else
		skip "capabilities" "setcap is missing"
	fi
	chmod 6755 "$mnt/file"
	chown 1:1 "$mnt/file"
	check "a new owner clears the set-user-ID and set-group-ID bits" \
		test "$(stat -c %a "$mnt/file")" = 755
else
	skip "trusted attributes and capabilities" "needs root"
fi

# Durable without a sync, as names are.
count=$(names file)
"$softpmem" powerfail --policy lose >/dev/null
check "attributes survive a power failure" test "$(names file)" -eq "$count"
check "their values do too" has_value file user.color green
daemon_stop
check "the region is sound" "$softpmem" check "file:$work/img"
daemon_start --region "file:$work/img" || bail "the daemon does not start again"
check "attributes survive a restart" has_value file user.color green
check "a directory's attributes survive a restart" has_value dir user.color red

if command -v rsync >/dev/null; then
	mkdir "$work/source" "$mnt/copy"
	cp -a "$mnt/file" "$mnt/dir" "$mnt/link" "$work/source" 2>/dev/null
	ln "$work/source/file" "$work/source/again"
	setfattr -n user.more -v more "$work/source/file"
	flags=-aHX
	check "rsync copies attributes to the mount" rsync $flags "$work/source/" "$mnt/copy/"
	check "the copy has the attributes" has_value copy/file user.more more
	check "rsync finds no difference afterwards" \
		test -z "$(rsync $flags -n --itemize-changes "$work/source/" "$mnt/copy/")"
else
	skip "rsync copies attributes" "rsync is missing"
fi
check "the daemon stops cleanly" daemon_stop
finish
