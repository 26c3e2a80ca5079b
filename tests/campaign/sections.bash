# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What the scripts that print docs/campaigns.md have in common.
#
#   CAMPAIGN_ONLY=REGEX      sections whose name matches
#   CAMPAIGN_SECONDS=N       of each search (60)
# shellcheck disable=SC2034 # the scripts use them
: "${abs_top_srcdir:?}" "${abs_top_builddir:?}"
PATH=$abs_top_builddir:$abs_top_builddir/tests/campaign:$abs_top_builddir/tests/engines:$PATH
PATH=$PATH:$abs_top_srcdir/tests/campaign:/usr/sbin:/sbin
export PYTHONDONTWRITEBYTECODE=1
only=${CAMPAIGN_ONLY:-.}
seconds=${CAMPAIGN_SECONDS:-60}
unexpected=0

# quoted WORD...: as a line that a shell would read as these words.
quoted() {
	local word line=$1
	shift
	for word; do
		case $word in
		--*) line+=" $word" ;;
		*[!A-Za-z0-9._/-]* | '') line+=" '$word'" ;;
		*) line+=" $word" ;;
		esac
	done
	echo "$line"
}

# has PROGRAM...: are they there?
has() {
	local program
	for program; do
		command -v "$program" >/dev/null || return 1
	done
}

# version PACKAGE: of Debian's package.
version() { dpkg-query -W -f '${Version}' "$1" 2>/dev/null || echo "of another origin"; }

# section NAME WHAT PACKAGE: its heading.
section() { printf '## %s\n\n%s (%s %s).\n\n' "$1" "$2" "$3" "$(version "$3")"; }

# shown REPORT WORD...: a command and what it printed.
shown() {
	local report=$1
	shift
	printf '    $ %s\n' "$(quoted "$@")"
	sed 's/^/    /' "$report"
}

# expect EXPECTED FOUND WHAT: count WHAT if it ended in another way than expected.
expect() {
	[ "$1" != "$2" ] || return 0
	printf '\n**Unexpected: %s %s.**\n' "$3" "$2"
	unexpected=$((unexpected + 1))
}

# skipped NAME PROGRAM
skipped() { [[ ! $1 =~ $only ]] || printf '## %s\n\nNot run: %s is not installed.\n\n' "$1" "$2"; }
