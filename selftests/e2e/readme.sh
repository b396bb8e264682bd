#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The tables of documents that come out of the code are up to date, and the commands that documents name exist.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

top=$here/../..
support=${BUILD:-$(dirname "$BPFILTER")}/selftests/support

while read -r table file; do
	same "$file: the table of $table (make readme writes it)" "$("$support" "$table")" \
		"$(sed -n "/^<!-- $table -->\$/,/^<!-- end -->\$/p" "$top/$file" | grep '^|')"
done <<END
matches README.md
targets README.md
constants docs/device-protocol.md
structures docs/device-protocol.md
END

# All that the device's header defines is in that document.
protocol=$top/docs/device-protocol.md
mapfile -t names < <(sed -nE 's/^#define (BPFILTER_[A-Z_]+).*/\1/p' "$top/include/uapi/bpfilter.h")
for name in "${names[@]}"; do
	expect "device-protocol.md has $name" grep -qE "\`$name(\(|\`)|\| $name\`" "$protocol"
done

mapfile -t commands < <("$BPFILTER" --help | sed -nE 's/^  ([a-z]+)  +.*/\1/p')

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

# One release has one number.
release=$("$BPFILTER" --version | cut -d' ' -f2)
expect "dkms.conf is of $release" grep -qx "PACKAGE_VERSION=\"$release\"" "$top/dkms.conf"

# Every file that the documents name exists.
for file in $(grep -ohE '`(codegen|umh|include|selftests|docs|tools|demo|packaging)/[A-Za-z0-9_./-]*`' \
	      "$top/README.md" "$top"/docs/*.md | tr -d '`' | sort -u); do
	expect "$file, which a document names, exists" test -e "$top/$file"
done

tap_end
