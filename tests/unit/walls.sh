#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The layers are walls: who includes what he must not is found here.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1

# includes PATTERN ROOM...: the lines in the rooms that include what matches.
includes() {
	local pattern=$1
	shift
	find "$@" -name '*.[ch]' -exec \
		grep -nHE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]($pattern)" {} +
}

# wall TREE WHAT PATTERN ROOM...: none of the rooms of the tree includes it.
wall() {
	local tree=$1 pattern=$2 room rooms=()
	shift 2
	for room; do
		[ -d "$tree/$room" ] && rooms+=("$tree/$room")
	done
	[ ${#rooms[@]} -eq 0 ] || ! includes "$pattern" "${rooms[@]}"
}

# A room's header is the one of its own name, and domain/wpq.h, region/discover.h, region/media.h and
# region/memtest.h; pmem/common is all headers.
private_stay() {
	local room others also='domain/wpq|region/discover|region/media|region/memtest'
	for room in region domain pool; do
		mapfile -t others < <(rooms_but "$1" "$room")
		! includes "$room/" "$1/fuse" "$1/src" "${others[@]}" |
			grep -Ev "\"($room/$room|$also)\.h\"" | grep . ||
			return 1
	done
}

rooms_but() {
	local room
	for room in "$1"/pmem/*/; do
		[ "$room" = "$1/pmem/$2/" ] || printf '%s\n' "$room"
	done
}

# Nobody but pmem/region has a pointer to the media: its mapping is a member of struct region, which is
# private to that room. Of the tests one file may know it, the one that makes pages bad.
media_is_behind_its_seam() {
	! find "$1"/{fuse,src,pmem,tests} -path "$1/pmem/region" -prune -o -name badpage.c -prune -o \
		-name '*.[ch]' -exec grep -nHE 'region/backend\.h|region->media' {} + 2>/dev/null | grep .
}

# The models are pure: of ours only pmem/common, the line size and each other; of libc what neither maps
# memory, nor starts threads, nor does I/O.
model_is_pure() {
	local own='"(common/[a-z0-9_]+|model/[a-z0-9_]+|abi/line)\.h"'
	local libc='<(assert|errno|limits|stdbool|stddef|stdint|stdlib|string)\.h>'
	[ ! -d "$1/pmem/model" ] ||
		! find "$1/pmem/model" -name '*.[ch]' -exec \
			grep -nHE '^[[:space:]]*#[[:space:]]*include' {} + |
		grep -Ev "include[[:space:]]*($own|$libc)"
}

below_src='(abi|region|model|domain|pool|client|trace|explore)/|fusefs\.h'

# Verbs that talk to the daemon know of its pools and regions only what the protocol says.
online_only() {
	local verb offline=()
	for verb in check format memtest regions; do
		offline+=(! -name "cli_$verb.[ch]")
	done
	[ ! -d "$1/src/cli" ] ||
		! find "$1/src/cli" -name '*.[ch]' "${offline[@]}" -exec \
			grep -nHE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"(pool|region|regions)/' {} +
}

# Every wall of the house, in the tree $1.
walls() {
	local tree=$1
	check "fuse headers only in fuse/" wall "$tree" 'fuse3?/|fuse(_[a-z]+)?\.h>' pmem src
	check "libndctl only in pmem/region/" wall "$tree" 'ndctl/|daxctl/' \
		pmem/common pmem/domain pmem/pool pmem/client pmem/trace pmem/explore fuse src
	check "Zydis only in pmem/client/" wall "$tree" 'Zydis/' \
		pmem/common pmem/region pmem/domain pmem/pool pmem/trace pmem/explore fuse src
	check "libdw and zstd only in pmem/trace/" wall "$tree" 'elfutils/|dwarf\.h|zstd\.h' \
		pmem/abi pmem/common pmem/region pmem/model pmem/domain pmem/pool pmem/client \
		pmem/explore fuse src
	check "JSON only in src/ and pmem/explore/" wall "$tree" 'json-c/' \
		pmem/common pmem/region pmem/domain pmem/pool pmem/client pmem/trace fuse
	check "no socket below src/ and fuse/" wall "$tree" 'sys/socket\.h|sys/un\.h|netinet/|netdb\.h' \
		pmem/common pmem/region pmem/domain pmem/pool pmem/trace pmem/explore
	check "no mount below src/ and fuse/" wall "$tree" 'sys/mount\.h|mntent\.h|linux/mount\.h' pmem
	check "common depends on nothing" wall "$tree" \
		'(abi|region|model|domain|pool|client|trace|explore)/|fusefs\.h' pmem/common
	check "model includes only common, the line size and pure parts of libc" model_is_pure "$tree"
	check "abi depends on common alone" wall "$tree" \
		'(model|region|domain|pool|client|trace|explore)/|fusefs\.h' pmem/abi
	check "region depends on no room above" wall "$tree" \
		'(model|domain|pool|client|trace|explore)/|fusefs\.h' pmem/region
	check "domain depends on no room above" wall "$tree" \
		'(pool|client|trace|explore)/|fusefs\.h' pmem/domain
	check "pool depends on no room above" wall "$tree" '(client|trace|explore)/|fusefs\.h' pmem/pool
	check "client depends on abi, trace and common alone" wall "$tree" \
		'(model|region|domain|pool|fault|explore)/|fusefs\.h' pmem/client
	check "trace depends on abi and common alone" wall "$tree" \
		'(region|domain|pool|client|model|fault|explore)/|fusefs\.h' pmem/trace
	check "explore never depends on the daemon" wall "$tree" \
		'(region|domain|pool|client)/|fusefs\.h' pmem/explore
	check "nobody below depends on src/" wall "$tree" \
		'(command|wire|server|regions|attach|daemon|cli)/' pmem fuse
	check "src/command depends on common alone" wall "$tree" \
		"$below_src|(wire|server|regions|attach|daemon|cli)/" src/command
	check "src/wire depends on common alone" wall "$tree" \
		"$below_src|(command|server|regions|attach|daemon|cli)/" src/wire
	check "src/server depends on src/wire and common alone" wall "$tree" \
		"$below_src|(command|regions|attach|daemon|cli)/" src/server
	check "src/regions depends on no server" wall "$tree" \
		'(command|server|attach|daemon|cli)/|fusefs\.h' src/regions
	check "src/attach depends on no room above" wall "$tree" '(command|regions|daemon|cli)/' src/attach
	check "src/daemon does not depend on the command line client" wall "$tree" 'cli/' src/daemon
	check "src/cli depends on no part of the daemon" wall "$tree" \
		'(server|attach|daemon|model|domain|client)/|fusefs\.h' src/cli
	check "in src/cli only verbs for regions without a daemon use pools and regions" online_only "$tree"
	check "a room's private headers stay there" private_stay "$tree"
	check "only pmem/region has a pointer to the media" media_is_behind_its_seam "$tree"
}

walls "$abs_top_srcdir"

# Negative control: a wall that nobody can break through proves nothing.
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
	walls "$work/tree"
) >"$work/planted.out"
check_planted() {
	! grep '^ok' "$work/planted.out" && [ "$(grep -c '^not ok' "$work/planted.out")" -ge 27 ]
}
check "negative control: every wall is seen when it is broken" check_planted
for header in '<pthread.h>' '<stdio.h>' '<unistd.h>' '"domain/domain.h"' '"abi/attach.h"' '"lines.h"'; do
	plant pmem/model "$header"
	check_fails "negative control: pmem/model must not include $header" 'planted\.c' \
		model_is_pure "$work/tree"
done
check_fails "negative control: only pmem/region may include region/backend.h" 'planted\.c' \
	media_is_behind_its_seam "$work/tree"
plant pmem/model '"abi/line.h"'
check "pmem/model may include the line size" model_is_pure "$work/tree"
finish
