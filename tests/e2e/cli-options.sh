#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The options of each verb are the same in the program, in its manual page and in the completion.
. "$abs_top_srcdir/tests/lib.sh" || exit 1

# shellcheck source=src/cli/softpmem.bash
. "$abs_top_srcdir/src/cli/softpmem.bash"

# declared NAME FILE...: the long options in tables of the source, without the name of the verb itself.
declared() {
	local name=$1
	shift
	sed 's/CLI_PATH_REGION(/COMMAND_VALUE("region"/' "$@" | tr '\n\t' '  ' |
		grep -oE '(COMMAND_(SWITCH|VALUE|CHOICE)\([^"]*|\.name = )"[a-z-]+"' |
		sed 's/.*"\([a-z-]*\)"/\1/' | grep -vxE "$name|help|verbose|socket" | sort -u
}
# documented FILE...: the options that a page's synopsis has or that begin a paragraph.
documented() {
	awk '/^\.Sh/ { synopsis = /SYNOPSIS/ } synopsis || /^\.It / { print }' "$@" |
		grep -oE '(Fl|[,|]) -[a-z-]+' | sed 's/.* -//' | grep -vxE 'help|verbose|socket' | sort -u
}
# offered VERB WORD: what the completion makes of the word after the verb, or of an option's value.
offered() {
	COMP_WORDS=("$softpmem" "$@")
	COMP_CWORD=$#
	COMPREPLY=()
	_softpmem
	printf '%s\n' "${COMPREPLY[@]}"
}
options_offered() { offered "$1" - | sed -n 's/^--//p' | grep -vxE 'help|verbose|socket' | sort -u; }

same() { diff <(printf '%s\n' "$1") <(printf '%s\n' "$2"); }

# choices COMMAND... OPTION: the words that the message about a wrong value names.
choices() {
	"$@" no-such-value 2>&1 | sed -n "s/.*'no-such-value': give //p" | sed 's/, / /g' |
		grep -E '^[a-z0-9:_ -]+ or [a-z0-9:_-]+$' | sed 's/ or / /; s/ /\n/g'
}
choices_offered() { # choices_offered VERB FILE: for each option of the verb that has choices
	local option words
	for option in $(declared "$1" "$2"); do
		words=$(choices "$softpmem" "$1" "--$option" | sort)
		[ -z "$words" ] || same "$words" "$(offered "$1" "--$option" "" | sort)" ||
			{ echo "--$option"; return 1; }
	done
}

mapfile -t verbs < <("$softpmem" --help | sed -n 's/^  \([a-z-]*\) .*/\1/p')
check "there are verbs" test ${#verbs[@]} -gt 20
for verb in "${verbs[@]}"; do
	source=$abs_top_srcdir/src/cli/cli_$verb.c
	pages=("$abs_top_srcdir/docs/softpmem-$verb.1")
	# Its page refers to that of run for the options of programs.
	[ "$verb" != record ] || pages+=("$abs_top_srcdir/docs/softpmem-run.1")
	options=$(declared "$verb" "$source")
	check "softpmem-$verb(1) has the options that softpmem $verb has" \
		same "$options" "$(documented "${pages[@]}")"
	check "the completion of softpmem $verb offers the options that it has" \
		same "$options" "$(options_offered "$verb")"
	check "the completion of softpmem $verb offers the values that its options have" \
		choices_offered "$verb" "$source"
done
daemon_options() { declared softpmemd "$abs_top_srcdir/src/daemon/daemon_options.c"; }
daemon_offered() {
	COMP_WORDS=("$softpmemd" -) COMP_CWORD=1 COMPREPLY=()
	_softpmemd
	printf '%s\n' "${COMPREPLY[@]}" | sed -n 's/^--//p' | grep -vxE 'help|verbose|socket' | sort -u
}
check "softpmemd(8) has the options that softpmemd has" \
	same "$(daemon_options)" "$(documented "$abs_top_srcdir/docs/softpmemd.8")"
check "the completion of softpmemd offers the options that it has" \
	same "$(daemon_options)" "$(daemon_offered)"
check "negative control: the values of --policy are found" test "$(choices "$softpmem" powerfail --policy |
	wc -l)" -eq 3

sed '/-seed/d' "$abs_top_srcdir/docs/softpmem-powerfail.1" >"$work/page"
check_fails "negative control: an option that a page lacks is reported" seed \
	same "$(declared powerfail "$abs_top_srcdir/src/cli/cli_powerfail.c")" "$(documented "$work/page")"
finish
