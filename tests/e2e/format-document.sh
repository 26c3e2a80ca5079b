#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The worked example of docs/format.md: its commands leave the bytes that it shows.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

image=$work/example.img
read_region=$abs_top_builddir/tests/format/read_region

# bytes OFFSET COUNT: as od writes them.
bytes() {
	od -A n -t x1 -v -j "$1" -N "$2" "$image" | tr -s ' \n' ' ' | sed 's/^ //; s/ $//'
}

# shown OFFSET: what the document has there, 16 bytes.
shown() {
	sed -n "s/^    $1 \(\([0-9a-f][0-9a-f] \)\{16\}\).*/\1/p" "$abs_top_srcdir/docs/format.md" |
		sed 's/ $//'
}

# same OFFSET FROM COUNT: of the row at OFFSET (hex), bytes from FROM on are as shown.
same() {
	local row
	read -ra row <<<"$(shown "$1")"
	[ "${#row[@]}" -eq 16 ] && [ "$(bytes "$((16#$1 + $2))" "$3")" = "${row[*]:$2:$3}" ]
}

daemon_start --region "file:$image,2M" --label example || bail "the daemon does not start"
mkdir "$mnt/db" || bail "no directory"
printf 'sixteen bytes...' >"$mnt/db/wal"
sync "$mnt/db/wal"
mv "$mnt/db/wal" "$mnt/db/log"
daemon_stop || bail "the daemon does not stop"

# What is the same in every region that these commands make.
while read -r offset from count what; do
	check "at 0x$offset: $what" same "$offset" "$from" "$count"
done <<-'END'
	000000 0 16 magic, version, size
	000010 0 16 features
	000030 8 8 size of the region
	000040 0 16 block, slot, sequence
	000050 0 16 generation, dirty shutdowns
	000060 8 8 state, chunks
	000070 0 16 label
	000370 0 16 the chunk starts
	000380 0 16 and is this long
	001000 4 12 the root is a file
	001010 0 10 and a directory
	001280 4 12 a name
	001290 0 16 its parent and file
	0012a0 0 16 no peer
	0012b0 0 16 its text
	0013c0 4 12 the pool is a file
	0013d0 0 8 of entry 3
	0013f0 8 8 of 16 bytes
	001430 0 16 with one extent
	001450 0 16 which is in block 9
	001500 4 12 the renamed name
	001510 0 16 has the pool
	001530 0 16 and the new text
	009000 0 16 the data
	009010 0 16 and zeros behind
END
check "a reader written from the document alone reads the tree" \
	grep -q '^/db/log mode 100.* size 16 ' <("$read_region" "$image")
flip_entry_3() {
	local offset
	for offset in $((16#13f8)) $((16#53f8)); do
		printf '\021' | dd of="$image" bs=1 seek="$offset" conv=notrunc status=none || return 1
	done
}
check "both slots of the pool's entry are damaged" flip_entry_3
check "negative control: the comparison reports the damage" eval '! same 0013f0 8 8'
check_fails "negative control: the reader reports the damage" damaged "$read_region" "$image"
finish
