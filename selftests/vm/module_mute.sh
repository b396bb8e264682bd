#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The device between the module and the helper, with helpers that never answer, answer late, twice
# or wrongly, or die in the middle of it: see selftests/device.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

tool=${BUILD:?}/selftests/device
[ -x "$tool" ] || skip_all "$tool is not built"
module_load || skip_all "the module cannot be loaded"
trap 'rmmod bpfilter' EXIT
"$tool"
