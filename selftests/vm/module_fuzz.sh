#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# module_fuzz.sh [COUNT [SEED]] - a million reads, writes and ioctls of a helper gone mad, while other
# processes make iptables calls and packets run through the hooks: the kernel has nothing to
# complain about, and a sane helper works afterwards

set -u
here=$(dirname "$(readlink -f "$0")")
export BPFILTER_THROUGH=module
# shellcheck source=../lib.sh
. "$here/../lib.sh"

count=${1:-1000000}
seed=${2:-$RANDOM$RANDOM}
tools=${BUILD:?}/selftests

lab_begin
netns a b c
for ns in a b c; do
	inside $ns iptables-legacy -S >/dev/null
	in_background nsenter --net="/run/netns/$lab-$ns" ping -q -i 0.01 127.0.0.1
done
# The one that these calls have started makes room.
helper_kill TERM
module_set helper /does/not/exist
module_set timeout 1
"$tools/churn" --blind --seed="$seed" "/run/netns/$lab-"{a,b,c} >"$T/churn" 2>&1 &
churn=$!
lab_jobs+=("$churn")
"$tools/device_fuzz" --count="$count" --seed="$seed" "/run/netns/$lab-"{a,b,c} >"$T/fuzz" 2>&1
rc=$?
grep '^#' "$T/fuzz"
tap $rc "$count calls with seed $seed"
kill -TERM $churn
wait $churn
rc=$?
grep '^#' "$T/churn"
tap $rc "none of the callers hangs"
same "no request is left" 0 "$(module_get requests)"
expect "the kernel has not warned" "$here/kernel_log.sh"

module_set timeout 60
module_set helper "$T/helper"
# The other one has left it stopped.
expect "a sane helper starts" "$BPFILTER" status
netns fresh
expect "a sane helper takes a table" inside fresh iptables-legacy -A INPUT -s 192.0.2.1 -j DROP
same "and shows it" "-A INPUT -s 192.0.2.1/32 -j DROP" \
	"$(inside fresh iptables-legacy -S | grep -e ^-A)"
expect "it is in eBPF" in_ebpf fresh
tap_end
