# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A load of keys on a server, for a script that is called with "write COUNT [BYTES]" or "verify [BYTES]",
# where BYTES is the least size of a value. The script has put KEY VALUE, which succeeds if the server
# acknowledged it, and get KEY.

# keys_value NUMBER BYTES
keys_value() {
	local value
	printf -v value '%-*s' "$2" "value$1"
	echo "${value// /x}"
}

# keys_write COUNT BYTES: print N after key N was acknowledged.
keys_write() {
	local n
	for ((n = 1; n <= $1; n++)); do
		put "key$n" "$(keys_value "$n" "$2")" || return 1
		echo "$n"
	done
}

# keys_verify BYTES: the keys that were acknowledged are there.
keys_verify() {
	local n acknowledged
	acknowledged=$(tail -n 1 "$SOFTPMEM_ACKNOWLEDGED")
	for ((n = 1; n <= ${acknowledged:-0}; n++)); do
		[ "$(get "key$n")" = "$(keys_value "$n" "$1")" ] && continue
		echo "key $n was acknowledged and is lost"
		return 1
	done
}

keys_main() {
	case ${1:-} in
	write) keys_write "$2" "${3:-0}" ;;
	verify) keys_verify "${2:-0}" ;;
	*) return 2 ;;
	esac
}
