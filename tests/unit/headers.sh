#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Every header stands alone: it compiles by itself, twice in one file, with warnings as errors.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1

compile() {
	printf '#include "%s"\n#include "%s"\n' "$1" "$1" >"$work/header.c"
	# shellcheck disable=SC2046 # the words are flags
	${CC:-cc} -std=gnu17 -Wall -Wextra -Wno-unused-function -Werror -fsyntax-only -D_GNU_SOURCE \
		-I"$abs_top_srcdir/pmem" -I"$abs_top_srcdir/fuse" -I"$abs_top_srcdir/src" \
		$(pkg-config --cflags fuse3 json-c) "$work/header.c"
}

cd "$abs_top_srcdir" || bail "no source tree"
mapfile -t headers < <(find pmem fuse src -name '*.h' | sort)
for header in "${headers[@]}"; do
	check "$header stands alone" compile "$abs_top_srcdir/$header"
done

printf 'struct needs { uint64_t what_it_does_not_include; };\n' >"$work/bad.h"
check_fails "negative control: a header that does not" "unknown type name" compile "$work/bad.h"
finish
