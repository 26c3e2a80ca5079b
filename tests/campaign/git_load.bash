#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A git repository in the working directory, for a campaign.
#
#   git_load.bash setup
#   git_load.bash write COUNT   makes COUNT commits, and prints the name of each
#   git_load.bash verify        the repository is sound
#   git_load.bash acknowledged  and it has what was acknowledged
set -u
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
# The same names in each run.
export GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z'
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null

setup() {
	git init -q -b main repository && cd repository || return
	git config core.fsync all && git config core.fsyncMethod fsync && git config gc.auto 0 || return
	echo 0 >file && git add file && git commit -q -m 0
}

write() {
	local n
	cd repository || return
	for ((n = 1; n <= $1; n++)); do
		echo "$n" >file && git add file && git commit -q -m "$n" || return
		git rev-parse HEAD
	done
}

verify() {
	cd repository || return
	# A process that was killed leaves the locks that it held; git asks the user to remove them.
	find .git -name '*.lock' -delete
	git fsck --full --strict --no-dangling 2>&1 && git rev-parse --verify -q HEAD >/dev/null
}

acknowledged() {
	local acknowledged
	verify || return
	acknowledged=$(tail -n 1 "$SOFTPMEM_ACKNOWLEDGED")
	[ -z "$acknowledged" ] || git merge-base --is-ancestor "$acknowledged" HEAD || {
		echo "commit $acknowledged was acknowledged and is lost"
		return 1
	}
}

case ${1:-} in
setup) setup ;;
write) write "$2" ;;
verify) verify ;;
acknowledged) acknowledged ;;
*) exit 2 ;;
esac
