#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Matches that only the kernel can answer, at the module's hooks: the same rules, sets and packets with ip_tables and
# with bpfilter, and what is left of them in counters, sets and lists; what outlasts a replace, a helper and bpfilter
# itself; and what the kernel refuses.

set -u
here=$(dirname "$(readlink -f "$0")")
export BPFILTER_THROUGH=module
# shellcheck source=../lib.sh
. "$here/../lib.sh"

modprobe -a xt_set ip_set_hash_net ip_set_hash_ip 2>/dev/null || skip_all "no ipset"

lab_begin
for world in kernel bpf; do
	netns $world $world-peer
	link $world 192.0.2.1/24 $world-peer 192.0.2.2/24
	ip -n "$lab-$world-peer" addr add 192.0.2.3/24 dev "to-$world"
	inside $world sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv4.icmp_msgs_per_sec=100000
	serve_tcp $world 80
	inside $world ipset create bad hash:net
	inside $world ipset create counted hash:ip counters
	inside $world ipset add bad 192.0.2.3
	inside $world ipset add counted 192.0.2.2
done

# in_world WORLD COMMAND...: of ip_tables, or of bpfilter.
in_world() {
	if [ "$1" = kernel ]; then
		plain "$@"
	else
		inside "$@"
	fi
}

# With more rules that set marks than there is room for behind links, so that it is at the module's hooks on all kernels. Without string where nothing
# searches for one.
without=
modprobe -q -a ts_bm ts_kmp || without=string
marks=
for i in {1..16}; do
	marks+='-A INPUT -p tcp --dport 1 -j MARK --set-mark 1\n'
done
rules() {
	sed "s/^MARKS$/$marks/" <<-'END' | grep -v -e "${1:-^$}"
	*filter
	:INPUT ACCEPT [0:0]
	:FORWARD ACCEPT [0:0]
	:OUTPUT ACCEPT [0:0]
	:asked - [0:0]
	MARKS
	-A INPUT -m set --match-set bad src -j DROP
	-A INPUT -m set --match-set counted src
	-A INPUT -m set ! --match-set counted src,dst -p tcp --dport 81 -j DROP
	-A INPUT -p udp --dport 1000 -m recent --name seen --set -j ACCEPT
	-A INPUT -p udp --dport 1001 -m recent --name seen --rcheck --hitcount 2 -j ACCEPT
	-A INPUT -p udp --dport 1001 -j DROP
	-A INPUT -p udp --dport 1002 -m hashlimit --hashlimit-name hl --hashlimit-upto 2/hour --hashlimit-burst 2 --hashlimit-mode srcip,dstport -j ACCEPT
	-A INPUT -p udp --dport 1002 -j DROP
	-A INPUT -p udp -m string --algo bm --string attack -j DROP
	-A INPUT -p udp -m string --algo kmp --from 28 --to 33 --string "at" -j ACCEPT
	-A INPUT -p tcp --syn --dport 80 -m connlimit --connlimit-above 2 --connlimit-mask 32 -j DROP
	-A INPUT -p udp --dport 1003 -j asked
	-A INPUT -p udp --dport 1003 -j asked
	-A asked -m limit --limit 1/hour --limit-burst 2 -j RETURN
	-A asked -m statistic --mode nth --every 2 --packet 0 -j DROP
	-A asked -m quota --quota 100 -j ACCEPT
	-A asked -j DROP
	COMMIT
	END
}

udp() {
	inside "$1-peer" bash -c "printf '%s' '$3' >/dev/udp/192.0.2.1/$2"
}

# What each packet's sender is told: one word each. Before it asks once more, after a second.
tcp() {
	inside "$1-peer" timeout 0.8 bash -c "exec 7<>/dev/tcp/192.0.2.1/$2 && echo open && sleep ${3:-0}" 2>/dev/null ||
		echo closed
}

traffic() {
	local world=$1 i

	inside "$world-peer" ping -q -n -c 2 -W 1 192.0.2.1 >/dev/null 2>&1; echo "ping $?"
	inside "$world-peer" ping -q -n -c 1 -W 1 -I 192.0.2.3 192.0.2.1 >/dev/null 2>&1; echo "bad ping $?"
	udp "$world" 1001 early
	for i in 1 2 3; do
		udp "$world" 1000 "$i"
		udp "$world" 1001 "$i"
		udp "$world" 1002 "$i"
		udp "$world" 1004 "an attack"
		udp "$world" 1004 "attract"
		udp "$world" 1004 "xattrac"
		udp "$world" 1003 "$i"
		udp "$world" 1003 "a packet that is longer than that: $i"
	done
	tcp "$world" 81
	# Two that stay, and one too many.
	for i in 1 2; do
		in_background nsenter --net="/run/netns/$lab-$world-peer" \
			bash -c 'exec 7<>/dev/tcp/192.0.2.1/80 && sleep 30'
		sleep 0.5
	done
	tcp "$world" 80
}

# What is left: counters; sets with theirs; lists without times.
remains() {
	in_world "$1" iptables-legacy-save -c -t filter | grep '^[:[]'
	inside "$1" ipset list counted | sed -n '/^Members/,$p'
	inside "$1" sed -E 's/(last_seen|oldest_pkt): [0-9]+.*//' /proc/thread-self/net/xt_recent/seen
	inside "$1" sed -E 's/^[0-9]+ //; s/ [0-9]+ [0-9]+ [0-9]+$//' /proc/thread-self/net/ipt_hashlimit/hl
}

users() {
	cat "/sys/module/xt_$1/refcnt"
}

for world in kernel bpf; do
	rules "$without" >"$T/rules"
	expect "the table: $world" in_world $world iptables-legacy-restore "$T/rules"
done
expect "one is at the module's hooks" at_module_hooks bpf
expect_not "the other is with ip_tables" in_ebpf kernel
for world in kernel bpf; do
	traffic $world >"$T/traffic-$world" 2>&1
	sleep 1
	remains $world >"$T/remains-$world"
done
same "the same packets got through" "$(<"$T/traffic-kernel")" "$(<"$T/traffic-bpf")"
same "the same is left of them" "$(<"$T/remains-kernel")" "$(<"$T/remains-bpf")"
note "$(grep -c . "$T/remains-bpf") lines"

# --- sets -----------------------------------------------------------------------------------

expect "192.0.2.2 may ping" can_ping bpf-peer 192.0.2.1
expect "it is put into a set" inside bpf ipset add bad 192.0.2.2
expect_not "and may no more, at once" can_ping bpf-peer 192.0.2.1
expect "and is taken out" inside bpf ipset del bad 192.0.2.2
expect "it may again" can_ping bpf-peer 192.0.2.1
expect_not "a set in use cannot be destroyed" inside bpf ipset destroy bad
expect "a set comes and goes" inside bpf ipset create other hash:ip
expect "it can be swapped in" inside bpf ipset create good hash:net
expect "a rule with that set" inside bpf iptables-legacy -I INPUT -m set --match-set other src -j DROP
expect_not "which is in use" inside bpf ipset destroy other
expect "the rule goes" inside bpf iptables-legacy -D INPUT 1
expect "and with it the use" inside bpf ipset destroy other
expect_not "no rule with a set that is not there" \
	inside bpf iptables-legacy -I INPUT -m set --match-set other src -j DROP
expect "sets are swapped" inside bpf ipset swap bad good
expect "192.0.2.3 is bad no more" inside bpf-peer ping -q -n -c 1 -W 1 -I 192.0.2.3 192.0.2.1
inside bpf ipset swap bad good

# --- what outlasts what ---------------------------------------------------------------------

seen() {
	inside bpf grep -c '^src=192.0.2.2 ' /proc/thread-self/net/xt_recent/seen
}

same "there is a list" 1 "$(seen)"
expect "a replace" inside bpf iptables-legacy -A INPUT -p tcp --dport 2 -j DROP
same "the list is there" 1 "$(seen)"
same "one table has it, and ip_tables' one in the other world" 4 "$(users recent)"
helper_kill KILL
expect_not "without a helper 192.0.2.3 is still bad" \
	inside bpf-peer ping -q -n -c 1 -W 1 -I 192.0.2.3 192.0.2.1
udp bpf 1001 x
same "the list is there" 1 "$(seen)"
before=$(inside bpf iptables-legacy-save -c -t filter | grep -c '^\[[1-9].*seen')
expect "the next helper finds the table" at_module_hooks bpf
same "with its counters" "$before" "$(inside bpf iptables-legacy-save -c -t filter | grep -c '^\[[1-9].*seen')"
expect "and replaces it" inside bpf iptables-legacy -D INPUT -p tcp --dport 2 -j DROP
same "the list is there" 1 "$(seen)"
same "nothing is left of the one before" 4 "$(users recent)"
expect "back to ip_tables" inside bpf "$BPFILTER" detach
expect_not "which has it" in_ebpf bpf
same "with the list" 1 "$(seen)"
expect_not "192.0.2.3 is bad there" inside bpf-peer ping -q -n -c 1 -W 1 -I 192.0.2.3 192.0.2.1
expect "the next change" inside bpf iptables-legacy -A INPUT -p tcp --dport 2 -j DROP
expect "is at the module's hooks again" at_module_hooks bpf
same "with the list" 1 "$(seen)"
same "and no more users than before" 4 "$(users recent)"

# --- what the kernel refuses -----------------------------------------------------------------

# No kernel remembers so many packets of an address.
refused() {
	in_world "$1" iptables-legacy -A INPUT -m recent --name seen --rcheck --hitcount 100000 -j DROP 2>&1
}

want=$(refused kernel)
expect "the kernel refuses a rule" test -n "$want"
same "with the same words" "$want" "$(refused bpf)"
note "$want"
expect "and all is as it was" at_module_hooks bpf
same "with the list" 1 "$(seen)"

expect "without rules" inside bpf iptables-legacy -F
expect "nobody uses a set" inside bpf ipset destroy bad
same "nor a list" 2 "$(users recent)"
expect "the kernel has not warned" "$here/kernel_log.sh"

# --- what no program can read before Linux 6.4 ---------------------------------------------------

bridge() {
	ip -n "$lab-$1" link add br0 type bridge &&
		ip link add port0 netns "$lab-$1" type veth peer name far0 netns "$lab-$1-peer" &&
		ip -n "$lab-$1" link set port0 master br0 up &&
		ip -n "$lab-$1" addr add 198.51.100.1/24 dev br0 &&
		ip -n "$lab-$1" link set br0 group 7 up &&
		ip -n "$lab-$1-peer" addr add 198.51.100.2/24 dev far0 &&
		ip -n "$lab-$1-peer" link set far0 up
}

for rule in 'physdev --physdev-in port0' 'physdev ! --physdev-in port0' 'physdev --physdev-in port+ --physdev-is-in' \
	    'physdev ! --physdev-is-in' 'physdev --physdev-is-bridged' 'devgroup --src-group 7' 'devgroup ! --src-group 7' \
	    'policy --dir in --pol none' 'policy --dir in --pol ipsec --proto esp' 'limit --limit 1/hour --limit-burst 2'; do
	echo "-A INPUT -p icmp -m $rule"
done >"$T/unread"
# Where there are links, it is at those.
expect "back to ip_tables once more" inside bpf "$BPFILTER" detach
for world in kernel bpf; do
	bridge $world
	printf '*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n%s\nCOMMIT\n' "$(<"$T/unread")" |
		in_world $world iptables-legacy-restore
	expect "pings by a port of a bridge: $world" inside $world-peer ping -q -n -c 3 -i 0.2 -w 9 198.51.100.1
	expect "and by none" inside $world-peer ping -q -n -c 2 -i 0.2 -w 9 192.0.2.1
	in_world $world iptables-legacy-save -c -t filter | grep -e '-A INPUT' >"$T/unread-$world"
done
expect "rules about ports, groups and IPsec are in eBPF" in_ebpf bpf
same "and count what they do with ip_tables" "$(<"$T/unread-kernel")" "$(<"$T/unread-bpf")"
expect "some of them" grep -q '^\[3:.*physdev-in port0' "$T/unread-bpf"
tap_end
