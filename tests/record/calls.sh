#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Recorded programs that make system calls by instructions of their own: what the kernel would store to a pool
# is recorded, or the program ends with the name of the call and its place.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
# shellcheck source=tests/record/recorded.bash
. "$abs_top_srcdir/tests/record/recorded.bash"
subject=$here/calls_subject

daemon_start --region memfd:64M || bail "no daemon"

both "a program that reads by instructions of its own" "$subject" reads "$mnt/pool"
both "a program whose structures the kernel fills in" "$subject" structures "$mnt/pool"
both "a program that asks devices and sockets by ioctl(2)" "$subject" controls "$mnt/pool"
both "a program that looks at its registers after a system call" "$subject" registers "$mnt/pool"
both "a program whose system calls are interrupted by signals" timeout 60 "$subject" signals "$mnt/pool"
both "a program with two threads whose calls many signals interrupt" timeout 60 "$subject" storm "$mnt/pool"
both "a program that stores beside what a call of another thread changes" timeout 60 "$here/beside_subject" \
	"$mnt/pool"
both "a program that makes processes by instructions of its own" "$subject" processes "$mnt/pool"
both "a program that makes a child in its own memory" "$subject" child "$mnt/pool"
both "a program that spawns another one" "$subject" spawned "$mnt/pool"
both "a program that handled SIGSEGV before it mapped its pool" "$subject" early "$mnt/pool"
both "a program that maps its pool by instructions of its own" "$subject" mappings "$mnt/pool"
both "a program that writes by an instruction of its own" "$subject" output "$mnt/pool"
# marked COUNT TEXT
marked() {
	"$softpmem" trace dump "$trace" >"$work/dump" && [ "$(grep -c "mark.*$2" "$work/dump")" -eq "$1" ]
}
check "what a program writes by an instruction of its own becomes a mark" marked 1 'by an instruction'
check "what it sends by sendmsg(2) becomes a mark" marked 1 'source=3 .*a message'
check "each message that it sends by sendmmsg(2) becomes a mark" marked 2 'source=3 .*one of two'

ringless() {
	new_pool && recorded "$subject" rings "$mnt/pool" &&
		grep -q 'io_uring_setup fails with ENOSYS while this process is recorded' "$work/err"
}
check "io_uring_setup(2) by an instruction fails with ENOSYS in a recorded program" ringless
check_fails "negative control: not in one that is not recorded" . \
	"$softpmem" run -- "$subject" rings "$mnt/pool"

# refused NAME WHAT: the program ends with NAME, unless it is not recorded.
refused() {
	check_fails "$2: a recorded program ends if the kernel would store to its pool by $1" \
		"cannot store to a pool while it is recorded: ${1//[()]/.}, by calls_subject.0x[0-9a-f]*" \
		"$softpmem" record -o "$trace" -- timeout 60 "$subject" "$2" "$mnt/pool"
	check "negative control: $2 succeeds in a program that is not recorded" \
		"$softpmem" run -- "$subject" "$2" "$mnt/pool"
}
new_pool
told_of_its_list() {
	recorded "$subject" list "$mnt/pool" &&
		grep -q 'robust mutexes of the program.s own (set_robust_list)' "$work/err"
}
check "a program with a list of robust mutexes of its own is told" told_of_its_list
refused set_robust_list pool-list
refused "ioctl() of request 0x80045440" request
refused modify_ldt fault
refused process_vm_writev itself
refused sigaltstack stack
"$softpmem" run -- "$subject" unlisted "$mnt/pool" >/dev/null
if [ $? -eq 77 ]; then
	skip "a system call that is not in the table" "this kernel has no cachestat(2)"
else
	refused "system call number 451" unlisted
fi

# ---- All of them

both "a program that lets the kernel store results of each kind" \
	timeout 60 "$here/results_subject" "$mnt/pool"
documented() {
	diff <(sed -n '/^Results that the kernel/,$p' "$abs_top_srcdir/docs/system-calls.md") \
		<("$here/test_calls" list)
}
check "docs/system-calls.md says what the table of system calls has" documented
mapfile -t refusals < <("$here/test_calls" refused)
ended() {
	recorded "$here/results_subject" "$mnt/pool" "${refusals[@]%% *}"
	diff <(printf '%s ends the process\n' "${refusals[@]%% *}") "$work/out" || return 1
	local refusal
	for refusal in "${refusals[@]}"; do
		grep "cannot store to a pool while it is recorded: ${refusal#* }, by " "$work/err" || return 1
	done
}
check "each system call that is refused ends the process, with its name" ended
return_unrecorded() {
	"$softpmem" run -- "$here/results_subject" "$mnt/pool" "${refusals[@]%% *}" >"$work/out" &&
		diff <(printf '%s returns\n' "${refusals[@]%% *}") "$work/out"
}
check "negative control: they return in a program that is not recorded" return_unrecorded

# gets_efault WHAT: not if it is not recorded.
gets_efault() {
	"$softpmem" run -- "$subject" "$1" "$mnt/pool" >"$work/run" && [ "$(<"$work/run")" = 100 ] &&
		recorded "$subject" "$1" "$mnt/pool" && [ "$(<"$work/out")" = -14 ]
}
named() {
	gets_efault nameless && grep -q '+0x[0-9a-f]*: syscall is not seen.*no known function' "$work/err"
}
check "negative control: a system call that is not patched gets EFAULT" gets_efault made
check "a system call in no known function is named with its place" named
finish
