#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A Redis server in the working directory, for a campaign.
#
#   redis_load.bash write COUNT   sets COUNT keys, and prints N after key N was acknowledged
#   redis_load.bash verify        the keys that were acknowledged are there
set -u
# shellcheck source=tests/campaign/keys.bash
. "${0%/*}/keys.bash" || exit 2
socket=$(mktemp -u "${TMPDIR:-/tmp}/redis.XXXXXX") || exit 2
trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null; rm -f "$socket"' EXIT

redis-server --port 0 --unixsocket "$socket" --dir "$PWD" --appendonly yes --appendfsync always --save '' \
	--loglevel warning >&2 &
server=$!
ask() { redis-cli -s "$socket" "$@" 2>/dev/null; }
until [ "$(ask ping)" = PONG ]; do
	kill -0 "$server" 2>/dev/null || { echo "redis-server does not start" >&2; exit 1; }
	sleep 0.01
done

put() { [ "$(ask set "$1" "$2")" = OK ]; }
get() { ask get "$1"; }
keys_main "$@"
