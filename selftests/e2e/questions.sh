#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Matches that the kernel is asked about each packet, as a user sees them: sets that change under the rules, lists that
# are the kernel's own, limits by address; also without a helper, and never at the price of a packet that is let through.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

ipt() {
	filtered host iptables-legacy "$@"
}

# packets PATTERN: what the rule of INPUT that iptables shows with that has counted.
packets() {
	ipt -L INPUT -v -n -x | awk -v p="$1" 'index($0, p) { print $1; exit }'
}

# pings N: how many of so many are answered.
pings() {
	local i n=0

	for ((i = 0; i < $1; i++)); do
		! inside client ping -q -n -c 1 -W 0.3 192.0.2.1 >/dev/null 2>&1 || n=$((n + 1))
	done
	echo $n
}

unanswered() {
	"$BPFILTER" status --json | grep -o '"unanswered_packets": [0-9]*' | awk '{ n += $2 } END { print n + 0 }'
}

recent() {
	inside host awk '{ print $1, NF }' "/proc/net/xt_recent/$1"
}

lab_begin
command -v ipset >/dev/null || skip_all "needs ipset"
lab_client_host_server

# --- sets ----------------------------------------------------------------------------------

inside host ipset create bad hash:ip counters || skip_all "the kernel has no sets"
expect "a rule with a set is taken" ipt -A INPUT -p icmp -m set --match-set bad src -j DROP
expect "the table is in eBPF" in_ebpf host
expect "and ip_tables' is empty" kernel_is_empty host
same "who is not in the set gets through" 2 "$(pings 2)"
expect "and is not counted" [ "$(packets 'match-set bad src')" = 0 ]
inside host ipset add bad 192.0.2.2
same "who is in the set does not" 0 "$(pings 2)"
expect "and is counted by the rule" [ "$(packets 'match-set bad src')" = 2 ]
expect "and in the set" grep -q '192.0.2.2 packets 2 bytes 168' <(inside host ipset list bad)
inside host ipset del bad 192.0.2.2
same "who is not in it any more does" 1 "$(pings 1)"
expect_not "a set is there for as long as a rule names it" inside host ipset destroy bad
expect "another set" inside host ipset create good hash:net
expect "is used beside the first" ipt -I INPUT -p icmp -m set ! --match-set good src -j ACCEPT
same "both are looked at" 1 "$(pings 1)"
inside host ipset add good 192.0.2.0/24
inside host ipset add bad 192.0.2.2
same "one after the other" 0 "$(pings 1)"
expect "the first is let go" ipt -D INPUT -p icmp -m set --match-set bad src -j DROP
expect "and is free at once" inside host ipset destroy bad
ipt -F INPUT
expect "so is the other one with the last rule" inside host ipset destroy good

# --- recent --------------------------------------------------------------------------------

ipt -A INPUT -p icmp -m recent --name seen --update --seconds 60 --hitcount 3 -j DROP
ipt -A INPUT -p icmp -m recent --name seen --set
expect "rules with recent are in eBPF" in_ebpf host
same "three get through" 3 "$(pings 5)"
same "the list is the kernel's" "src=192.0.2.2 12" "$(recent seen)"
expect "the rules count them" [ "$(packets 'UPDATE')" = 2 ]
expect "as it was with one more rule" ipt -A INPUT -p icmp -j ACCEPT
same "the list is what it was" 0 "$(pings 1)"
echo / | inside host tee /proc/net/xt_recent/seen >/dev/null
same "and empty when it is emptied" 1 "$(pings 1)"
ipt -F INPUT

# --- hashlimit, connlimit, string --------------------------------------------------------------

ipt -A INPUT -p icmp -m hashlimit --hashlimit-upto 1/hour --hashlimit-burst 2 --hashlimit-mode srcip \
	--hashlimit-name pings -j ACCEPT
ipt -A INPUT -p icmp -j DROP
expect "a rule with hashlimit is in eBPF" in_ebpf host
same "the burst gets through" 2 "$(pings 4)"
expect "its table is the kernel's" grep -q 192.0.2.2 <(inside host cat /proc/net/ipt_hashlimit/pings)
ipt -A INPUT -p udp -j ACCEPT
same "and outlives another table" 0 "$(pings 1)"
ipt -F INPUT

serve_tcp host 70
ipt -A INPUT -p tcp --dport 70 --syn -m connlimit --connlimit-above 1 -j REJECT --reject-with tcp-reset
expect "a rule with connlimit is in eBPF" in_ebpf host
in_background nsenter --net="/run/netns/$lab-client" nc 192.0.2.1 70
held=$!
connected() {
	[ -n "$(inside client ss -Htn state established dport = :70)" ]
}
expect "one connection is made and stays" within 5 connected
expect_not "no second one beside it" can_tcp client 192.0.2.1 70
kill "$held"
# One that is being closed counts until both sides have done so.
expect "another one when that is closed" within 5 can_tcp client 192.0.2.1 70
ipt -F INPUT

serve_udp host 71
ipt -A INPUT -p udp --dport 71 -m string --algo kmp --string secret -j DROP
expect "a rule with string is in eBPF" in_ebpf host
expect "what does not hold it gets through" can_udp client 192.0.2.1 71 host
inside client bash -c 'echo the secret word >/dev/udp/192.0.2.1/71'
counted_once() {
	[ "$(packets STRING)" = 1 ]
}
expect "what does does not" within 5 counted_once
expect_not "and has not arrived" grep -q secret "$T/udp-host-71"

# --- a match that drops a packet by itself ------------------------------------------------------

# A table of hashlimit that is full: who is not in it is dropped, counted by the rules in front alone.
ipt -F INPUT
inside client ip addr add 192.0.2.9/24 dev "$(inside client ip -o -4 addr show to 192.0.2.2 | awk '{ print $2; exit }')"
account=()
! inside host nfacct add seen 2>/dev/null || account=(-m nfacct --nfacct-name seen)
ipt -A INPUT -p icmp "${account[@]}" -m comment --comment first
ipt -A INPUT -m comment --comment second
ipt -A INPUT -p icmp -m hashlimit --hashlimit-upto 1000/sec --hashlimit-burst 1000 --hashlimit-mode srcip \
	--hashlimit-name full --hashlimit-htable-expire 3600000 --hashlimit-htable-size 1 --hashlimit-htable-max 1 -m comment --comment third
ipt -A INPUT -p icmp -m comment --comment fourth
expect "a table of hashlimit with room for one is in eBPF" in_ebpf host
same "who is in it gets through" 2 "$(pings 2)"
for i in 1 2 3 4 5 6; do
	expect_not "who is not is dropped: $i" inside client ping -q -n -c 1 -W 0.2 -I 192.0.2.9 192.0.2.1
done
same "a rule in front counts both" 8 "$(packets first)"
expect "so does another one" [ "$(packets second)" -ge 8 ]
same "the rule itself counts the former" 2 "$(packets third)"
same "and so does what follows" 2 "$(packets fourth)"
if [ ${#account[@]} -gt 0 ]; then
	expect "and what counts elsewhere counts all" grep -q 'pkts = 0*8,' <(inside host nfacct get seen)
fi
ipt -F INPUT
same "no effect is lost" 0 "$("$BPFILTER" status --json | grep -o '"effects_lost": [0-9]*' | awk '{ n += $2 } END { print n + 0 }')"

# --- connections, senders, fingerprints ---------------------------------------------------------

ipt -F INPUT
ipt -A INPUT -p icmp -m connbytes --connbytes 3 --connbytes-dir original --connbytes-mode packets -j DROP
expect "a rule with connbytes is in eBPF" in_ebpf host
expect "the first packets of a connection get through" grep -q ' 2 received' \
	<(inside client ping -q -n -c 5 -i 0.2 -W 0.3 192.0.2.1)
expect "and later ones are counted" [ "$(packets connbytes)" = 3 ]
ipt -F INPUT

ipt -A INPUT -p tcp --dport 70 --syn -m connlabel --label 9 --set 2>/dev/null
ipt -A INPUT -p tcp --dport 70 ! --syn -m connlabel --label 9 -j DROP 2>/dev/null
expect "rules with connlabel are in eBPF" in_ebpf host
can_tcp client 192.0.2.1 70
labelled() {
	[ "$(packets 'connlabel 9 set')" -ge 1 ] && [ "$(packets 'DROP')" -ge 1 ]
}
expect "what one has labelled the other drops" within 5 labelled
ipt -F INPUT

ipt -A INPUT -p icmp -m bpf --bytecode "4,48 0 0 8,21 0 1 77,6 0 0 1,6 0 0 0" -j DROP
expect "a rule with a program is in eBPF" in_ebpf host
expect "a packet that it returns 0 for gets through" inside client ping -q -n -c 1 -W 1 192.0.2.1
expect_not "another does not" inside client ping -q -n -t 77 -c 1 -W 0.3 192.0.2.1
ipt -F INPUT
ipt -A INPUT -m bpf --object-pinned /nowhere -j DROP 2>/dev/null
expect "a program by its path is not" [ -z "$(ipt -S INPUT | grep nowhere)" ]

ipt -A INPUT -p udp -m socket --nowildcard -j ACCEPT
ipt -A INPUT -p udp -j DROP
expect "a rule with socket is in eBPF" in_ebpf host
expect "what a socket waits for gets through" can_udp client 192.0.2.1 71 host
inside client bash -c 'echo >/dev/udp/192.0.2.1/79'
dropped_once() {
	[ "$(packets DROP)" = 1 ]
}
expect "what none waits for does not" within 5 dropped_once
ipt -F INPUT

if command -v setpriv >/dev/null && inside host setpriv --groups 4242 true 2>/dev/null; then
	ipt -A OUTPUT -p icmp -m owner --gid-owner 4242 --suppl-groups -j REJECT
	expect "a rule about all groups is in eBPF" in_ebpf host
	expect "who is in another is let out" inside host ping -q -n -c 1 -W 1 192.0.2.2
	expect_not "who is in that is not" inside host setpriv --groups 7,4242 ping -q -n -c 1 -W 0.3 192.0.2.2
	ipt -F OUTPUT
else
	tap_skip "groups of a sender" "there is no setpriv that knows them"
fi

# The kernel has one list of fingerprints for all: nothing else looks for this name.
echo '*:64:1:60:M*,S,T,N,W*:Bftest:1:of-a-test:of-a-test' >"$T/fingers"
if command -v nfnl_osf >/dev/null && nfnl_osf -f "$T/fingers" >/dev/null 2>&1; then
	ipt -A INPUT -p tcp --dport 70 -m osf --genre Bftest --ttl 2 -j DROP
	expect "a rule with osf is in eBPF" in_ebpf host
	inside client bash -c 'exec 3<>/dev/tcp/192.0.2.1/70' 2>/dev/null &
	known() {
		[ "$(packets Bftest)" -ge 1 ]
	}
	expect "it knows who has such a fingerprint" within 5 known
	kill $!
	ipt -F INPUT
	nfnl_osf -d -f "$T/fingers" >/dev/null 2>&1
else
	tap_skip "fingerprints" "there is no nfnl_osf, or the kernel takes none"
fi

# A packet of SCTP that is too short to belong to a connection.
if command -v python3 >/dev/null; then
	ipt -A INPUT -p sctp -m comment --comment short
	ipt -A INPUT -p sctp -m connlimit --connlimit-above 0 -m comment --comment above
	ipt -A INPUT -p sctp -m comment --comment behind
	expect "connlimit for SCTP is in eBPF" in_ebpf host
	inside client python3 -c "
from socket import *
socket(AF_INET, SOCK_RAW, 132).sendto(b'abc', ('192.0.2.1', 0))"
	same "a packet that is too short is counted in front" 1 "$(packets short)"
	same "and dropped" "0 0" "$(packets above) $(packets behind)"
	ipt -F INPUT
fi

# --- with effects, limits, and chains that are met twice ----------------------------------------

ipt -F INPUT
inside host ipset create bad hash:ip counters
inside host ipset add bad 192.0.2.2
ipt -N twice
ipt -A twice -m set --match-set bad src
ipt -A twice -m limit --limit 1/hour --limit-burst 3 -j RETURN
ipt -A twice -p icmp -j REJECT --reject-with icmp-host-prohibited
ipt -A INPUT -p icmp -j twice
ipt -A INPUT -p icmp -j twice
expect "questions beside effects are in eBPF" in_ebpf host
same "a limit is asked each time" 1 "$(pings 1)"
expect "and then what refuses tells so" grep -q 'Prohibited' \
	<(inside client ping -n -c 1 -W 1 192.0.2.1)
expect "the set has counted each time" grep -q '192.0.2.2 packets 4 ' <(inside host ipset list bad)
ipt -F INPUT
ipt -F twice
ipt -X twice

# --- without a helper, and without nf_tables' part -----------------------------------------------

ipt -A INPUT -p icmp -m set --match-set bad src -j DROP
same "before" 0 "$(pings 1)"
helper_kill KILL
same "without a helper the set is looked at" 0 "$(pings 1)"
inside host ipset del bad 192.0.2.2
same "as it is" 1 "$(pings 1)"
expect "the next helper has the table" in_ebpf host
same "and leaves the rules what they are" 1 "$(pings 1)"
expect_not "which still hold the set" inside host ipset destroy bad
expect_not "what the kernel refuses is refused" \
	ipt -A INPUT -m recent --name refused --rcheck --hitcount 70000 -j DROP
same "and leaves the table what it is" 1 "$(pings 1)"
expect "it takes another table" ipt -A INPUT -p icmp -m set --match-set bad dst -j DROP
same "which asks" 1 "$(pings 1)"
inside host ipset add bad 192.0.2.1
same "both questions" 0 "$(pings 1)"
inside host ipset del bad 192.0.2.1
if command -v nft >/dev/null && ! by_module; then
	helper_kill KILL
	inside host nft delete table ip bpfilter-effects
	same "what cannot be asked is dropped" 0 "$(pings 1)"
	same "and counted" 1 "$(unanswered)"
	expect "for people, too" grep -q 'ask the kernel; 1 packet dropped' <("$BPFILTER" status)
	same "and the helper who was started for that makes the rules again" 1 "$(pings 1)"
	inside host ipset add bad 192.0.2.1
	same "both of them" 0 "$(pings 1)"
	inside host ipset del bad 192.0.2.1
	expect_not "which hold the set" inside host ipset destroy bad

	# Of a table that a helper did not come to put in force.
	helper_kill KILL
	inside host nft add chain ip bpfilter-effects questions-4000000001
	inside host nft add chain ip bpfilter-effects rounds-4000000001-input
	inside host nft add rule ip bpfilter-effects rounds-4000000001-input jump questions-4000000001
	inside host nft add rule ip bpfilter-effects ask-input jump rounds-4000000001-input
	expect "the next helper comes" "$BPFILTER" status
	expect_not "it removes what is nobody's" inside host nft list chain ip bpfilter-effects questions-4000000001
	expect_not "all of it" inside host nft list chain ip bpfilter-effects rounds-4000000001-input
	same "and nothing else" 1 "$(pings 1)"
	expect "the table can be replaced" ipt -D INPUT -p icmp -m set --match-set bad dst -j DROP
	same "and is right again" 1 "$(pings 1)"
fi
ipt -F INPUT

# --- the next helper leaves what is there, and makes what is not ----------------------------------

# Many questions in the chain of one hook, beside one that keeps something.
{
	printf '*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n'
	echo '-A INPUT -p icmp -m limit --limit 1/hour --limit-burst 2 -m comment --comment burst -j ACCEPT'
	echo '-A INPUT -p icmp -j DROP'
	for i in {1..40}; do
		echo "-A OUTPUT -p icmp -m cgroup --cgroup $i"
	done
	echo COMMIT
} >"$T/many"
expect "a table with many questions in one hook" filtered host iptables-legacy-restore "$T/many"
expect "is in eBPF" in_ebpf host
same "its limit lets a burst through" 2 "$(pings 4)"
helper_kill KILL
expect "the next helper comes" "$BPFILTER" status
same "and the limit is used up as before" 0 "$(pings 2)"
same "which the rule tells" 2 "$(packets burst)"
if command -v nft >/dev/null && ! by_module; then
	# own KIND: the table's own chain of that kind.
	own() {
		inside host nft list table ip bpfilter-effects | awk -v k="$1" '$1 == "chain" && $2 ~ "^" k { print $2; exit }'
	}
	ipt -R INPUT 2 -p icmp -j ACCEPT
	ipt -F OUTPUT
	ipt -A OUTPUT -p icmp -m cgroup --cgroup 1
	for i in questions here-[0-9]*-output rounds-[0-9]*-input; do
		same "a packet gets through: $i" 1 "$(pings 1)"
		helper_kill KILL
		chain=$(own "$i")
		expect "a chain loses its rules: $chain" inside host nft flush chain ip bpfilter-effects "$chain"
		same "packets are dropped" 0 "$(pings 1)"
		expect "the next helper comes" "$BPFILTER" status
		same "and has made them again" 1 "$(pings 1)"
	done
	helper_kill KILL
	inside host nft add chain ip bpfilter-effects here-4000000001-input
	expect "a helper" "$BPFILTER" status
	expect_not "removes such a chain that is nobody's" inside host nft list chain ip bpfilter-effects here-4000000001-input

	# What the kernel says to a match it says, too, where no packet comes to it.
	expect_not "at a hook that asks nothing there is nothing" grep -q cgroup \
		<(inside host nft list chain ip bpfilter-effects "$(own 'here-[0-9]*-input')")
	ipt -N lone
	ipt -A lone -m cgroup --cgroup 77
	expect "a rule that no hook reaches is shown to the kernel" grep -q cgroup \
		<(inside host nft list chain ip bpfilter-effects "$(own 'here-[0-9]*-input')")
	ipt -F lone
	ipt -X lone
fi
ipt -F INPUT
ipt -F OUTPUT
expect "the set is free" inside host ipset destroy bad
! command -v nft >/dev/null ||
	expect_not "nothing is left in nf_tables" inside host nft list table ip bpfilter-effects
tap_end
