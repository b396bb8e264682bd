#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# auto_tracked.sh - what drivers drop early where connections are tracked: two hosts with the same traffic (two_hosts.sh).
# Whatever conntrack makes of a packet, verdicts and counters are the same; and what is NEW for certain is dropped early.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"
# shellcheck source=../two_hosts.sh
. "$here/../two_hosts.sh"

by_module && skip_all "the placement is that of the module"

# As firewalls begin. Ports: UDP 10 and TCP 99 are dropped, 1001 and 22 accepted.
firewall() {
	cat <<-END
	*filter
	:INPUT DROP [0:0]
	:FORWARD DROP [0:0]
	:OUTPUT ACCEPT [0:0]
	:bad - [0:0]
	:new - [0:0]
	-A INPUT -m conntrack --ctstate RELATED -j ACCEPT
	-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
	-A INPUT -m conntrack --ctstate INVALID -j bad
	-A INPUT -m conntrack --ctstate NEW -j new
	-A INPUT -p udp --dport 1001 -m conntrack --ctstate NEW,UNTRACKED -j ACCEPT
	-A INPUT -p tcp --dport 22 -m state --state NEW -j ACCEPT
	-A INPUT -p icmp --icmp-type timestamp-request -j ACCEPT
	-A INPUT -p udp --dport 10 -m conntrack ! --ctstate NEW -j ACCEPT
	-A INPUT -p udp --dport 10 -m conntrack --ctdir REPLY -j ACCEPT
	-A INPUT -p udp --dport 10 -m conntrack --ctstatus ASSURED,SEEN_REPLY -j ACCEPT
	-A INPUT -p udp --dport 10 -m conntrack --ctstate DNAT -j ACCEPT
	-A INPUT -p udp --dport 10 -m connmark --mark 0 -m conntrack --ctorigdstport 10 --ctreplsrc 192.0.2.1 -j DROP
	-A bad -p tcp
	-A bad -p udp
	-A bad -p icmp
	-A bad -j DROP
	-A new -p tcp
	-A new -p udp
	-A new -m conntrack --ctproto 17 --ctdir ORIGINAL --ctorigsrc 192.0.2.2
	-A new -p tcp --dport 99 --syn -m conntrack ! --ctstatus EXPECTED -j DROP
	COMMIT
	END
}

# Rules that do not look at the state, where it is tracked for nat.
stateless() {
	cat <<-END
	*filter
	:INPUT DROP [0:0]
	:FORWARD DROP [0:0]
	:OUTPUT ACCEPT [0:0]
	-A INPUT -p udp --dport 1001 -j ACCEPT
	-A INPUT -p tcp --dport 22 -j ACCEPT
	-A INPUT -p icmp --icmp-type timestamp-request -j ACCEPT
	-A INPUT -p udp --dport 10 -j DROP
	-A INPUT -p tcp --dport 99 -j DROP
	COMMIT
	END
}

# What one client sends, beside the packets of send().
send_more() {
	inside "c$1" "$nic" odd to-h "$(mac "$1")"
}

# one KIND SPORT DPORT: that packet from both clients (nic send).
one() {
	local w

	for w in $worlds; do inside "c$w" "$nic" send to-h "$(mac "$w")" "$@"; done
	sleep 0.05
}

# from_host SPORT DPORT: a datagram of both hosts.
from_host() {
	hosts bash -c "echo x | nc -u -p $1 -w 1 192.0.2.2 $2"
}

# check TEXT some|none COMMAND...: both have the same counters behind that; and how many were dropped early meanwhile.
check() {
	local text=$1 how=$2 before after

	shift 2
	[ "$how" = none ] || wake
	before=$(early)
	"$@"
	sleep 0.1
	after=$(early)
	same "$text: the same counters" "$(counted plain)" "$(counted auto)"
	if [ "$how" = some ]; then
		expect "$text: some are dropped early ($before, $after)" [ "${after:-0}" -gt "${before:-0}" ]
	else
		expect "$text: none are dropped early ($before, $after)" [ "${after:-0}" -eq "${before:-0}" ]
	fi
	dropped=$((after - before))
}

both_odd() {
	local w

	for w in $worlds; do send_more "$w" || note "odd packets were not sent"; done
}

lab_begin
echo "interface to-c+ auto" >"$T/conf"
export BPFILTER_CONFIG=$T/conf
for world in $worlds; do make_world "$world"; done
neighbours known
hosts ip neigh replace 192.0.2.2 lladdr 02:00:00:00:00:02 dev to-c
for world in $worlds; do
	ip -n "$lab-h$world" neigh replace 192.0.2.2 dev to-c nud permanent \
		lladdr "$(ip -n "$lab-c$world" link show to-h | awk '/link.ether/ { print $2 }')"
done
# Clients do not answer what is sent in their name.
clients iptables-legacy -A OUTPUT -p tcp --tcp-flags RST RST -j DROP
clients iptables-legacy -A OUTPUT -p icmp --icmp-type port-unreachable -j DROP

expect "a firewall" restore firewall
missing=$(status_of hauto | sed -n 's/^ *early drop *none, because \(.*\)/\1/p')
case $missing in
"the kernel does not tell"* | "the table is not at"* | "INPUT drops nothing before"*)
	tap_skip "dropping early where connections are tracked" "$missing"
	tap_end
	;;
esac
compare "what is NEW" some
check "packets in order and not" some both_odd
# Behind many in a row that are not dropped, few are searched for.
expect "most of what is NEW for certain is dropped early: $dropped of 326" [ "$dropped" -ge 150 ]
with_sums=$dropped
hosts sysctl -qw net.netfilter.nf_conntrack_checksum=0
check "checksums do not matter" some both_odd
expect "more of them are dropped early: $dropped, $with_sums before" [ "$dropped" -gt "$with_sums" ]
hosts sysctl -qw net.netfilter.nf_conntrack_checksum=1
hosts sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0
check "connections are not picked up" some both_odd
hosts sysctl -qw net.netfilter.nf_conntrack_tcp_loose=1
hosts sysctl -qw net.netfilter.nf_conntrack_acct=1 net.netfilter.nf_conntrack_timestamp=1
check "connections are counted" some both_odd
hosts sysctl -qw net.netfilter.nf_conntrack_acct=0 net.netfilter.nf_conntrack_timestamp=0

# --- entries -----------------------------------------------------------------------------------

check "a datagram" some one udp 5000 10
check "the host sends one from there" none from_host 10 5000
check "what follows is ESTABLISHED" none one udp 5000 10
check "another one's is not" some one udp 5001 10
check "a datagram that is accepted" none one udp 5002 1001
check "and one more" none one udp 5002 1001
check "its ports the other way round" some one udp 1001 5002
hosts sysctl -qw net.netfilter.nf_conntrack_udp_timeout=1 net.netfilter.nf_conntrack_udp_timeout_stream=1
check "a last one, which will not be remembered for long" none one udp 5000 10
sleep 2.5
# What has had an entry is not asked about at once.
forgotten() {
	local i

	for i in {1..17}; do one udp 5000 10; done
}
check "once it is forgotten" some forgotten
hosts sysctl -qw net.netfilter.nf_conntrack_udp_timeout=30 net.netfilter.nf_conntrack_udp_timeout_stream=120

# A listener, so that there are answers.
for world in $worlds; do serve_tcp "h$world" 22; done
check "a SYN" some one 0x02 6000 99
check "a SYN that is accepted" none one 0x02 6001 22
for flags in 0x10 0x11 0x12 0x02 0x04 0x10 0x02 0x10 0x14 0x02; do
	check "flags $flags of that connection" none one $flags 6001 22
done
hosts sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_close=1 net.netfilter.nf_conntrack_tcp_timeout_syn_recv=1
check "a reset" none one 0x04 6001 22
sleep 2.5
check "a SYN from there to another port" some one 0x02 6001 99
check "an ACK from nowhere" none one 0x10 6002 99

# --- expectations ------------------------------------------------------------------------------

if [ "$(type -t nft)" ] && hosts nft 'table ip e {
		ct expectation ten { protocol udp; dport 10; timeout 1h; size 1; l3proto ip; }
		chain c { type filter hook output priority 0; udp dport 5353 ct expectation set "ten"; }
	}' 2>/dev/null; then
	check "no expectation yet" some one udp 5100 10
	hosts bash -c 'echo >/dev/udp/192.0.2.2/5353'
	check "something is expected, and something else comes" none one 0x02 6100 99
	says "connections are expected"
	check "it comes" none one udp 5101 10
	check "it has come" some one udp 5102 10
	check "that connection goes on" none one udp 5101 10
	hosts nft delete table ip e
else
	tap_skip "expectations" "no nft, or it has none"
fi

# --- nat -----------------------------------------------------------------------------------------

# What a module has is known from the next table on.
hosts iptables-legacy -t nat -L >/dev/null
expect "rules without a state" restore stateless
hosts iptables-legacy -t nat -A POSTROUTING -j MASQUERADE
compare "MASQUERADE, no states" some
check "packets in order and not, no states" some both_odd
hosts iptables-legacy -t nat -A PREROUTING -p udp --dport 10 -j DNAT --to-destination 192.0.2.1:1001
compare "DNAT, no states" none
check "a connection that is translated" none one udp 5200 10
hosts iptables-legacy -t nat -F PREROUTING
check "it still is" none one udp 5200 10
check "others are not" some one udp 5201 10
expect "a firewall again" restore firewall
hosts iptables-legacy -t nat -F
compare "nat without a rule" some
check "the translated one goes on" none one udp 5200 10
hosts iptables-legacy -t nat -A PREROUTING -p udp --dport 10 -j DNAT --to-destination 192.0.2.1:1001
compare "DNAT" none
hosts iptables-legacy -t nat -F
if [ "$(type -t nft)" ]; then
	hosts nft 'table ip n { chain c { type nat hook prerouting priority -100; udp dport 10 dnat to 192.0.2.1:1001; }; }'
	compare "nf_tables' nat" none
	hosts nft delete table ip n
	compare "nf_tables' nat is gone" some
fi
if hosts iptables-legacy -t raw -A PREROUTING -p udp --dport 10 -j CT --notrack; then
	compare "NOTRACK" none
	hosts iptables-legacy -t raw -F
	compare "all is tracked again" some
	hosts iptables-legacy -t raw -A PREROUTING -p udp -j CT --zone 7
	compare "a zone" none
	hosts iptables-legacy -t raw -F
fi

# --- as many as there may be ---------------------------------------------------------------------

# The machine's own, which everybody on it has use for.
max=/proc/sys/net/netfilter/nf_conntrack_max
if [ "${BPFILTER_OWN_MACHINE:-}" ]; then
	before=$(cat $max)
	check "there are connections" none clients bash -c 'exec 3<>/dev/tcp/192.0.2.1/22; sleep 0.2; sleep 20 <&3 >/dev/null 2>&1 &'
	echo 1 >$max
	compare "there may be no more" none
	says "as many connections as it may"
	# Kernels before 7 take 0 for no limit.
	! echo 0 2>/dev/null >$max || compare "there may be any number" some
	echo "$before" >$max
	compare "there may be more" some
else
	tap_skip "nf_conntrack_max" "it is the machine's"
fi

tap_end
