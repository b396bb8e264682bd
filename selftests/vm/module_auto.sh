#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Dropped early below the module, which does not see the calls about other tables: two hosts with the same traffic
# (two_hosts.sh), one excluded from the module, the other one in placement auto by the configuration.

set -u
here=$(dirname "$(readlink -f "$0")")
export BPFILTER_THROUGH=module
# shellcheck source=../lib.sh
. "$here/../lib.sh"
# shellcheck source=../two_hosts.sh
. "$here/../two_hosts.sh"

BPFILTER_CONFIG=$(mktemp) || exit 1
export BPFILTER_CONFIG
printf 'attach auto\ninterface to-c+ auto\n' >"$BPFILTER_CONFIG"
lab_begin
trap 'lab_end; rm -f "$BPFILTER_CONFIG"' EXIT
for world in $worlds; do make_world "$world"; done

expect "a table" restore table
if grep -q "(module hook)" <(status_of hauto); then
	same "at the module's hooks no program is in the driver" "" "$(ip -n "$lab-hauto" link show to-c | grep -o "prog/xdp.*")"
	compare "at the module's hooks" none
	tap_end
fi
compare "nothing in between" some
hosts iptables-legacy -t mangle -A PREROUTING -p udp --dport 9 -j MARK --set-mark 1
# What a module has is known from the next table on.
restore table
compare "a mark that the filter looks at" none
says "another table of ip_tables has rules"
hosts iptables-legacy -t mangle -F
hosts iptables-legacy -t nat -A PREROUTING -p udp --dport 10 -j DNAT --to-destination 192.0.2.1:1001
restore table
compare "DNAT of a port that is dropped" none
hosts iptables-legacy -t nat -F
compare "both are empty again" some
helper_kill KILL
wake
for world in $worlds; do send "$world"; done
sleep 0.1
same "without a helper: the same counters" "$(counted plain)" "$(counted auto)"
expect "with a new one packets are dropped early" within 10 is_early 0
tap_end
