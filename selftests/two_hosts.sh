# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # set by lib.sh
#
# Two hosts with the same traffic, one filtered by ip_tables, the other one in placement auto, each with a client of its own:
# what the scripts about packets that drivers drop early share. To be sourced behind lib.sh.

worlds="plain auto"
syn_port=40000
nic=${BUILD:-$(dirname "$BPFILTER")}/selftests/nic

table() {
	cat <<-END
	*filter
	:INPUT ACCEPT [0:0]
	:FORWARD DROP [0:0]
	:OUTPUT ACCEPT [0:0]
	:seen - [0:0]
	-A INPUT -i to-c+ -j seen
	-A INPUT -p udp --dport 9 -m mark --mark 1 -j ACCEPT
	-A INPUT -p udp --dport 9:10 -j DROP
	-A INPUT -p tcp --dport 99 -j DROP
	-A INPUT -p icmp --icmp-type echo-request -j DROP
	-A seen -p udp
	-A seen -p udp --dport 11 -j DROP
	-A seen -s 198.51.100.0/24
	COMMIT
	END
}

tracking_table() {
	table | sed '/^-A INPUT -i/i -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT'
}

unknown_table() {
	table | sed -e 's/^:FORWARD DROP/:FORWARD ACCEPT/' -e '/^-A INPUT -i/i -A INPUT -m mark --mark 1 -j ACCEPT'
}

# filter WORLD COMMAND...: an iptables of that world's host.
filter() {
	local w=$1

	shift
	if [ "$w" != auto ]; then
		plain hplain "$@"
	elif by_module; then
		inside hauto "$@"
	else
		inside hauto "$BPFILTER" run --attach=auto -- "$@"
	fi
}

# hosts COMMAND...: in both hosts; clients: in both clients.
hosts() {
	local w

	for w in $worlds; do inside "h$w" "$@" || return; done
}

clients() {
	local w

	for w in $worlds; do inside "c$w" "$@" || return; done
}

# batch [OPTION...]: commands of ip on standard input, in both hosts.
batch() {
	local w list rc=0

	list=$(cat)
	for w in $worlds; do ip -n "$lab-h$w" "$@" -batch - <<<"$list" || rc=1; done
	return $rc
}

# restore FUNCTION: its table in both.
restore() {
	local w

	for w in $worlds; do "$1" | filter "$w" iptables-legacy-restore || return; done
}

# Packets that drivers have dropped, of the table in force.
early() {
	status_of hauto | sed -n 's/^ *early drop *\([0-9,]*\) packet.*/\1/p' | tr -d ,
}

is_early() {
	inside cauto bash -c 'echo >/dev/udp/192.0.2.1/10' 2>/dev/null
	sleep 0.02
	[ "$(early)" -gt "${1:-0}" ]
}

has_dropped() {
	[ "$(early)" -gt 0 ]
}

# SYNs to that port that have left a client.
syns() {
	plain "c$1" iptables-legacy -L OUTPUT -n -v -x | awk '$3 == "ACCEPT" && /dpt:99/ { print $1 }'
}

has_sent() {
	[ "$(syns "$1")" -gt "$2" ]
}

# To a port that does not answer: the first SYN. One that follows in a second does not leave the client, as its port has
# been seen; each has a port of its own then, where the kernel's own choice meets an old one now and then.
one_syn() {
	local before

	before=$(syns "$1")
	syn_port=$((syn_port + 1))
	# shellcheck disable=SC2016 # that shell's own arguments
	nsenter --net="/run/netns/$lab-c$1" bash -c 'echo "$1 $1" >/proc/sys/net/ipv4/ip_local_port_range
		: </dev/tcp/192.0.2.1/99' - $syn_port 2>/dev/null &
	within 5 has_sent "$1" "$before" || note "no SYN has left c$1"
	kill -9 $!
	wait $! 2>/dev/null
}

# One client's packets, which all get to the host.
send() {
	local w=$1 port

	for port in 9 10 11 9 10 1001; do
		inside "c$w" bash -c "echo $port >/dev/udp/192.0.2.1/$port" 2>/dev/null
	done
	# forwarded
	inside "c$w" bash -c "echo >/dev/udp/203.0.113.9/9" 2>/dev/null
	one_syn "$w"
	{
		inside "c$w" ping -c 2 -i 0.01 -W 0.1 192.0.2.1
		# with options, in fragments, from elsewhere
		inside "c$w" ping -c 1 -W 0.1 -R 192.0.2.1
		inside "c$w" ping -c 1 -W 0.1 -s 3000 192.0.2.1
		inside "c$w" ping -c 1 -W 0.1 -I 198.51.100.1 192.0.2.1
		# the host's own addresses: of lo, of an interface that is down, and one without a route
		inside "c$w" ping -c 1 -W 0.1 -I 198.51.100.77 192.0.2.1
		inside "c$w" ping -c 1 -W 0.1 -I 198.51.100.78 192.0.2.1
		inside "c$w" ping -c 1 -W 0.1 -I 198.51.100.79 192.0.2.1
	} >/dev/null 2>&1
}

counted() {
	filter "$1" iptables-legacy-save -c -t filter | sed -e '/^#/d' -e '/^:OUTPUT/d'
}

# Where nothing was dropped for a while, one packet of 16 is searched for, on each CPU: so many that at least one is, in both.
wake() {
	local w cpu

	for w in $worlds; do
		for ((cpu = 0; cpu < $(nproc); cpu++)); do
			# shellcheck disable=SC2016 # that shell's own arguments
			inside "c$w" taskset -c "$cpu" bash -c \
				'for i in {1..16}; do echo >/dev/udp/192.0.2.1/10; done' 2>/dev/null
		done
	done
	sleep 0.05
}

# compare TEXT some|none: the same traffic, the same counters; and how much is dropped early.
compare() {
	local before after w

	[ "$2" = none ] || wake
	before=$(early)
	for w in $worlds; do send "$w"; done
	sleep 0.1
	after=$(early)
	same "$1: the same counters" "$(counted plain)" "$(counted auto)"
	if [ "$2" = some ]; then
		expect "$1: some are dropped early ($before, $after)" [ "${after:-0}" -gt "${before:-0}" ]
	else
		expect "$1: none are dropped early ($before, $after)" [ "${after:-0}" -eq "${before:-0}" ]
	fi
}

# says TEXT: "bpfilter status" gives that reason.
says() {
	expect "status: $1" grep -q "packets\? not, because .*$1" <(status_of hauto)
}

join() {
	link "c$1" 192.0.2.2/24 "h$1" 192.0.2.1/24
	# One name, so that tables are the same; and no answers of the neighbour.
	for end in c h; do
		[ $end = c ] && other=h || other=c
		ip -n "$lab-$end$1" link set "to-$other$1" down
		ip -n "$lab-$end$1" link set "to-$other$1" name "to-$other" up
		inside "$end$1" sysctl -qw net.ipv6.conf.all.disable_ipv6=1
	done
	ip -n "$lab-c$1" route add default via 192.0.2.1
}

make_world() {
	netns "c$1" "h$1"
	plain "c$1" iptables-legacy -A OUTPUT -p tcp --dport 99 -m hashlimit --hashlimit-name syn --hashlimit-mode srcport \
		--hashlimit-above 1/hour --hashlimit-burst 1 --hashlimit-htable-expire 3600000 -j DROP
	plain "c$1" iptables-legacy -A OUTPUT -p tcp --dport 99 -j ACCEPT
	join "$1"
	inside "h$1" sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 \
		net.ipv4.conf.default.rp_filter=0 net.ipv4.conf.to-c.rp_filter=0 \
		net.ipv4.conf.all.accept_local=0
	ip -n "$lab-c$1" addr add 198.51.100.1/32 dev lo
	ip -n "$lab-c$1" addr add 198.51.100.77/32 dev lo
	ip -n "$lab-c$1" addr add 198.51.100.78/32 dev lo
	ip -n "$lab-c$1" addr add 198.51.100.79/32 dev lo
	ip -n "$lab-h$1" addr add 198.51.100.77/32 dev lo
	ip -n "$lab-h$1" addr add 198.51.100.79/32 dev lo
	ip -n "$lab-h$1" route del local 198.51.100.79 table local
	ip -n "$lab-h$1" link add idle type veth peer name idle2
	ip -n "$lab-h$1" addr add 198.51.100.78/32 dev idle
}

# The host's address, known to both clients for good or to be asked for.
neighbours() {
	local w

	for w in $worlds; do
		if [ "$1" = known ]; then
			ip -n "$lab-c$w" neigh replace 192.0.2.1 lladdr "$(mac "$w")" dev to-h nud permanent
		else
			ip -n "$lab-c$w" neigh del 192.0.2.1 dev to-h
		fi
	done
}

mac() {
	ip -n "$lab-h$1" link show to-c | awk '/link.ether/ { print $2 }'
}

# The packets of a policy or of the rule on TCP.
policy_of() {
	inside "h$1" iptables-legacy -t "$2" -nvxL "$3" | sed -n '1s/.*ACCEPT \([0-9]*\) packets.*/\1/p'
}

tcp_rule() {
	filter "$1" iptables-legacy -nvxL INPUT | awk '/dpt:99/ { print $1, $2 }'
}

asked() {
	inside hauto "$BPFILTER" status --json | sed -n 's/.*"placement_asked": "\([a-z]*\)".*/\1/p'
}

# The packets of the rule on UDP.
dropped_rule() {
	filter "$1" iptables-legacy -nvxL INPUT | awk '/dpts:9:10/ { print $1 }'
}

# What GRO holds stays for 2 ms (0: not), so that it merges what comes in a row.
hold_packets() {
	hosts unshare -m --propagation private bash -c "mount -t sysfs sysfs /sys &&
		echo $1 >/sys/class/net/to-c/napi_defer_hard_irqs &&
		echo ${1}000000 >/sys/class/net/to-c/gro_flush_timeout"
}

# burst ack|syn: 200 times data, such a segment, data, in both.
burst() {
	local w

	for w in $worlds; do
		filter "$w" iptables-legacy -Z INPUT
		inside "c$w" "$nic" burst to-h "$(mac "$w")" "$1" 200 || return
	done
	sleep 0.1
}

