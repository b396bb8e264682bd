#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Targets that change a packet, take it, or mark its connection, as a user sees them: the kernel's own, run in their turn.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

ipt() {
	filtered host iptables-legacy "$@"
}

# packets CHAIN PATTERN: what the rule that iptables shows with that has counted.
packets() {
	ipt -L "$1" -v -n -x | awk -v p="$2" 'index($0, p) { print $1; exit }'
}

# connections PATTERN: how many entries of conntrack have it.
connections() {
	inside host grep -c -e "$1" /proc/net/nf_conntrack
}

# received COLUMN: of /proc/net/stat/synproxy, which counts in hexadecimal for each processor.
received() {
	local sum=0 n

	for n in $(inside host awk -v c="$1" 'NR > 1 { print $c }' /proc/net/stat/synproxy); do
		sum=$((sum + 0x$n))
	done
	echo $sum
}

# mss_at_server PORT: what the server makes of the SYN of a connection to it.
mss_at_server() {
	inside client bash -c "exec 7<>/dev/tcp/198.51.100.2/$1 && sleep 2" &
	within 2 server_has "$1"
	inside server ss -Htin "sport = :$1" | grep -o '\<mss:[0-9]*' | cut -d: -f2
}

server_has() {
	[ -n "$(inside server ss -Htn state established "sport = :$1")" ]
}

lab_begin
lab_client_host_server
serve_tcp host 22
serve_tcp server 80
serve_tcp server 81

# --- CONNMARK --------------------------------------------------------------------------------

expect "a table with CONNMARK is taken" ipt -A INPUT -p tcp --dport 22 -j CONNMARK --set-mark 0x15
expect "and is in eBPF" in_ebpf host
expect "a connection" can_tcp client 192.0.2.1 22
expect "has its mark" [ "$(connections 'dport=22 .*mark=21 ')" -gt 0 ]
ipt -I OUTPUT -m connmark --mark 0x15 -j DROP
expect_not "packets of other chains see it" can_tcp client 192.0.2.1 22
ipt -F OUTPUT
ipt -I INPUT -p tcp --dport 22 -j MARK --set-mark 0x30
ipt -A INPUT -p tcp --dport 22 -j CONNMARK --save-mark --nfmask 0xf0 --ctmask 0xff
ipt -A INPUT -p tcp --dport 22 -m connmark ! --mark 0x30 -j DROP
expect "MARK is in front of it, if the rule is" can_tcp client 192.0.2.1 22
expect "and is saved" [ "$(connections 'dport=22 .*mark=48 ')" -gt 0 ]
ipt -F

# --- TCPMSS ----------------------------------------------------------------------------------

before=$(mss_at_server 80)
expect "a table with TCPMSS is taken" \
	ipt -A FORWARD -p tcp --tcp-flags SYN,RST SYN --dport 80 -j TCPMSS --set-mss 700
if in_ebpf host; then
	after=$(mss_at_server 80)
	expect "segments are as long as it says: $before before, $after now" [ "$after" -lt 701 ]
	expect "it was longer" [ "$before" -gt 1000 ]
	expect "the rule has counted SYNs" [ "$(packets FORWARD 'TCPMSS set 700')" = 1 ]
	ipt -A FORWARD -p tcp -m tcpmss --mss 700 -j DROP
	expect_not "beside rules that look at TCP options it is the kernel's" in_ebpf host
	expect "with the reason" grep -q "changes TCP options" <(status_of host)
else
	tap_skip "TCPMSS" "needs netfilter links"
fi
ipt -F

# --- SYNPROXY --------------------------------------------------------------------------------

inside host sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0
ipt -t raw -A PREROUTING -p tcp --syn -j CT --notrack
if ipt -A INPUT -p tcp --dport 22 -m conntrack --ctstate INVALID,UNTRACKED -j SYNPROXY --sack-perm --timestamp --wscale 7 --mss 1460 &&
   in_ebpf host; then
	ipt -A FORWARD -p tcp --dport 80:81 -m conntrack --ctstate INVALID,UNTRACKED -j SYNPROXY --mss 1000
	ipt -A INPUT -m conntrack --ctstate INVALID -j DROP
	ipt -A FORWARD -m conntrack --ctstate INVALID -j DROP
	expect "the table is in eBPF" in_ebpf host
	expect "the host's port is reached" can_tcp client 192.0.2.1 22 3
	expect "by way of the proxy" [ "$(received 2)" = 1 ]
	expect "with a valid cookie" [ "$(received 4)" = 1 ]
	expect "so is the server's" can_tcp client 198.51.100.2 80 3
	expect "by way of the proxy" [ "$(received 4)" = 2 ]
	expect "the rule has counted SYN and ACK" [ "$(packets FORWARD SYNPROXY)" -ge 2 ]
	helper_kill KILL
	expect "and without a helper" can_tcp client 198.51.100.2 81 3
	expect "too" [ "$(received 4)" = 3 ]
else
	tap_skip "SYNPROXY" "needs netfilter links and a kernel that has it"
fi
ipt -F
ipt -t raw -F
tap_end
