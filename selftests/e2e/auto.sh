#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# auto.sh - what drivers drop early: two hosts with the same traffic, one filtered by ip_tables, one in placement
# auto. Whatever comes between driver and filter, verdicts and counters are the same; and where nothing does, packets are
# dropped early.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"
# shellcheck source=../two_hosts.sh
. "$here/../two_hosts.sh"

by_module && skip_all "the placement is that of the module"

lab_begin
echo "interface to-c+ auto" >"$T/conf"
export BPFILTER_CONFIG=$T/conf
for world in $worlds; do make_world "$world"; done

expect "a table" restore table
# Where the kernel does not tell what must be known, the placement is that of netfilter, or of a kernel without links there.
missing=$(status_of hauto | sed -n 's/^ *early drop *none, because \(the kernel does not tell.*\|the table is not at.*\)/\1/p')
if [ "$missing" ]; then
	same "no program is in the driver" "" "$(ip -n "$lab-hauto" link show to-c | grep -o "prog/xdp.*")"
	tap_skip "dropping early" "$missing"
	tap_end
fi
same "it is at netfilter's hooks, with the interface" "to-c: early drop" \
	"$(status_of hauto | sed -n 's/^ *interfaces *//p')"
compare "nothing in between" some
same "JSON says how many" "$(early)" "$(inside hauto "$BPFILTER" status --json |
	sed -n 's/.*"early_drop": {"active": true.*"dropped_packets": \([0-9]*\).*/\1/p')"
same "Prometheus says how many" "$(early)" "$(inside hauto "$BPFILTER" status --prometheus |
	sed -n 's/^bpfilter_early_drop_packets_total{.*} //p')"

# What is behind a packet is cut off: in the packet its checksum has a place, behind it none, so that nobody counts it.
trailers() {
	local place counts before after world sent

	for place in in behind; do
		[ $place = in ] && counts=1 || counts=0
		before=$(dropped_rule plain)
		sent=0
		for world in $worlds; do
			! inside "c$world" "$nic" trailer to-h "$(mac "$world")" $place "$1" || sent=$((sent + 1))
		done
		same "$1 bytes, the checksum is to be $place the packet: it is sent" 2 $sent
		sleep 0.1
		after=$(dropped_rule plain)
		same "$1 bytes, the checksum is to be $place the packet: packets counted" "$counts" $((after - before))
		same "$1 bytes, it is to be $place the packet: the same counters" "$(counted plain)" "$(counted auto)"
	done
}

trailers 0

# --- frames of several pieces --------------------------------------------------------------------

set_mtu() {
	clients ip link set to-h mtu "$1" && hosts ip link set to-c mtu "$1"
}

# long BYTES PORT N: so many datagrams from each client.
long() {
	local i

	for ((i = 0; i < $3; i++)); do
		# shellcheck disable=SC2016 # that shell's own arguments
		clients bash -c 'dd if=/dev/zero bs="$1" count=1 status=none >/dev/udp/192.0.2.1/$2' - "$1" "$2" ||
			return
	done
	sleep 0.1
}

# A page holds the first piece, of about 3,500 bytes.
expect "frames of 9,000 bytes" set_mtu 9000
compare "frames may have several pieces" some
for bytes in 3000 3400 3500 3600 4000 8000 8972; do
	before=$(early)
	expect "datagrams of $bytes bytes" long $bytes 10 3
	same "$bytes bytes: they are dropped early" 3 $(($(early) - before))
done
same "they are counted with all of their bytes" "$(counted plain)" "$(counted auto)"
before=$(early)
expect "datagrams that INPUT accepts" long 8000 1001 3
expect "those that come in fragments, the first one of several pieces" long 20000 10 3
same "none is dropped early" "$before" "$(early)"
same "they have the same counters" "$(counted plain)" "$(counted auto)"
before=$(early)
for world in $worlds; do inside "c$world" ping -c 3 -i 0.01 -W 0.1 -s 8000 192.0.2.1 >/dev/null; done
sleep 0.1
same "ICMP of several pieces is dropped early" 3 $(($(early) - before))
same "ICMP of several pieces has the same counters" "$(counted plain)" "$(counted auto)"
trailers 4000
trailers 8000
# Without the sender's help its checksum is there to be summed up, or not: of so many bytes nobody knows it.
expect "senders make checksums" clients "$nic" feature to-h tx-checksum-ip-generic off
restore tracking_table
before=$(early)
expect "datagrams to be summed up" long 8000 10 3
same "where connections are tracked, they go up" "$before" "$(early)"
same "tracked, they have the same counters" "$(counted plain)" "$(counted auto)"
expect "cards make checksums" clients "$nic" feature to-h tx-checksum-ip-generic on
expect "datagrams whose checksum is right" long 8000 10 3
same "where connections are tracked, these are dropped early" $((before + 3)) "$(early)"
same "with such checksums: the same counters" "$(counted plain)" "$(counted auto)"
expect "frames of 1,500 bytes" set_mtu 1500
restore table

# --- tags ----------------------------------------------------------------------------------------

neighbours known
expect "tags at the other end's card" clients "$nic" tag to-h on
compare "tagged" none
for feature in rx-vlan-hw-parse rx-vlan-stag-hw-parse; do
	expect "$feature off" hosts "$nic" feature to-c "$feature" off
done
compare "tagged, with a card that takes no tags off" none
expect "no tags" clients "$nic" tag to-h off
compare "no tags, and such a card" some
for feature in rx-vlan-hw-parse rx-vlan-stag-hw-parse; do
	expect "$feature on" hosts "$nic" feature to-c "$feature" on
done
for feature in rx-gro-list rx-udp-gro-forwarding; do
	expect "$feature on" hosts "$nic" feature to-c "$feature" on
	compare "datagrams are merged ($feature)" none
	expect "$feature off" hosts "$nic" feature to-c "$feature" off
done
compare "they are not" some
neighbours asked

# --- other tables ------------------------------------------------------------------------------

hosts iptables-legacy -t mangle -L >/dev/null
hosts iptables-legacy -t raw -L >/dev/null
# What modules have is known from the next table on.
restore table
compare "empty tables mangle and raw" some
hosts iptables-legacy -t raw -Z
hosts iptables-legacy -t mangle -Z
before=$(early)
for world in $worlds; do send "$world"; done
sleep 0.1
dropped=$(($(early) - before))
same "raw's policy does not count what is dropped early" "$(policy_of plain raw PREROUTING)" \
	"$(($(policy_of auto raw PREROUTING) + dropped))"
same "mangle's does not either" "$(policy_of plain mangle INPUT)" \
	"$(($(policy_of auto mangle INPUT) + dropped))"
hosts iptables-legacy -t mangle -A PREROUTING -p udp --dport 9 -j MARK --set-mark 1
compare "a mark that the filter looks at" none
says "another table of ip_tables has rules"
hosts iptables-legacy -t mangle -F
compare "mangle is empty again" some
hosts iptables-legacy -t mangle -A INPUT -p udp --dport 10 -j DROP
compare "mangle drops in front of INPUT" none
hosts iptables-legacy -t mangle -F
hosts iptables-legacy -t mangle -P PREROUTING DROP
compare "mangle's policy drops" none
hosts iptables-legacy -t mangle -P PREROUTING ACCEPT
hosts iptables-legacy -t mangle -A POSTROUTING -j MARK --set-mark 7
compare "mangle has a rule behind INPUT" some
hosts iptables-legacy -t raw -A PREROUTING -p udp --dport 10 -j DROP
compare "raw drops" none
hosts iptables-legacy -t raw -F
compare "raw is empty again" some
if hosts iptables-legacy -t raw -A PREROUTING -p udp --dport 10 -j CT --notrack; then
	compare "raw: NOTRACK" none
	hosts iptables-legacy -t raw -F
	expect "once nothing is tracked any more, it is dropped early again" within 10 is_early "$(early)"
	filter plain iptables-legacy -Z
	filter auto iptables-legacy -Z
fi

if [ "$(type -t nft)" ]; then
	hosts nft 'table ip t { chain c { type filter hook prerouting priority 0; udp dport 10 drop; }; }'
	compare "nf_tables drops at prerouting" none
	says "something else is at netfilter's hooks"
	hosts nft delete table ip t
	compare "nf_tables is gone" some
	hosts nft 'table ip t { chain c { type filter hook input priority -10; udp dport 10 drop; }; }'
	compare "nf_tables drops at input" none
	hosts nft delete table ip t
	hosts nft 'table netdev t { chain c { type filter hook ingress device to-c priority 0; udp dport 10 drop; }; }'
	compare "nf_tables drops at ingress" none
	says "nf_tables has a chain at its ingress"
	hosts nft delete table netdev t
fi
if hosts tc qdisc add dev to-c clsact; then
	hosts tc filter add dev to-c ingress matchall action drop 2>/dev/null
	compare "a filter at tc" none
	hosts tc qdisc del dev to-c clsact
	compare "no filter at tc" some
fi

# --- the routing -------------------------------------------------------------------------------

hosts sysctl -qw net.ipv4.conf.to-c.rp_filter=1
compare "rp_filter" some
hosts sysctl -qw net.ipv4.conf.to-c.rp_filter=0
compare "no rp_filter" some
hosts ip addr del 192.0.2.1/24 dev to-c
hosts ip addr add 192.0.2.5/24 dev to-c
compare "the address is another's" none
hosts ip addr del 192.0.2.5/24 dev to-c
hosts ip addr add 192.0.2.1/24 dev to-c
hosts ip route add blackhole 192.0.2.1/32 table local metric 0 2>/dev/null
compare "the address has come back" some

# --- interfaces --------------------------------------------------------------------------------

hosts ip link add mv link to-c type macvlan
compare "a macvlan" none
says "other interfaces take packets off it"
hosts ip link del mv
compare "no macvlan" some

to_bridge() {
	hosts ip link add to-cb type bridge &&
		hosts ip link set to-cb address 02:00:00:00:00:99 up &&
		hosts ip addr del 192.0.2.1/24 dev to-c && hosts ip link set to-c master to-cb &&
		hosts ip addr add 192.0.2.1/24 dev to-cb && clients ip neigh flush dev to-h
}

from_bridge() {
	hosts ip link del to-cb && hosts ip addr add 192.0.2.1/24 dev to-c &&
		clients ip neigh flush dev to-h
}

expect "it becomes a port of a bridge" to_bridge
sleep 0.3
compare "a port of a bridge" none
expect "it is none any more" from_bridge
expect "it is dropped early again" within 10 is_early "$(early)"
restore table
hosts ip link set to-c down
hosts ip link set to-c name to-c2 up
compare "another name" some
hosts ip link set to-c2 down
hosts ip link set to-c2 name to-c up
restore table

# Away and back, as an interface without addresses; and gone, and made again, under traffic.
nsenter --net="/run/netns/$lab-cauto" bash -c \
	'while :; do echo >/dev/udp/192.0.2.1/1001; done' >/dev/null 2>&1 &
flood=$!
expect "it moves to another namespace" ip -n "$lab-hauto" link set to-c netns "$lab-hplain" name strange
expect "and back" ip -n "$lab-hplain" link set strange netns "$lab-hauto" name to-c
ip -n "$lab-hauto" addr add 192.0.2.1/24 dev to-c
ip -n "$lab-hauto" link set to-c up
inside hauto sysctl -qw net.ipv4.conf.to-c.rp_filter=0
expect "it is dropped early again" within 10 is_early "$(early)"
expect "it vanishes" ip -n "$lab-hauto" link del to-c
kill $flood
wait $flood 2>/dev/null
join auto
inside hauto sysctl -qw net.ipv4.conf.to-c.rp_filter=0
expect "a new one drops early" within 10 is_early "$(early)"
restore table
compare "a new interface" some

# --- the helper --------------------------------------------------------------------------------

before=$(early)
helper_kill KILL
send auto
send plain
expect "a new helper" status_of hauto
same "without a helper counters go on" "$(counted plain)" "$(counted auto)"
expect "with the new one packets are dropped early" within 5 is_early 0
restore table
same "it was asked for" auto "$(asked)"
# A helper that nobody has asked for a placement yet.
inside hauto "$BPFILTER" detach >/dev/null
helper_kill KILL
table | inside hauto "$BPFILTER" run -- iptables-legacy-restore
expect "the configuration alone asks for it" within 5 is_early 0
same "the table is where it is by default" default "$(asked)"
helper_kill KILL
expect "a new helper, and packets are dropped early" within 5 is_early 0
same "the placement has not become another" default "$(asked)"
restore table

# Each packet is counted once while tables come and go.
inside cauto bash -c 'for ((i = 0; i < 1000 || !end; i++)); do
	echo >/dev/udp/192.0.2.1/10
	[ $((i % 100)) -ne 0 ] || [ ! -e "$1/end" ] || end=1
done
echo $i >"$1/sent"' - "$T" &
sender=$!
times=0
for i in {1..8}; do
	filter auto iptables-legacy -A OUTPUT -p udp --dport "$i"
	within 5 has_dropped && times=$((times + 1))
done
touch "$T/end"
wait $sender
sleep 0.1
expect "drivers dropped some of them with each table ($times of 8)" [ $times -eq 8 ]
same "each packet is counted once while tables are replaced" "$(cat "$T/sent")" \
	"$(dropped_rule auto)"

# --- GRO -----------------------------------------------------------------------------------------

restore table
for feature in tx-tcp-segmentation tx-tcp-ecn-segmentation tx-tcp-mangleid-segmentation \
	tx-tcp6-segmentation; do
	clients "$nic" feature to-h "$feature" off
done
expect "GRO" hosts "$nic" feature to-c rx-gro on
expect "which holds packets for a while" hold_packets 2
neighbours known
burst ack
same "GRO merges data, around ACKs that are dropped, as with ip_tables" "$(tcp_rule plain)" \
	"$(tcp_rule auto)"
burst syn
same "the first SYNs are dropped early" 200 "$(early)"
note "data around 200 SYNs of one connection: ip_tables $(tcp_rule plain), auto $(tcp_rule auto)"
expect "they do not end what GRO holds: less packets are counted, or as many" \
	[ "$(tcp_rule auto | cut -d' ' -f1)" -le "$(tcp_rule plain | cut -d' ' -f1)" ]
# datagrams N: such ones to port 10 from both clients, in a row.
datagrams() {
	local w

	for w in $worlds; do
		filter "$w" iptables-legacy -Z INPUT
		for ((i = 0; i < $1; i++)); do echo "192.0.2.1 60 64 0 0 udp 10"; done |
			inside "c$w" "$nic" to to-h "$(mac "$w")" || return
	done
	sleep 0.1
}

restore table
datagrams 40
same "datagrams that nobody wants merged are dropped early" 40 "$(early)"
sockets=()
for world in $worlds; do
	nsenter --net="/run/netns/$lab-h$world" "$nic" merge 10 >"$T/merge-$world" &
	sockets+=($!)
	expect "a socket that wants them merged" within 5 grep -q ready "$T/merge-$world"
done
datagrams 40
same "none is dropped early then" 0 "$(early)"
# Into how many depends on when they come.
for world in $worlds; do
	expect "they are merged ($world)" [ "$(dropped_rule "$world")" -lt 40 ]
done
kill "${sockets[@]}"
wait "${sockets[@]}" 2>/dev/null
datagrams 40
same "they are dropped early again" 40 "$(early)"
hold_packets 0
neighbours asked
restore table
compare "with GRO" some

# --- what is accepted --------------------------------------------------------------------------

# searched PORT N: how many of so many datagrams are dropped early, all by one CPU.
searched() {
	local before i

	before=$(early)
	for ((i = 0; i < $2; i++)); do echo "192.0.2.1 60 64 0 0 udp $1"; done |
		inside cauto taskset -c 0 "$nic" to to-h "$(mac auto)"
	sleep 0.1
	echo $(($(early) - before))
}

neighbours known
same "what is dropped is searched for, each packet of it" 20 "$(searched 10 20)"
same "so is what is accepted, 16 times" 0 "$(searched 1001 17)"
same "then 15 go up whatever they are" 0 "$(searched 10 15)"
same "the next one is searched for, and all that follow" 5 "$(searched 10 5)"
same "16 are accepted" 0 "$(searched 1001 16)"
same "that is not enough" 5 "$(searched 10 5)"
neighbours asked
restore table

# --- conntrack, nat ----------------------------------------------------------------------------

restore unknown_table
same "a table without a stage has no program at the interface" "" \
	"$(ip -n "$lab-hauto" link show to-c | grep -o 'prog/xdp.*')"
compare "nothing is known" none
restore tracking_table
compare "connections are tracked" some
restore table
expect "they are not any more" within 10 is_early 0
# What a module has is known from the next table on.
hosts iptables-legacy -t nat -L >/dev/null
restore table
hosts iptables-legacy -t nat -A PREROUTING -p udp --dport 10 -j DNAT --to-destination 192.0.2.1:1001
compare "DNAT of a port that is dropped" none
says "another table of ip_tables has rules"
hosts iptables-legacy -t nat -F
hosts iptables-legacy -t nat -A POSTROUTING -j MASQUERADE
compare "MASQUERADE" some
hosts iptables-legacy -t nat -F
compare "nat has been in use" some

# --- and back ----------------------------------------------------------------------------------

expect "the table goes to ip_tables" inside hauto "$BPFILTER" detach
same "no program is left at the interface" "" "$(ip -n "$lab-hauto" link show to-c | grep -o 'prog/xdp.*')"
same "nothing is pinned" "" "$(ls "$BPFILTER_PIN_DIR/$(inode hauto)" 2>/dev/null)"
tap_end
