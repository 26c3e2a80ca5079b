#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Recorded programs that let the kernel store to a pool: the store is recorded, or the program ends with the
# name of the call.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
# shellcheck source=tests/record/recorded.bash
. "$abs_top_srcdir/tests/record/recorded.bash"
subject=$here/kernel_subject

daemon_start --region memfd:64M || bail "no daemon"

both "a program with robust mutexes whose owners die" timeout 60 "$subject" robust "$mnt/pool"
both "a program that reads into the pool by syscall(2)" "$subject" numbers "$mnt/pool"
both "a program that receives by a function of _FORTIFY_SOURCE" "$subject" fortified "$mnt/pool"
both "a program whose structures the kernel fills in" "$subject" functions "$mnt/pool"
both "a program that keeps contexts and jump buffers in its pool" "$subject" contexts "$mnt/pool"
both "a program whose file operations are asynchronous" timeout 60 "$subject" asynchronous "$mnt/pool"
both "a program that asks for its directory by syscall(2)" "$subject" getcwd "$mnt/pool"
both "a program whose system calls meet protected pages" \
	timeout 60 "$here/protected_subject" calls "$mnt/pool"
both "a program that asks for its signal mask" "$subject" mask "$mnt/pool"

# refused NAME WHAT: the program ends with NAME, unless it is not recorded.
refused() {
	check_fails "$2: a recorded program ends if the kernel would store to its pool by $1" \
		"the kernel cannot store to a pool while it is recorded: ${1//[()]/.}" \
		"$softpmem" record -o "$trace" -- timeout 60 "$subject" "$2" "$mnt/pool"
	check "negative control: $2 succeeds in a program that is not recorded" \
		"$softpmem" run -- "$subject" "$2" "$mnt/pool"
}
new_pool
refused "pthread_mutex_init() of a mutex that inherits priority" inherits
# The mutex is now in the pool, initialized by a run that was not recorded.
refused "pthread_mutex_lock() of a mutex that inherits priority" inherits-later
refused "clone() with CLONE_PARENT_SETTID" clone
refused "clone() with CLONE_PARENT_SETTID" clone3
refused set_tid_address set_tid_address
refused io_submit asynchronous-read
refused setvbuf stream

# Second names of functions of libc that are interposed by their first. Those that copy bytes need not be.
second_names() {
	local library
	library=$(ldd "$here/kernel_subject" | awk '/libc.so/ { print $3 }')
	nm -D --defined-only "$abs_top_builddir/pmem/client/recorder/libpmem.so.1" |
		awk '{ sub(/@.*/, "", $3); print $3 }' >"$work/ours"
	nm -D --defined-only "$library" | grep -v PRIVATE |
		awk '$2 ~ /^[TWi]$/ { sub(/@.*/, "", $3); print $1, $3 }' |
		sort -u | awk 'NR == FNR { ours[$1]; next }
			$2 in ours { known[$1]; next }
			{ others[$1] = others[$1] " " $2 }
			END { for (at in known) printf "%s", others[at] }' "$work/ours" - | tr -s ' ' '\n' |
		grep -vxE '|__(bzero|mempcpy|stpcpy|stpncpy)' >"$work/second"
	cat "$work/second"
	[ ! -s "$work/second" ] && [ "$(wc -l <"$work/ours")" -gt 200 ]
}
check "functions of libc that are recorded are recorded by their second names" second_names

subject=$here/pointers_subject
refused "ptrace" registers
refused "ptrace" register-set
refused "ioctl() of request 0x8912" interfaces
refused modify_ldt descriptors
refused shmat segment
both "a program that asks for a register by libc's arch_prctl()" "$subject" own-register "$mnt/pool"
both "a program that peeks at -1 in the pool of a traced one" "$subject" peek "$mnt/pool"
both "a program whose bad addresses are not in its pool" "$subject" bad-addresses "$mnt/pool"
finish
