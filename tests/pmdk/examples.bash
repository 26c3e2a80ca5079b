# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What the tests with libpmemobj's examples share. The script that sources this sets $region.

examples=/usr/share/doc/libpmemobj-dev/examples

if [ ! -d "$examples/map" ]; then
	skip "libpmemobj's examples" "not installed"
	finish
fi
# shellcheck disable=SC2154
daemon_start --region "$region" || bail "no daemon"
run() { "$softpmem" run -- "${faulty[@]}" "$@"; }
cut_power() { "$softpmem" powerfail --policy lose >/dev/null; }

# example PROGRAM SOURCE...: as it is shipped; warnings are its authors' affair.
example() {
	local program=$work/$1
	shift
	(cd "$examples" && ${CC:-cc} -O1 -w -I. -Itree_map -Ihashmap -Ilist_map -Imap \
		-I"$abs_top_srcdir/tests/pmdk/examples" -o "$program" "$@" -lpmemobj -lpmem -lpthread -lm)
}
