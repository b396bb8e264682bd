#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Who may: see selftests/rights. And the same with the helper: whom ip_tables would refuse is refused with the
# same words, root of a user namespace has its own network namespace in eBPF, and nobody else has the device.

set -u
here=$(dirname "$(readlink -f "$0")")
export BPFILTER_THROUGH=module
# shellcheck source=../lib.sh
. "$here/../lib.sh"

tools=${BUILD:?}/selftests

module_load || skip_all "the module cannot be loaded"
tap_from rights "$tools/rights"
expect "it can be unloaded afterwards" rmmod bpfilter

lab_begin
netns plain host

weak() {
	"$@" setpriv --bounding-set -net_admin --inh-caps -net_admin iptables-legacy -A INPUT -j DROP 2>&1
	echo "status $?"
}
foreign() {
	"$@" unshare -Ur iptables-legacy -A INPUT -j DROP 2>&1
	echo "status $?"
}
user() {
	"$@" setpriv --reuid=65534 --regid=65534 --clear-groups env XTABLES_LOCKFILE=/dev/null \
		iptables-legacy -A INPUT -j DROP 2>&1
	echo "status $?"
}

for who in weak foreign user; do
	same "$who: refused as by ip_tables" "$($who plain plain)" "$($who inside host)"
done
same "the helper was not started for them" "" "$(helper_pids)"
inside host iptables-legacy -A INPUT -s 192.0.2.1 -j DROP
expect "the table is in eBPF" in_ebpf host
for who in weak foreign user; do
	same "$who: refused as by ip_tables, where the table is in eBPF" "$($who plain plain)" \
		"$($who inside host)"
done
same "and it is as it was" "-A INPUT -s 192.0.2.1/32 -j DROP" \
	"$(inside host iptables-legacy -S | grep -e ^-A)"

# shellcheck disable=SC2016
inside host unshare -Urn sh -c 'iptables-legacy -A INPUT -s 192.0.2.9 -j DROP && iptables-legacy -S
	touch "$1"; while [ -e "$1" ]; do sleep 0.05; done' - "$T/own" >"$T/rules" 2>&1 &
pid=$!
wait_for "ls $T/own"
expect "root of a user namespace, in its own: a rule" grep -qxe "-A INPUT -s 192.0.2.9/32 -j DROP" "$T/rules"
same "it is in eBPF" 2 "$("$BPFILTER" status | grep -c 'filter table *eBPF')"
same "and not in ours" "-A INPUT -s 192.0.2.1/32 -j DROP" \
	"$(inside host iptables-legacy -S | grep -e ^-A)"
rm "$T/own"
wait $pid

expect_not "the device: nobody but the helper, not even root" sh -c ': <>/dev/bpfilter'
expect_not "the device: no user" setpriv --reuid=65534 --regid=65534 --clear-groups sh -c ': <>/dev/bpfilter'
same "the device: its mode" 600 "$(stat -c %a /dev/bpfilter)"

if plain plain "$tools/caller" compat >"$T/compat" 2>&1; then
	same "32-bit calls: table filter is not there, where it is in eBPF" \
		"$(sed 's/\(.*filter\): .*/\1: ENOPROTOOPT/' "$T/compat")" \
		"$(inside host "$tools/caller" compat 2>/dev/null)"
else
	tap_skip "32-bit calls: table filter is not there" "not on this machine"
fi
tap_end
