#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# auto_forward.sh - what drivers drop early of what is forwarded: two hosts with the same traffic (two_hosts.sh). Wherever a
# packet goes, counters are the same; and what comes to FORWARD for certain, and is dropped there, is dropped early.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"
# shellcheck source=../two_hosts.sh
. "$here/../two_hosts.sh"

by_module && skip_all "the placement is that of the module"

# Where packets go to, whether that is known for certain in the driver, and what it is; all come by to-c.
destinations() {
	cat <<-END
	10.40.0.5     yes  behind a gateway, by side
	10.40.8.5     yes  that address alone
	10.40.6.5     yes  a longer prefix
	10.40.7.5     no   a longer prefix, by the interface that it came by
	10.99.0.7     yes  a neighbour at side
	10.99.0.255   no   a broadcast there
	10.4.0.5      no   blackhole
	10.5.0.5      no   unreachable
	10.3.0.5      no   no route
	10.41.0.5     no   a route with an MTU
	10.42.0.5     yes  a next hop object
	10.48.0.5     no   a group of them
	10.49.0.5     no   one that leads nowhere
	10.50.0.5     no   a tunnel
	10.43.0.5     no   two next hops
	10.44.0.5     no   a route with a TOS may be the one
	10.45.0.5     yes  two routes, the better one by side
	10.46.0.5     no   two routes, the better one by the interface that it came by
	10.47.0.5     no   a broadcast by its route
	END
}

interfaces() {
	cat <<-END
	link add side type veth peer name side2
	link set side2 up
	link set side up
	addr add 10.99.0.1/24 dev side
	END
}

ways() {
	cat <<-END
	route add 10.40.0.0/16 via 10.99.0.2
	route add 10.40.6.0/24 dev side
	route add 10.40.7.0/24 dev to-c
	route add 10.40.8.5/32 dev side
	route add blackhole 10.4.0.0/16
	route add unreachable 10.5.0.0/16
	route add 10.41.0.0/16 via 10.99.0.2 mtu 1000
	nexthop replace id 2 via 10.99.0.2 dev side
	nexthop replace id 3 via 10.99.0.3 dev side
	nexthop replace id 4 blackhole
	nexthop replace id 10 group 2/3
	route add 10.42.0.0/16 nhid 2
	route add 10.48.0.0/16 nhid 10
	route add 10.49.0.0/16 nhid 4
	route add 10.43.0.0/16 nexthop via 10.99.0.3 dev side nexthop via 10.99.0.4 dev side
	route add 10.44.0.0/16 via 10.99.0.2
	route add 10.44.0.0/16 tos 0x10 via 192.0.2.2
	route add 10.45.0.0/16 dev side metric 10
	route add 10.45.0.0/16 dev to-c metric 20
	route add 10.46.0.0/16 dev to-c metric 10
	route add 10.46.0.0/16 dev side metric 20
	route add broadcast 10.47.0.0/16 dev side
	END
}

# A rule for each of them. Neighbours are not there: the rules are asked before the kernel looks for them.
forward_table() {
	echo "*filter"
	printf ':%s ACCEPT [0:0]\n' INPUT FORWARD OUTPUT
	echo "-A FORWARD -i to-c -o to-c -j ACCEPT"
	destinations | awk '{ print "-A FORWARD -d " $1 " -o side -p udp --dport 10 -j DROP" }'
	echo "-A FORWARD -p udp --dport 10 ! -o side -j ACCEPT"
	echo "-A FORWARD -p udp --dport 10 -j DROP"
	echo "-A FORWARD -i to-c -p tcp --dport 99 -j DROP"
	echo "-A FORWARD -p udp --dport 1001"
	echo "COMMIT"
}

tracked_forward_table() {
	forward_table | sed '/^:OUTPUT/a -A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT'
}

# Both chains, and so many rules that it is another program.
large_forward_table() {
	forward_table | sed '/^COMMIT/d'
	awk 'BEGIN { for (i = 0; i < 5000; i++) {
		a = "10." int(i / 256) "." i % 256 ".0/24"
		print "-A FORWARD -s " a " -o side -p udp --dport " 2000 + i % 7 " -j ACCEPT"
		print "-A INPUT -s " a " -p udp --dport " 2000 + i % 7 " -j ACCEPT"
	} }'
	echo "-A INPUT -p udp --dport 10 -j DROP"
	echo "-P FORWARD DROP"
	echo "COMMIT"
}

# Packets in all rules that drop.
all_dropped() {
	filter "$1" iptables-legacy -nvxL | awk '$3 == "DROP" { n += $1 } END { print n + 0 }'
}

# go TEXT all|none|N LENGTH TTL TOS DF KIND PORT [ADDRESS...]: such a packet to each, from both clients. Both hosts count the same;
# and all that are dropped are dropped early, or none is, or N are.
go() {
	local text=$1 how=$2 packet="${*:3:6}" before counts w a

	shift 8
	wake
	for w in $worlds; do filter "$w" iptables-legacy -Z; done
	before=$(early)
	for w in $worlds; do
		for a in "$@"; do echo "$a $packet"; done | inside "c$w" "$nic" to to-h "$(mac "$w")" ||
			note "not all were sent"
	done
	sleep 0.1
	counts=$(all_dropped plain)
	same "$text: the same counters" "$(counted plain)" "$(counted auto)"
	case $how in
	all)
		expect "$text: some are dropped" [ "$counts" -gt 0 ]
		same "$text: all of those early" "$counts" $(($(early) - before))
		;;
	none) same "$text: none is dropped early" 0 $(($(early) - before)) ;;
	*) same "$text: those that are certain are dropped early" "$how" $(($(early) - before)) ;;
	esac
}

# Where nothing was dropped for a while few packets are searched for.
wake() {
	local w cpu

	for w in $worlds; do
		for ((cpu = 0; cpu < $(nproc); cpu++)); do
			for i in {1..16}; do echo "10.40.0.5 40 9 0 0 udp 10"; done |
				inside "c$w" taskset -c "$cpu" "$nic" to to-h "$(mac "$w")"
		done
	done
	sleep 0.05
}

# listen KIND PORT: in both hosts; the processes are $listeners.
listen() {
	local w

	listeners=()
	for w in $worlds; do
		# shellcheck disable=SC2086 # options
		XTABLES_LOCKFILE=$T/lock-h$w nsenter --net="/run/netns/$lab-h$w" nc $1 -l -p "$2" < <(sleep 100) >/dev/null 2>&1 &
		listeners+=($!)
	done
	sleep 0.3
}

gone() {
	kill "${listeners[@]}"
	wait "${listeners[@]}" 2>/dev/null
}

mapfile -t all < <(destinations | awk '{ print $1 }')
certain=$(destinations | awk '$2 == "yes"' | wc -l)

lab_begin
echo "interface to-c+ auto" >"$T/conf"
export BPFILTER_CONFIG=$T/conf
for world in $worlds; do make_world "$world"; done
neighbours known
expect "a table" restore forward_table
missing=$(status_of hauto | sed -n 's/^ *early drop *none, because \(the kernel does not tell.*\|the table is not at.*\)/\1/p')
if [ "$missing" ]; then
	tap_skip "dropping early what is forwarded" "$missing"
	tap_end
fi
expect "interfaces" batch < <(interfaces)
expect "routes" batch < <(ways)
hosts ip route add 10.50.0.0/16 encap ip id 1 dst 10.99.0.9 via 10.99.0.2 dev side 2>/dev/null ||
	note "this kernel has no tunnels of routes"

# --- where it goes -----------------------------------------------------------------------------

go "datagrams" "$certain" 60 64 0 0 udp 10 "${all[@]}"
go "SYNs" "$certain" 40 64 0 0 0x02 99 "${all[@]}"
go "datagrams that are accepted" none 60 64 0 0 udp 1001 "${all[@]}"
go "a TOS" "$certain" 60 64 0x10 0 udp 10 "${all[@]}"
go "a TTL of 1" none 60 1 0 0 udp 10 "${all[@]}"
go "a TTL of 2" "$certain" 60 2 0 0 udp 10 "${all[@]}"
go "long ones" "$certain" 1500 64 0 0 udp 10 "${all[@]}"
go "long ones, not to be cut" "$certain" 1500 64 0 1 udp 10 "${all[@]}"
hosts ip link set side mtu 1280
for df in 0 1; do
	go "as long as side takes, DF $df" all 1280 64 0 $df udp 10 10.40.0.5
	go "longer, DF $df" none 1281 64 0 $df udp 10 10.40.0.5
done
hosts ip link set side mtu 1500
hosts sysctl -qw net.ipv4.ip_forward_use_pmtu=1
go "what has been learnt of a destination's MTU matters" none 60 64 0 0 udp 10 10.40.0.5
hosts sysctl -qw net.ipv4.ip_forward_use_pmtu=0
go "and does not" all 60 64 0 0 udp 10 10.40.0.5
# An MTU of that destination is learnt, as somebody here has sent something too big.
listen -u 5555
for world in $worlds; do
	inside "c$world" "$nic" too-big to-h "$(mac "$world")" 10.99.0.1 10.40.0.5 5555 600
done
sleep 0.1
gone
expect "it is" grep -q "mtu 600" < <(inside hauto ip route get 10.40.0.5)
go "less is known of the destination, DF, the shortest" all 68 64 0 1 udp 10 10.40.0.5
go "less is known of the destination, DF" none 69 64 0 1 udp 10 10.40.0.5
go "less is known of the destination, no DF" all 1400 64 0 0 udp 10 10.40.0.5
hosts ip route flush cache
hosts sysctl -qw net.ipv4.conf.to-c.forwarding=0
go "the interface does not forward" none 60 64 0 0 udp 10 "${all[@]}"
hosts sysctl -qw net.ipv4.conf.to-c.forwarding=1
go "it does" "$certain" 60 64 0 0 udp 10 "${all[@]}"
hosts ip route add default via 10.99.0.9
go "a default route" $((certain + 1)) 60 64 0 0 udp 10 "${all[@]}"
hosts ip route replace default via 192.0.2.2
go "a default route back" "$certain" 60 64 0 0 udp 10 "${all[@]}"
hosts ip route del default

# --- names -------------------------------------------------------------------------------------

hosts ip link set side down
hosts ip link set side name other
go "side is down, with another name" none 60 64 0 0 udp 10 10.40.0.5 10.99.0.7
hosts ip link set other up
batch -force < <(ways | sed 's/side/other/') 2>/dev/null
go "side is named otherwise" none 60 64 0 0 udp 10 "${all[@]}"
hosts ip link set other down
hosts ip link set other name side
hosts ip link set side up
batch -force < <(ways) 2>/dev/null
go "it has its name again" "$certain" 60 64 0 0 udp 10 "${all[@]}"

# --- what is in between ------------------------------------------------------------------------

hosts iptables-legacy -t mangle -A FORWARD -p udp --dport 1 -j DROP
restore forward_table
go "mangle has a rule at FORWARD" none 60 64 0 0 udp 10 10.40.0.5
says "another table of ip_tables has rules"
hosts iptables-legacy -t mangle -F
hosts iptables-legacy -t mangle -A INPUT -p udp --dport 1 -j DROP
go "mangle has a rule at INPUT" all 60 64 0 0 udp 10 10.40.0.5
hosts iptables-legacy -t mangle -F
if [ "$(type -t nft)" ]; then
	hosts nft 'table ip t { chain c { type filter hook forward priority -10; udp dport 1 drop; }; }'
	go "nf_tables is at forward" none 60 64 0 0 udp 10 10.40.0.5
	says "something else is at netfilter's hooks"
	hosts nft delete table ip t
	go "nf_tables is gone" all 60 64 0 0 udp 10 10.40.0.5
fi
policy="src 10.98.0.0/16 dst 10.97.0.0/16"
for dir in fwd out; do
	# shellcheck disable=SC2086 # words
	if ! hosts ip xfrm policy add dir $dir $policy action block 2>/dev/null; then
		tap_skip "IPsec's policies for dir $dir" "this kernel, or this ip, has none"
	else
		go "IPsec has a policy for dir $dir" none 60 64 0 0 udp 10 10.40.0.5
		says "policies of IPsec"
		# shellcheck disable=SC2086 # words
		hosts ip xfrm policy delete dir $dir $policy
		go "it has none for dir $dir" all 60 64 0 0 udp 10 10.40.0.5
	fi
	if hosts ip xfrm policy setdefault $dir block 2>/dev/null; then
		go "IPsec's default for dir $dir is to block" none 60 64 0 0 udp 10 10.40.0.5
		hosts ip xfrm policy setdefault $dir accept
		go "to accept, dir $dir" all 60 64 0 0 udp 10 10.40.0.5
	fi
done
# By its source 192.0.2.2 packets come the right way; then not.
for value in 1 2; do
	hosts sysctl -qw net.ipv4.conf.to-c.rp_filter=$value
	go "rp_filter $value" "$certain" 60 64 0 0 udp 10 "${all[@]}"
	hosts ip route add 192.0.2.2/32 dev side
	go "rp_filter $value, the source is behind another interface" $((certain * (value - 1))) \
		60 64 0 0 udp 10 "${all[@]}"
	hosts ip route del 192.0.2.2/32 dev side
	hosts ip route add blackhole 192.0.2.2/32
	go "rp_filter $value, it is nowhere" none 60 64 0 0 udp 10 "${all[@]}"
	hosts ip route del blackhole 192.0.2.2/32
done
hosts sysctl -qw net.ipv4.conf.to-c.rp_filter=0
hosts ip addr add 192.0.2.1/32 dev lo
hosts ip addr del 192.0.2.1/24 dev to-c
restore forward_table
go "the interface has no address" all 60 64 0 0 udp 10 10.40.0.5
hosts ip addr add 192.0.2.1/24 dev to-c
hosts ip addr del 192.0.2.1/32 dev lo
batch -force < <(ways) 2>/dev/null
restore forward_table
go "it has one again" all 60 64 0 0 udp 10 10.40.0.5

# --- sockets -----------------------------------------------------------------------------------

listen -u 10
go "a socket for that port" none 60 64 0 0 udp 10 10.40.0.5
gone
go "none any more" all 60 64 0 0 udp 10 10.40.0.5
listen "" 99
go "a socket that listens" all 40 64 0 0 0x02 99 10.40.0.5
# One that is connected with an address that was the host's: the stack hands it the packet, and does not forward it.
hosts ip addr add 10.40.0.5/32 dev lo
clients iptables-legacy -I OUTPUT -p tcp --sport 1000 -j ACCEPT
for world in $worlds; do
	nsenter --net="/run/netns/$lab-c$world" nc -p 1000 10.40.0.5 99 < <(sleep 100) >/dev/null 2>&1 &
	listeners+=($!)
done
sleep 0.5
for world in $worlds; do
	expect "a connection ($world)" grep -q . < <(inside "h$world" ss -Htn state established "sport = :99")
done
hosts ip addr del 10.40.0.5/32 dev lo
# What closes it does not get there.
clients iptables-legacy -R OUTPUT 1 -p tcp --sport 1000 -j DROP
go "a connection of an address that is another's now" 0 40 64 0 0 0x02 99 10.40.0.5
go "others" all 40 64 0 0 0x02 99 10.40.8.5
gone
clients iptables-legacy -D OUTPUT 1

# --- connections, nat --------------------------------------------------------------------------

expect "connections are tracked" restore tracked_forward_table
go "tracked" "$certain" 60 64 0 0 udp 10 "${all[@]}"
# Not to 10.40.0.5: what the connection from above still sends may have made an entry.
go "tracked, SYNs" all 40 64 0 0 0x02 99 10.40.6.5 10.40.8.5 10.99.0.7 10.45.0.5
go "tracked, accepted" none 60 64 0 0 udp 1001 "${all[@]}"
restore forward_table
hosts iptables-legacy -t nat -A POSTROUTING -j MASQUERADE
restore forward_table
go "MASQUERADE" all 60 64 0 0 udp 10 10.40.0.5
hosts iptables-legacy -t nat -A PREROUTING -p udp --dport 10 -j DNAT --to-destination 10.40.7.5
go "DNAT" none 60 64 0 0 udp 10 10.40.0.5
hosts iptables-legacy -t nat -F
go "none" all 60 64 0 0 udp 10 10.40.0.5

# --- other tables ------------------------------------------------------------------------------

expect "10,000 rules" restore large_forward_table
go "10,000 rules" "$certain" 60 64 0 0 udp 10 "${all[@]}"
go "10,000 rules, to the host" all 60 64 0 0 udp 10 192.0.2.1
go "10,000 rules, the policy" 5 60 64 0 0 udp 3000 10.40.0.5 10.40.6.5 10.40.8.5 10.99.0.7 10.45.0.5
only_input() {
	forward_table | sed -e 's/^-A FORWARD.*//' -e '/^COMMIT/i -A INPUT -p udp --dport 10 -j DROP'
}
expect "a table that drops nothing in FORWARD" restore only_input
go "INPUT alone drops" all 60 64 0 0 udp 10 192.0.2.1
go "FORWARD does not" none 60 64 0 0 udp 10 10.40.0.5
tap_end
