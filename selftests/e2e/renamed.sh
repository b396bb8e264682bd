#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# An interface that is given a shorter name: the kernel leaves the rest of the longer one behind it, which
# no rule may see. The same rules stand in the kernel's mangle table, for the same packets.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

# rules TABLE FILLERS: each part of a name that a rule can ask for, and so many other rules behind them.
rules() {
	local i

	echo "*$1"
	printf -- '-A FORWARD -i %s -p icmp\n' v0 v1 v v+ longname012345 longname+ to-server
	printf -- '-A FORWARD -i %s ! -o %s -p icmp\n' v0 v0 longname012345 longname012345
	echo '-A FORWARD ! -i v0 -p icmp'
	printf -- '-A FORWARD -o %s -p icmp\n' v0 to-server to-serve
	for ((i = 0; i < $2; i++)); do
		printf -- '-A FORWARD -s 203.0.%d.%d/32 -d 198.18.0.0/15 -i v%d -j DROP\n' \
			$((i / 256)) $((i % 256)) $((i % 5))
	done
	echo COMMIT
}

counters() {
	iptables-legacy-save -c -t "$1" | grep '^\['
}
export -f counters

# compare WHAT FILLERS: both tables with these rules count a few pings the same.
compare() {
	rules filter "$2" | filtered host iptables-legacy-restore
	rules mangle "$2" | inside host iptables-legacy-restore
	expect "$1: the table is in eBPF" in_ebpf host
	expect "$1: packets pass" inside client ping -q -c 4 -i 0.01 198.51.100.2
	filtered host bash -c 'counters filter' >"$T/ours"
	inside host bash -c 'counters mangle' >"$T/theirs"
	expect "$1: something was counted" grep -q '^\[4:' "$T/ours"
	same "$1: as ip_tables does" "$(cat "$T/theirs")" "$(cat "$T/ours")"
}

# rename FROM TO
rename() {
	ip -n "$lab-host" link set "$1" down &&
		ip -n "$lab-host" link set "$1" name "$2" &&
		ip -n "$lab-host" link set "$2" up || exit 1
	expect "the client is reached through $2" can_ping client 192.0.2.1
}

lab_begin
lab_client_host_server
rename to-client longname012345
compare "a long name, few rules" 5
compare "a long name, many rules" 1000
rename longname012345 v0
compare "a shorter name, few rules" 5
compare "a shorter name, many rules" 1000
same "the rule with the new name has counted all of them" "[4:336] -A FORWARD -i v0 -p icmp" \
	"$(grep 'FORWARD -i v0 -p icmp$' "$T/ours")"
tap_end
