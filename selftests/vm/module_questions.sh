#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Programs at the module's hooks ask the kernel's own matches, without a helper: see selftests/questions.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

tool=${BUILD:?}/selftests/questions
[ -x "$tool" ] || skip_all "$tool is not built"
module_load || skip_all "the module cannot be loaded"
trap 'rmmod bpfilter' EXIT
"$tool"
