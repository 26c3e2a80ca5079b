#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# softpmem_mark(): see marker.c.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
marker=$abs_top_builddir/tests/e2e/marker

daemon_start --region memfd:64M || bail "no daemon"
last_is() { "$softpmem" status | grep -qxE "last mark: +$1"; }
says() { [ "$("${@:2}")" = "$1" ]; }

check "a program under run sends a mark" says sent "$softpmem" run -- "$marker" send "step 1"
check "status shows the program's mark" last_is "step 1"
check "the log has the program's mark" grep -q 'mark: step 1$' "$work/daemon.log"
check "negative control: a program that does not run under run succeeds" says sent "$marker" send "step 2"
check "its mark is not sent" last_is "step 1"
check "a forked child sends a mark" "$softpmem" run -- "$marker" fork "of a child"
check "the child's mark is the last one" last_is "of a child"
relay "$softpmem" run -- "$marker" limits
check "without run the limits are the same" "$marker" limits
"$softpmem" run -- "$marker" send "before the failure"
check "the report of a power failure names the last mark" \
	grep -q 'last mark: before the failure$' <("$softpmem" powerfail)

# An outage at a program's mark: the program is killed at it if it maps a pool.
awaits() { "$softpmem" status --json | grep -q '"awaits_event":true'; }
cut_at() {
	"$softpmem" powerfail --at-mark "$1" >"$work/report" &
	await awaits
}
"$softpmem" create --size 64K pool
cut_at "half way"
check "negative control: no outage comes at another mark" \
	says sent "$softpmem" run -- "$marker" map "a third" "$mnt/pool"
"$softpmem" run -- "$marker" map "half way" "$mnt/pool" >"$work/said" 2>&1
check "a program that maps a pool is killed at its mark" test $? -eq 137
wait $!
check "the report has the mark" grep -q 'last mark: half way$' "$work/report"
cut_at "the end"
check "a program that maps no pool goes on after the outage" \
	says sent "$softpmem" run -- "$marker" send "the end"
wait $!

library=$abs_top_builddir/pmem/client/libpmem.so.1
gone() { SOFTPMEM_ATTACH=$work/nothing LD_PRELOAD=$library "$marker" send x; }
check "without a daemon the error says so" says ENOENT gone

# What a project does that uses it, in C and in C++.
compiles() {
	printf '#include <softpmem.h>\nint main(void) { return softpmem_mark("x"); }\n' >"$work/main.$1"
	# A library that was built with sanitizers needs their runtime, which the .pc file does not name.
	# shellcheck disable=SC2046 # the words are flags
	PKG_CONFIG_PATH=$work "${@:2}" ${sanitized:+-fsanitize=address,undefined} \
		-o "$work/main" "$work/main.$1" \
		$(PKG_CONFIG_PATH=$work pkg-config --cflags --libs softpmem) && "$work/main"
}
sed -e "s,^includedir=.*,includedir=$abs_top_srcdir/src/lib," \
	-e "s,^libdir=.*,libdir=$abs_top_builddir/src/lib," \
	"$abs_top_builddir/src/lib/softpmem.pc" >"$work/softpmem.pc"
check "a C program is built with the flags of pkg-config" compiles c cc -Wall -Werror
if command -v c++ >/dev/null; then
	check "a C++ program is built with the flags of pkg-config" compiles cc c++ -Wall -Werror
fi
finish
