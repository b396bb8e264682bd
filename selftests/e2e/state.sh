#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What rules keep from packet to packet (limit, quota, statistic nth, nfacct; hashlimit and recent, which the kernel is asked)
# over a change of the table, a restore with counters, and a helper that is killed: as with ip_tables, where only the
# helper's death is nothing.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

# in_world WORLD COMMAND...
in_world() {
	if [ "$1" = kernel ]; then
		plain "$@"
	else
		filtered "$@"
	fi
}

# Pings of 84 bytes.
pings() {
	local world

	for world in kernel bpf; do
		inside $world ping -q -n -c 3 -i 0.01 127.0.0.1 >/dev/null
	done
}

# What each rule has counted; of lists who is in them, and what the accounting object has.
remains() {
	in_world "$1" iptables-legacy-save -c -t filter | grep '^[:[]'
	inside "$1" sed -E 's/(last_seen|oldest_pkt): [0-9]+.*//' /proc/thread-self/net/xt_recent/kept 2>/dev/null
	inside "$1" nfacct get account 2>/dev/null
}

alike() {
	pings
	same "$1" "$(remains kernel)" "$(remains bpf)"
}

both() {
	local world

	for world in kernel bpf; do
		in_world $world "$@" || tap 1 "$world: $*"
	done
}

lab_begin
netns kernel bpf
account='-m nfacct --nfacct-name account'
for world in kernel bpf; do
	inside $world nfacct add account 2>/dev/null || account=
done

for kind in programs questions; do
	{
		printf '*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n'
		echo '-A INPUT -p icmp -m limit --limit 1/hour --limit-burst 8'
		echo '-A INPUT -p icmp -m quota --quota 756'
		echo '-A INPUT -p icmp -m statistic --mode nth --every 4 --packet 1'
		[ -z "$account" ] || echo "-A INPUT -p icmp $account"
		if [ $kind = questions ]; then
			echo '-A INPUT -p icmp -m recent --name kept --rcheck --hitcount 9'
			echo '-A INPUT -p icmp -m recent --name kept --set'
			echo '-A INPUT -p icmp -m hashlimit --hashlimit-upto 1/hour --hashlimit-burst 15 --hashlimit-mode srcip --hashlimit-name kept --hashlimit-htable-expire 3600000'
		fi
		echo COMMIT
	} >"$T/table"
	both iptables-legacy-restore "$T/table"
	expect "$kind: the table is in eBPF" in_ebpf bpf
	alike "$kind: packets"
	helper_kill KILL
	alike "$kind: a helper is killed"
	both iptables-legacy -A OUTPUT -p tcp --dport 1
	alike "$kind: a rule more"
	helper_kill TERM
	alike "$kind: a helper ends"
	expect "$kind: the limit has let some pass, and not all" [ "$(remains bpf | sed -nE 's/^\[([0-9]+):.*-m limit .*/\1/p')" -lt 20 ]
	for world in kernel bpf; do
		in_world $world iptables-legacy-save -c -t filter >"$T/saved"
		in_world $world iptables-legacy-restore -c "$T/saved"
	done
	alike "$kind: saved and restored with counters"
	both iptables-legacy -Z
	alike "$kind: counters zeroed"
	expect "$kind: the table is in eBPF still" in_ebpf bpf
done
tap_end
