#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# create, list, destroy and path, and that the mount sees at once what they did.
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

daemon_start --region memfd:128M || bail "the daemon does not start"

# listed PATH KEY VALUE: one member of what `list --json` says of one path.
listed() {
	"$softpmem" list --json "$1" >"$work/json" || return
	cat "$work/json"
	grep -aFqx "    \"$2\":$3" <(sed 's/,$//' "$work/json")
}
is_gone() {
	[ ! -e "$mnt/$1" ] && ! "$softpmem" list "/$1" 2>"$work/err" && grep -q 'No such file' "$work/err"
}

# ---- create
umask 022
check "create --size makes a pool" "$softpmem" create --size 4M /a
check "the pool has the given size" listed /a size 4194304
check "all bytes of the pool are reserved" listed /a allocated 4194304
check "the pool is a file of that size on the mount" test -f "$mnt/a" -a "$(stat -c %s "$mnt/a")" = 4194304
check "the pool belongs to the caller" listed /a uid "$(id -u)"
check "the pool has the permissions of the umask" listed /a perm '"0644"'
check "the default mode of a pool is fsdax" listed /a mode '"fsdax"'
check "create without --size makes a pool" "$softpmem" create /empty
check "a pool without a size is empty" listed /empty size 0
check "create --perm makes a pool" "$softpmem" create --perm 0600 /private
check "the pool has the permissions of --perm" test "$(stat -c %a "$mnt/private")" = 600
check_fails "create refuses a name that exists" \
	'^softpmem: /a: File exists: destroy it first' "$softpmem" create /a
check "create --directory --mode makes a directory" "$softpmem" create --directory --mode sector:512 /sectors
check "a pool is created in the directory" "$softpmem" create /sectors/file
check "a pool inherits the mode of its directory" listed /sectors/file sector_size 512
touch "$mnt/sectors/made-on-the-mount"
check "a file that is created through the mount inherits the mode of its directory" \
	listed /sectors/made-on-the-mount sector_size 512
check "create --mode makes a pool in a directory of another mode" "$softpmem" create --mode fsdax /sectors/dax
check "--mode overrides the mode of the directory" listed /sectors/dax mode '"fsdax"'

check_fails "create refuses a path whose directory is missing, and names --parents" \
	"--parents creates it" "$softpmem" create /x/y/z
check "create --parents succeeds" "$softpmem" create --parents --size 1M x/y/z
check "create --parents makes the missing directories" test -f "$mnt/x/y/z"
check "create --parents accepts directories that exist" "$softpmem" create --parents x/y/w
check_fails "create refuses a path through a file" 'Not a directory' "$softpmem" create /a/b
check_fails "create refuses the root" 'File exists' "$softpmem" create /
check_fails "create refuses '.' and '..' in a path" 'no \. or \.\.' "$softpmem" create /x/../y
check_fails "create refuses a size beyond the free space" \
	'No space left on device: destroy pools' "$softpmem" create --size 1G /huge
check "a create that fails with ENOSPC leaves no entry" is_gone huge
free_before=$("$softpmem" status --json | grep available_size)
check_fails "create --parents refuses a size beyond the free space" \
	'No space left' "$softpmem" create --parents --size 1G /p/q/r/huge
check "a create --parents that fails with ENOSPC leaves no directory" is_gone p
check "a create that fails takes no space" \
	test "$free_before" = "$("$softpmem" status --json | grep available_size)"
check_fails "create refuses a size of 2^63 bytes" \
	'File too large|No space left' "$softpmem" create --size 9223372036854775808 /big
check "a create of 2^63 bytes leaves no entry" is_gone big
check "create --size 1 makes a pool" "$softpmem" create --size 1 /one
check "the size of a pool may be one byte" listed /one size 1

# What the kernel remembers of the mount is put right.
links=$(stat -c %h "$mnt")
check "a name that does not exist is not found on the mount" \
	test ! -e "$mnt/later" -a ! -e "$mnt/later-directory"
check "create makes a name that the kernel has cached as missing" "$softpmem" create /later
check "a pool created while the mount is open is visible in it" test -f "$mnt/later"
check "create --directory makes a directory while the mount is open" \
	"$softpmem" create --directory /later-directory
check "a new directory counts in the link count of its parent" test "$(stat -c %h "$mnt")" = $((links + 1))
check "the new directory is destroyed" "$softpmem" destroy /later-directory
check "a destroyed directory no longer counts in the link count of its parent" \
	test "$(stat -c %h "$mnt")" = "$links"

# ---- names
long=$(printf '%255s' '' | tr ' ' n)
check "create accepts a name of 255 bytes" "$softpmem" create "/$long"
check "the name of 255 bytes is on the mount" test -e "$mnt/$long"
check_fails "create refuses a name of 256 bytes" 'File name too long: a name has at most 255 bytes' \
	"$softpmem" create "/${long}n"
check "a refused name is not on the mount" test ! -e "$mnt/${long}n"
check_fails "list refuses a name of 256 bytes in the same words" 'a name has at most 255 bytes' \
	"$softpmem" list "/${long}n"
check_fails "a path that is too long for a request is refused before it is sent" \
	'^softpmem: the arguments are too long' "$softpmem" path "/$(printf '%070000d' 0)"
check "the daemon's log has no word of it" test -z "$(grep frame "$work/daemon.log")"
"$softpmem" create --directory --parents /into/itself
check_fails "rename says that a directory cannot be moved into itself" 'cannot be moved into itself' \
	"$softpmem" rename /into /into/itself/too
check_fails "resize says that a directory is not a pool" 'give the path of a pool' "$softpmem" resize /into 1M
check_fails "create --change says that a pool is no directory" '/a: Not a directory: it, or a part' \
	"$softpmem" create --directory --change --metadata strict /a
"$softpmem" destroy --recursive /into
check "create accepts a name with a newline, a backslash and invalid UTF-8" \
	"$softpmem" create $'/odd \\ \n \xff\xc3\xbc'
check "the mount shows that name byte for byte" test -e "$mnt"/$'odd \\ \n \xff\xc3\xbc'
check "list escapes that name so that it fills one line" grep -Fq '/odd \\ \012 \377ü' <("$softpmem" list)
check "list --json escapes that name in path_escaped" \
	listed $'/odd \\ \n \xff\xc3\xbc' path_escaped '"/odd \\\\ \\012 \\377ü"'
check "list --json prints valid UTF-8" iconv -f UTF-8 -t UTF-8 -o /dev/null "$work/json"
check "path prints that name byte for byte" test -e "$("$softpmem" path $'/odd \\ \n \xff\xc3\xbc')"
check "create accepts repeated slashes in a path" "$softpmem" create //x///slashes/
check "repeated slashes in a path count as one" test -f "$mnt/x/slashes"

# ---- path
check "path prints the file name of a pool on the mount" test "$("$softpmem" path x/y/z)" = "$mnt/x/y/z"
check "path prints the mount point for the root" test "$("$softpmem" path /)" = "$mnt"
check_fails "path refuses a name that does not exist" \
	'^softpmem: /nothing: No such file or directory: see softpmem list' \
	"$softpmem" path /nothing

# ---- list
check "the header of list shows generation and dirty shutdowns" \
	grep -Eq 'generation 1, dirty shutdowns 0$' <("$softpmem" list)
ln -s a "$mnt/link"
ln "$mnt/a" "$mnt/hard"
check "list --json shows the type of a symlink" listed /link type '"symlink"'
check "list --json shows the number of hard links" listed /hard links 2
check "list of a directory shows its content" \
	test "$("$softpmem" list /x | tail -n +3 | awk '{ print $NF }' | sort | paste -sd ' ')" = \
	"/x/slashes /x/y /x/y/w /x/y/z"
check "list --json prints an array" grep -Fqx '[' <("$softpmem" list --json /x | head -n 1)
check "list --json of an empty directory prints an empty array" \
	test "$("$softpmem" create --directory /void && "$softpmem" list --json /void)" = '[]'
check "list --json without a path shows every entry of the tree" \
	test "$("$softpmem" list --json | grep -ac '"path":')" = \
	"$(($(find "$mnt" | tr -dc '\n' | wc -c) - 2))"

check "list is not wider than 80 columns before the path" \
	test "$("$softpmem" list | awk 'NR == 2 { print index($0, "PATH") < 80 && !/UUID/ }')" = 1
check "list -v shows UUIDs" grep -q ' UUID .* PATH$' <("$softpmem" list -v)

# ---- destroy
check "destroy removes a pool" "$softpmem" destroy /one
check "a destroyed pool is no longer on the mount" is_gone one
check_fails "destroy refuses a name that was destroyed before" \
	'^softpmem: /one: No such file or directory' "$softpmem" destroy /one
check "destroy removes one of two hard links" "$softpmem" destroy /hard
check "the other hard link is still there" test "$(stat -c %h "$mnt/a")" = 1
check_fails "destroy refuses a directory that is not empty, and names --recursive" \
	'^softpmem: /x: Directory not empty: --recursive' \
	"$softpmem" destroy /x
check "a directory that destroy refused is unchanged" test -f "$mnt/x/y/z"
check "destroy --recursive succeeds" "$softpmem" destroy --recursive /x
check "destroy --recursive removes a directory and its content" is_gone x
check "destroy --recursive removes a symlink" "$softpmem" destroy --recursive /link
check "destroy --recursive does not follow a symlink" test -f "$mnt/a"
check_fails "destroy refuses the root" 'the root cannot be destroyed' "$softpmem" destroy --recursive /
check_fails "destroy refuses a path through a file" 'Not a directory' "$softpmem" destroy /a/b

deep=$(printf 'd/%.0s' {1..1000})
check "create --parents makes 1000 nested directories" "$softpmem" create --parents "/deep/${deep}file"
check "list shows all levels of a deep tree" \
	test "$("$softpmem" list --json /deep | grep -c '"path":')" = 1001
check "destroy --recursive accepts a deep tree" "$softpmem" destroy --recursive /deep
check "destroy --recursive removes all of a deep tree" is_gone deep
mkdir "$mnt/wide"
(cd "$mnt/wide" && mkdir {1..300} && touch {1..300}/file file-{1..300})
check "list shows all 900 entries of a wide tree" \
	test "$("$softpmem" list --json /wide | grep -c '"path":')" = 900
check "destroy --recursive accepts a wide tree" "$softpmem" destroy --recursive /wide
check "destroy --recursive removes all of a wide tree" is_gone wide

# An open pool lives on without its name.
exec 9<>"$mnt/empty"
echo content >&9
check "destroy removes a pool that is open" "$softpmem" destroy /empty
check "a destroyed open pool has no name on the mount" is_gone empty
check "a destroyed pool can be read through an open descriptor" test "$(cat /dev/fd/9)" = content
echo more >&9
check "a destroyed pool can be written through an open descriptor" test "$(stat -Lc %s /proc/self/fd/9)" = 13
exec 9>&-

check "check finds no damage after all operations" "$softpmem" check
check "the daemon stops cleanly" daemon_stop
finish
