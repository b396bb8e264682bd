#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The README's tables of matches and targets are what the registry says, and its commands exist.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

top=$here/../..
support=${BUILD:-$(dirname "$BPFILTER")}/selftests/support

for table in matches targets; do
	same "README.md: the table of $table (make readme writes it)" "$("$support" $table)" \
		"$(sed -n "/^<!-- $table -->\$/,/^<!-- end -->\$/p" "$top/README.md" | grep '^|')"
done

manual=$top/docs/bpfilter.8

# Every command and option of --help is in the manual page and completed by bash.
mapfile -t commands < <("$BPFILTER" --help | sed -nE 's/^  ([a-z]+)  +.*/\1/p' | grep -vx help)
expect "--help names the commands" test ${#commands[@]} -ge 5
for command in "${commands[@]}"; do
	expect "bpfilter.8 explains $command" grep -qE "^\\.BR $command\b" "$manual"
	expect "bash completes $command" grep -qwF "$command" "$top/tools/bpfilter.bash-completion"
	for option in $("$BPFILTER" "$command" --help | grep -oE -- '^  --[a-z]+' | sort -u); do
		[ "$option" != --help ] || continue
		expect "bpfilter.8 explains $command $option" grep -qF -- "${option//-/\\-}" "$manual"
		expect "bash completes $command $option" \
			grep -qE -- "$option\b" "$top/tools/bpfilter.bash-completion"
	done
done

# What the documents have somebody type exists.
mapfile -t typed < <(sed -nE 's,^    (sudo )?(ip netns exec [^ ]* )?([^ ]*/)?bpfilter ([a-z]+).*,\4,p' \
	"$top/README.md" | sort -u)
for command in "${typed[@]}"; do
	expect "bpfilter $command, which the README names, exists" grep -qw -- "$command" <<<"${commands[*]}"
done
mapfile -t targets < <(grep -ohE '(sudo |`|")make [a-z-]+' "$top/README.md" "$top"/docs/*.md |
	awk '{ print $NF }' | sort -u)
for target in "${targets[@]}"; do
	expect "make $target, which a document names, exists" \
		grep -qE "^([a-z -]* )?$target( [a-z -]*)?:" "$top/Makefile"
done

# The module's parameters are those of the manual page; one release has one number.
mapfile -t parameters < <(sed -n 's/^MODULE_PARM_DESC(\([a-z]*\),.*/\1/p' "$top/bpfilter_kern.c")
for parameter in "${parameters[@]}"; do
	expect "bpfilter.8 explains the module's parameter $parameter" grep -qx "\.B $parameter" "$manual"
done
release=$("$BPFILTER" --version | cut -d' ' -f2)
expect "bpfilter.8 is of $release" grep -q "^\.TH .*\"bpfilter $release\"" "$manual"
expect "dkms.conf is of $release" grep -qx "PACKAGE_VERSION=\"$release\"" "$top/dkms.conf"

# Every file that the documents name exists.
for file in $(grep -ohE '`(codegen|umh|include|selftests|docs|tools|demo|packaging)/[A-Za-z0-9_./-]*`' \
	      "$top/README.md" "$top"/docs/*.md | tr -d '`' | sort -u); do
	expect "$file, which a document names, exists" test -e "$top/$file"
done

tap_end
