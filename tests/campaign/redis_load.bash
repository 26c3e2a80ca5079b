#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A Redis server in the working directory, for a campaign.
#
#   redis_load.bash write COUNT   sets COUNT keys, and prints N after key N was acknowledged
#   redis_load.bash verify        the keys that were acknowledged are there
set -u
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

write() {
	local n
	for ((n = 1; n <= $1; n++)); do
		[ "$(ask set "key$n" "value$n")" = OK ] || return 1
		echo "$n"
	done
}

verify() {
	local n acknowledged
	acknowledged=$(tail -n 1 "$SOFTPMEM_ACKNOWLEDGED")
	for ((n = 1; n <= ${acknowledged:-0}; n++)); do
		[ "$(ask get "key$n")" = "value$n" ] && continue
		echo "key $n was acknowledged and is lost"
		return 1
	done
}

case ${1:-} in
write) write "$2" ;;
verify) verify ;;
*) exit 2 ;;
esac
