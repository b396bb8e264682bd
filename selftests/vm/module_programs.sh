#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Programs for the module's hooks in this kernel: what its verifier takes, and what they do to packets,
# compared with a model; and live, with ip_tables.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

module_load || skip_all "the module cannot be loaded"
trap 'rmmod bpfilter' EXIT
for t in forms classify shapes target_mark match_live; do
	out=$(TEST_ATTACH=module TEST_TABLES=12 TEST_PAIRS=20000 "${BUILD:?}/selftests/unit/test_$t" 2>&1)
	rc=$?
	grep -v '^ok\|^# *\(RUN\|OK\)' <<<"$out" | sed 's/^\([^#]\)/# \1/'
	# All skipped is not enough.
	grep -q '^# Totals: pass:[1-9]' <<<"$out" || rc=1
	tap $rc "test_$t"
done
tap_end
