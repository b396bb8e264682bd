#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The module in the kernel's own eyes: checkpatch, as strict as it gets, and sparse, with the headers of
# Debian's kernels. (Later headers than these come without the script that starts sparse.) What
# it needs is fetched as for the virtual machines; $CHECKPATCH is the kernel's checkpatch.pl.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"
: "${BUILD:?}" "${CHECKPATCH:?}"
cd "$here/../.." || exit 1

for file in bpfilter_kern.c bpfilter_ask.c bpfilter_ask.h include/uapi/bpfilter.h; do
	expect "checkpatch --strict: $file" \
		perl "$CHECKPATCH" --strict --no-tree --no-summary --terse -f "$file"
done
for version in 6.1 6.12; do
	expect "sparse, gcc W=1: Linux $version" "$here/module.sh" -s "$version" \
		"$BUILD/vm-run/$version/sparse"
done

tap_end
