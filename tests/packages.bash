# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The Debian packages that check and demo need, and how they get them.
# shellcheck disable=SC2034 # the lists are theirs

packages_to_build=(autoconf automake pkg-config gcc make libc6-dev libpmem-dev libndctl-dev
	libdaxctl-dev libfuse3-dev fuse3 libjson-c-dev libncurses-dev libsystemd-dev libsqlite3-dev
	libzstd-dev libdw-dev libzydis-dev libseccomp-dev)
packages_to_test=(clang debhelper debootstrap
	libcmocka-dev libpmemobj-dev libpmem2-dev libpmemblk-dev libpmemlog-dev pmdk-tools
	libuv1-dev liblmdb-dev xz-utils mandoc shellcheck valgrind sqlite3 lmdb-utils rocksdb-tools fio
	postgresql-15 e2fsprogs procps attr rsync libcap2-bin qemu-system-x86 seabios
	jq libxml2-utils slurm-wlm
	busybox-static cpio ndctl daxctl kexec-tools ovmf systemd-boot-efi grub-efi-amd64-bin grub-common)

packages_for_campaigns=(libleveldb-dev librocksdb-dev libsqlite3-dev liblmdb-dev redis-server nats-server
	etcd-server etcd-client git python3-minimal zookeeper postgresql-15)

# packages_missing PACKAGE...: those of them that are not installed.
packages_missing() {
	local package
	for package in "$@"; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
			echo "$package"
	done
}

# packages_install PACKAGE...: with the rights of root, or it says what is to be done.
packages_install() {
	local missing=() as_root=()
	if ! command -v dpkg-query >/dev/null; then
		echo "this is no Debian: if the build fails, look at what ${BASH_SOURCE[0]} names"
		return 0
	fi
	mapfile -t missing < <(packages_missing "$@")
	[ "${#missing[@]}" -gt 0 ] || return 0
	echo "installing: ${missing[*]}"
	if [ "$(id -u)" -ne 0 ]; then
		if ! sudo -n true 2>/dev/null; then
			echo "not as this user. As root: apt-get install ${missing[*]}"
			return 1
		fi
		as_root=(sudo -n)
	fi
	"${as_root[@]}" apt-get update -q && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get install -q -y --no-install-recommends "${missing[@]}"
}
