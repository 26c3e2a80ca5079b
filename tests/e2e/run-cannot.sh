#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Programs that execve(2) refuses: run has the status 126 and says why, and record changes no trace.
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

cd "$work" || bail "no working directory"
mkdir directory path
printf '#!/nope\n' >missing
printf '#!./missing\n' >nested
printf '#!%s\n' "$work/directory" >onto-directory
printf '#!%s/plain -x\n' "$work" >onto-plain
printf 'echo ran >ran\n' >no-first-line
printf '#! \nexit\n' >no-interpreter
printf '\177ELF and nothing that makes a program of it, %064d\n' 0 >garbage
# Its only segment has no place in memory, which the kernel notices when the old program is gone.
{
	printf '\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\76\0\1\0\0\0\0\20\0\0\0\0\0\0\100\0\0\0\0\0\0\0'
	printf '\0\0\0\0\0\0\0\0\0\0\0\0\100\0\70\0\1\0\0\0\0\0\0\0\1\0\0\0\5\0\0\0\0\0\0\0\0\0\0\0'
	printf '\0\360\377\377\377\377\377\177\0\360\377\377\377\377\377\177'
	printf '\0\20\0\0\0\0\0\0\0\20\0\0\0\0\0\0'
	printf '\0\20\0\0\0\0\0\0%04096d' 0
} >nowhere
printf '#!./chain1\n' >chain0
for i in 1 2 3 4 5; do
	printf '#!./chain%d\n' $((i + 1)) >"chain$i"
done
printf '#!/bin/sh\n' >chain6
: >empty
chmod +x missing nested onto-directory onto-plain no-first-line no-interpreter garbage nowhere empty chain?
echo '#!/bin/sh' | tee plain >path/softpmem-plain
loader=$(grep -aoEm 1 '/lib(64)?/[a-z0-9/_.-]*ld-linux[a-z0-9_.-]*' "$(type -P true)" | head -n 1)
LC_ALL=C sed "s|$loader|${loader//[a-z]/x}|" "$(type -P true)" >other-loader
chmod +x other-loader

daemon_start --region memfd:64M || bail "the daemon does not start"

# cannot PATTERN COMMAND...: the status 126, and one line of the form "softpmem: VERB: PATTERN".
cannot() {
	local pattern=$1 status
	shift
	"$@" >out 2>err
	status=$?
	cat out err
	[ "$status" -eq 126 ] && [ ! -s out ] && [ "$(wc -l <err)" -eq 1 ] &&
		grep -Eq "^softpmem: (run|record): $pattern\$" err
}
# keeps PROGRAM PATTERN: record fails in the same way, with an older trace, and without one.
keeps() {
	rm -f new
	echo older >old
	cannot "$2" "$softpmem" record -o old -- "$1" && grep -qx older old &&
		cannot "$2" "$softpmem" record -o new -- "$1" && [ ! -e new ]
}
while read -r program pattern; do
	check "run of ./$program has the status 126 and says why" \
		cannot "$pattern" "$softpmem" run "./$program"
	check "record of ./$program keeps an older trace and makes none" keeps "./$program" "$pattern"
done <<END
missing ./missing: interpreter /nope: No such file or directory
nested ./nested: interpreter /nope: No such file or directory
onto-directory ./onto-directory: interpreter $work/directory: Permission denied
onto-plain ./onto-plain: interpreter $work/plain: Permission denied
no-first-line ./no-first-line: Exec format error
no-interpreter ./no-interpreter: Exec format error
garbage ./garbage: (Exec format error|Invalid argument)
empty ./empty: Exec format error
chain0 ./chain0: Too many levels of symbolic links
other-loader ./other-loader: interpreter ${loader//[a-z]/x}: No such file or directory
directory ./directory: Permission denied
plain ./plain: Permission denied
END
check "a script without a first line for the kernel was not run" test ! -e ran
in_path() { PATH=$work/path:$PATH cannot "$@"; }
check "run of a file in PATH that is not executable has the status 126" \
	in_path 'softpmem-plain: Permission denied' "$softpmem" run softpmem-plain
echo older >old
check "record of a program that has no place in memory has the status 126" \
	cannot './nowhere: Exec format error' "$softpmem" record -o old -- ./nowhere
check "record of a program that has no place in memory keeps an older trace" grep -qx older old

# What execve(2) accepts runs once.
printf '#!/bin/sh\necho ran >>ran\n' >script
cp script chain6
chmod +x script
runs_once() { rm -f ran && "$@" && [ "$(cat ran)" = ran ]; }
check "record runs a script whose five interpreters are scripts, but for the last" \
	runs_once "$softpmem" record -o old -- ./chain2
check "negative control: record runs a script once" runs_once "$softpmem" record -o old -- ./script
check "the script's trace has replaced the older one" "$softpmem" trace info old
ends_by_signal() {
	# shellcheck disable=SC2016 # for the inner shell
	"$softpmem" record -o old -- sh -c 'kill -TERM $$'
	[ $? -eq 143 ]
}
check "record passes the status of a signal on" ends_by_signal

# What traces record traces the trial as well: record looks at the file then.
if command -v strace >/dev/null && strace -f -o calls true 2>/dev/null; then
	echo older >old
	check "under strace record fails if an interpreter is missing" \
		cannot './missing: interpreter /nope: No such file or directory' \
		strace -f -o calls "$softpmem" record -o old -- ./missing
	check "under strace record keeps an older trace if an interpreter is missing" grep -qx older old
	check "under strace record runs a script once" \
		runs_once strace -f -o calls "$softpmem" record -o old -- ./script
else
	skip "record under strace" "no strace, or it may not trace"
fi
check "the daemon stops cleanly" daemon_stop
finish
