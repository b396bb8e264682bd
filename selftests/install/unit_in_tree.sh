#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The systemd unit at work: run by install.sh in a tree that has been booted, with the unit enabled. Prints
# lines "0 TEXT" for what is as it should be, and with another number for what is not.

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

check() {
	local text=$1 out rc

	shift
	out=$("$@" 2>&1)
	rc=$?
	[ $rc -eq 0 ] || out=$(systemctl status --no-pager bpfilter.service; echo "$* -> $rc"; echo "$out")
	[ $rc -eq 0 ] || printf '%s\n' "$out" | sed 's/^/# /'
	echo "$rc $text"
}

pid() {
	systemctl show --value -p MainPID bpfilter.service
}

# within SECONDS COMMAND...
within() {
	local i

	for ((i = 0; i < $1 * 10; i++)); do
		"${@:2}" && return
		sleep 0.1
	done
	return 1
}

# A helper of the unit that is not the process $1.
runs_but_not() {
	[ "$(pid)" != 0 ] && [ "$(pid)" != "$1" ] && systemctl -q is-active bpfilter.service
}

has_rule() {
	"$@" iptables-legacy -S | grep -q 'ctstate NEW -j DROP'
}

in_ebpf() {
	bpfilter status | grep -q 'filter table  *eBPF'
}

bpfilter run -- true 2>/dev/null
if [ $? -eq 123 ]; then
	echo "skip this kernel has no BPF netfilter links, and the module is for another"
	exit
fi
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
check "and knows the rule" has_rule bpfilter run --
old=$(pid)
check "restart" systemctl restart bpfilter.service
check "another helper" within 10 runs_but_not "$old"
check "knows the rule" has_rule bpfilter run --
check "it is still in eBPF" in_ebpf

check "bpfilter stop" bpfilter stop
sleep 2
check "the unit has ended well, and is not started again" \
	test "$(systemctl is-active bpfilter.service)" = inactive
check "ip_tables has the rule" has_rule env
check "a helper that another command starts" bpfilter run -- iptables-legacy -D INPUT 1
old=$(pgrep -x bpfilter)
check "start" systemctl start bpfilter.service
check "replaces it" within 10 runs_but_not "$old"
check "and it has ended" within 10 test ! -e "/proc/$old"
check "stop" systemctl stop bpfilter.service
check "ends the helper" test -z "$(pgrep -x bpfilter)"
