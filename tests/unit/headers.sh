#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Every header stands alone: it compiles by itself, twice in one file, with warnings as errors. A header that
# its C file includes before all others was compiled by itself in the build already.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1

packages=$(pkg-config --cflags fuse3 json-c)

# compile HEADER...: each from a file of its own.
compile() {
	local header number=0
	rm -f "$work"/header*.c
	for header; do
		printf '#include "%s"\n#include "%s"\n' "$header" "$header" >"$work/header$number.c"
		number=$((number + 1))
	done
	# shellcheck disable=SC2086 # the words are flags
	${CC:-cc} -std=gnu17 -Wall -Wextra -Wno-unused-function -Werror -fsyntax-only -D_GNU_SOURCE \
		-I"$abs_top_srcdir/pmem" -I"$abs_top_srcdir/fuse" -I"$abs_top_srcdir/src" \
		$packages "$work"/header*.c
}

# is_first HEADER: does its C file include it first, and does the header guard against a second time?
is_first() {
	local source=${1%.h}.c first
	[ -f "$source" ] && first=$(sed -n 's/^#include "\(.*\)"$/\1/p; /^#include/q' "$source") &&
		[[ -n $first && $1 == */"$first" ]] && grep -q '^#ifndef .*_H$' "$1"
}

cd "$abs_top_srcdir" || bail "no source tree"
headers=()
while read -r header; do
	if is_first "$header"; then
		ok "$header stands alone: its C file includes it first"
	else
		headers+=("$header")
	fi
done < <(find pmem fuse src -name '*.h' | sort)
# One compiler for all of them takes half the time. If it fails, each is compiled alone.
all_compile=no
compile "${headers[@]/#/$abs_top_srcdir/}" >/dev/null 2>&1 && all_compile=yes
for header in "${headers[@]}"; do
	if [ "$all_compile" = yes ]; then
		ok "$header stands alone"
	else
		check "$header stands alone" compile "$abs_top_srcdir/$header"
	fi
done

printf 'struct needs { uint64_t what_it_does_not_include; };\n' >"$work/bad.h"
check_fails "negative control: a header that does not" "unknown type name" compile "$work/bad.h"
printf '#ifndef BAD_H\n#define BAD_H\n#endif\n' >"$work/bad.h"
printf '#include <stdint.h>\n#include "bad.h"\n' >"$work/bad.c"
second=noticed
is_first "$work/bad.h" && second=missed
check "negative control: a header that its C file includes second is noticed" test "$second" = noticed
finish
