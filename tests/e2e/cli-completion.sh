#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The completion of bash, without the package bash-completion.
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

# shellcheck source=src/cli/softpmem.bash
. "$abs_top_srcdir/src/cli/softpmem.bash"

# completed WORD...: what the last word of this command line can become, a line for each.
completed() {
	COMP_WORDS=("$softpmem" "$@")
	COMP_CWORD=$#
	COMPREPLY=()
	_softpmem
	printf '%s\n' "${COMPREPLY[@]}"
}
offers() { # offers WANTED WORD...
	completed "${@:2}" | grep -qxF -e "$1"
}
offers_not() { ! offers "$@"; }

cd "$work" || bail "no working directory"
touch trace.file
check "the first word is completed to a verb" offers powerfail po
check "a verb's options are completed" offers --policy powerfail --p
check "run is completed to a command" offers mkdir run mkd
check "run -- is completed to a command" offers mkdir run -- mkd
check "run is completed to its own options before the command" offers --allow-unattached run --all
check "run after an option is completed to a command" offers mkdir run --through mkd
check "the program's own words are completed to files" offers trace.file run cat --number tra
check "run's options are not offered to the program" offers_not --through run cat --thr
check "explore is completed to a trace" offers trace.file explore tra
check "explore -- is completed to a command" offers mkdir explore trace.file -- mkd
check "trace dump is completed to a trace" offers trace.file trace dump tra
daemon_start --region memfd:16M || bail "the daemon does not start"
"$softpmem" create --parents /db/wal
check "destroy is completed to the daemon's pools" offers /db/wal destroy /d
check "negative control: list is not completed to files" offers_not trace.file list tra
finish
