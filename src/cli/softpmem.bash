# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# Completion for softpmem and softpmemd.

# _softpmem_pools PROGRAM SOCKET REGION: paths of the daemon's pools, or nothing without a daemon.
_softpmem_pools() {
	# What JSON had to escape cannot be typed as it stands.
	"$1" ${2:+--socket "$2"} list ${3:+--region "$3"} --json 2>/dev/null |
		sed -n 's/^ *"path":"\([^"\\]*\)",*$/\1/p'
}

# _softpmem_regions PROGRAM SOCKET: what the regions that the daemon serves are called.
_softpmem_regions() {
	"$1" ${2:+--socket "$2"} list -R --json 2>/dev/null | sed -n 's/^ *"name":"\([^"\\]*\)",*$/\1/p'
}

_softpmem_lines() { # _softpmem_lines WORD: complete WORD from the lines of standard input
	local line
	COMPREPLY=()
	while read -r line; do
		[[ $line == "$1"* ]] && COMPREPLY+=("$(printf %q "$line")")
	done
}

# A colon ends a word of readline's: what comes after it is completed by itself.
_softpmem_region() {
	case $1 in
	:) mapfile -t COMPREPLY < <(compgen -f) ;;
	*) mapfile -t COMPREPLY < <(compgen -W 'memfd: file: copy: devmem: dax: ndctl: auto' -- "$1") ;;
	esac
	compopt -o nospace 2>/dev/null
}

# _softpmem_command FIRST: the words from number FIRST on are another program's command line.
_softpmem_command() {
	if declare -F _command_offset >/dev/null; then
		_command_offset "$1"
	elif [ "$1" -eq "$COMP_CWORD" ]; then
		mapfile -t COMPREPLY < <(compgen -c -- "${COMP_WORDS[COMP_CWORD]}")
	else
		mapfile -t COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
		compopt -o filenames 2>/dev/null
	fi
}

# _softpmem_program VERB: the number of the first word of the program that the verb at number VERB starts;
# after COMP_CWORD if it has not begun. `run` and `record` take it after their
# options, `explore` after --.
_softpmem_program() {
	local i
	for ((i = $1 + 1; i <= COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--) [ "$i" -eq "$COMP_CWORD" ] || { echo $((i + 1)) && return; } ;;
		--socket | --output | -o | --stack) i=$((i + 1)) ;;
		-*) ;;
		*) [ "${COMP_WORDS[$1]}" = explore ] || { echo "$i" && return; } ;;
		esac
	done
	echo $((COMP_CWORD + 1))
}

_softpmem() {
	local cur=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} verb='' socket='' \
		region='' at=0 i words=''
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--socket) socket=${COMP_WORDS[++i]} ;;
		--region) region=${COMP_WORDS[++i]} ;;
		-*) ;;
		*) [ -n "$verb" ] || { verb=${COMP_WORDS[i]} && at=$i; } ;;
		esac
	done
	if [ "$verb" = run ] || [ "$verb" = record ] || [ "$verb" = explore ]; then
		i=$(_softpmem_program "$at")
		if [ "$i" -le "$COMP_CWORD" ]; then
			_softpmem_command "$i"
			return
		fi
	fi
	case $previous in
	--socket | --output | -o | --save | --images | :)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--region)
		_softpmem_lines "$cur" < <(_softpmem_regions "${COMP_WORDS[0]}" "$socket")
		return
		;;
	--mode) words='fsdax sector sector:512' ;;
	--policy) words='lose keep random' ;;
	--metadata) words='durable ordered strict' ;;
	--clean) words='on off' ;;
	--persistency) words='line word' ;;
	--domain) words='memory_controller cpu_cache' ;;
	--checker) words='none pmempool sqlite e2fsck mount fork-server engine' ;;
	--oracle) words='alive stable prefix equiv' ;;
	--depth) words='1 2' ;;
	--format) words='html json junit sarif' ;;
	--size | --perm | --seed | --label | --interval | --workload | --check | --setup | \
		--stack | --states | --time | --jobs | --timeout | --exhaustive | --at | --replay | \
		--start | --ready | --ask | --dump | --shard | --runs | --only | --lose-only | \
		--before-op | --after-op | --before-sync | --after-sync | --before-fence | \
		--after-fence | --at-mark | --path | --wait | --sites) return ;;
	--test)
		_softpmem_region "$cur"
		return
		;;
	*)
		case $verb:$cur in
		:*) words='run stat status list create destroy rename resize path powerfail mark
			record explore report torture trace format regions check sync snapshot restore stop
			--socket --verbose --version --help' ;;
		run:-*) words='--through --allow-unattached --no-inline --help' ;;
		stat:-*) words='--follow --interval --json --dirty --clean --region --help' ;;
		status:-*) words='--json --help' ;;
		list:-*) words='--json --region --regions -R --help' ;;
		create:-*) words='--size --mode --directory --metadata --change --perm --parents --region
				--help' ;;
		destroy:-*) words='--recursive --region --help' ;;
		rename:-*) words='--replace --region --help' ;;
		resize:-* | path:-*) words='--region --help' ;;
		record:-*) words='--output --stack --stop --through --allow-unattached --no-inline -o
				--help' ;;
		sync:-* | stop:-*) words='--help' ;;
		snapshot:-*) words='--drop --region --json --help' ;;
		restore:-*) words='--region --help' ;;
		mark:-*) words='--help' ;;
		powerfail:*) words='--policy --seed --metadata --lose-only --before-op --after-op
			--before-sync --after-sync --before-fence --after-fence --at-mark --path --wait
			--kill --json --help' ;;
		format:-*) words='--label --mode --force --help' ;;
		check:-*) words='--json --region --help' ;;
		explore:-*) words='--workload --auto-da-alloc --persistency --domain --states --time --jobs
				--timeout --exhaustive --at --seed --replay --save --list-states
				--metadata --output --checker --start --ready --ask --stop --oracle
				--dump --depth --shard --resume --json --help' ;;
		report:-*) words='--format --output -o --help' ;;
		torture:*) words='--workload --check --setup --jobs --time --runs --seed --timeout --size
				--policy --mode --metadata --auto-da-alloc --only --lose-only --json
				--help' ;;
		trace:-*) words='--output --pmemcheck --images --no-source --sites --json --ndjson --help' ;;
		trace:* | explore:* | report:*)
			if [ "$previous" = trace ]; then
				words='info dump stat export import'
			else
				mapfile -t COMPREPLY < <(compgen -f -- "$cur")
				compopt -o filenames 2>/dev/null
				return
			fi
			;;
		regions:-*) words='--json --test --force --help' ;;
		list:* | stat:* | create:* | destroy:* | path:* | rename:* | resize:* | snapshot:* | \
			restore:*)
			_softpmem_lines "$cur" < <(_softpmem_pools "${COMP_WORDS[0]}" "$socket" "$region")
			return
			;;
		format:* | check:*)
			_softpmem_region "$cur"
			return
			;;
		esac
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

_softpmemd() {
	local cur=${COMP_WORDS[COMP_CWORD]} words
	case ${COMP_WORDS[COMP_CWORD - 1]} in
	--region | file)
		_softpmem_region "$cur"
		return
		;;
	--mount)
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return
		;;
	--socket | :)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--group)
		mapfile -t COMPREPLY < <(compgen -g -- "$cur")
		return
		;;
	--domain) words='memory_controller cpu_cache' ;;
	--mode) words='fsdax sector sector:512' ;;
	--metadata) words='durable ordered strict' ;;
	--label | --threads) return ;;
	*)
		words='--region --mount --socket --domain --mode --metadata --auto-da-alloc --label
			--allow-other --nonempty --read-only --threads --group --daemon --verbose
			--version --help'
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _softpmem softpmem
complete -F _softpmemd softpmemd
