#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Where conntrack and ip_tables are modules, nothing has loaded them before the first call of
# iptables: bpfilter has the types of conntrack, and its rules work, all the same. To be run first in
# a fresh machine.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

loaded() {
	grep -q "^$1 " /proc/modules
}

[ -e /proc/modules ] || skip_all "the kernel has no modules"
lab_begin
for module in nf_conntrack ip_tables nf_tables; do
	! loaded $module || skip_all "$module is loaded or built in"
done
lab_client_host_server
serve_tcp host 22
serve_tcp host 23

expect "status, with nothing loaded" inside host "$BPFILTER" status
expect "which loads nothing" cannot loaded nf_conntrack
expect "a table with conntrack" filtered host iptables-legacy-restore <<'END'
*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -m conntrack --ctstate ESTABLISHED -m comment --comment back -j ACCEPT
-A INPUT -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -j ACCEPT
COMMIT
END
expect "is in eBPF" in_ebpf host
note "$(kernel_why host)"
expect "conntrack is there now" loaded nf_conntrack
expect "a new connection to the open port" can_tcp client 192.0.2.1 22 5
expect_not "none to another" can_tcp client 192.0.2.1 23
expect "packets of the connection were found to be ESTABLISHED" test "$(filtered host \
	iptables-legacy -L INPUT -v -n -x | awk '/back/ { print $1 }')" -gt 0

tap_end
