# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A load of keys on a server, for a script that is called with "write COUNT" or "verify". The script has
# put KEY VALUE, which succeeds if the server acknowledged it, and get KEY.

# keys_write COUNT: print N after key N was acknowledged.
keys_write() {
	local n
	for ((n = 1; n <= $1; n++)); do
		put "key$n" "value$n" || return 1
		echo "$n"
	done
}

# The keys that were acknowledged are there.
keys_verify() {
	local n acknowledged
	acknowledged=$(tail -n 1 "$SOFTPMEM_ACKNOWLEDGED")
	for ((n = 1; n <= ${acknowledged:-0}; n++)); do
		[ "$(get "key$n")" = "value$n" ] && continue
		echo "key $n was acknowledged and is lost"
		return 1
	done
}

keys_main() {
	case ${1:-} in
	write) keys_write "$2" ;;
	verify) keys_verify ;;
	*) return 2 ;;
	esac
}
