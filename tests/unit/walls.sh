#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The walls between the directories: no file includes a header that docs/hacking.md does not let it include.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1

# includes PATTERN DIRECTORY...: prints the lines in the directories that include a header that matches.
includes() {
	local pattern=$1
	shift
	find "$@" -name '*.[ch]' -exec \
		grep -nHE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]($pattern)" {} +
}

# wall TREE PATTERN DIRECTORY...: no file of these directories of the tree includes a header that matches.
wall() {
	local tree=$1 pattern=$2 room rooms=()
	shift 2
	for room; do
		[ -d "$tree/$room" ] && rooms+=("$tree/$room")
	done
	[ ${#rooms[@]} -eq 0 ] || ! includes "$pattern" "${rooms[@]}"
}

# The public headers of pmem/region, pmem/domain and pmem/pool are the ones named after their directory, and
# domain/wpq.h, region/discover.h, region/media.h, region/memtest.h and region/snapshot.h.
private_stay() {
	local room others
	local also='domain/wpq|region/discover|region/media|region/memtest|region/snapshot'
	also+='|pool/contents|pool/holes'
	for room in region domain pool; do
		mapfile -t others < <(rooms_but "$1" "$room")
		! includes "$room/" "$1/fuse" "$1/src" "${others[@]}" |
			grep -Ev "\"($room/$room|$also)\.h\"" | grep . ||
			return 1
	done
}

# rooms_but TREE ROOM: prints the directories of pmem/ but this one.
rooms_but() {
	local room
	for room in "$1"/pmem/*/; do
		[ "$room" = "$1/pmem/$2/" ] || printf '%s\n' "$room"
	done
}

# Only pmem/region has a pointer to the media: it is a member of struct region, whose definition is private
# to that directory. One file of the tests may use it, the one that makes pages bad.
media_is_behind_its_seam() {
	! find "$1"/{fuse,src,pmem,tests} -path "$1/pmem/region" -prune -o -name badpage.c -prune -o \
		-name '*.[ch]' -exec grep -nHE 'region/backend\.h|region->media' {} + 2>/dev/null | grep .
}

# The models are pure. They include only pmem/common, the line size, each other, and those headers of libc
# that declare neither memory maps nor threads nor I/O.
model_is_pure() {
	local own='"(common/[a-z0-9_]+|model/[a-z0-9_]+|abi/line)\.h"'
	local libc='<(assert|errno|limits|stdbool|stddef|stdint|stdlib|string)\.h>'
	[ ! -d "$1/pmem/model" ] ||
		! find "$1/pmem/model" -name '*.[ch]' -exec \
			grep -nHE '^[[:space:]]*#[[:space:]]*include' {} + |
		grep -Ev "include[[:space:]]*($own|$libc)"
}

below_src='(abi|region|model|domain|pool|client|trace|explore|recorder)/|fusefs\.h'

# Verbs that talk to the daemon learn about pools and regions from its replies only. The verbs that work
# without a daemon may use pools and regions directly.
online_only() {
	local verb offline=()
	for verb in check format memtest regions; do
		offline+=(! -name "cli_$verb.[ch]")
	done
	[ ! -d "$1/src/cli" ] ||
		! find "$1/src/cli" -name '*.[ch]' "${offline[@]}" -exec \
			grep -nHE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"(pool|region|regions)/' {} +
}

# include_cycle TREE: fails, and prints the headers of a cycle, if headers include each other in a circle.
include_cycle() {
	local tops=() top
	for top in fuse pmem src; do
		[ -d "$1/$top" ] && tops+=("$top")
	done
	cd "$1" && {
		find "${tops[@]}" -name '*.h'
		find "${tops[@]}" -name '*.h' -exec \
			grep -oHE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"[^"]+"' {} +
	} | awk -F: '
		NF == 1 { headers[$1]; next }
		{
			directory = name = $1
			sub("[^/]*$", "", directory)
			sub("^[^\"]*\"", "", $2)
			sub("\"$", "", $2)
			count = split(directory " pmem/ fuse/ src/", from, " ")
			for (i = 1; i <= count; i++)
				if (from[i] $2 in headers) {
					print name, from[i] $2
					break
				}
		}' | tsort >/dev/null
}
no_include_cycle() {
	(include_cycle "$1")
}

# Check every wall of the tree $1.
walls() {
	local tree=$1
	check "only fuse/ includes headers of libfuse" wall "$tree" 'fuse3?/|fuse(_[a-z]+)?\.h>' pmem src
	check "only pmem/region/ includes libndctl" wall "$tree" 'ndctl/|daxctl/' \
		pmem/common pmem/domain pmem/pool pmem/client pmem/trace pmem/explore fuse src
	check "only pmem/client/ includes Zydis" wall "$tree" 'Zydis/' \
		pmem/common pmem/region pmem/domain pmem/pool pmem/trace pmem/explore fuse src
	check "only pmem/trace/ includes libdw and zstd" wall "$tree" 'elfutils/|dwarf\.h|zstd\.h' \
		pmem/abi pmem/common pmem/region pmem/model pmem/domain pmem/pool pmem/client \
		pmem/explore fuse src
	check "only src/ and pmem/explore/ include JSON-C" wall "$tree" 'json-c/' \
		pmem/common pmem/region pmem/domain pmem/pool pmem/client pmem/trace fuse
	check "no directory below src/ and fuse/ includes sockets" wall "$tree" \
		'sys/socket\.h|sys/un\.h|netinet/|netdb\.h' \
		pmem/common pmem/region pmem/domain pmem/pool pmem/trace pmem/recorder pmem/explore
	check "no directory below src/ and fuse/ includes mounts" wall "$tree" \
		'sys/mount\.h|mntent\.h|linux/mount\.h' pmem
	check "pmem/common depends on no other directory" wall "$tree" \
		'(abi|region|model|domain|pool|client|trace|explore|recorder)/|fusefs\.h' pmem/common
	check "pmem/model includes only common, the line size and pure parts of libc" \
		model_is_pure "$tree"
	check "pmem/abi depends on pmem/common alone" wall "$tree" \
		'(model|region|domain|pool|client|trace|explore|recorder)/|fusefs\.h' pmem/abi
	check "pmem/region depends on no directory above it" wall "$tree" \
		'(model|domain|pool|client|trace|explore|recorder)/|fusefs\.h' pmem/region
	check "pmem/domain depends on no directory above it" wall "$tree" \
		'(pool|client|trace|explore|recorder)/|fusefs\.h' pmem/domain
	check "pmem/pool depends on no directory above it" wall "$tree" \
		'(client|trace|explore|recorder)/|fusefs\.h' pmem/pool
	check "pmem/client depends on abi, trace and common alone" wall "$tree" \
		'(model|region|domain|pool|fault|explore|recorder)/|fusefs\.h' pmem/client
	check "pmem/trace depends on abi and common alone" wall "$tree" \
		'(region|domain|pool|client|model|fault|explore|recorder)/|fusefs\.h' pmem/trace
	check "pmem/recorder depends on pmem/pool, pmem/trace and what they depend on" wall "$tree" \
		'(region|domain|client|model|explore)/|fusefs\.h' pmem/recorder
	check "pmem/explore does not depend on the daemon" wall "$tree" \
		'(region|domain|pool|client|recorder)/|fusefs\.h' pmem/explore
	check "pmem/ and fuse/ do not depend on src/" wall "$tree" \
		'(command|wire|server|regions|attach|daemon|cli)/' pmem fuse
	check "src/command depends on pmem/common alone" wall "$tree" \
		"$below_src|(wire|server|regions|attach|daemon|cli)/" src/command
	check "src/wire depends on pmem/common alone" wall "$tree" \
		"$below_src|(command|server|regions|attach|daemon|cli)/" src/wire
	check "src/server depends on src/wire and pmem/common alone" wall "$tree" \
		\
		"$below_src|(command|regions|attach|daemon|cli)/" src/server
	check "src/regions does not depend on a server" wall "$tree" \
		'(command|server|attach|daemon|cli)/|fusefs\.h' src/regions
	check "src/attach depends on no directory above it" wall "$tree" \
		'(command|regions|daemon|cli)/' src/attach
	check "src/daemon does not depend on the command line client" wall "$tree" 'cli/' src/daemon
	check "src/cli depends on no part of the daemon" wall "$tree" \
		'(server|attach|daemon|model|domain|client|recorder)/|fusefs\.h' src/cli
	check "in src/cli only verbs that work without a daemon use pools and regions" \
		online_only "$tree"
	check "no other directory includes private headers of region, domain and pool" \
		private_stay "$tree"
	check "only pmem/region has a pointer to the media" media_is_behind_its_seam "$tree"
	check "no headers include each other in a circle" no_include_cycle "$tree"
}

walls "$abs_top_srcdir"

# Negative controls: each wall is broken in a tree made for it.
plant() {
	mkdir -p "$work/tree/$1"
	printf '#include %s\n' "$2" >"$work/tree/$1/planted.c"
}
mkdir -p "$work"/tree/{fuse,src} "$work"/tree/pmem/{common,abi,model,client}
while read -r room include; do
	plant "$room" "$include"
done <<-'END'
	pmem/explore <ndctl/libndctl.h>
	pmem/pool <Zydis/Zydis.h>
	pmem/domain "pool/pool.h"
	pmem/region "domain/domain.h"
	pmem/common "region/region.h"
	pmem/model <sys/mman.h>
	pmem/abi "domain/domain.h"
	pmem/client "domain/domain.h"
	pmem/trace "client/private.h"
	pmem/recorder "client/private.h"
	fuse "wire/frame.h"
	src "region/backend.h"
	src/command "wire/frame.h"
	src/wire "pool/pool.h"
	src/server "daemon/daemon.h"
	src/regions "server/server.h"
	src/attach "daemon/daemon.h"
	src/daemon "cli/cli.h"
	src/cli "server/server.h"
END
(
	tests_run=0
	for header in '<sys/socket.h>' '<fuse3/fuse_lowlevel.h>' '<sys/mount.h>' '<json-c/json.h>' \
		'"client/client.h"'; do
		mkdir -p "$work/tree/pmem/pool"
		printf '#include %s\n' "$header" >>"$work/tree/pmem/pool/planted.c"
	done
	printf '#include "pool/pool.h"\n' >>"$work/tree/pmem/explore/planted.c"
	printf '#include <zstd.h>\n' >>"$work/tree/pmem/explore/planted.c"
	printf '#include "pool/pool.h"\n' >>"$work/tree/src/cli/planted.c"
	printf '#include "planted_b.h"\n' >"$work/tree/fuse/planted_a.h"
	printf '#include "planted_a.h"\n' >"$work/tree/fuse/planted_b.h"
	walls "$work/tree"
) >"$work/planted.out"
check_planted() {
	! grep '^ok' "$work/planted.out" && [ "$(grep -c '^not ok' "$work/planted.out")" -ge 29 ]
}
check "a break in any wall is reported" check_planted
for header in '<pthread.h>' '<stdio.h>' '<unistd.h>' '"domain/domain.h"' '"abi/attach.h"' '"lines.h"'; do
	plant pmem/model "$header"
	check_fails "$header in pmem/model is reported" 'planted\.c' \
		model_is_pure "$work/tree"
done
check_fails "region/backend.h outside of pmem/region is reported" 'planted\.c' \
	media_is_behind_its_seam "$work/tree"
plant pmem/model '"abi/line.h"'
check "pmem/model may include the line size" model_is_pure "$work/tree"

# plant_headers DIRECTORY PREFIX LINE...: in a new tree, headers that include others: "a b" stands for a
# header a.h that includes PREFIXb.h.
plant_headers() {
	local directory=$work/headers/$1 prefix=$2 line
	shift 2
	rm -rf "$work/headers"
	mkdir -p "$directory"
	for line; do
		printf '#include <stdint.h>\n# include "%s.h"\n' "$prefix${line#* }" \
			>>"$directory/${line% *}.h"
		: >>"$directory/${line#* }.h"
	done
}
while read -r room prefix; do
	plant_headers "$room" "$prefix" "a b" "a c" "b c"
	check "headers of $room that include each other without a circle are accepted" \
		no_include_cycle "$work/headers"
	plant_headers "$room" "$prefix" "a b" "b c" "c a"
	check_fails "a circle of three headers in $room is reported" "$room/b\.h" \
		no_include_cycle "$work/headers"
done <<-'END'
	fuse
	pmem/pool pool/
	src/server server/
END
finish
