#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What dockerd asks of iptables when it starts and publishes a port: the same calls in a namespace
# with the kernel's ip_tables and in one with bpfilter give the same exit statuses and tables; the
# filter table is in eBPF, nat is with the kernel, and the published port can be reached.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

# Each call's exit status goes to stdout. Docker tests for a rule before it adds it, runs one
# iptables per rule, and waits for the lock.
cat_calls() {
	cat <<'END'
ipt() {
	iptables-legacy --wait "$@" >/dev/null 2>&1
	echo "$? $*"
}
# table chain -A|-I rule...: add it unless it is there.
ensure() {
	local table=$1 chain=$2 how=$3

	shift 3
	ipt -t "$table" -C "$chain" "$@"
	ipt -t "$table" "$how" "$chain" "$@"
}

ipt --version
for chain in "PREROUTING -m addrtype --dst-type LOCAL" \
	     "OUTPUT -m addrtype --dst-type LOCAL ! --dst 127.0.0.0/8" PREROUTING OUTPUT; do
	ipt -t nat -D $chain -j DOCKER
done
for table in nat filter; do
	ipt -t $table -F DOCKER
	ipt -t $table -X DOCKER
done
for chain in DOCKER-ISOLATION-STAGE-1 DOCKER-ISOLATION-STAGE-2 DOCKER-ISOLATION; do
	ipt -t filter -F $chain
	ipt -t filter -X $chain
done
ipt -t nat -n -L DOCKER
ipt -t nat -N DOCKER
for chain in DOCKER DOCKER-ISOLATION-STAGE-1 DOCKER-ISOLATION-STAGE-2; do
	ipt -t filter -n -L $chain
	ipt -t filter -N $chain
done
ensure filter DOCKER-ISOLATION-STAGE-1 -A -j RETURN
ensure filter DOCKER-ISOLATION-STAGE-2 -A -j RETURN
ensure nat POSTROUTING -I -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
ensure nat DOCKER -I -i docker0 -j RETURN
ipt -D FORWARD -i docker0 -o docker0 -j DROP
ensure filter FORWARD -I -i docker0 -o docker0 -j ACCEPT
ensure filter FORWARD -I -i docker0 ! -o docker0 -j ACCEPT
ensure nat PREROUTING -A -m addrtype --dst-type LOCAL -j DOCKER
ensure nat OUTPUT -A -m addrtype --dst-type LOCAL -j DOCKER ! --dst 127.0.0.0/8
ensure filter FORWARD -I -o docker0 -j DOCKER
ensure filter FORWARD -I -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
ipt -t filter -C FORWARD -j DOCKER-ISOLATION-STAGE-1
ipt -D FORWARD -j DOCKER-ISOLATION-STAGE-1
ipt -I FORWARD -j DOCKER-ISOLATION-STAGE-1
ensure filter DOCKER-ISOLATION-STAGE-1 -I -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
ensure filter DOCKER-ISOLATION-STAGE-2 -I -o docker0 -j DROP
ipt -P FORWARD DROP
ipt -t filter -n -L DOCKER-USER
ipt -t filter -N DOCKER-USER
ensure filter DOCKER-USER -A -j RETURN
ipt -D FORWARD -j DOCKER-USER
ensure filter FORWARD -I -j DOCKER-USER
# a container with -p 8080:80
ipt -t nat -A DOCKER -p tcp -d 0/0 --dport 8080 -j DNAT --to-destination 172.17.0.2:80 ! -i docker0
ipt -t filter -A DOCKER ! -i docker0 -o docker0 -p tcp -d 172.17.0.2 --dport 80 -j ACCEPT
ipt -t nat -A POSTROUTING -p tcp -s 172.17.0.2 -d 172.17.0.2 --dport 80 -j MASQUERADE
END
}

lab_begin
cat_calls >"$T/calls"
netns client host container kernel
link client 192.0.2.2/24 host 192.0.2.1/24
ip -n "$lab-client" route add 172.17.0.0/16 via 192.0.2.1
ip -n "$lab-host" link add docker0 type bridge
ip -n "$lab-host" addr add 172.17.0.1/16 dev docker0
ip -n "$lab-host" link set docker0 up
ip link add eth0 netns "$lab-container" type veth peer name veth0 netns "$lab-host"
ip -n "$lab-host" link set veth0 master docker0 up
ip -n "$lab-container" addr add 172.17.0.2/16 dev eth0
ip -n "$lab-container" link set eth0 up
ip -n "$lab-container" route add default via 172.17.0.1
inside host sysctl -qw net.ipv4.ip_forward=1
for port in 80 81; do serve_tcp container $port; done
serve_tcp client 7777

plain kernel bash "$T/calls" >"$T/want"
filtered host bash "$T/calls" >"$T/got"
same "$(wc -l <"$T/want") calls end as with the kernel" "$(cat "$T/want")" "$(cat "$T/got")"
same "the same tables in the end" "$(plain kernel iptables-legacy-save | bare)" \
	"$(filtered host iptables-legacy-save | bare)"
expect "the filter table is in eBPF" kernel_is_empty host
expect "and status says so" in_ebpf host
same "nat is with the kernel" "$(plain kernel iptables-legacy -t nat -S)" \
	"$(inside host iptables-legacy -t nat -S)"

expect "the published port is reached through DNAT" can_tcp client 192.0.2.1 8080 5
expect "another port of the container is not" cannot can_tcp client 172.17.0.2 81
expect "nor the published one's neighbour" cannot can_tcp client 192.0.2.1 8081
expect "the container reaches the outside" can_tcp container 192.0.2.2 7777 5
same "the rule of the published port has counted one connection" 1 \
	"$(filtered host iptables-legacy -L DOCKER -v -n -x | awk '/172.17.0.2/ { print $1 }')"

# The container stops.
filtered host iptables-legacy --wait -t filter -D DOCKER ! -i docker0 -o docker0 -p tcp \
	-d 172.17.0.2 --dport 80 -j ACCEPT
expect "without its rule the port is closed" cannot can_tcp client 192.0.2.1 8080
tap_end
