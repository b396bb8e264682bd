#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The filter table of a namespace through its life with the real module: at the module's hooks, and where the
# kernel has links at those, and from one to the other; and a helper killed at every step of each change.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

# Whoever asks for a table before there is a helper would have one started.
modprobe -a ip_tables nf_conntrack nf_tables nfnetlink_queue || skip_all "the kernel lacks what moves a table"
module_load || skip_all "the module cannot be loaded"
trap 'rmmod bpfilter' EXIT
for t in filter crash; do
	out=$("${BUILD:?}/selftests/unit/test_$t" 2>&1)
	rc=$?
	grep -v '^ok\|^# *\(RUN\|OK\|SKIP\)' <<<"$out" | sed 's/^\([^#]\)/# \1/'
	# Skipped is not enough.
	grep -q '^# Totals: pass:[1-9]' <<<"$out" || rc=1
	tap $rc "test_$t"
done
tap_end
