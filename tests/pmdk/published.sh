#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Mistakes that were published, see published.h: softpmem explore finds each of them, and nothing in the
# program that is mended.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

published=$abs_top_builddir/tests/pmdk/published
cd "$work" || exit 1
export TMPDIR=$work
# libpmemobj initialises 65,536 locks each time it opens a pool: with large pages these take few page faults.
export GLIBC_TUNABLES=glibc.malloc.hugetlb=1
rounds states 50 1000
rounds steps 4 8
rounds all '' yes
daemon_start --region memfd:64M || bail "no daemon"

# explores WORD...: the words are those of the program before create, work and check.
explores() {
	rm -f "$mnt/pool" && "$softpmem" run -- "$published" "$@" create "$mnt/pool" &&
		"$softpmem" record -o trace -- "$published" "$@" work "$mnt/pool" "$steps" || return
	"$softpmem" explore --states "$states" trace -- "$published" "$@" check {}
}
# mistake NAME PATTERN WHAT: the pattern is what the finding says.
mistake() {
	check_fails "explore finds $3" "$2" explores "$1"
	check "negative control: it finds nothing where that is mended" explores mended "$1"
}
mistake split '^  lost: pool, .* at split_child published_maps.c' \
	'the node of a B-tree that is split without a snapshot'
mistake create 'published: the map has buckets, and no hash function' \
	'the buckets of a hash map that are published before its hash function is durable'
mistake cas 'published: item [0-9]* is linked, and has no CAS id' \
	'the item that is linked before it has its CAS id'
mistake header 'published: the header of generation [0-9]* has a wrong checksum' \
	'the header that is stored over the only one'
[ "$all" ] || finish
mistake slot '^  lost: pool, .* at slot_insert published_maps.c' \
	'the slot of a parent in a tree that changes without a snapshot'
mistake recount 'published: the map has [0-9]* entries, and counts' \
	'the hash map that is opened without its recovery'
mistake open 'published: the pool can be opened, and has no buckets' \
	'the pool that can be opened and was not initialized'
finish
