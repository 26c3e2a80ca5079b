#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What the library shows the world, and what it asks of it.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
library=$abs_top_builddir/pmem/client/.libs/libpmem.so.1
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
		grep -v -e '^libc\.so\.6$' -e '^ld-linux-x86-64\.so\.2$'
}

check "LIBPMEM_1.0 is all of the system's, and no more" \
	diff <(versioned "${system:-/nowhere}") <(versioned "$library")
check "23 functions" test "$(versioned "$library" | wc -l)" -eq 23
check "libc's calls without a version" \
	diff <(printf 'fdatasync\nfsync\nmmap\nmmap64\nmremap\nmsync\nmunmap\n') <(unversioned)
check "its soname" grep -q libpmem.so.1 <(objdump -p "$library" | grep SONAME)
check "it needs libc only" test -z "$(needed)"
# The daemon is linked with the system's: libtool finds ours if it lies in the wrong place.
check "the daemon does not load it" grep -q "libpmem.so.1 => ${system:-/nowhere}" <(ldd "$softpmemd")
finish
