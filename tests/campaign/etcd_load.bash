#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# An etcd server in the working directory, for a campaign.
#
#   etcd_load.bash write COUNT   puts COUNT keys, and prints N after key N was acknowledged
#   etcd_load.bash verify        the keys that were acknowledged are there
set -u
# shellcheck source=tests/campaign/keys.bash
. "${0%/*}/keys.bash" || exit 2
# shellcheck source=tests/campaign/server.bash
. "${0%/*}/server.bash" && log_open || exit 2
export ETCDCTL_API=3
# Ports of this process alone: the range has room for as many campaigns as there are pids below it.
port=$((20000 + 2 * ($$ % 6000)))
client=http://127.0.0.1:$port peer=http://127.0.0.1:$((port + 1))
trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null' EXIT

# What it advertises is in its data, and nobody connects there: the ports that it listens on may differ.
etcd --name one --data-dir "$PWD/data" --listen-client-urls "$client" --listen-peer-urls "$peer" \
	--advertise-client-urls http://127.0.0.1:1 --initial-advertise-peer-urls http://127.0.0.1:1 \
	--initial-cluster one=http://127.0.0.1:1 --log-level error --logger zap >&3 2>&3 &
server=$!
ask() { etcdctl --endpoints "$client" --command-timeout "${timeout:-20s}" "$@" 2>/dev/null; }
until timeout=2s ask endpoint health >/dev/null; do
	kill -0 "$server" 2>/dev/null || {
		echo "etcd does not start: $(log_show '/^panic\|^unexpected fault\|fatal/p')"
		exit 1
	}
	[ "$SECONDS" -lt 20 ] || { echo "etcd starts, and elects no leader"; exit 1; }
	sleep 0.05
done

put() { [ "$(ask put "$1" "$2")" = OK ]; }
get() { ask get --print-value-only "$1"; }
keys_main "$@"
