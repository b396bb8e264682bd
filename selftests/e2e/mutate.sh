#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# mutate.sh [CALLS [SEED]] - tampered calls of all six options, through bpfilter and to the kernel: the same errors, and the same tables afterwards

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

calls=${1:-1000}
seed=${2:-1}
mutate=${BUILD:?}/selftests/mutate

[ -x "$mutate" ] || skip_all "$mutate is not built"
lab_begin
# It makes its own namespaces, which have no names and end with it.
XTABLES_LOCKFILE=$T/lock "$mutate" --live --count="$calls" --seed="$seed"
rc=$?
[ $rc -eq 0 ] || tail -n 20 "$T/run/umh.log" 2>/dev/null | sed 's/^/# /'
exit $rc
