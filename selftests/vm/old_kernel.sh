#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# On a kernel without BPF netfilter links, and without the module: "bpfilter run" filters at tc, by clsact, for as long as
# a table can be there, and else leaves it to ip_tables, with the reason. After "bpfilter stop" iptables goes on as if
# bpfilter had never been tried. To be run first in a fresh machine.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

[ "$(id -u)" = 0 ] || skip_all "needs root"
T=$(mktemp -d)
trap 'ip netns del old 2>/dev/null; ip netns del peer 2>/dev/null; rm -rf "$T"' EXIT
# Nothing private here: what bpfilter does to the machine's own places is the question.
unset BPFILTER_RUN_DIR BPFILTER_PIN_DIR
ip netns add old && ip netns add peer || exit 1
ip link add to-peer netns old type veth peer name to-old netns peer
ip -n old addr add 192.0.2.1/24 dev to-peer && ip -n old link set to-peer up
ip -n peer addr add 192.0.2.2/24 dev to-old && ip -n peer link set to-old up

old() {
	nsenter --net=/run/netns/old "$@"
}

pings() {
	nsenter --net=/run/netns/peer ping -q -n -c 1 -W 2 192.0.2.1 >/dev/null
}

# What there is now of everything that bpfilter makes when it works: processes, sockets, pins, mounts,
# nf_tables, modules that it caused to be loaded, rules. Its locks and its log may stay in /run.
traces() {
	pgrep -x bpfilter
	find /run/bpfilter -type f ! -name '*.lock' ! -name '*.log' -o -type s 2>/dev/null
	find /sys/fs/bpf -mindepth 1
	cat /proc/self/mounts
	grep -c . /proc/modules
	old tc qdisc
	old nft list ruleset
	nft list ruleset
	old iptables-legacy-save -c | bare
	dmesg | grep -ciE 'bpf.*(error|warn|bug)'
}

expect "iptables works before" old iptables-legacy -A INPUT -p tcp --dport 9 -j DROP
expect "conntrack too" old iptables-legacy -A INPUT -m conntrack --ctstate INVALID -j DROP
expect "packets pass" pings
nft list ruleset >/dev/null
before=$(traces)

# ip_tables has so many rules.
same_rules() {
	[ "$(old iptables-legacy -S | grep -c -e ^-A)" = "$1" ]
}

# What may differ: modules that are loaded (a number), bpffs being mounted, tables that are empty.
steady() {
	grep -vE '^[0-9]+$|^[a-z]+ /sys/fs/bpf |^#|^COMMIT|^\*(nat|mangle|raw)$|^:[A-Z]+ ACCEPT'
}

ours() {
	old timeout 60 "$BPFILTER" run -- "$@"
}

status_says() {
	old "$BPFILTER" status | grep -q "$1"
}

expect "a rule that drops pings" ours iptables-legacy -A INPUT -p icmp -j DROP
expect "it is in eBPF, at tc" status_says 'eBPF.*at the interfaces (tc)'
expect_not "and means it" pings
same "it is not in ip_tables" 0 "$(old iptables-legacy -S | grep -c -e ^-A)"
same "it has counted" 1 "$(ours iptables-legacy -vnxL INPUT | awk '$3 == "DROP" && ($4 == 1 || $4 == "icmp") { print $1 }')"
same "the rules that were there before are here, too" "-A INPUT -p tcp -m tcp --dport 9 -j DROP
-A INPUT -m conntrack --ctstate INVALID -j DROP
-A INPUT -p icmp -j DROP" "$(ours iptables-legacy -S | grep -e ^-A)"

expect "what there is no program for" ours iptables-legacy -A INPUT -p udp -j LOG
expect "goes to ip_tables, whole" same_rules 4
expect "and status says why" status_says 'because.*LOG'
expect_not "pings are dropped there" pings
expect "without it" ours iptables-legacy -D INPUT -p udp -j LOG
expect "it is at tc again" status_says 'at the interfaces (tc)'

expect "a rule in nat" ours iptables-legacy -t nat -A PREROUTING -p tcp --dport 7 -j REDIRECT --to-ports 8
expect "and the filter is ip_tables'" same_rules 3
expect "and status says why" status_says 'table nat has rules'
expect_not "pings are dropped there" pings
expect "no rule in nat" ours iptables-legacy -t nat -F
sleep 2.5
expect "and no rule about pings" ours iptables-legacy -D INPUT -p icmp -j DROP
expect "it is at tc again" status_says 'at the interfaces (tc)'
expect "packets pass" pings

old "$BPFILTER" detach >/dev/null
for pid in $(pgrep -x bpfilter); do kill -9 "$pid"; done
expect "a killed helper's place is taken" ours iptables-legacy -A INPUT -p icmp -j DROP
expect "by one that can do as much" status_says 'at the interfaces (tc)'
expect "no rule about pings" ours iptables-legacy -D INPUT -p icmp -j DROP
expect "stop" old "$BPFILTER" stop
sleep 1
rmdir /sys/fs/bpf/bpfilter 2>/dev/null
same "nothing is left behind" "$(steady <<<"$before")" "$(traces | steady)"
same "the rules are what they were" "-A INPUT -p tcp -m tcp --dport 9 -j DROP
-A INPUT -m conntrack --ctstate INVALID -j DROP" "$(old iptables-legacy -S | grep -e ^-A)"
expect "iptables takes another" old iptables-legacy -A INPUT -p icmp -j DROP
expect_not "and means it" pings
expect "and gives it back" old iptables-legacy -D INPUT -p icmp -j DROP
expect "packets pass again" pings

tap_end
