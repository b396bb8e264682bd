#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# REJECT at the interfaces: what comes back on the wire is what the kernel's ip_tables sends, byte for byte, for
# packets of all kinds and all replies, from a host and from a router, and to its own processes.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

foreign=${BUILD:-$(dirname "$BPFILTER")}/selftests/foreign
rejected=${BUILD:-$(dirname "$BPFILTER")}/selftests/rejected

by_module && skip_all "the placement is that of the module"

host_mac=02:00:00:00:00:12

types=(icmp-net-unreachable icmp-host-unreachable icmp-proto-unreachable icmp-port-unreachable
	icmp-net-prohibited icmp-host-prohibited icmp-admin-prohibited tcp-reset)

# A type for each of eight addresses in the host, behind it, and of the client; what is not TCP gets no reset.
table() {
	local i chain to

	echo '*filter'
	printf ':%s ACCEPT [0:0]\n' INPUT FORWARD OUTPUT
	for chain in INPUT:192.0.2.1 FORWARD:198.51.100.1 OUTPUT:192.0.2.2; do
		for i in {0..7}; do
			to=${chain#*:}$i
			if [ "${types[i]}" = tcp-reset ]; then
				echo "-A ${chain%:*} -d $to -p tcp -j REJECT --reject-with tcp-reset"
				echo "-A ${chain%:*} -d $to -j DROP"
			else
				echo "-A ${chain%:*} -d $to -j REJECT --reject-with ${types[i]}"
			fi
		done
	done
	echo COMMIT
}

network() {
	local i

	netns client host server
	link client 192.0.2.2/24 host 192.0.2.1/24
	link server 198.51.100.2/24 host 198.51.100.1/24
	ip -n "$lab-client" link set to-host address 02:00:00:00:00:02
	ip -n "$lab-server" link set to-host address 02:00:00:00:00:03
	ip -n "$lab-host" link set to-client address "$host_mac"
	ip -n "$lab-host" link set to-server address 02:00:00:00:00:13
	for i in {10..17}; do
		ip -n "$lab-host" addr add "192.0.2.$i/24" dev to-client
		ip -n "$lab-host" neigh replace "198.51.100.$i" lladdr 02:00:00:00:00:03 dev to-server
		ip -n "$lab-host" neigh replace "192.0.2.$((i + 10))" lladdr 02:00:00:00:00:02 dev to-client
	done
	ip -n "$lab-host" neigh replace 192.0.2.2 lladdr 02:00:00:00:00:02 dev to-client
	ip -n "$lab-host" neigh replace 198.51.100.2 lladdr 02:00:00:00:00:03 dev to-server
	ip -n "$lab-client" route add default via 192.0.2.1
	ip -n "$lab-server" route add default via 198.51.100.1
	for i in client host server; do
		inside $i sysctl -qw net.ipv6.conf.all.disable_ipv6=1
	done
	inside host sysctl -qw net.ipv4.icmp_ratemask=0 net.ipv4.conf.all.rp_filter=0 \
		net.ipv4.conf.to-client.rp_filter=0 net.ipv4.conf.to-server.rp_filter=0 \
		net.ipv4.ip_forward="$1"
}

path() {
	echo "/run/netns/$lab-$1:$2"
}

# replies FORWARDS FILE: what comes back, in the placement that the host has, to FILE.
replies() {
	{
		inside client "$rejected" input to-host "$host_mac" 192.0.2.2 192.0.2.10 192.0.2.1 "$(path client to-host)" &&
			{ [ "$1" = 0 ] || routed; } &&
			inside host "$rejected" output - "$host_mac" 192.0.2.1 192.0.2.20 127.0.0.1 "$(path host lo)"
	} >"$2"
}

# What the host forwards; and from who is somewhere else than where it seems to.
routed() {
	inside client "$rejected" forward to-host "$host_mac" 192.0.2.2 198.51.100.10 192.0.2.1 \
		"$(path client to-host)" "$(path server to-host)" &&
		inside client "$rejected" elsewhere to-host "$host_mac" 198.51.100.2 192.0.2.10 192.0.2.1 \
			"$(path client to-host)" "$(path server to-host)"
}

# answered FILE MODE...: each of the eight kinds has some replies in each mode.
answered() {
	local file=$1 mode kind n

	shift
	for mode; do
		for kind in {0..7}; do
			n=$(grep -c "^$mode $kind [^:]*: [^ ]* .*[0-9a-f]\{40\}$" "$file")
			[ "$n" -ge 8 ] || { echo "$mode $kind: $n replies"; return 1; }
		done
	done
}

# comparable PLACEMENT FILE: what is the same there. ip_tables resets a connection to one that is asked for in a frame to all.
# A driver sees what was sent at once as the packets that it becomes.
comparable() {
	grep -v ' 7 to all' "$2" | if [ "$1" = xdp ]; then grep -v 'many at once'; else cat; fi
}

# tcp_answer FROM ADDRESS: what connect(2) to port 80 there says, as in effects.sh.
tcp_answer() {
	local out

	out=$(inside "$1" timeout 3 bash -c ": </dev/tcp/$2/80" 2>&1)
	case $? in
	0) echo Connected ;;
	124) echo Silence ;;
	*) sed -n '1s/.*: //p' <<<"$out" ;;
	esac
}

# What sockets are told: of INPUT, of OUTPUT by an interface, and of what a host sends itself.
sockets() {
	same "$1: who is refused is told" "Connection refused" "$(tcp_answer client 192.0.2.13)"
	same "$1: by a reset" "Connection refused" "$(tcp_answer client 192.0.2.17)"
	same "$1: that there is no such protocol" "Protocol not available" "$(tcp_answer client 192.0.2.12)"
	same "$1: by a router" "Connection refused" "$(tcp_answer client 198.51.100.17)"
	same "$1: its own process, by OUTPUT" "Connection refused" "$(tcp_answer host 192.0.2.23)"
	same "$1: by a reset" "Connection refused" "$(tcp_answer host 192.0.2.27)"
	same "$1: on the loopback" "Connection refused" "$(tcp_answer host 192.0.2.13)"
	same "$1: by a reset" "Connection refused" "$(tcp_answer host 192.0.2.17)"
}

# Of connections: new ones are refused, the others go on.
states() {
	{
		echo '*filter'
		printf ':%s ACCEPT [0:0]\n' INPUT FORWARD OUTPUT
		echo '-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT'
		echo '-A INPUT -p tcp -m conntrack --ctstate NEW -j REJECT --reject-with tcp-reset'
		echo COMMIT
	} >"$T/states"
	expect "$1: a table that looks at states" at "$1" iptables-legacy-restore "$T/states"
	same "$1: a new connection is refused" "Connection refused" "$(tcp_answer client 192.0.2.1)"
	same "$1: it was counted" 1 "$(at "$1" iptables-legacy -L INPUT -v -n -x | awk '/REJECT/ { print $1 }')"
	same "$1: another's answers are not" Connected "$(tcp_answer host 192.0.2.2)"
}

lost() {
	"$BPFILTER" status --json | grep -o '"effects_lost": [0-9]*' | awk '{ n += $2 } END { print n + 0 }'
}

# reference FORWARDS: what ip_tables answers, in $T/kernel. Of some thousand, a busy machine loses one on its way: until it
# is twice the same.
reference() {
	local i

	replies "$1" "$T/kernel" || return
	for i in {1..5}; do
		replies "$1" "$T/again" || return
		[ "$(comparable tc "$T/kernel")" != "$(comparable tc "$T/again")" ] || return 0
		mv "$T/again" "$T/kernel"
	done
	return 1
}

lab_begin
table >"$T/table"
for forwards in 1 0; do
	network $forwards
	serve_tcp client 80
	# A veth takes what XDP sends only if its peer has a program there as well.
	inside client "$foreign" xdp to-host attach
	inside server "$foreign" xdp to-host attach
	at kernel iptables-legacy-restore "$T/table" || exit 1
	modes=(input output)
	[ $forwards = 0 ] || modes+=(forward elsewhere)
	expect "ip_tables, forwarding $forwards: packets are sent" reference $forwards
	expect "ip_tables, forwarding $forwards: all kinds are answered" answered "$T/kernel" "${modes[@]}"
	at kernel iptables-legacy -F
	for place in tc xdp xdp,generic; do
		expect "$place: a table" at $place iptables-legacy-restore "$T/table"
		expect "$place, forwarding $forwards: packets are sent" replies $forwards "$T/ours"
		# One that is lost is not the same one twice.
		[ "$(comparable $place "$T/kernel")" = "$(comparable $place "$T/ours")" ] ||
			{ note "once more"; replies $forwards "$T/ours"; }
		same "$place, forwarding $forwards: $(wc -l <"$T/kernel") replies" \
			"$(comparable $place "$T/kernel")" "$(comparable $place "$T/ours")"
		same "$place, forwarding $forwards: no reset of what is sent to all" "" "$(grep ' 7 to all' "$T/ours")"
		# First fragments, which the kernel has put together.
		expect "$place: what could not be answered is counted" [ "$(lost)" -gt 0 ]
		[ $forwards = 0 ] || sockets $place
		at $place iptables-legacy -F
		[ $forwards = 0 ] || states $place
		at $place iptables-legacy -F
	done
	inside host "$BPFILTER" detach >/dev/null
	for ns in client host server; do ip netns del "$lab-$ns"; done
done
tap_end
