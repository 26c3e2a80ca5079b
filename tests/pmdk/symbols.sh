#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What the library shows the world, and what it asks of it.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
library=$abs_top_builddir/pmem/client/libpmem.so.1
system=$(ldconfig -p | sed -n 's/.*libpmem\.so\.1 .*=> //p' | head -n 1)

# versioned LIBRARY: its functions of LIBPMEM_1.0.
versioned() {
	objdump -T "$1" | awk '/LIBPMEM_1\.0/ && /\.text/ { print $NF }' | sort
}
unversioned() {
	objdump -T "$library" | awk '/\.text/ && / Base / { print $NF }' | sort
}
needed() {
	objdump -p "$library" | awk '/NEEDED/ { print $2 }' |
		grep -v -e '^libc\.so\.6$' -e '^libZydis\.so' -e '^ld-linux-x86-64\.so\.2$'
}

check "LIBPMEM_1.0 has exactly the symbols of the system's library" \
	diff <(versioned "${system:-/nowhere}") <(versioned "$library")
check "LIBPMEM_1.0 has 23 functions" test "$(versioned "$library" | wc -l)" -eq 23
check "interposed functions of libc have no version" \
	diff <(printf '%s\n' _Fork __clone clone fdatasync fsync madvise mmap mmap64 mprotect mremap msync \
	munmap pkey_mprotect pthread_create remap_file_pages softpmem_send_mark syscall) <(unversioned)
check "the soname is libpmem.so.1" grep -q libpmem.so.1 <(objdump -p "$library" | grep SONAME)
check "the library needs only libc and Zydis" test -z "$(needed)"
# The WPQ producer runs inside calls of the program: a wrapper of libc that we or the program interpose
# would recurse or take a lock twice. Sanitizers and the stack protector add symbols.
undefined() {
	nm -u "$1" | awk '{ print $NF }' |
		grep -Ev '^(mem(cpy|move|set)|_GLOBAL_OFFSET_TABLE_|__stack_chk_fail)$' |
		grep -Ev '^__([at]san|ubsan)_'
}
producer=$abs_top_builddir/pmem/abi/client_libclient_a-wpq_producer.o
check "the WPQ producer of the library was compiled" test -s "$producer"
check "the WPQ producer calls no wrapper of a system call" test -z "$(undefined "$producer")"
check "negative control: connection.c does call functions of libc" \
	test -n "$(undefined "$abs_top_builddir/pmem/client/libclient_a-connection.o")"
check "the daemon loads the system's libpmem" \
	grep -q "libpmem.so.1 => ${system:-/nowhere}" <(ldd "$softpmemd")
finish
