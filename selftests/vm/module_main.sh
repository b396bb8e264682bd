#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The module is loaded, by its name and with no more than that: from then on iptables in any namespace is
# served by bpfilter, whether ip_tables was there before it or comes after it, and a stop gives all of it back.
# To be run first in a fresh machine, where nothing has loaded ip_tables.
# boot: own

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

loaded() {
	grep -q "^$1 " /proc/modules
}

# Nothing of ip_tables is in use: its tables belong to namespaces, which hold them.
unload_ip_tables() {
	local m

	for m in iptable_filter iptable_nat iptable_mangle iptable_raw iptable_security ip_tables; do
		! loaded "$m" || rmmod "$m" || return
	done
}

# served TEXT: in a new namespace, table filter is bpfilter's, nat is ip_tables', packets agree.
served() {
	local text=$1

	netns host peer
	link host 192.0.2.1/24 peer 192.0.2.2/24
	expect "$text: a rule" inside host iptables-legacy -A INPUT -p icmp -j DROP
	expect "$text: a rule of nat" inside host iptables-legacy -t nat -A POSTROUTING -j ACCEPT
	same "$text: it is shown" "-A INPUT -p icmp -j DROP" \
		"$(inside host iptables-legacy -S | grep -e ^-A)"
	expect "$text: is in eBPF" in_ebpf host
	same "$text: nat is shown" "-A POSTROUTING -j ACCEPT" \
		"$(inside host iptables-legacy -t nat -S | grep -e ^-A)"
	module_set exclude "$(inode host)"
	same "$text: ip_tables has nothing of filter" "" \
		"$(inside host iptables-legacy -S | grep -e ^-A)"
	same "$text: and nat" "-A POSTROUTING -j ACCEPT" \
		"$(inside host iptables-legacy -t nat -S | grep -e ^-A)"
	module_set exclude 0
	expect "$text: a packet is dropped" cannot can_ping peer 192.0.2.1
	expect "$text: and was counted" test "$(inside host iptables-legacy -L INPUT -v -n -x |
		awk '$3 == "DROP" { print $1 }')" -gt 0
	inside host iptables-legacy -F
	expect "$text: another one passes" can_ping peer 192.0.2.1
	expect_not "$text: it cannot be unloaded just so" rmmod bpfilter
	inside host iptables-legacy -A INPUT -p icmp -j DROP
	expect "$text: stop, and unload" module_unload
	same "$text: ip_tables has the rule then" "-A INPUT -p icmp -j DROP" \
		"$(inside host iptables-legacy -S | grep -e ^-A)"
	expect "$text: and it is in force" cannot can_ping peer 192.0.2.1
	ip netns del "$lab-host"
	ip netns del "$lab-peer"
}

lab_begin
# The helper's own places, not the laboratory's.
unset BPFILTER_RUN_DIR BPFILTER_PIN_DIR

expect "the module can be loaded" module_load
expect "it is the program that is installed" test -x "$(module_get helper)"
note "$(module_get helper) umh --device, $(module_get timeout) s"
expect "and has loaded ip_tables" loaded ip_tables
served "loaded first"

sleep 1
expect "ip_tables can be unloaded" unload_ip_tables
modprobe ip_tables
expect "the module after ip_tables" module_load
served "loaded after ip_tables"

sleep 1
iptables-legacy -S >/dev/null
expect "the module after a table is in use" module_load
served "loaded after the table"

# Where ip_tables cannot be loaded, which it can later.
sleep 1
expect "ip_tables can be unloaded" unload_ip_tables
mkdir -p /etc/modprobe.d
echo "install ip_tables /bin/false" >/etc/modprobe.d/no-ip_tables.conf
expect "the module without ip_tables" insmod "$(modinfo -n bpfilter)"
expect_not "which is not there" loaded ip_tables
netns alone
expect "table filter is served all the same" inside alone iptables-legacy -A INPUT -p icmp -j DROP
expect "and is in eBPF" in_ebpf alone
expect_not "there is no nat" inside alone iptables-legacy -t nat -S
rm /etc/modprobe.d/no-ip_tables.conf
expect "ip_tables is loaded after the module" modprobe ip_tables
same "the table is as it was" "-A INPUT -p icmp -j DROP" \
	"$(inside alone iptables-legacy -S | grep -e ^-A)"
expect "nat is there" inside alone iptables-legacy -t nat -S
served "loaded before ip_tables"
same "the first table, too, is with ip_tables" "-A INPUT -p icmp -j DROP" \
	"$(inside alone iptables-legacy -S | grep -e ^-A)"
tap_end
