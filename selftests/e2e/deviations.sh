#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Lines of docs/placements.md about filters at interfaces that no other test pins: what is otherwise there than with
# ip_tables, which has the same packets for comparison.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

by_module && skip_all "the placement is that of the module"
command -v python3 >/dev/null || skip_all "needs python3"

# table PLACEMENT RULE...: in force there, and nowhere else.
table() {
	local place=$1

	inside host "$BPFILTER" detach >/dev/null 2>&1
	shift
	{
		printf '*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n'
		printf -- '-A %s\n' "$@"
		echo COMMIT
	} | at "$place" iptables-legacy-restore || tap 1 "$place: a table"
	[ "$place" = kernel ] || in_ebpf host || tap 1 "$place: it is in eBPF"
}

# counted PLACEMENT CHAIN: what its only rule has.
counted() {
	at "$1" iptables-legacy -L "$2" -v -n -x | awk 'NR == 3 { print $1 }'
}

# What the scripts of Python below have: packets by hand.
lab_begin
cat >"$T/packets.py" <<'END'
from socket import *
import struct, sys

def total(data):
    data += b"\0" * (len(data) % 2)
    n = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while n >> 16:
        n = (n & 0xffff) + (n >> 16)
    return n

def packet(src, dst, proto, payload):
    def head(check):
        return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 7, 0, 64, proto, check,
                           inet_aton(src), inet_aton(dst))
    return head(0xffff - total(head(0))) + payload

def udp(port):
    return struct.pack("!HHHH", 7, port, 8, 0)

# That without addresses, which the kernel leaves out of it.
def dccp(right):
    data = bytearray(struct.pack("!HHBBHIII", 7, 9, 5, 0, 0, 1 << 24, 0, 0) + b"\0" * 4)
    struct.pack_into("!H", data, 6, (0xffff - total(bytes(data))) ^ (not right))
    return bytes(data)

def raw(p):
    s = socket(AF_INET, SOCK_RAW, IPPROTO_RAW)
    try:
        s.sendto(p, (inet_ntoa(p[16:20]), 0))
    except OSError:
        pass

def frame(name, mac, p):
    s = socket(AF_PACKET, SOCK_RAW)
    s.bind((name, 0x0800))
    s.send(bytes.fromhex(mac.replace(":", "")) + s.getsockname()[4] + b"\x08\x00" + p)
END

# send NS CODE: with those.
send() {
	inside "$1" python3 -c "exec(open('$T/packets.py').read())
$2"
}

mac() {
	ip -n "$lab-$1" -br link show "$2" | awk '{ print $3 }'
}

# errors NS: ICMP errors that it has received.
errors() {
	inside "$1" awk '$1 == "Icmp:" && n++ { print $5 }' /proc/net/snmp
}

# told NS COMMAND...: how many ICMP errors it gets for that, within a moment.
told() {
	local before ns=$1

	before=$(errors "$ns")
	shift
	"$@"
	sleep 0.2
	echo $(($(errors "$ns") - before))
}

# sees NS INTERFACE PORT COMMAND...: does a packet socket there get UDP for that port? "yes" or "no".
sees() {
	local ns=$1 name=$2 port=$3 listener

	shift 3
	: >"$T/sees"
	send "$ns" "
s = socket(AF_PACKET, SOCK_RAW, htons(3))
s.bind(('$name', 3))
s.settimeout(1.5)
print('ready', flush=True)
try:
    while True:
        d, a = s.recvfrom(2000)
        if a[2] != PACKET_OUTGOING and d[12:14] == b'\x08\x00' and d[23] == 17 and d[36:38] == struct.pack('!H', $port):
            print('yes')
            break
except OSError:
    print('no')" >"$T/sees" 2>&1 &
	listener=$!
	within 3 grep -q ready "$T/sees"
	"$@"
	wait $listener
	tail -n 1 "$T/sees"
}

lab_client_host_server
inside host sysctl -qw net.ipv4.icmp_ratelimit=0
ip -n "$lab-server" addr add 203.0.113.9/32 dev lo
ip -n "$lab-host" route add 203.0.113.0/24 via 198.51.100.2
expect "the client can be reached" can_ping host 192.0.2.2
expect "and the server" can_ping host 198.51.100.2
to_host=$(mac host to-client)
to_client=$(mac client to-host)

# --- settings ------------------------------------------------------------------------------------

# The TTL of the ICMP error that UDP for port 9 gets.
ttl() {
	send client "
s = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)
s.settimeout(1)
raw(packet('192.0.2.2', '192.0.2.1', 17, udp(9)))
print(s.recv(100)[8])"
}

table tc 'INPUT -p udp -j REJECT'
same "tc: a reply has the TTL of now" 64 "$(ttl)"
inside host sysctl -qw net.ipv4.ip_default_ttl=33
same "and the same when that changes" 64 "$(ttl)"
at tc iptables-legacy -A OUTPUT -p tcp --dport 1 -j DROP
same "until the next table" 33 "$(ttl)"
inside host sysctl -qw net.ipv4.ip_default_ttl=64

# --- what is answered, and what is not --------------------------------------------------------------

martian() {
	send client "frame('to-host', '$to_host', packet('203.0.113.9', '192.0.2.1', 17, udp(9)))"
}

from_nobody() {
	send host "raw(packet('203.0.113.9', '192.0.2.2', 17, udp(9)))"
}

echo_reply() {
	# ip_tables tells the sender as well.
	send host "socket(AF_INET, SOCK_RAW, IPPROTO_ICMP).sendto(struct.pack('!BBHHH', 0, 0, 0xffff, 0, 0), ('192.0.2.2', 0))" 2>/dev/null
}

dccp() {
	send client "raw(packet('192.0.2.2', '192.0.2.1', 33, dccp($1)))"
}

inside host sysctl -qw net.ipv4.conf.to-client.rp_filter=1
for place in kernel:0 tc:1 xdp,generic:1; do
	table ${place%:*} 'INPUT -p udp -j REJECT'
	same "${place%:*}: what rp_filter discards is answered" "${place#*:}" "$(told server martian)"
	same "and counted" "${place#*:}" "$(counted "${place%:*}" INPUT)"
done
inside host sysctl -qw net.ipv4.conf.to-client.rp_filter=0
for place in tc xdp,generic; do
	table $place 'OUTPUT -p udp --dport 9 -j REJECT'
	same "$place: what leaves from nobody's address is answered where it forwards" 1 "$(told server from_nobody)"
	inside host sysctl -qw net.ipv4.conf.to-client.forwarding=0
	same "and else not" 0 "$(told server from_nobody)"
	inside host sysctl -qw net.ipv4.conf.to-client.forwarding=1
done
for place in kernel:1 tc:0; do
	table ${place%:*} 'OUTPUT -p icmp --icmp-type 0 -j REJECT'
	same "${place%:*}: an echo reply of a raw socket of ICMP is answered" "${place#*:}" "$(told host echo_reply)"
	same "it was dropped" 1 "$(counted "${place%:*}" OUTPUT)"
done
for place in tc xdp,generic; do
	table $place 'INPUT -p dccp -j REJECT'
	same "$place: DCCP is answered" 1 "$(told client dccp True)"
	same "if its checksum is right" 0 "$(told client dccp False)"
	same "both are dropped" 2 "$(counted $place INPUT)"
done

# --- what leaves by an interface here -------------------------------------------------------------

netns other
ip -n "$lab-host" link add link to-server name mac0 type macvlan mode bridge
ip -n "$lab-host" link set mac0 netns "$lab-other"
ip -n "$lab-other" addr add 198.51.100.7/24 dev mac0
ip -n "$lab-other" link set mac0 up
by_socket() {
	send host "frame('to-client', '$to_client', packet('192.0.2.1', '192.0.2.2', 17, udp(3009)))"
}
dropped_here() {
	send client "frame('to-host', '$to_host', packet('192.0.2.2', '192.0.2.1', 17, udp(3008)))"
}

expect "a macvlan elsewhere reaches a neighbour" can_ping other 198.51.100.2
for place in kernel tc xdp,generic; do
	table $place 'INPUT -p udp --dport 3008 -j DROP' 'OUTPUT -d 198.51.100.2 -p icmp -j DROP' 'OUTPUT -p udp --dport 3009 -j DROP'
	if [ $place = kernel ]; then
		expect "$place: OUTPUT does not concern a macvlan elsewhere" can_ping other 198.51.100.2
		want='yes yes'
	else
		expect_not "$place: OUTPUT drops what a macvlan elsewhere sends" can_ping other 198.51.100.2
		want="yes $([ $place = tc ] && echo yes || echo no)"
	fi
	same "$place: what a packet socket sends arrives; and what INPUT drops at a packet socket" "$want" \
		"$(sees client to-host 3009 by_socket) $(sees host to-client 3008 dropped_here)"
done
tap_end
