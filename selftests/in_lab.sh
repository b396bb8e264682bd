#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# in_lab.sh PROGRAM [ARG...] - run a test program with a helper, a bpffs and folders of its own,
# all of which are gone afterwards

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=lib.sh
. "$here/lib.sh"

lab_begin
XTABLES_LOCKFILE=$T/lock "$@" &
lab_jobs+=($!)
wait $!
rc=$?
[ $rc -eq 0 ] || [ $rc -eq 4 ] || tail -n 20 "$T/run/umh.log" 2>/dev/null | sed 's/^/# helper: /'
exit $rc
