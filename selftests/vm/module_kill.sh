#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# module_kill.sh [KILLS] - helpers and callers killed at random moments: no call takes five seconds, none is
# left behind, each table is the old or the new one, whole, and the next call works

set -u
here=$(dirname "$(readlink -f "$0")")
export BPFILTER_THROUGH=module
# shellcheck source=../lib.sh
. "$here/../lib.sh"

kills=${1:-60}
churn=${BUILD:?}/selftests/churn

lab_begin
netns a b c d
for ns in a b c d; do
	inside $ns iptables-legacy -A INPUT -s 10.0.0.1 -j DROP
done
# EINTR, EAGAIN, ENODEV, ETIMEDOUT; and what iptables makes of them.
XTABLES_LOCKFILE=$T/lock tap_from callers "$churn" --limit=5000 --allow=4,11,19,110:1,3,4 \
	--every=50 --pause=1000 --kill="$kills" --kill-helper="$kills" "/run/netns/$lab-"{a,b,c,d}
same "no request is left" 0 "$(module_get requests)"
for ns in a b c d; do
	expect "the next call works: $ns" inside $ns iptables-legacy -A INPUT -s 10.0.0.2 -j DROP
	expect "$ns is in eBPF" in_ebpf $ns
done
expect "it can be stopped and unloaded" module_unload
for ns in a b c d; do
	expect "ip_tables has the table then: $ns" cannot kernel_is_empty $ns
done
expect "the kernel has not warned" "$here/kernel_log.sh"
tap_end
