#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# On a kernel without BPF netfilter links: bpfilter says so, in one line, with exit status 123, and
# leaves nothing behind; iptables goes on as if bpfilter had never been tried. To be run first in a
# fresh machine.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

[ "$(id -u)" = 0 ] || skip_all "needs root"
T=$(mktemp -d)
trap 'ip netns del old 2>/dev/null; ip netns del peer 2>/dev/null; rm -rf "$T"' EXIT
# Nothing private here: what bpfilter does to the machine's own places is the question.
unset BPFILTER_RUN_DIR BPFILTER_PIN_DIR
ip netns add old && ip netns add peer || exit 1
ip link add to-peer netns old type veth peer name to-old netns peer
ip -n old addr add 192.0.2.1/24 dev to-peer && ip -n old link set to-peer up
ip -n peer addr add 192.0.2.2/24 dev to-old && ip -n peer link set to-old up

old() {
	nsenter --net=/run/netns/old "$@"
}

pings() {
	nsenter --net=/run/netns/peer ping -q -n -c 1 -W 2 192.0.2.1 >/dev/null
}

# What there is now of everything that bpfilter makes when it works: processes, sockets, pins, mounts,
# nf_tables, modules that it caused to be loaded, rules. Its locks and its log may stay in /run.
traces() {
	pgrep -x bpfilter
	find /run/bpfilter -type f ! -name '*.lock' ! -name '*.log' -o -type s 2>/dev/null
	find /sys/fs/bpf -mindepth 1
	cat /proc/self/mounts
	grep -c . /proc/modules
	old nft list ruleset
	nft list ruleset
	old iptables-legacy-save -c | bare
	dmesg | grep -ciE 'bpf.*(error|warn|bug)'
}

expect "iptables works before" old iptables-legacy -A INPUT -p tcp --dport 9 -j DROP
expect "conntrack too" old iptables-legacy -A INPUT -m conntrack --ctstate INVALID -j DROP
expect "packets pass" pings
nft list ruleset >/dev/null
before=$(traces)

# refused TEXT COMMAND...: status 123 and one line about the kernel; all is as before.
refused() {
	local text=$1 rc

	shift
	old timeout 20 "$@" >"$T/out" 2>"$T/err" </dev/null
	rc=$?
	same "$text: status 123" 123 "$rc"
	note "$(head -n 5 "$T/err")"
	same "$text: one line" 1 "$(wc -l <"$T/err")"
	expect "which names what is missing" grep -qE '6\.4|BPF netfilter' "$T/err"
	same "$text: nothing on stdout" "" "$(<"$T/out")"
	same "$text: nothing is left behind" "$before" "$(traces)"
}

run=("$BPFILTER" run --)
refused "a rule" "${run[@]}" iptables-legacy -A INPUT -j DROP
refused "a list" "${run[@]}" iptables-legacy -S
refused "any command" "${run[@]}" true
refused "any command, which is not started" "${run[@]}" touch "$T/started"
expect_not "it was not" test -e "$T/started"
refused "the helper" "$BPFILTER" umh

same "the rules are what they were" "-A INPUT -p tcp -m tcp --dport 9 -j DROP
-A INPUT -m conntrack --ctstate INVALID -j DROP" "$(old iptables-legacy -S | grep -e ^-A)"
expect "iptables takes another" old iptables-legacy -A INPUT -p icmp -j DROP
expect_not "and means it" pings
expect "and gives it back" old iptables-legacy -D INPUT -p icmp -j DROP
expect "packets pass again" pings

tap_end
