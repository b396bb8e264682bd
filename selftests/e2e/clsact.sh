#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# clsact.sh - programs at tc on a kernel without links, where no pin keeps them: filters of the qdisc clsact. They
# decide, outlive the helper, stay beside those of others, and go with "bpfilter stop", also when the helper cannot
# open what a former one has left.
#
# The old kernel is played by "deny", as in errors.sh.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

deny=${BUILD:-$(dirname "$BPFILTER")}/selftests/deny
foreign=${BUILD:-$(dirname "$BPFILTER")}/selftests/foreign
by_module && skip_all "the placement is that of the module"

# helper TEXT DENIAL...: one of a kernel without links; no other is there.
helper() {
	"$deny" bpf:28=EINVAL prog_type:32=EINVAL "${@:2}" -- "$BPFILTER" umh --foreground 2>>"$T/err" &
	lab_jobs+=($!)
	expect "$1" within 20 test -S "$BPFILTER_RUN_DIR/umh.sock"
}

killed() {
	helper_kill 9
	rm -f "$BPFILTER_RUN_DIR/umh.sock"
}

# Filters of ours; how many qdiscs there are for them; what is pinned.
filters() {
	local dev dir

	for dev in lo to-client to-server; do
		for dir in ingress egress; do
			inside host tc filter show dev $dev $dir
		done
	done | grep -c ' bpfilter '
}

qdiscs() {
	inside host tc qdisc | grep -c clsact
}

left() {
	echo "$(filters) filters, $(qdiscs) qdiscs, $(find "$BPFILTER_PIN_DIR/$(inode host)" 2>/dev/null | wc -l) pins"
}

table() {
	cat <<-END
	*filter
	:INPUT DROP [0:0]
	:FORWARD DROP [0:0]
	:OUTPUT DROP [0:0]
	-A INPUT -p icmp -j ACCEPT
	-A FORWARD -p udp --dport 2001 -j ACCEPT
	-A OUTPUT -p icmp -j ACCEPT
	COMMIT
	END
}

decides() {
	expect "$1: INPUT and OUTPUT accept" can_ping client 192.0.2.1
	expect "$1: FORWARD accepts a port" can_udp client 198.51.100.2 2001 server
	expect "$1: FORWARD's policy drops" cannot can_udp client 198.51.100.2 2002 server
}

lab_begin
lab_client_host_server
for port in 2001 2002; do serve_udp server $port; done
table >"$T/table"
inside host "$foreign" clsact to-server attach

helper "a helper for an old kernel"
expect "takes a table" filtered host iptables-legacy-restore "$T/table"
expect "to tc" grep -q 'at the interfaces (tc)' <(status_of host)
same "by filters at both ends of each interface" "6 3" "$(filters) $(qdiscs)"
decides "there"
killed
decides "without a helper"
helper "the next helper"
expect "changes it" filtered host iptables-legacy -A FORWARD -p udp --dport 2002 -j ACCEPT
expect "which is in force" can_udp client 198.51.100.2 2002 server
same "by the same filters" "6 3" "$(filters) $(qdiscs)"
expect "stop" inside host "$BPFILTER" stop
same "leaves the qdisc that was there" "0 filters, 1 qdiscs, 0 pins" "$(left)"
expect "and the filter in it" inside host "$foreign" clsact to-server is
same "ip_tables has the rules" 4 "$(inside host iptables-legacy -S | grep -c -e -A)"

# BPF_OBJ_GET fails: nothing that is pinned can be had.
helper "a helper again"
expect "takes a table again" filtered host iptables-legacy-restore "$T/table"
same "to tc again" "6 3" "$(filters) $(qdiscs)"
killed
helper "a helper that cannot open its pins" bpf:7=EPERM
expect_not "does not stop" inside host "$BPFILTER" stop
same "and leaves the table in force" "6 3" "$(filters) $(qdiscs)"
decides "still"
expect "unless it has to" inside host "$BPFILTER" stop --force
same "when nothing of it stays" "0 filters, 1 qdiscs, 0 pins" "$(left)"
expect "but what was there" inside host "$foreign" clsact to-server is
expect "nothing is dropped any more" can_udp client 198.51.100.2 2002 server

# One of the pins is gone, by somebody's hand.
helper "a helper once more"
expect "takes a table once more" filtered host iptables-legacy-restore "$T/table"
killed
rm "$BPFILTER_PIN_DIR/$(inode host)/devs"
helper "the next one misses a pin"
expect "and shows what ip_tables has" test "$(filtered host iptables-legacy -S | grep -c -e -A)" = 0
same "nothing of the table stays" "0 filters, 1 qdiscs, 0 pins" "$(left)"
tap_end
