#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# create, list, destroy and path, and that the mount sees at once what they did.
. "$abs_top_srcdir/tests/lib.sh" || exit 1

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
check "a pool" "$softpmem" create --size 4M /a
check "has its size" listed /a size 4194304
check "all of it reserved" listed /a allocated 4194304
check "is a file on the mount" test -f "$mnt/a" -a "$(stat -c %s "$mnt/a")" = 4194304
check "belongs to who asked" listed /a uid "$(id -u)"
check "with the umask's permissions" listed /a perm '"0644"'
check "and fsdax" listed /a mode '"fsdax"'
check "a pool without a size" "$softpmem" create /empty
check "is empty" listed /empty size 0
check "permissions" "$softpmem" create --perm 0600 /private
check "are as asked" test "$(stat -c %a "$mnt/private")" = 600
check_fails "a name twice" '^softpmem: /a: File exists: destroy it first' "$softpmem" create /a
check "a directory" "$softpmem" create --directory --mode sector:512 /sectors
check "hands its mode on" "$softpmem" create /sectors/file
check "to what is made in it" listed /sectors/file sector_size 512
touch "$mnt/sectors/made-on-the-mount"
check "through the mount too" listed /sectors/made-on-the-mount sector_size 512
check "unless told otherwise" "$softpmem" create --mode fsdax /sectors/dax
check "which is then so" listed /sectors/dax mode '"fsdax"'

check_fails "a directory missing" "--parents makes it" "$softpmem" create /x/y/z
check "--parents" "$softpmem" create --parents --size 1M x/y/z
check "makes them" test -f "$mnt/x/y/z"
check "and does not mind those there" "$softpmem" create --parents x/y/w
check_fails "a file as a directory" 'Not a directory' "$softpmem" create /a/b
check_fails "the root" 'File exists' "$softpmem" create /
check_fails "dots" 'without \. and \.\.' "$softpmem" create /x/../y
check_fails "more than there is" 'No space left on device: destroy pools' "$softpmem" create --size 1G /huge
check "leaves nothing" is_gone huge
free_before=$("$softpmem" status --json | grep available_size)
check_fails "with --parents too" 'No space left' "$softpmem" create --parents --size 1G /p/q/r/huge
check "not the parents either" is_gone p
check "nor takes any space" test "$free_before" = "$("$softpmem" status --json | grep available_size)"
check_fails "2^63 bytes" 'File too large|No space left' "$softpmem" create --size 9223372036854775808 /big
check "of which nothing stays" is_gone big
check "one byte" "$softpmem" create --size 1 /one
check "is one byte" listed /one size 1

# What the kernel remembers of the mount is put right.
links=$(stat -c %h "$mnt")
check "a name looked for in vain" test ! -e "$mnt/later" -a ! -e "$mnt/later-directory"
check "then made" "$softpmem" create /later
check "is found" test -f "$mnt/later"
check "and a directory" "$softpmem" create --directory /later-directory
check "counts in its parent" test "$(stat -c %h "$mnt")" = $((links + 1))
check "until it goes" "$softpmem" destroy /later-directory
check "and does not any more" test "$(stat -c %h "$mnt")" = "$links"

# ---- names
long=$(printf '%255s' '' | tr ' ' n)
check "a name of 255 bytes" "$softpmem" create "/$long"
check "is on the mount" test -e "$mnt/$long"
check_fails "a name of 256 bytes" 'File name too long: a name has at most 255 bytes' \
	"$softpmem" create "/${long}n"
check "is not" test ! -e "$mnt/${long}n"
check "a name of any bytes" "$softpmem" create $'/odd \\ \n \xff\xc3\xbc'
check "is on the mount as it is" test -e "$mnt"/$'odd \\ \n \xff\xc3\xbc'
check "is shown on one line" grep -Fq '/odd \\ \012 \377ü' <("$softpmem" list)
check "in JSON too" listed $'/odd \\ \n \xff\xc3\xbc' path_escaped '"/odd \\\\ \\012 \\377ü"'
check "as UTF-8" iconv -f UTF-8 -t UTF-8 -o /dev/null "$work/json"
check "and comes back from path" test -e "$("$softpmem" path $'/odd \\ \n \xff\xc3\xbc')"
check "slashes more than needed" "$softpmem" create //x///slashes/
check "do no harm" test -f "$mnt/x/slashes"

# ---- path
check "path" test "$("$softpmem" path x/y/z)" = "$mnt/x/y/z"
check "of the root" test "$("$softpmem" path /)" = "$mnt"
check_fails "of nothing" '^softpmem: /nothing: No such file or directory: see softpmem list' \
	"$softpmem" path /nothing

# ---- list
check "the header has the counts" grep -Eq 'generation 1, dirty shutdowns 0$' <("$softpmem" list)
ln -s a "$mnt/link"
ln "$mnt/a" "$mnt/hard"
check "a symlink" listed /link type '"symlink"'
check "links are counted" listed /hard links 2
check "of a directory, what is in it" \
	test "$("$softpmem" list /x | tail -n +3 | awk '{ print $NF }' | sort | paste -sd ' ')" = \
	"/x/slashes /x/y /x/y/w /x/y/z"
check "JSON is an array" grep -Fqx '[' <("$softpmem" list --json /x | head -n 1)
check "of nothing too" test "$("$softpmem" create --directory /void && "$softpmem" list --json /void)" = '[]'
check "all there is" \
	test "$("$softpmem" list --json | grep -ac '"path":')" = \
	"$(($(find "$mnt" | tr -dc '\n' | wc -c) - 2))"

# ---- destroy
check "destroy" "$softpmem" destroy /one
check "takes it off the mount" is_gone one
check_fails "twice" '^softpmem: /one: No such file or directory' "$softpmem" destroy /one
check "one of two names" "$softpmem" destroy /hard
check "leaves the other" test "$(stat -c %h "$mnt/a")" = 1
check_fails "a directory with something in it" '^softpmem: /x: Directory not empty: --recursive' \
	"$softpmem" destroy /x
check "stays as it is" test -f "$mnt/x/y/z"
check "--recursive" "$softpmem" destroy --recursive /x
check "takes all of it" is_gone x
check "a symlink is not followed" "$softpmem" destroy --recursive /link
check "its target stays" test -f "$mnt/a"
check_fails "the root" 'the root cannot be destroyed' "$softpmem" destroy --recursive /
check_fails "through a file" 'Not a directory' "$softpmem" destroy /a/b

deep=$(printf 'd/%.0s' {1..1000})
check "a deep tree" "$softpmem" create --parents "/deep/${deep}file"
check "is listed to its end" test "$("$softpmem" list --json /deep | grep -c '"path":')" = 1001
check "and destroyed" "$softpmem" destroy --recursive /deep
check "wholly" is_gone deep
mkdir "$mnt/wide"
(cd "$mnt/wide" && mkdir {1..300} && touch {1..300}/file file-{1..300})
check "a wide tree" test "$("$softpmem" list --json /wide | grep -c '"path":')" = 900
check "is destroyed" "$softpmem" destroy --recursive /wide
check "wholly" is_gone wide

# An open pool lives on without its name.
exec 9<>"$mnt/empty"
echo content >&9
check "an open one is destroyed" "$softpmem" destroy /empty
check "off the mount" is_gone empty
check "and read by who has it open" test "$(cat /dev/fd/9)" = content
echo more >&9
check "and written" test "$(stat -Lc %s /proc/self/fd/9)" = 13
exec 9>&-

check "the tree is sound after all this" "$softpmem" check
check "the daemon stops cleanly" daemon_stop
finish
