#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# softpmem rename, resize and stop.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

daemon_start --region "file:$work/region,64M" || bail "no daemon"
"$softpmem" create --size 1M --parents /db/pool || bail "no pool"
echo bytes >"$mnt/db/pool"
sync "$mnt/db/pool"

# ---- rename ------------------------------------------------------------------------
check "rename moves a pool to another directory" "$softpmem" rename /db/pool /other
check "the pool has its bytes under the new name" grep -aq bytes "$mnt/other"
check "the old name is gone" test ! -e "$mnt/db/pool"
check "rename renames a directory" "$softpmem" rename /db /data
check "the mount has the directory's new name" test -d "$mnt/data"
"$softpmem" create --size 64K /taken
check_fails "a name that is taken is not replaced" "/taken: File exists: --replace replaces it" \
	"$softpmem" rename /other /taken
check "the refused rename changes nothing" grep -aq bytes "$mnt/other"
check "rename --replace replaces a name that is taken" "$softpmem" rename --replace /other /taken
check "the replaced name has the other pool's bytes" grep -aq bytes "$mnt/taken"
check_fails "a pool that does not exist is named" "/none: No such file" "$softpmem" rename /none /new
check_fails "the root cannot be renamed" "the root cannot be renamed" "$softpmem" rename / /new
check_fails "a directory cannot be moved into itself" "/data/in: Invalid argument" \
	"$softpmem" rename /data /data/in
"$softpmem" powerfail >/dev/null
check "a new name survives a power failure" grep -aq bytes "$mnt/taken"

# ---- resize ------------------------------------------------------------------------
size_is() { [ "$(stat -c %s "$mnt/$1")" -eq "$2" ]; }
check "resize makes a pool larger" "$softpmem" resize /taken 4M
check "the mount has the new size" size_is taken $((4 << 20))
check "what was added is reserved" test "$(stat -c %b "$mnt/taken")" -ge $((4 << 11))
check "the bytes are still there" grep -aq bytes "$mnt/taken"
check "resize makes a pool smaller" "$softpmem" resize /taken 3
"$softpmem" powerfail >/dev/null
check "the smaller size survives a power failure" size_is taken 3
check "resize makes it larger again" "$softpmem" resize /taken 64K
check "what was cut off does not come back" test "$(tr -d '\0' <"$mnt/taken")" = byt
check_fails "a pool larger than the region is refused" "/taken: No space left" "$softpmem" resize /taken 1G
check "the refused size changes nothing" size_is taken 65536
check_fails "a directory has no size" "/data: Is a directory" "$softpmem" resize /data 1M
check_fails "a size that is none is a usage error" "write bytes" "$softpmem" resize /taken much

# ---- stop --------------------------------------------------------------------------
echo kept >"$mnt/kept"
check "stop ends the daemon" "$softpmem" stop
check "the daemon has ended when stop returns" test ! -e "/proc/$daemon_pid/mnt/none" -a ! -e "$socket"
check "the daemon's exit status is 0" wait "$daemon_pid"
daemon_pid=
check "the mount is removed" test ! -e "$mnt/kept"
check_fails "without a daemon stop says so" "no daemon" "$softpmem" stop
daemon_start --region "file:$work/region,64M" || bail "no second daemon"
check "a clean stop keeps what was written" test "$(cat "$mnt/kept")" = kept
finish
