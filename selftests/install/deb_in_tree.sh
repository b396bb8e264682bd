#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The Debian packages at work: run by deb.sh in a tree that has been booted, with the packages installed. While pings are
# dropped by a rule in eBPF, the packages are upgraded, and then removed: no ping may be answered, and the rule must have
# counted each, here or there.

# shellcheck source=selftests/install/in_tree.sh
. "$(dirname "$(readlink -f "$0")")/in_tree.sh"
packages=/root/bpfilter/build/newer
export DEBIAN_FRONTEND=noninteractive

# The packets that the rule has counted, listed by a command.
counted() {
	"$@" iptables-legacy -v -S INPUT | sed -n 's/.* --icmp-type 8 -c \([0-9]*\) .*/\1/p'
}

ip link set lo up
check "the unit is active" within 10 systemctl -q is-active bpfilter.service
check "a rule" bpfilter run -- iptables-legacy -A INPUT -i lo -p icmp --icmp-type echo-request -j DROP
check "is in eBPF" in_ebpf

ping -n -q -i 0.002 127.0.0.1 >/tmp/pings &
ping=$!
sleep 1
old=$(pid)
check "the upgrade" dpkg -i "$packages"/bpfilter_*.deb "$packages"/bpfilter-dkms_*.deb
check "has happened" dpkg-query -W -f '${Version}\n' bpfilter
check "another helper is at work" within 10 runs_but_not "$old"
check "which knows the rule" test "$(counted bpfilter run --)" -gt 0
check "it is still in eBPF" in_ebpf

check "the removal" dpkg -r bpfilter-dkms bpfilter
check "ip_tables has the rule" has_rule 'icmp-type 8 -c .* -j DROP' env
sleep 1
kill -INT $ping
wait $ping
sent=$(sed -n 's/^\([0-9]*\) packets transmitted.*/\1/p' /tmp/pings)
check "no ping of $sent was answered" grep -q ' 0 received' /tmp/pings
check "the rule has counted each once" test "$(counted env)" -eq "$sent"
check "the unit is gone" test ! -e /lib/systemd/system/bpfilter.service
check "no helper is left" test -z "$(pgrep -x bpfilter)"
check "nor anything that is pinned" test ! -e /sys/fs/bpf/bpfilter
