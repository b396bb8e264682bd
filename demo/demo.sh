#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# demo.sh - the whole thing at work, in network namespaces of its own
#
# Called by "make demo", with $BPFILTER set. Exit status 0 if everything was as expected.

set -u

here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../selftests/lib.sh
. "$here/../selftests/lib.sh"

unexpected=()

title() {
	printf '\n=== %s\n' "$*"
}

# run NAME WORDS...: show a command as one would type it there, run it, show what it prints.
run() {
	local ns=$1 out rc

	shift
	printf '\n  %s# %s\n' "$ns" "${*//$BPFILTER/bpfilter}"
	out=$(inside "$ns" "$@" 2>&1)
	rc=$?
	[ -z "$out" ] || printf '%s\n' "$out" | sed 's/^/    /'
	[ $rc -eq 0 ] || unexpected+=("\"${*//$BPFILTER/bpfilter}\" ended with status $rc")
}

# packet WHAT allowed|refused PROBE...: send it and compare with what is expected.
packet() {
	local what=$1 want=$2 got=refused

	shift 2
	! "$@" || got=allowed
	printf '    %-52s %s' "$what" "$got"
	if [ $got = "$want" ]; then
		echo
	else
		echo "   <-- should be $want"
		unexpected+=("$what: $got")
	fi
}

# fact TEXT COMMAND...: something that must be true now.
fact() {
	local text=$1

	shift
	if "$@"; then
		printf '    yes: %s\n' "$text"
	else
		printf '    NO:  %s\n' "$text"
		unexpected+=("not true: $text")
	fi
}

packets() {
	packet "ping          client -> host" allowed can_ping client 192.0.2.1
	packet "tcp port 22   client -> host" allowed can_tcp client 192.0.2.1 22
	packet "tcp port 23   client -> host" refused can_tcp client 192.0.2.1 23
	packet "tcp port 22   server -> host (not from the inside)" refused \
		can_tcp server 198.51.100.1 22
	packet "tcp port 80   client -> server" allowed can_tcp client 198.51.100.2 80
	packet "tcp port 3306 client -> server" refused can_tcp client 198.51.100.2 3306
	packet "udp port 5000 client -> server" allowed can_udp client 198.51.100.2 5000 server
	packet "udp port 5001 client -> server" refused can_udp client 198.51.100.2 5001 server
	packet "ping          server -> client" refused can_ping server 192.0.2.2
	packet "ping          from 192.0.2.66, which is blocked" refused blocked_ping
}

blocked_ping() {
	inside client ping -q -n -c 1 -W 1 -I 192.0.2.66 198.51.100.2 >/dev/null
}

# The packets that a rule has counted: CHAIN, and words of the rule's line.
rule_packets() {
	inside host "$BPFILTER" run -- iptables-legacy -L "$1" -v -n -x |
		awk -v w="$2" 'index($0, w) { print $1; exit }'
}

lab_begin
lab_client_host_server
ip -n "$lab-client" addr add 192.0.2.66/24 dev to-host
for port in 22 23; do serve_tcp host $port; done
for port in 80 3306; do serve_tcp server $port; done
for port in 5000 5001; do serve_udp server $port; done

cat <<END
Three machines, each a network namespace:

    client 192.0.2.2 ---- host, a router with a firewall ---- server 198.51.100.2

Everything here happens inside them; your own network is not touched.
END

title "1. The stock iptables-legacy binary loads a rule set, with bpfilter answering it"
run host iptables-legacy --version
printf '\n  host# bpfilter run -- iptables-legacy-restore < demo/rules\n'
inside host "$BPFILTER" run -- iptables-legacy-restore <"$here/rules" ||
	unexpected+=("iptables-legacy-restore failed")
run host "$BPFILTER" run -- iptables-legacy -S

title "2. The kernel's own filter table has none of it: without bpfilter in between"
run host iptables-legacy -S
fact "the kernel's filter table is empty" kernel_is_empty host

title "3. What filters is eBPF, generated for this table and attached to netfilter"
run host "$BPFILTER" status
fact "the table is in eBPF" in_ebpf host

title "4. Packets"
packets

title "5. Every rule counts, and iptables shows it"
run host "$BPFILTER" run -- iptables-legacy -L -v -n -x
fact "the rule for port 22 has counted packets" test "$(rule_packets INPUT 'dpt:22')" -gt 0
fact "the blocked address was counted" test "$(rule_packets blocked 192.0.2.66)" -gt 0

title "6. One rule more, at once"
run host "$BPFILTER" run -- iptables-legacy -I FORWARD -p tcp --dport 80 -j DROP
packet "tcp port 80   client -> server" refused can_tcp client 198.51.100.2 80
run host "$BPFILTER" run -- iptables-legacy -D FORWARD -p tcp --dport 80 -j DROP
packet "tcp port 80   client -> server" allowed can_tcp client 198.51.100.2 80

title "7. A rule that bpfilter cannot translate: the kernel gets the whole table, none is lost"
counted=$(rule_packets to-server 'multiport')
run host "$BPFILTER" run -- iptables-legacy -A FORWARD -j REJECT
run host "$BPFILTER" status
fact "the kernel's own filter table has the rules now" cannot kernel_is_empty host
fact "and the reason is named" test -n "$(kernel_why host)"
packet "tcp port 80   client -> server" allowed can_tcp client 198.51.100.2 80
packet "tcp port 3306 client -> server" refused can_tcp client 198.51.100.2 3306
echo
echo "    ... and back, when that rule goes:"
run host "$BPFILTER" run -- iptables-legacy -D FORWARD -j REJECT
fact "the kernel's filter table is empty again" kernel_is_empty host
fact "counters went along (port 80: $counted packets before)" \
	test "$(rule_packets to-server 'multiport')" -gt "$counted"

title "8. The helper that answers iptables is killed: filtering goes on without it"
printf '\n  host# kill -9 %s\n' "$(helper_pids | paste -sd' ')"
helper_kill 9
packets
run host "$BPFILTER" run -- iptables-legacy -L to-server -v -n -x

title "Result"
lab_end
if [ ${#unexpected[@]} -eq 0 ]; then
	echo "everything was as expected (${SECONDS} s), and nothing is left behind"
	exit 0
fi
echo "NOT as expected:"
printf '  - %s\n' "${unexpected[@]}"
exit 1
