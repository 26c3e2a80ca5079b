#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# softpmem run: what it sets up, what it gives back, what it warns of.
# shellcheck disable=SC2016 # what is quoted is for an inner shell
. "$abs_top_srcdir/tests/lib.sh" || exit 1

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

check "without a daemon: nothing runs" status 1 "$softpmem" run touch "$work/ran"
check "nothing at all" test ! -e "$work/ran"
check "a program is missing" status 2 "$softpmem" run
daemon_start --region memfd:64M || bail "the daemon does not start"

check "the library is loaded" loaded "$softpmem" run
check "in children too" loaded "$softpmem" run sh -c '"$@"' sh
check "negative control: not without run" status 1 loaded env
check "without a word" quiet "$softpmem" run true
check "exit status 0" status 0 "$softpmem" run -- true
check "exit status 7" status 7 "$softpmem" run -- sh -c 'exit 7'
check "killed by a signal" status 143 "$softpmem" run sh -c 'kill -TERM $$'
check "options after the program are the program's" test "$("$softpmem" run printf %s --through)" = --through
check "not found" status 127 "$softpmem" run "$work/nothing"
check "not found on the path" status 127 "$softpmem" run softpmem-no-such-program
check "cannot be run" status 126 "$softpmem" run "$work"
check "the socket is told" test "$("$softpmem" run sh -c 'echo "$SOFTPMEM_ATTACH"')" = "$socket.attach"
check "--through" test "$("$softpmem" run --through sh -c 'echo "$SOFTPMEM_THROUGH"')" = 1
check "not without" test -z "$("$softpmem" run --through -- "$softpmem" run sh -c 'echo "$SOFTPMEM_THROUGH"')"
check "LD_PRELOAD keeps what it had" \
	test "$(LD_PRELOAD=libm.so.6 "$softpmem" run sh -c 'echo "${LD_PRELOAD#*:}"')" = libm.so.6
elsewhere() {
	cd "$work" && SOFTPMEM_SOCKET='' "$softpmem" --socket control.sock run \
		sh -c 'cd / && test -S "$SOFTPMEM_ATTACH"'
}
check "the socket is found from everywhere" elsewhere

check "a static program" warns 'linked statically' 0 ldconfig --version
printf '#!/sbin/ldconfig --version\n# a script to nobody but the kernel, %s\n' \
	'and long enough to have been a program' >"$work/script"
chmod +x "$work/script"
check "a script of a static interpreter" warns 'ldconfig: it is linked statically' 0 "$work/script"
if [ "$(id -u)" = 0 ]; then
	cp "$(type -P true)" "$work/setuid" && chown 65534 "$work/setuid" && chmod 4755 "$work/setuid"
	check "a setuid program" warns 'setuid: it is setuid or setgid' 0 "$work/setuid"
else
	skip "a setuid program" "root makes one"
fi
check "a daemon that stops" daemon_stop

finish
