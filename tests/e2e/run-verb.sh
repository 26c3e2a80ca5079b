#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# softpmem run: what it sets up, what it gives back, what it warns of.
# shellcheck disable=SC2016 # what is quoted is for an inner shell
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

# status WANTED COMMAND...
status() {
	local wanted=$1 got=0
	shift
	"$@" || got=$?
	[ "$got" -eq "$wanted" ]
}
# warns PATTERN STATUS COMMAND...: it says so, and runs it all the same.
warns() {
	local pattern=$1 wanted=$2
	shift 2
	status "$wanted" "$softpmem" run "$@" 2>"$work/err"
	grep -Eq "^softpmem: warning: .*$pattern" "$work/err"
}
quiet() {
	"$@" 2>"$work/err" && [ ! -s "$work/err" ]
}
loaded() {
	"$@" cat /proc/self/maps | grep -q 'libpmem\.so\.1'
}

check "run without a daemon fails with status 1" status 1 "$softpmem" run touch "$work/ran"
check "run without a daemon does not start the program" test ! -e "$work/ran"
check "run without a program is a usage error" status 2 "$softpmem" run
daemon_start --region memfd:64M || bail "the daemon does not start"

check "run loads softpmem's libpmem into the program" loaded "$softpmem" run
check "run loads softpmem's libpmem into children of the program" loaded "$softpmem" run sh -c '"$@"' sh
check "negative control: without run the library is not loaded" status 1 loaded env
check "run prints nothing by itself" quiet "$softpmem" run true
check "run passes exit status 0 on" status 0 "$softpmem" run -- true
check "run passes exit status 7 on" status 7 "$softpmem" run -- sh -c 'exit 7'
check "run passes the status of a signal on" status 143 "$softpmem" run sh -c 'kill -TERM $$'
check "options after the program are the program's" test "$("$softpmem" run printf %s --through)" = --through
check "run of a path that does not exist has status 127" status 127 "$softpmem" run "$work/nothing"
check "run of a name that is not in PATH has status 127" status 127 "$softpmem" run softpmem-no-such-program
check "run of a file that cannot be executed has status 126" status 126 "$softpmem" run "$work"
check "run sets SOFTPMEM_ATTACH to the daemon's socket" \
	test "$("$softpmem" run sh -c 'echo "$SOFTPMEM_ATTACH"')" = "$socket.attach"
check "run --through sets SOFTPMEM_THROUGH" \
	test "$("$softpmem" run --through sh -c 'echo "$SOFTPMEM_THROUGH"')" = 1
check "run without --through removes SOFTPMEM_THROUGH" \
	test -z "$("$softpmem" run --through -- "$softpmem" run sh -c 'echo "$SOFTPMEM_THROUGH"')"
check "run keeps what LD_PRELOAD had" \
	test "$(LD_PRELOAD=libm.so.6 "$softpmem" run sh -c 'echo "${LD_PRELOAD#*:}"')" = libm.so.6
elsewhere() {
	cd "$work" && SOFTPMEM_SOCKET='' "$softpmem" --socket control.sock run \
		sh -c 'cd / && test -S "$SOFTPMEM_ATTACH"'
}
check "the socket is found after a change of directory" elsewhere

check "run warns about a statically linked program" warns 'linked statically' 0 ldconfig --version
printf '#!/sbin/ldconfig --version\n' >"$work/short"
{
	cat "$work/short"
	printf '# a script to nobody but the kernel, and longer than the header of an ELF program\n'
} >"$work/long"
printf '#!%s\n' "$work/short" >"$work/nested"
printf '#!/sbin/ldconfig' >"$work/no-newline"
printf '#!/bin/sh\n' >"$work/shell"
chmod +x "$work/short" "$work/long" "$work/nested" "$work/no-newline" "$work/shell"
for script in short long nested "no-newline --version"; do
	# shellcheck disable=SC2086 # words
	check "run warns about a script whose interpreter is statically linked: $script" \
		warns 'ldconfig: it is linked statically' 0 "$work/"$script
done
check "negative control: run warns of nothing for a short script of a shell" \
	quiet "$softpmem" run "$work/shell"
if [ "$(id -u)" = 0 ]; then
	cp "$(type -P true)" "$work/setuid" && chown 65534 "$work/setuid" && chmod 4755 "$work/setuid"
	check "run warns about a setuid program" warns 'setuid: it is setuid or setgid' 0 "$work/setuid"
else
	skip "a setuid program" "root makes one"
fi
check "the daemon stops cleanly" daemon_stop

finish
