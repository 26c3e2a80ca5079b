#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The rules of docs/hacking.md: lines have at most 110 columns, where a tab ends at the next multiple of 8; C
# files have fewer than 600 lines; no two C files, and no two scripts, have the same name; each document is in
# a Debian package.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1

# sources TREE PATTERN...: prints the files whose names match, each followed by a null byte. Looks in the
# directories of the tree that hold sources, and at the scripts in its root.
sources() {
	local tree=$1 at names=() rooms=()
	shift
	for at in "$tree"/{fuse,pmem,src,tests,docs} "$tree"/{check,demo}; do
		[ -e "$at" ] && rooms+=("$at")
	done
	for at; do
		names+=(-o -name "$at")
	done
	find "${rooms[@]}" -type f '(' "${names[@]:1}" ')' -print0
}

# narrow TREE: prints each line that is too long.
narrow() {
	# shellcheck disable=SC2016 # awk expands it
	sources "$1" '*.[ch]' '*.sh' '*.bash' check demo | LC_ALL=C xargs -0 awk -v from=$((${#1} + 2)) '
		function width(line,    pieces, count, i, at) {
			count = split(line, pieces, "\t")
			at = length(pieces[1])
			for (i = 2; i <= count; i++)
				at = at - at % 8 + 8 + length(pieces[i])
			return at
		}
		width($0) > 110 {
			print substr(FILENAME, from) ":" FNR ": " width($0) \
				" columns: wrap it at 110, a tab is 8"
			found = 1
		}
		END { exit found }'
}

# short TREE: prints each C file that is too long.
short() {
	sources "$1" '*.[ch]' | LC_ALL=C xargs -0 awk -v from=$((${#1} + 2)) '
		FNR == 600 {
			print substr(FILENAME, from) \
				":600: 600 lines or more: move one of its subjects to a file of its own"
			found = 1
		}
		END { exit found }'
}

# unique_names TREE: prints each name that two files have. The tree's captured data, fuzz corpora and PMDK's
# examples are not ours to name.
unique_names() {
	sources "$1" '*.[ch]' '*.sh' '*.bash' '*.guest' |
		tr '\0' '\n' | LC_ALL=C awk -v from=$((${#1} + 2)) '
		{
			path = substr($0, from)
			name = path
			sub(".*/", "", name)
		}
		path ~ "^tests/(data|fuzz/corpus|pmdk/examples)/" { next }
		name in first {
			print path ": has the name of " first[name] ": rename one of them"
			found = 1
		}
		{ first[name] = path }
		END { exit found }'
}

# packaged TREE: prints each document that no Debian package installs: without this the packages do not build.
packaged() {
	local document status=0
	for document in "$1"/docs/*.md; do
		grep -qx "usr/share/doc/softpmem/${document##*/}" "$1"/debian/*.install && continue
		echo "docs/${document##*/}: name it in debian/softpmem-doc.install"
		status=1
	done
	return "$status"
}

check "no line has more than 110 columns" narrow "$abs_top_srcdir"
check "no C file has 600 lines or more" short "$abs_top_srcdir"
check "no two C files and no two scripts have the same name" unique_names "$abs_top_srcdir"
check "each document is in a Debian package" packaged "$abs_top_srcdir"

# Negative controls, and positive ones at the limits.
tree=$work/tree
plant() {
	rm -rf "$tree"
	mkdir -p "$(dirname "$tree/$1")"
	cat >"$tree/$1"
}
plant pmem/pool/planted.c < <(printf '\n\t%102s\n' x)
check "a line of 110 columns is accepted" narrow "$tree"
for name in pmem/pool/planted.c pmem/pool/planted.h pmem/pool/planted.sh pmem/planted.bash check; do
	plant "$name" < <(printf '\n\t%103s\n' x)
	check_fails "a line of 111 columns in $name is reported" "^$name:2: 111 columns" narrow "$tree"
done
plant pmem/pool/planted.h < <(printf '\n%103s\t%6s\n' x x)
check "a tab ends at the next multiple of 8" narrow "$tree"
plant pmem/pool/planted.h < <(printf '\n%103s\t%7s\n' x x)
check_fails "a tab of several columns is counted as several" \
	'^pmem/pool/planted.h:2: 111 columns' narrow "$tree"
plant pmem/pool/planted.c < <(seq 599)
check "a file of 599 lines is accepted" short "$tree"
plant pmem/pool/planted.c < <(seq 600)
check_fails "a file of 600 lines is reported" '^pmem/pool/planted.c:600: 600 lines' short "$tree"
for name in planted.c planted.h planted.sh; do
	plant "pmem/pool/$name" </dev/null
	check "one file with the name $name is accepted" unique_names "$tree"
	mkdir -p "$tree/tests/unit"
	: >"$tree/tests/unit/$name"
	check_fails "two files with the name $name are reported" \
		"^[a-z/]*/$name: has the name of [a-z/]*/$name" unique_names "$tree"
done
plant tests/data/region/planted.c </dev/null
mkdir -p "$tree/pmem/pool"
: >"$tree/pmem/pool/planted.c"
check "captured data may have any name" unique_names "$tree"
plant docs/planted.md </dev/null
mkdir "$tree/debian"
echo usr/share/doc/softpmem/planted.md >"$tree/debian/softpmem-doc.install"
check "a document that a package installs is accepted" packaged "$tree"
echo usr/share/doc/softpmem/other.md >"$tree/debian/softpmem-doc.install"
check_fails "a document that no package installs is reported" '^docs/planted.md: name it in' packaged "$tree"
finish
