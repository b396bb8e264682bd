#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The systemd unit at work: run by install.sh in a tree that has been booted, with the unit enabled.

# shellcheck source=selftests/install/in_tree.sh
. "$(dirname "$(readlink -f "$0")")/in_tree.sh"
rule='ctstate NEW -c .* -j DROP'

check "the unit is active" within 10 systemctl -q is-active bpfilter.service
check "it is the helper" grep -qx bpfilter "/proc/$(pid)/comm"
check "which may not load modules, say" grep -qE '^CapBnd:\s+000000c0002c300d$' "/proc/$(pid)/status"
check "a rule" bpfilter run -- \
	iptables-legacy -A INPUT -s 192.0.2.1 -m conntrack --ctstate NEW -j DROP
check "is in eBPF" in_ebpf
check "in the helper of the unit: there is no other" test "$(pgrep -cx bpfilter)" = 1

old=$(pid)
kill -9 "$old"
check "killed, it is back" within 10 runs_but_not "$old"
check "and knows the rule" has_rule "$rule" bpfilter run --
old=$(pid)
check "restart" systemctl restart bpfilter.service
check "another helper" within 10 runs_but_not "$old"
check "knows the rule" has_rule "$rule" bpfilter run --
check "it is still in eBPF" in_ebpf

check "bpfilter stop" bpfilter stop
sleep 2
check "the unit has ended well, and is not started again" \
	test "$(systemctl is-active bpfilter.service)" = inactive
check "ip_tables has the rule" has_rule "$rule" env
check "a helper that another command starts" bpfilter run -- iptables-legacy -D INPUT 1
old=$(pgrep -x bpfilter)
check "start" systemctl start bpfilter.service
check "replaces it" within 10 runs_but_not "$old"
check "and it has ended" within 10 test ! -e "/proc/$old"
check "stop" systemctl stop bpfilter.service
check "ends the helper" test -z "$(pgrep -x bpfilter)"
