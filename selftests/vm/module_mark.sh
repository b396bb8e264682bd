#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A table that begins to set more marks than there is room for behind links goes to the module's hooks, with its counters and while it is in use; and from
# there back to ip_tables.

set -u
here=$(dirname "$(readlink -f "$0")")
export BPFILTER_THROUGH=module
# shellcheck source=../lib.sh
. "$here/../lib.sh"

at() {
	status_of host | grep -q "^ *filter table *eBPF.*($1)"
}

# packets CHAIN NUMBER: what a rule has counted, when it counts no more: a connection ends a little later than nc.
packets() {
	local n last=

	while n=$(packets_now "$@") && [ "$n" != "$last" ]; do
		last=$n
		sleep 0.5
	done
	echo "$n"
}

packets_now() {
	inside host iptables-legacy -L "$1" "$2" -v -n -x | awk '{ print $1 }'
}

lab_begin
lab_client_host_server
serve_tcp host 22
serve_tcp host 23

# Before Linux 6.4 there is but one place.
first="netfilter link"
[[ ! $(uname -r) =~ ^([45]|6\.[0-3])\. ]] || first="module hook"
marks() {
	local i

	for i in {1..15}; do
		echo "-A marked -p udp -j MARK --set-mark $i"
	done
}
expect "a table" inside host iptables-legacy-restore <<END
*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:marked - [0:0]
-A INPUT -p tcp --dport 22 -j ACCEPT
-A INPUT -p tcp --dport 23 -j marked
-A marked -m mark --mark 0x17 -j ACCEPT
$(marks)
COMMIT
END
expect "sits at a $first" at "$first"
expect "the open port is open" can_tcp client 192.0.2.1 22
expect_not "the other is not" can_tcp client 192.0.2.1 23
before=$(packets INPUT 1)
expect "one more rule that sets a mark" inside host iptables-legacy -I marked -j MARK --set-mark 0x17
expect "the table sits at a module hook" at "module hook"
expect "the mark is found" can_tcp client 192.0.2.1 23
same "nothing is counted twice, and nothing is lost" "$before" "$(packets INPUT 1)"
expect "marked packets were counted" test "$(packets marked 2)" -gt 0
expect "the rule goes" inside host iptables-legacy -D marked 1
expect_not "no more marks" can_tcp client 192.0.2.1 23
expect "the open port is open" can_tcp client 192.0.2.1 22
before=$(packets INPUT 1)
expect "back to ip_tables" inside host "$BPFILTER" detach
expect_not "which has it" in_ebpf host
same "with its counters" "$before" "$(packets INPUT 1)"
expect "the open port is open" can_tcp client 192.0.2.1 22
expect "the next change" inside host iptables-legacy -A INPUT -p icmp -j ACCEPT
expect "is at a $first again" at "$first"
tap_end
