# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the scripts share that run in a tree that has been booted. They print lines "0 TEXT" for what is as it should
# be, with another number for what is not, and "skip REASON".

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
BPFILTER=$(type -P bpfilter)
# shellcheck source=selftests/lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../lib.sh"

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

# A helper of the unit that is not the process $1.
runs_but_not() {
	[ "$(pid)" != 0 ] && [ "$(pid)" != "$1" ] && systemctl -q is-active bpfilter.service
}

# has_rule REGEX COMMAND...: iptables, run by that, lists such a rule.
has_rule() {
	local rule=$1

	shift
	"$@" iptables-legacy -v -S | grep -q -e "$rule"
}

in_ebpf() {
	bpfilter status | grep -q 'filter table  *eBPF'
}

bpfilter run -- true 2>/dev/null
if [ $? -eq 123 ]; then
	echo "skip this kernel has no BPF netfilter links, and the module is for another"
	exit
fi
