#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A Redis server in the working directory, for a campaign.
#
#   redis_load.bash write COUNT [BYTES]   sets COUNT keys, and prints N after key N was acknowledged
#   redis_load.bash verify [BYTES]        the keys that were acknowledged are there
#   redis_load.bash repaired [BYTES]      the same, after redis-check-aof has cut off what is torn
#   redis_load.bash users write COUNT     the same with users in the file users.acl, which must exist
#   redis_load.bash users verify
set -u
# shellcheck source=tests/campaign/keys.bash
. "${0%/*}/keys.bash" || exit 2
# shellcheck source=tests/campaign/server.bash
. "${0%/*}/server.bash" && log_open || exit 2
# A load that is killed leaves its socket behind; the directory beside the mount goes with the campaign.
socket=$(mktemp -u "$(dirname "${SOFTPMEM_MOUNT:-${TMPDIR:-/tmp}/mount}")/redis.XXXXXX") || exit 2
trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null; rm -f "$socket"' EXIT

if [ "${1:-}" = repaired ]; then
	yes | redis-check-aof --fix appendonlydir/appendonly.aof.manifest >&3 2>&3
	set -- verify "${@:2}"
fi
users=()
[ "${1:-}" != users ] || users=(--aclfile users.acl)
redis-server --port 0 --unixsocket "$socket" --dir "$PWD" --appendonly yes --appendfsync always --save '' \
	--loglevel warning "${users[@]}" >&3 2>&3 &
server=$!
ask() { redis-cli -s "$socket" "$@" 2>/dev/null; }
until [ "$(ask ping)" = PONG ]; do
	kill -0 "$server" 2>/dev/null || {
		echo "Redis does not start: $(log_show 's/^[0-9].* # //p')"
		exit 1
	}
	sleep 0.01
done

if [ "${1:-}" = users ]; then
	shift
	put() { [ "$(ask acl setuser "$1" on "#$(printf %s "$2" | sha256sum | cut -c -64)")" = OK ] &&
		[ "$(ask acl save)" = OK ]; }
	get() { [ -z "$(ask acl getuser "$1")" ] || echo "value${1#key}"; }
	keys_main "$@"
	exit
fi
put() { [ "$(ask set "$1" "$2")" = OK ]; }
get() { ask get "$1"; }
keys_main "$@"
