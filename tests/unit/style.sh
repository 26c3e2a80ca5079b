#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The rule of docs/hacking.md: lines of at most 110 columns, where a tab leads to the next multiple of 8;
# files of C under 600 lines.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1

# sources TREE NAME...: the files of these names in the rooms of the tree, and the scripts at its door.
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

# narrow TREE: says each line that is too long.
narrow() {
	# shellcheck disable=SC2016 # awk's
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

# short TREE: says each file that is too long.
short() {
	sources "$1" '*.[ch]' | LC_ALL=C xargs -0 awk -v from=$((${#1} + 2)) '
		FNR == 600 {
			print substr(FILENAME, from) \
				":600: 600 lines or more: move what is a subject of its own out"
			found = 1
		}
		END { exit found }'
}

check "no line has more than 110 columns" narrow "$abs_top_srcdir"
check "no file of C has 600 lines" short "$abs_top_srcdir"

# Negative controls, and that the last line and column that are allowed are.
tree=$work/tree
plant() {
	rm -rf "$tree"
	mkdir -p "$tree/pmem/pool"
	cat >"$tree/$1"
}
plant pmem/pool/planted.c < <(printf '\n\t%102s\n' x)
check "110 columns are allowed" narrow "$tree"
for name in pmem/pool/planted.c pmem/pool/planted.h pmem/pool/planted.sh pmem/planted.bash check; do
	plant "$name" < <(printf '\n\t%103s\n' x)
	check_fails "negative control: a line of 111 columns in $name" "^$name:2: 111 columns" narrow "$tree"
done
plant pmem/pool/planted.h < <(printf '\n%103s\t%6s\n' x x)
check "a tab leads to the next multiple of 8" narrow "$tree"
plant pmem/pool/planted.h < <(printf '\n%103s\t%7s\n' x x)
check_fails "negative control: it is no single column" '^pmem/pool/planted.h:2: 111 columns' narrow "$tree"
plant pmem/pool/planted.c < <(seq 599)
check "599 lines are allowed" short "$tree"
plant pmem/pool/planted.c < <(seq 600)
check_fails "negative control: a file of 600 lines" '^pmem/pool/planted.c:600: 600 lines' short "$tree"
finish
