#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# auto_source.sh - what drivers drop early where rp_filter is on: two hosts with the same traffic (two_hosts.sh). Whatever
# the way back to a packet's source is, counters are the same; and what the stack lets pass is dropped early, each packet of it.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"
# shellcheck source=../two_hosts.sh
. "$here/../two_hosts.sh"

by_module && skip_all "the placement is that of the module"

# Where packets come from; what that is, and whether they pass where rp_filter is 1, and 2: each of them comes by to-c, which
# has 192.0.2.1. "side" is another interface. Comments as in ways().
sources() {
	cat <<-END
	192.0.2.2    yes yes  a neighbour
	192.0.2.255  no  no   a broadcast
	10.99.0.7    no  yes  another interface's neighbour
	10.1.0.5     yes yes  behind a gateway
	10.1.7.5     no  yes  a longer prefix by another interface
	10.1.7.77    yes yes  a longer one yet, back by this one
	10.1.8.5     yes yes  that address alone
	10.1.9.5     no  yes  that address alone, by another interface
	10.2.0.5     no  yes  by another interface
	10.2.128.5   yes yes  a longer prefix, by this one
	10.3.0.5     no  no   no route
	10.4.0.5     no  no   blackhole
	10.5.0.5     no  no   unreachable
	10.6.0.5     no  no   prohibit
	10.7.0.5     no  no   throw
	10.1.10.5    no  no   blackhole below a route
	10.10.0.5    yes yes  a next hop object
	10.11.0.5    no  yes  by another interface
	10.12.0.5    no  no   of a blackhole
	10.13.0.5    yes yes  a group, the first one by this interface
	10.14.0.5    yes yes  the second one
	10.15.0.5    no  yes  none of them
	10.16.0.5    yes yes  two next hops, the first one by this interface
	10.17.0.5    yes yes  the second one
	10.18.0.5    no  yes  none of them
	10.19.0.5    no  no   broadcast
	10.20.0.5    no  no   anycast
	10.21.0.5    no  yes  two routes, the better one by another interface
	10.22.0.5    yes yes  the better one by this interface
	198.51.100.77 no no   an address of the host
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

objects() {
	cat <<-END
	nexthop replace id 1 dev to-c
	nexthop replace id 2 dev side
	nexthop replace id 3 blackhole
	nexthop replace id 4 via 192.0.2.3 dev to-c
	nexthop replace id 5 via 10.99.0.3 dev side
	nexthop replace id 6 via 10.99.0.4 dev side
	nexthop replace id 10 group 4/5
	nexthop replace id 11 group 5/4
	nexthop replace id 12 group 5/6
	END
}

ways() {
	cat <<-END
	route add 10.1.0.0/16 via 192.0.2.2
	route add 10.1.7.0/24 dev side
	route add 10.1.7.64/26 dev to-c
	route add 10.1.8.5/32 dev to-c
	route add 10.1.9.5/32 dev side
	route add 10.2.0.0/16 via 10.99.0.2
	route add 10.2.128.0/17 dev to-c
	route add blackhole 10.4.0.0/16
	route add unreachable 10.5.0.0/16
	route add prohibit 10.6.0.0/16
	route add throw 10.7.0.0/16
	route add blackhole 10.1.10.0/24
	route add 10.10.0.0/16 nhid 1
	route add 10.11.0.0/16 nhid 2
	route add 10.12.0.0/16 nhid 3
	route add 10.13.0.0/16 nhid 10
	route add 10.14.0.0/16 nhid 11
	route add 10.15.0.0/16 nhid 12
	route add 10.16.0.0/16 nexthop via 192.0.2.3 dev to-c nexthop via 10.99.0.3 dev side
	route add 10.17.0.0/16 nexthop via 10.99.0.3 dev side nexthop via 192.0.2.3 dev to-c
	route add 10.18.0.0/16 nexthop via 10.99.0.3 dev side nexthop via 10.99.0.4 dev side
	route add broadcast 10.19.0.0/16 dev to-c
	route add anycast 10.20.0.0/16 dev to-c
	route add 10.21.0.0/16 dev side metric 10
	route add 10.21.0.0/16 dev to-c metric 20
	route add 10.22.0.0/16 dev to-c metric 10
	route add 10.22.0.0/16 dev side metric 20
	END
}

# A rule for each of them, so that counters tell which has passed.
source_table() {
	echo "*filter"
	echo ":INPUT ACCEPT [0:0]"
	sources | awk '{ print "-A INPUT -s " $1 " -p udp --dport 10 -j DROP" }'
	echo "-A INPUT -p udp --dport 10 -j DROP"
	echo "COMMIT"
}

# filtered ALL DEV: rp_filter.
filtered() {
	hosts sysctl -qw "net.ipv4.conf.all.rp_filter=$1" "net.ipv4.conf.to-c.rp_filter=$2"
}

# What ip_tables has counted: sources of rules with packets.
passed() {
	filter plain iptables-legacy -nvxL INPUT | awk '$3 == "DROP" && $1 > 0 && $8 != "0.0.0.0/0" { print $8 }'
}

# Packets in all rules of that world.
all_dropped() {
	filter "$1" iptables-legacy -nvxL INPUT | awk '$3 == "DROP" { n += $1 } END { print n + 0 }'
}

# come TEXT all|none TOS [ADDRESS...], or on standard input: a datagram of each. Both hosts count the same; and all that pass
# are dropped early, or none is.
come() {
	local text=$1 how=$2 tos=$3 before counts w list

	shift 3
	if [ $# -gt 0 ]; then list=$(printf '%s\n' "$@"); else list=$(cat); fi
	for w in $worlds; do filter "$w" iptables-legacy -Z INPUT; done
	before=$(early)
	for w in $worlds; do
		inside "c$w" "$nic" from to-h "$(mac "$w")" 10 "$tos" <<<"$list" || note "not all were sent"
	done
	sleep 0.1
	counts=$(all_dropped plain)
	same "$text: the same counters" "$(counted plain)" "$(counted auto)"
	if [ "$how" = all ]; then
		same "$text: all that pass are dropped early" "$counts" $(($(early) - before))
	else
		expect "$text: some pass" [ "$counts" -gt 0 ]
		same "$text: none is dropped early" 0 $(($(early) - before))
	fi
}

# all_come TEXT 1|2: each of them, and those pass that are to with that rp_filter.
all_come() {
	come "$1" all 0 < <(sources | awk '{ print $1 }')
	same "$1: those pass that are to" "$(sources | awk -v n="$2" '$(n + 1) == "yes" { print $1 }')" "$(passed)"
}

lab_begin
echo "interface to-c+ auto" >"$T/conf"
export BPFILTER_CONFIG=$T/conf
for world in $worlds; do make_world "$world"; done
neighbours known

expect "a table" restore source_table
missing=$(status_of hauto | sed -n 's/^ *early drop *none, because \(the kernel does not tell.*\|the table is not at.*\)/\1/p')
if [ "$missing" ]; then
	tap_skip "dropping early where rp_filter is on" "$missing"
	tap_end
fi
expect "interfaces" batch < <(interfaces)
expect "next hop objects" batch < <(objects)
expect "routes" batch < <(ways)

# --- the way back ------------------------------------------------------------------------------

for setting in "0 1 1" "1 0 1" "1 1 1" "0 2 2" "2 0 2" "1 2 2" "2 1 2" "0 3 2" "-1 -1 2"; do
	read -r all dev kind <<<"$setting"
	expect "rp_filter $all, at the interface $dev" filtered "$all" "$dev"
	all_come "rp_filter $all, $dev" "$kind"
done
same "no reason of an interface is given" "" "$(status_of hauto | grep -o 'packets* not, because.*rp_filter.*')"

# Off, but for what looks at one of them alone.
filtered 0 -1
come "rp_filter 0, -1: the filter is off" none 0 10.2.0.5 10.3.0.5
filtered 0 0
come "no rp_filter" all 0 10.2.0.5 10.3.0.5

for value in 1 2; do
	filtered 0 $value
	# The better one of two routes is gone, or not to be used.
	hosts ip link set side2 down
	come "rp_filter $value, the link is down" all 0 10.21.0.5 10.22.0.5 10.14.0.5 10.15.0.5 10.17.0.5 10.18.0.5
	hosts sysctl -qw net.ipv4.conf.all.ignore_routes_with_linkdown=1
	come "rp_filter $value, routes with it are ignored" all 0 10.21.0.5 10.22.0.5 10.14.0.5 10.15.0.5 10.17.0.5 10.18.0.5
	hosts sysctl -qw net.ipv4.conf.all.ignore_routes_with_linkdown=0 net.ipv4.conf.side.ignore_routes_with_linkdown=1
	come "rp_filter $value, at the interface" all 0 10.21.0.5 10.22.0.5 10.14.0.5 10.15.0.5 10.17.0.5 10.18.0.5
	hosts sysctl -qw net.ipv4.conf.side.ignore_routes_with_linkdown=0
	hosts ip link set side2 up
	# Those of an interface without a link are gone, and their routes.
	expect "next hop objects once more" batch < <(objects)
	batch -force < <(ways) 2>/dev/null
done

# --- a default route ---------------------------------------------------------------------------

default() {
	hosts ip route replace default "$@"
}

for value in 1 2; do
	filtered 0 $value
	expect "a default route by it" default via 192.0.2.2 dev to-c
	come "rp_filter $value, a default route by it" all 0 10.3.0.5 10.1.7.5 10.2.0.5 10.4.0.5 10.7.0.5 203.0.113.1
	expect "a default route by another one" default dev side
	come "rp_filter $value, a default route by another one" all 0 10.3.0.5 10.1.7.5 10.2.128.5 10.4.0.5 203.0.113.1
	expect "a default route of two" default nexthop via 10.99.0.3 dev side nexthop via 192.0.2.3 dev to-c
	come "rp_filter $value, a default route of two" all 0 10.3.0.5 10.1.7.5 10.2.128.5 10.4.0.5 203.0.113.1
	hosts ip route del default
	# The table that is looked at behind main.
	hosts ip route add default dev to-c table 253
	come "rp_filter $value, a default route in the table default" none 0 10.3.0.5 10.7.0.5 203.0.113.1
	hosts ip route flush table 253
done

# --- what only the stack judges ----------------------------------------------------------------

hosts ip route add 10.30.0.0/16 dev side
hosts ip route add 10.30.0.0/16 tos 0x10 dev to-c
hosts ip route add 10.31.0.0/16 dev to-c
hosts ip route add 10.31.0.0/16 tos 0x10 dev side
filtered 0 1
come "a route with a TOS, by it" none 0x10 10.30.0.5
come "that route, with another TOS" all 0 10.30.0.5
come "a route with a TOS by another interface, with another TOS" none 0 10.31.0.5
come "that route" all 0x10 10.31.0.5
come "a TOS, but no such route" all 0x10 10.1.0.5 10.2.0.5 10.2.128.5
for i in 10.30.0.0/16 10.31.0.0/16; do
	hosts ip route del $i tos 0x10
	hosts ip route del $i
done
for value in 1 2; do
	filtered 0 $value
	hosts sysctl -qw net.ipv4.conf.to-c.accept_local=1
	[ $value = 1 ] && how=all || how=none
	come "rp_filter $value, addresses of one's own are accepted" "$how" 0 198.51.100.77
	come "rp_filter $value, and others" all 0 10.1.0.5 10.2.0.5 10.3.0.5
	hosts sysctl -qw net.ipv4.conf.to-c.accept_local=0
	# Of an interface that is down, and one whose route is gone.
	hosts ip route add 198.51.100.0/24 dev to-c
	come "rp_filter $value, a route to what are addresses" all 0 198.51.100.77 198.51.100.78 198.51.100.79 198.51.100.80
	hosts ip route del 198.51.100.0/24
done

# --- routes at random --------------------------------------------------------------------------

# random_routes SEED: prefixes in 10/8, many of them below others.
random_routes() {
	awk -v seed="$1" 'BEGIN {
		srand(seed)
		split("dev to-c;dev to-c;dev side;dev side;nhid 1;nhid 5;nhid 10;nhid 12;" \
			"nexthop dev side nexthop dev to-c", ways, ";")
		split("blackhole;unreachable;throw", nowhere, ";")
		for (i = 0; i < 250; i++) {
			len = 9 + int(rand() * 24)
			if (i && rand() < 0.6)
				address = kept[int(rand() * i)] + int(rand() * 2 ^ int(rand() * 20))
			else
				address = int(rand() * 2 ^ 24)
			address %= 2 ^ 24
			kept[i] = address -= address % 2 ^ (32 - len)
			prefix = "10." int(address / 65536) "." int(address / 256) % 256 "." address % 256 "/" len
			if (rand() < 0.15)
				print "route replace " nowhere[1 + int(rand() * 3)] " " prefix
			else
				print "route replace " prefix " " ways[1 + int(rand() * 9)]
		}
	}'
}

# Addresses in these prefixes, at their ends, and beside them.
random_sources() {
	random_routes "$1" | awk -v seed="$1" 'function say(a) {
		a = (a + 2 ^ 24) % 2 ^ 24
		print "10." int(a / 65536) "." int(a / 256) % 256 "." a % 256
	}
	BEGIN { srand(seed) }
	{
		split($3 ~ /^10\./ ? $3 : $4, p, "[./]")
		a = p[2] * 65536 + p[3] * 256 + p[4]
		size = 2 ^ (32 - p[5])
		say(a)
		say(a + int(rand() * size))
		say(a + size - 1)
		say(a + size)
		say(a - 1)
	}'
}

seed=${SEED:-$RANDOM}
note "seed $seed"
for kind in none "dev to-c" "dev side"; do
	for value in 1 2; do
		seed=$((seed + 1))
		filtered 0 $value
		# shellcheck disable=SC2086 # "dev NAME"
		[ "$kind" = none ] || default $kind
		expect "routes at random" batch < <(random_routes $seed)
		come "rp_filter $value, default route: $kind, routes of seed $seed" all 0 < <(random_sources $seed)
		note "$(all_dropped plain) of $(random_sources $seed | wc -l) have passed"
		batch -force < <(random_routes $seed | sed 's/^route replace/route del/') 2>/dev/null
	done
done

# --- other tables ------------------------------------------------------------------------------

# So many rules that it is another program.
large_table() {
	table | sed '/^COMMIT/d'
	awk 'BEGIN { for (i = 0; i < 10000; i++) print "-A INPUT -s 10." int(i / 256) "." i % 256 ".0/24 -p udp --dport " 2000 + i % 7 " -j ACCEPT" }'
	echo "-A INPUT -p udp --dport 10 -j DROP"
	echo "COMMIT"
}

for value in 1 2; do
	filtered 0 $value
	expect "10,000 rules" restore large_table
	compare "rp_filter $value, 10,000 rules" some
	come "rp_filter $value, 10,000 rules, many sources" all 0 < <(random_sources "$seed")
	expect "connections are tracked" restore tracking_table
	compare "rp_filter $value, connections are tracked" some
	come "rp_filter $value, connections are tracked, many sources" all 0 < <(random_sources "$seed")
done

# --- an interface without addresses ------------------------------------------------------------

hosts ip addr add 192.0.2.1/32 dev lo
hosts ip addr del 192.0.2.1/24 dev to-c
restore source_table
# Its routes have gone with the last one.
hosts ip route add 10.1.0.0/16 dev to-c
for value in 1 2; do
	filtered 0 $value
	come "rp_filter $value, the interface has no addresses" all 0 10.1.0.5 10.2.0.5 10.3.0.5 192.0.2.2
	come "rp_filter $value, one has a way back" all 0 10.1.0.5
	same "rp_filter $value, it is counted" "10.1.0.5" "$(passed)"
done
tap_end
