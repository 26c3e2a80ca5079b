#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The tutorial, docs/finding-crash-bugs.md: its programs, as they are printed there, have the output that is
# printed there.
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

tutorial=$abs_top_srcdir/docs/finding-crash-bugs.md
command -v cc >/dev/null || { skip "the tutorial is as it says" "no compiler" && finish; }
[ -z "$sanitized" ] || { skip "the tutorial is as it says" "it loads a checker into softpmem" && finish; }
cd "$work" || bail "no working directory"
mkdir include && ln -s "$abs_top_srcdir/src/lib/softpmem.h" include/ && mkdir include/softpmem &&
	ln -s "$abs_top_srcdir/pmem/explore/softpmem_checker.h" include/softpmem/
flags=(-Iinclude "-L$abs_top_builddir/src/lib")

# block N: the indented block number N, from 1, without its indentation.
block() {
	awk -v wanted="$1" '
		/^    / { if (!inside) number++; inside = 1 }
		/^[^ ]/ { inside = 0 }
		inside && number == wanted { print substr($0, 5) }' "$tutorial" |
		sed -e :a -e '/^\n*$/{$d;N;ba' -e '}' # without empty lines at the end
}
# Of a block, what comes before its first command, and the output of its last one.
source_of() { block "$1" | sed '/^\$/,$d'; }
output_of() {
	block "$1" | awk '
		/^\$/ { text = ""; next }
		/^\.\.\.$/ { exit }
		{ text = text $0 "\n" }
		END { printf "%s", text }'
}
# Times differ, and so do numbers of events where another loader maps other libraries.
alike() { sed 's/in [0-9.]* s:/in N s:/'; }
alike_events() {
	alike | sed 's/event [0-9]*/event N/g; s/^[0-9]* events/N events/; s/--replay [0-9]*/--replay N/'
}
prints() { # prints FILTER BLOCK: the last output begins as the block says
	diff <(output_of "$2" | "$1") <("$1" <out | head -n "$(output_of "$2" | wc -l)")
}
explored() { "$softpmem" explore "$@" >out 2>err; }

source_of 1 >save.c
block 2 >check-settings
chmod +x check-settings
check "save.c compiles" cc -g "${flags[@]}" -o save save.c -lsoftpmem -ldl
explored --states 100 --workload "$PWD/save" --output findings.json -- ./check-settings
check "save loses what it has acknowledged, as is printed" prints alike 3
replay=$(grep -o 'softpmem explore --replay [^ ]* --save broken softpmem.trace' <(tr '\n' ' ' <"$tutorial"))
check "the tutorial has a command that saves a state" test -n "$replay"
# shellcheck disable=SC2086 # words
check "the command of the tutorial that saves a state works" "$softpmem" ${replay#softpmem }
check "the settings of the saved state are empty" \
	bash -c 'test -e broken/settings && test ! -s broken/settings'

sed -i "s|^\(\t\)\(must(close(fd), \"close\");\)|\1$(block 4 | head -n 1)\n\1\2|" save.c
cc -g "${flags[@]}" -o save save.c -lsoftpmem -ldl
explored --workload "$PWD/save" -- ./check-settings
check "save, with its file synced, loses a name, as is printed" prints alike 4
sed -i -e 's|^\tmust(rename.*|&\n\tmust(fsync(directory), "fsync");|' \
	-e "s|^\tmust(rename|\t$(block 5 | head -n 1 | sed 's/|/\\|/')\n&|" save.c
cc -g "${flags[@]}" -o save save.c -lsoftpmem -ldl
explored --workload "$PWD/save" -- ./check-settings
check "with the directory synced it loses nothing, as is printed" prints alike 5

source_of 6 >stack.c
source_of 7 >check_stack.c
check "stack.c compiles" cc -g -o stack stack.c -lpmem
check "check_stack.c compiles" cc "${flags[@]}" -shared -fPIC -o check_stack.so check_stack.c
explored --workload "$PWD/stack stack" --output findings.json -- ./check_stack.so
check "stack loses a node, as is printed" prints alike_events 7
awk '
	/pmem_persist\(&stack->top/ { top = $0; next }
	/stack->top = number/ { number = $0; next }
	/pmem_persist\(node/ { print; print number; print top; next }
	{ print }' stack.c >ordered.c
check "ordered.c compiles" cc -g -o stack ordered.c -lpmem
explored --workload "$PWD/stack stack" -- ./check_stack.so
check "with the calls in order it loses nothing, as is printed" \
	diff <(block 8 | tail -n 3 | alike) <(tail -n 3 out | alike)
check "the source makes a fork server" cc "${flags[@]}" -o check_stack check_stack.c -lsoftpmem_checker
check "the fork server finds nothing either" \
	explored --checker fork-server softpmem.trace -- ./check_stack
check "a report is made of the findings" "$softpmem" report -o findings.html findings.json
check_fails "negative control: another output is reported" '[<>]' prints alike 4
finish
