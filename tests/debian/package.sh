#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The Debian package: built twice from the tarball in a clean root, judged by lintian, installed in another
# clean root, where the first session of the README runs. Needs root, a mirror, and some minutes: make
# check-debian.
. "$abs_top_srcdir/tests/lib.sh" || exit 1

suite=bookworm
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
[ "$(id -u)" = 0 ] || bail "only root can change its root directory"
command -v debootstrap >/dev/null || bail "debootstrap is not installed"

build=$work/build clean=$work/clean
at_exit+=("umount -l '$clean/dev/fuse' '$clean/proc' '$build/proc'")
in_root() { # in_root ROOT COMMAND...
	local root=$1
	shift
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive HOME=/root \
		DEB_BUILD_OPTIONS="nocheck parallel=$(nproc)" chroot "$root" "$@"
}
# The root may have to reach the mirror as this machine does.
prepare_root() {
	local root=$1 variant=$2
	debootstrap --variant="$variant" "$suite" "$root" "$mirror" &&
		cp /etc/resolv.conf /etc/hosts "$root/etc/" &&
		{ ! compgen -G '/etc/apt/apt.conf.d/*proxy*' >/dev/null ||
			cp /etc/apt/apt.conf.d/*proxy* "$root/etc/apt/apt.conf.d/"; } &&
		mount -t proc proc "$root/proc"
}

check "the tarball is made" make -s -C "$abs_top_builddir" distdir
version=$(sed -n 's/^PACKAGE_VERSION = //p' "$abs_top_builddir/Makefile")
source=$abs_top_builddir/softpmem-$version
at_exit+=("rm -rf '$source'")
check "the tarball has debian/ with executable rules" test -x "$source/debian/rules"
check "the changelog has the version of configure.ac" \
	test "$(sed -n '1s/.*(\(.*\)).*/\1/p' "$source/debian/changelog")" = "$version"

check "a root to build in is installed" prepare_root "$build" buildd || bail "no root to build in"
build_in() { # build_in DIRECTORY
	mkdir -p "$build/$1" && cp -a "$source" "$build/$1/softpmem" &&
		in_root "$build" sh -c "cd '/$1/softpmem' && umask '$2' && dpkg-buildpackage -b -us -uc"
}
cp -a "$source" "$build/source"
check "the packages that the build needs are what debian/control names" \
	in_root "$build" sh -c 'apt-get update -q && apt-get build-dep -q -y --no-install-recommends /source'
check "the packages are built" build_in first 022
check "the packages are built again, in another directory and with another umask" build_in second/longer 027
same() {
	local deb name
	[ "$(find "$build/first" -name '*.deb' | wc -l)" -ge 3 ] || return 1
	for deb in "$build"/first/*.deb; do
		name=${deb##*/}
		cmp "$deb" "$build/second/longer/$name" || return 1
	done
}
check "both builds made the same packages, byte for byte" same
check "lintian is installed" in_root "$build" apt-get install -q -y --no-install-recommends lintian
check "lintian has no complaint" in_root "$build" sh -c \
	'cd /first && lintian --fail-on=error,warning --suppress-tags=initial-upload-closes-no-bugs *.changes'

contents() { dpkg-deb --contents "$build"/first/"$1"_*.deb; }
count() { contents softpmem | grep -c "$1"; }
check "softpmem has the private library in a directory of its own" \
	test "$(count 'softpmem/libpmem.so.1$')" = 1
check "softpmem has no .la and no .so" test "$(count '\.la$\|\.so$')" = 0
check "softpmem-dev has the header for checkers" \
	grep -q 'include/softpmem/softpmem_checker.h$' <(contents softpmem-dev)
check "softpmem-dev has the file for pkg-config" grep -q 'pkgconfig/softpmem.pc$' <(contents softpmem-dev)
check "softpmem-doc has the description of what is durable" grep -q 'semantics.md' <(contents softpmem-doc)
hardened() {
	mkdir "$work/unpacked" && dpkg-deb -x "$build"/first/softpmem_*.deb "$work/unpacked" || return 1
	for program in softpmem softpmemd; do
		readelf -hld "$work/unpacked/usr/bin/$program" >"$work/elf"
		grep -q 'DYN (Position-Independent' "$work/elf" && grep -q GNU_RELRO "$work/elf" &&
			grep -q 'FLAGS.*NOW' "$work/elf" || return 1
	done
}
check "the programs are position-independent, with read-only relocations bound at start" hardened

check "a root to install in is installed" prepare_root "$clean" minbase || bail "no root to install in"
mkdir "$clean/packages"
cp -a "$build"/first/*.deb "$clean/packages/"
cp -a "$source" "$clean/source"
touch "$clean/dev/fuse" && mount --bind /dev/fuse "$clean/dev/fuse"
check "the packages are installed" in_root "$clean" sh -c 'apt-get update -q &&
	apt-get install -q -y --no-install-recommends /packages/softpmem_*.deb /packages/softpmem-dev_*.deb \
	/packages/softpmem-doc_*.deb fuse3 sqlite3 man-db gcc libc6-dev'
check "apropos nvdimm finds the manual" \
	grep -q '^softpmemd (8)' <(in_root "$clean" sh -c 'mandb -q && apropos nvdimm')
check "the first session of the README works" in_root "$clean" /source/debian/tests/first-session
check "a checker is compiled with the installed header" in_root "$clean" sh -c \
	'printf "#include <softpmem/softpmem_checker.h>\n" >/c.c && gcc -Wall -Werror -c -o /c.o /c.c'
check "the packages are removed" in_root "$clean" apt-get purge -q -y softpmem softpmem-dev softpmem-doc
check "nothing of them is left" test -z "$(find "$clean/usr" "$clean/etc" "$clean/lib/" -name '*softpmem*')"
finish
