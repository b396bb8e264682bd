#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# placement.sh [ROUNDS] - tables at the interfaces (tc, xdp): what they decide and count, interfaces that come and go,
# other programs there, a helper that is killed, and moves between placements under traffic

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

rounds=${1:-3}
foreign=${BUILD:-$(dirname "$BPFILTER")}/selftests/foreign

by_module && skip_all "the placement is that of the module"

# What the programs decide: one port of each kind is dropped, one accepted.
table() {
	cat <<-END
	*filter
	:INPUT DROP [0:0]
	:FORWARD DROP [0:0]
	:OUTPUT DROP [0:0]
	-A INPUT -p icmp -j ACCEPT
	-A INPUT -i lo -p udp --dport 7 -j ACCEPT
	-A INPUT -i to-client -p udp --dport 1001 -j ACCEPT
	-A INPUT -i late+ -p udp --dport 1001 -j ACCEPT
	-A INPUT -i to-server -p udp --dport 1002 -j ACCEPT
	-A INPUT -p udp --dport 9 -j DROP
	-A FORWARD -p icmp -j ACCEPT
	-A FORWARD -i to-client -o to-server -p udp --dport 2001 -j ACCEPT
	-A OUTPUT -p icmp -j ACCEPT
	-A OUTPUT -o lo -j ACCEPT
	-A OUTPUT -o to-client -p udp --dport 3001 -j ACCEPT
	COMMIT
	END
}

# exec_in NS COMMAND...: becomes the command, so that signals reach it.
exec_in() {
	exec nsenter --net="/run/netns/$lab-$1" "${@:2}"
}

# What is to be dropped, until it is told to end; then how much that was.
flood() {
	# shellcheck disable=SC2016
	exec_in client bash -c 'trap "end=1" TERM; n=0 end=
		until [ "$end" ]; do echo >/dev/udp/192.0.2.1/9 && n=$((n + 1)); done
		echo $n' 2>/dev/null
}

place_of() {
	status_of host | sed -n "s/.*[ ]$1: //p"
}

programs() {
	ls "$BPFILTER_PIN_DIR/$(inode host)" 2>/dev/null
}

decides() {
	expect "$1: INPUT accepts" can_ping client 192.0.2.1
	expect "$1: INPUT accepts a port" can_udp client 192.0.2.1 1001 host
	expect "$1: INPUT drops a port on the wrong interface" cannot can_udp client 192.0.2.1 1002 host
	expect "$1: INPUT's policy drops" cannot can_udp client 192.0.2.1 1003 host
	expect "$1: FORWARD accepts" can_ping client 198.51.100.2
	expect "$1: FORWARD accepts a port" can_udp client 198.51.100.2 2001 server
	expect "$1: FORWARD's policy drops" cannot can_udp client 198.51.100.2 2002 server
	expect "$1: OUTPUT accepts a port" can_udp host 192.0.2.2 3001 client
	expect "$1: OUTPUT's policy drops" cannot can_udp host 192.0.2.2 3002 client
	expect "$1: on lo" can_ping host 127.0.0.1
}

lab_begin
lab_client_host_server
for port in 1001 1002 1003; do serve_udp host $port; done
for port in 2001 2002; do serve_udp server $port; done
for port in 3001 3002; do serve_udp client $port; done
table >"$T/table"

for place in tc xdp xdp,generic; do
	expect "$place: a table" at $place iptables-legacy-restore "$T/table"
	same "$place: at the interface" "$place" "$(place_of to-client)"
	same "$place: lo is at tc" tc "$(place_of lo | cut -d' ' -f1)"
	decides $place
done
expect "JSON says the same" test "$("$BPFILTER" status --json | tr -d ' \n' |
	grep -o '"name":"to-server","placement":"[^"]*"')" = '"name":"to-server","placement":"xdp,generic"'

# --- a helper that is killed -----------------------------------------------------------------

for place in xdp tc; do
	at $place iptables-legacy-restore "$T/table"
	helper_kill 9
	expect "$place, no helper: accepts" can_udp client 198.51.100.2 2001 server
	expect "$place, no helper: drops" cannot can_udp client 198.51.100.2 2002 server
	same "$place: the next helper shows it" 11 "$(filtered host iptables-legacy -S | grep -c -e -A)"
	same "$place: and where it is" $place "$(place_of to-client)"
	expect "$place: and changes it" filtered host iptables-legacy -A INPUT -p udp --dport 1003 -j ACCEPT
	same "$place: where it was" $place "$(place_of to-client)"
	expect "$place: the new rule accepts" can_udp client 192.0.2.1 1003 host
done

# --- interfaces that come and go -------------------------------------------------------------

late() {
	ip link add late0 netns "$lab-client" type veth peer name "$1" netns "$lab-host" &&
		ip -n "$lab-client" addr add 203.0.113.2/24 dev late0 &&
		ip -n "$lab-host" addr add 203.0.113.1/24 dev "$1" &&
		ip -n "$lab-client" link set late0 up && ip -n "$lab-host" link set "$1" up
}

is_placed() {
	[ "$(place_of "$1")" = "$2" ]
}

is_gone() {
	[ -z "$(place_of "$1")" ]
}

for place in tc xdp; do
	at $place iptables-legacy-restore "$T/table"
	exec_in client ping -q -i 0.002 192.0.2.1 >/dev/null &
	ping=$!
	late late1
	expect "$place: an interface that appears" within 5 is_placed late1 $place
	expect "$place: a rule with a wildcard knows it" can_udp client 203.0.113.1 1001 host
	expect "$place: it is filtered" cannot can_udp client 203.0.113.1 1003 host
	ip -n "$lab-host" link set late1 down
	ip -n "$lab-host" link set late1 name other1
	ip -n "$lab-host" link set other1 up
	expect "$place: renamed" within 5 is_placed other1 $place
	expect "$place: the rule does not know its new name" cannot can_udp client 203.0.113.1 1001 host
	ip -n "$lab-host" link set other1 netns "$lab-server"
	expect "$place: it moves to another namespace" within 5 is_gone other1
	ip -n "$lab-server" addr add 203.0.113.1/24 dev other1
	ip -n "$lab-server" link set other1 up
	serve_udp server 1003
	expect "$place: it is not filtered there" within 5 can_udp client 203.0.113.1 1003 server
	ip -n "$lab-server" link set other1 netns "$lab-host"
	ip -n "$lab-host" addr add 203.0.113.1/24 dev other1
	ip -n "$lab-host" link set other1 up
	expect "$place: it comes back" within 5 is_placed other1 $place
	expect "$place: and is filtered" cannot can_udp client 203.0.113.1 1003 host
	ip -n "$lab-host" link del other1
	expect "$place: it vanishes" within 5 is_gone other1
	kill -INT $ping
	expect "$place: the others go on" can_udp client 192.0.2.1 1001 host
done

# --- bridges and VLANs: OUTPUT is run once a packet -------------------------------------------

at tc iptables-legacy-restore "$T/table"
late late1
ip -n "$lab-host" link add br0 type bridge
ip -n "$lab-host" link set late1 master br0
ip -n "$lab-host" addr flush dev late1
ip -n "$lab-host" addr add 203.0.113.1/24 dev br0
ip -n "$lab-host" link set br0 up
expect "a port of a bridge is not filtered by itself" within 5 is_placed late1 "port of another"
filtered host iptables-legacy -I INPUT -i br0 -p icmp -j ACCEPT
filtered host iptables-legacy -I OUTPUT -o br0 -p icmp -j ACCEPT
filtered host iptables-legacy -Z
inside client ping -q -c 5 -i 0.01 203.0.113.1 >/dev/null
same "over a bridge each packet is counted once, at the bridge" "5 5" "$(filtered host \
	iptables-legacy -vnxL | awk '/br0/ { printf "%s%s", sep, $1; sep = " " }')"
ip -n "$lab-host" link del br0
ip -n "$lab-host" link del late1

# --- other programs --------------------------------------------------------------------------

at netfilter iptables-legacy-restore "$T/table"
inside host "$foreign" xdp to-client attach
inside host "$foreign" clsact to-server attach
at xdp iptables-legacy-restore "$T/table" 2>/dev/null
same "another XDP program is not replaced" \
	"tc (to-client has another XDP program, which stays: tc is used there instead)" \
	"$(place_of to-client)"
expect "it is still there" inside host "$foreign" xdp to-client is
same "the other interface has XDP" xdp "$(place_of to-server)"
decides "beside other programs"
at tc iptables-legacy-restore "$T/table"
expect "a filter of somebody else is still there" inside host "$foreign" clsact to-server is
decides "tc beside other programs"
# It rewrites what tells, for the time of a move, who has judged a packet: those would be counted twice.
inside host "$foreign" clsact to-server detach
inside host "$foreign" xdp to-client detach
at xdp iptables-legacy-restore "$T/table"
same "XDP when the other program has gone" xdp "$(place_of to-client)"

# --- moves under traffic ---------------------------------------------------------------------

# Everything that is sent is counted, once. What is to be dropped does not arrive.
at netfilter iptables-legacy-restore "$T/table"
if grep -q 'netfilter hooks' <(status_of host); then
	hooks='netfilter hooks' others=netfilter
else
	hooks="ip_tables" others=tc
fi

# exactly TEXT WANT GOT: of what is true only where there are netfilter links. When a ping is interrupted one packet may be
# under way, and its answer.
exactly() {
	if [ "$others" != netfilter ]; then
		tap_skip "$1" "without BPF netfilter links a move is not exact"
	elif [ "$(($2 - $3))" -ge -2 ] && [ "$(($2 - $3))" -le 2 ]; then
		tap 0 "$1"
	else
		same "$@"
	fi
}

inside host nft -f - <<-END
	table ip probe {
		counter leaked { packets 0 bytes 0 }
		chain in {
			type filter hook input priority 100;
			udp dport 9 counter name leaked
		}
	}
END

# Those of ping's lines: "sent received"
ping_counts() {
	awk '/transmitted/ { print $1, $4 }' "$T/ping-$1"
}

counted() {
	filtered host iptables-legacy -vnxL "$1" | awk -v what="$2" '$0 ~ what { print $1; exit }'
}

# A device loses some of a flood when its driver is set up anew, and the queue of a busy processor does.
flood_counted() {
	local sent got

	sent=$(cat "$T/sent") got=$(counted INPUT dpt:9)
	note "of $sent packets of a flood $((sent - got)) were lost before the filter"
	expect "$1" test "$got" -le "$sent" -a "$((sent - got))" -le $((sent / 1000))
}

for ((n = 0; n < rounds; n++)); do
	for place in tc $others xdp tc xdp $others; do
		echo "$place"
	done
done >"$T/places"

filtered host iptables-legacy -Z
exec_in client ping -q -i 0.002 192.0.2.1 >"$T/ping-host" &
p1=$!
exec_in client ping -q -i 0.002 198.51.100.2 >"$T/ping-server" &
p2=$!
flood >"$T/sent" &
p3=$!
failed=0
while read -r place; do
	at "$place" iptables-legacy -A INPUT -p tcp --dport 1 -j DROP 2>>"$T/err" || failed=$((failed + 1))
	is_there=$(status_of host | grep -c "at the \(netfilter hooks\|interfaces ($place)\)")
	[ "$is_there" = 1 ] || failed=$((failed + 1))
	sleep 0.1
done <"$T/places"
sleep 0.2
kill -TERM $p3
kill -INT $p1 $p2
wait $p1 $p2 $p3
tap "$failed" "$(wc -l <"$T/places") moves between placements"
read -r sent received <<<"$(ping_counts host)"
exactly "INPUT and OUTPUT lost nothing" "$sent" "$received"
exactly "INPUT counted each packet once" "$((sent))" "$(counted INPUT ACCEPT)"
exactly "OUTPUT counted each packet once" "$((received))" "$(counted OUTPUT ACCEPT)"
read -r sent received <<<"$(ping_counts server)"
exactly "FORWARD lost nothing" "$sent" "$received"
exactly "FORWARD counted each packet once" "$((sent + received))" "$(counted FORWARD ACCEPT)"
flood_counted "what is dropped was counted once"
expect "and none of it got through" grep -q 'packets 0 ' <(inside host nft list counters)

# To ip_tables and back.
at tc iptables-legacy-restore "$T/table"
filtered host iptables-legacy -Z
exec_in client ping -q -i 0.002 192.0.2.1 >"$T/ping-host" &
p1=$!
flood >"$T/sent" &
p3=$!
for ((n = 1; n <= rounds; n++)); do
	inside host "$BPFILTER" detach >/dev/null
	expect "$n: ip_tables has it" cannot in_ebpf host
	at tc iptables-legacy -A INPUT -p tcp --dport 1 -j DROP
	same "$n: tc has it" tc "$(place_of to-client)"
done
sleep 0.2
kill -TERM $p3
kill -INT $p1
wait $p1 $p3
read -r sent received <<<"$(ping_counts host)"
exactly "between ip_tables and tc nothing is lost" "$sent" "$received"
exactly "and counted once in INPUT" "$sent" "$(counted INPUT ACCEPT)"
exactly "and in OUTPUT" "$received" "$(counted OUTPUT ACCEPT)"
flood_counted "what is dropped, too"
expect "none of it got through" grep -q 'packets 0 ' <(inside host nft list counters)

# --- rules of other tables -----------------------------------------------------------------------

at tc iptables-legacy-restore "$T/table"
same "tc, while the other tables are empty" tc "$(place_of to-client)"
exec_in client ping -q -i 0.002 192.0.2.1 >"$T/ping-host" &
p1=$!
expect "a rule in nat" at tc iptables-legacy -t nat -A PREROUTING -p tcp --dport 81 -j REDIRECT --to-ports 80
expect "is there" grep -q REDIRECT <(inside host iptables-legacy -t nat -S)
expect "the filter has gone to $hooks" grep -q "$hooks" <(status_of host)
expect "and says why" grep -q 'table nat has rules' <(status_of host)
at tc iptables-legacy-restore "$T/table"
expect "where it stays" grep -q "$hooks" <(status_of host)
sleep 0.1
kill -INT $p1
wait $p1
read -r sent received <<<"$(ping_counts host)"
exactly "nothing was lost" "$sent" "$received"
at tc iptables-legacy -t nat -F
for table in mangle raw; do
	inside host iptables-legacy -t $table -A PREROUTING -p tcp --dport 81 -j ACCEPT
	at tc iptables-legacy-restore "$T/table"
	expect "rules in $table that were there before" grep -q "table $table has rules" <(status_of host)
	inside host iptables-legacy -t $table -F
done
sleep 2
at tc iptables-legacy-restore "$T/table"
same "and back" tc "$(place_of to-client)"

# --- the configuration file ------------------------------------------------------------------

export BPFILTER_CONFIG=$T/conf
helper_kill TERM
printf '# where\nattach tc\n\ninterface to-s+ xdp\n' >"$BPFILTER_CONFIG"
inside host "$BPFILTER" detach >/dev/null
filtered host iptables-legacy-restore "$T/table"
same "the file says tc" tc "$(place_of to-client)"
same "but XDP for one" xdp "$(place_of to-server)"
decides "as configured"
at netfilter iptables-legacy-restore "$T/table"
expect "what is asked for goes before" grep -q "$hooks" <(status_of host)
inside host "$BPFILTER" detach >/dev/null
helper_kill TERM
printf 'attach tc\ninterface eth0 default\n' >"$BPFILTER_CONFIG"
same "a wrong line is named" "$BPFILTER_CONFIG:2" \
	"$(filtered host iptables-legacy -L 2>&1 | grep -o "$BPFILTER_CONFIG:2")"
rm "$BPFILTER_CONFIG"

# --- the end -----------------------------------------------------------------------------------

at xdp iptables-legacy-restore "$T/table"
expect "there are pins" test -n "$(programs)"
expect "stop" inside host "$BPFILTER" stop
same "nothing is pinned any more" "" "$(programs)"
same "nothing is attached any more" "" "$(inside host ip -d link | grep -o 'prog/xdp.*')"
expect "ip_tables has the rules" test "$(plain host iptables-legacy -S | grep -c -e -A)" = 11
tap_end
