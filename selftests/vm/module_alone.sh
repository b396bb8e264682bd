#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A kernel that cannot have ip_tables, only the module: tables start empty and are in eBPF; what would
# have to go to ip_tables is refused for that reason, and what is in force stays.
#
# boot: own

set -u
here=$(dirname "$(readlink -f "$0")")
export BPFILTER_THROUGH=module
# shellcheck source=../lib.sh
. "$here/../lib.sh"

mkdir -p /etc/modprobe.d
echo "install ip_tables /bin/false" >/etc/modprobe.d/no_ip_tables.conf
! grep -q '^ip_tables ' /proc/modules || skip_all "ip_tables is loaded"
[ ! -e /proc/net/ip_tables_names ] || skip_all "ip_tables is built in"
lab_begin
lab_client_host_server
serve_tcp host 22

empty='-P INPUT ACCEPT
-P FORWARD ACCEPT
-P OUTPUT ACCEPT'
same "the table is empty" "$empty" "$(inside host iptables-legacy -S)"
expect "a rule" inside host iptables-legacy -A INPUT -p tcp --dport 22 -j DROP
expect "is in eBPF" in_ebpf host
expect_not "and drops" can_tcp client 192.0.2.1 22
before=$(inside host iptables-legacy -S)
expect_not "one that only ip_tables could do is refused" \
	inside host iptables-legacy -A INPUT -j AUDIT --type drop
same "the table stays as it is" "$before" "$(inside host iptables-legacy -S)"
expect_not "it cannot be detached" inside host "$BPFILTER" detach
note "$("$BPFILTER" detach 2>&1)" "$(tail -n 2 "$T/run/umh.log")"
expect "it is in eBPF still" in_ebpf host
expect_not "and drops" can_tcp client 192.0.2.1 22
expect "another rule" inside host iptables-legacy -I INPUT -p tcp --dport 22 -j ACCEPT
expect "works" can_tcp client 192.0.2.1 22
tap_end
