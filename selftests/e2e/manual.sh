#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The manual pages, --help and the completion of bash know the same commands and options; what else pages list
# (statuses, variables, statements, parameters) is what the code has; man has nothing to say about them.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"
top=$here/../..
# shellcheck source=../../tools/bpfilter.bash-completion
. "$top/tools/bpfilter.bash-completion"

# The tags of a page's lists, as they are printed; of one section if $2 is given.
tags() {
	awk -v section="${2:-}" '
		/^\.SH / { here = !section || $0 == ".SH " section }
		tag && here { print }
		{ tag = /^\.TP/ }' "$1" | sed -E 's/\\-/-/g; s/\\f[A-Z]//g; s/^\.[A-Z]+ //'
}

# The options among words; what precedes and follows them does not count.
options() {
	grep -oE -- '(^|[^a-z-])--[a-z][a-z-]*' | grep -oE -- '--.*' | sort -u
}

# complete WORD...: what bash offers for the last one.
complete_words() {
	COMP_WORDS=(bpfilter "$@")
	COMP_CWORD=$#
	_bpfilter
	printf '%s\n' "${COMPREPLY[@]}"
}

# --- commands and their options ----------------------------------------------------------------

mapfile -t commands < <("$BPFILTER" --help | sed -nE 's/^  ([a-z]+)  +.*/\1/p')
expect "--help names the commands" test ${#commands[@]} -ge 5
same "bash completes the commands" "$(printf '%s\n' "${commands[@]}" | sort)" \
	"$(complete_words "" | grep -v '^-' | sort)"
same "bpfilter.8 lists the commands" "$(printf '%s\n' "${commands[@]}" | grep -vx help | sort)" \
	"$(tags "$top/docs/bpfilter.8" COMMANDS | cut -d' ' -f1 | sort)"
for command in "${commands[@]}"; do
	[ "$command" != help ] || continue
	page=$top/docs/bpfilter-$command.8
	of_help=$("$BPFILTER" "$command" --help | options)
	expect "$command --help names an option" test -n "$of_help"
	same "${page##*/} lists the options of $command --help" "$of_help" \
		"$(tags "$page" OPTIONS | options)"
	same "bash completes the options of $command --help" "$of_help" \
		"$(complete_words "$command" -- | options)"
	expect "bpfilter.8 refers to ${page##*/}" grep -qF "bpfilter\\-$command (8)" "$top/docs/bpfilter.8"
done

# Of an option that has values, bash offers those that --help names.
same "bash completes the placements" "auto netfilter offload tc xdp xdp,generic" \
	"$(complete_words run --attach = | sort | paste -sd' ')"
same "of a value that has been begun" "xdp xdp,generic" \
	"$(complete_words run --attach = x | sort | paste -sd' ')"
same "and files where a file is asked for" "$top/docs/bpfilter.conf.5" \
	"$(complete_words explain --rules = "$top/docs/bpfilter.c")"

# --- what else the pages list --------------------------------------------------------------------

same "bpfilter-run.8 lists the exit statuses" \
	"$(sed -nE '/^enum bf_exit/,/^}/s/.*[^0-9]([0-9]+),.*/\1/p' "$top/umh/env.h")" \
	"$(tags "$top/docs/bpfilter-run.8" "EXIT STATUS")"
same "run --help lists them" "$(tags "$top/docs/bpfilter-run.8" "EXIT STATUS")" \
	"$("$BPFILTER" run --help | sed -nE 's/^ +([0-9]+)  .*/\1/p')"
same "README.md lists them" "$(tags "$top/docs/bpfilter-run.8" "EXIT STATUS")" \
	"$(sed -nE '/^## Exit status/,/^## W/s/^\| ([0-9]+) \|.*/\1/p' "$top/README.md")"
same "bpfilter.8 lists the environment's variables" \
	"$(grep -ohE 'getenv\("BPFILTER_[A-Z_]+' "$top"/umh/*.c | cut -d'"' -f2 | sort -u)" \
	"$(tags "$top/docs/bpfilter.8" ENVIRONMENT | sort)"
same "bpfilter.conf.5 lists the statements" \
	"$(sed -nE 's/.*strcmp\(word, "([a-z]+)".*/\1/p' "$top/umh/config.c" | sort)" \
	"$(tags "$top/docs/bpfilter.conf.5" STATEMENTS | cut -d' ' -f1 | sort)"
same "bpfilter.8 lists the module's parameters" \
	"$(sed -n 's/^MODULE_PARM_DESC(\([a-z]*\),.*/\1/p' "$top/bpfilter_kern.c" | sort)" \
	"$(tags "$top/docs/bpfilter.8" MODULE | sort)"

# --- the pages as such ---------------------------------------------------------------------------

release=$("$BPFILTER" --version | cut -d' ' -f2)
for page in "$top"/docs/*.[1-9]; do
	name=${page##*/}
	expect "$name is of $release" grep -q "^\.TH .*\"bpfilter $release\"" "$page"
	# Another page of ours that it refers to.
	for other in $(sed -nE 's/^\.BR (bpfilter[a-z.\\-]*) \(([0-9])\).*/\1.\2/p' "$page" | tr -d "\\\\" | sort -u); do
		expect "$name refers to $other, which exists" test -e "$top/docs/$other"
	done
	if command -v man >/dev/null && command -v groff >/dev/null; then
		same "man has nothing to say about $name" "" \
			"$(man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)"
	else
		tap_skip "man has nothing to say about $name" "there is no man, or no groff"
	fi
done

tap_end
