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

# Every command and option of --help is in the manual page.
for word in $("$BPFILTER" --help | grep -oE '^  bpfilter [a-z]+|--[a-z]+' | awk '{ print $NF }' |
	      sort -u); do
	expect "bpfilter.8 explains $word" grep -qF -- "${word//-/\\-}" "$top/docs/bpfilter.8"
done

# Every file that the documents name exists.
for file in $(grep -ohE '`(codegen|umh|include|selftests|docs|tools|demo)/[A-Za-z0-9_./-]*`' \
	      "$top/README.md" "$top"/docs/*.md | tr -d '`' | sort -u); do
	expect "$file, which a document names, exists" test -e "$top/$file"
done

tap_end
