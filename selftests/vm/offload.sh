#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Programs on network cards, of which the kernel simulates one (netdevsim): loaded, attached, their counters read, replaced,
# taken out and gone with the card; what does not fit stays in the driver, and the status says why. What the simulation
# does not do, running the program, selftests/card does, with the instructions that the card was given.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

# It loads modules, and makes and removes a card.
[ -d /bpfilter ] || skip_all "only in a test machine (vm.sh)"
modinfo netdevsim >/dev/null 2>&1 || skip_all "there is no netdevsim"
modprobe netdevsim || exit 1
# Where it is a module its types are not there before.
modprobe -q nf_conntrack
lab_begin
netns host
inside host sysctl -qw net.ipv4.ip_forward=0
bus=/sys/bus/netdevsim
knobs=/sys/kernel/debug/netdevsim/netdevsim7
trap 'echo 7 >$bus/del_device 2>/dev/null; lab_end' EXIT

new_card() {
	local name

	inside host sh -c "echo '7 1' >$bus/new_device" || return
	name=$(inside host ip -br link | awk '$1 !~ /^(lo|veth)/ { print $1; exit }')
	ip -n "$lab-host" link set "$name" name nic0 && ip -n "$lab-host" addr add 192.0.2.1/24 dev nic0 &&
		ip -n "$lab-host" link set nic0 up
}

rules() {
	inside host timeout 60 "$BPFILTER" run --attach=offload -- iptables-legacy "$@"
}

rules-restore() {
	inside host timeout 60 "$BPFILTER" run --attach=offload -- iptables-legacy-restore --noflush
}

status() {
	inside host "$BPFILTER" status
}

# at PLACEMENT [INTERFACE]: it has that, within a second.
at() {
	local i

	for i in 1 2 3 4 5 6 7 8 9 10; do
		! status | grep -qE "${2:-nic0}: $1(,|$| )" || return 0
		sleep 0.1
	done
	status
	return 1
}

# comes_to PLACEMENT: the same within ten seconds.
comes_to() {
	local i

	for i in 1 2 3 4 5 6 7 8 9; do
		! at "$1" >/dev/null || return 0
	done
	at "$1"
}

# says TEXT: the status does, within a second.
says() {
	local i

	for i in 1 2 3 4 5 6 7 8 9 10; do
		! status | grep -qF "$1" || return 0
		sleep 0.1
	done
	status
	return 1
}

# nic0 is not in the status any more, after a second at most.
gone() {
	local i

	for i in 1 2 3 4 5 6 7 8 9 10; do
		status | grep -qF "nic0:" || return 0
		sleep 0.1
	done
	return 1
}

# frames SOURCE PORT N: where they end.
frames() {
	inside host "$BUILD/selftests/card" nic0 "$@"
}

on_card() {
	inside host "$BUILD/selftests/card" nic0
}

# counts TEXT: packets and bytes of the first rule in $list whose line contains it.
counts() {
	grep -m 1 -F -- "$1" <<<"$list" | awk '{ print $1, $2 }'
}

expect "a card" new_card
expect "its settings can be changed" test -e $knobs/ports/0/bpf_map_accept

# --- in place ----------------------------------------------------------------------------------

expect "a rule that drops" rules -A INPUT -s 192.0.2.66 -j DROP
expect "is on the card" at offload
expect "the kernel says so, too" on_card
same "what it drops is dropped there" card "$(frames 192.0.2.66 9 5)"
same "what passes goes up" up "$(frames 192.0.2.2 9 3)"
list=$(rules -vnxL INPUT)
same "the former is counted" "5 165" "$(counts 192.0.2.66)"
same "the latter once" "3 99" "$(sed -nE 's/.*policy ACCEPT ([0-9]+) packets, ([0-9]+) bytes.*/\1 \2/p' <<<"$list")"

# Behind the first rule: what a card cannot do, and a chain in front of that.
expect "more rules" rules-restore <<'END'
*filter
:blocked -
-A INPUT -s 192.0.2.0/26 -j blocked
-A blocked -p udp --dport 7 -j DROP
-A INPUT -p udp -m limit --limit 1/hour --limit-burst 3 -j ACCEPT
-A INPUT -p udp -j DROP
COMMIT
END
expect "are on the card as far as that can" at offload
same "the first rule goes on" card "$(frames 192.0.2.66 9 2)"
same "the chain drops there" card "$(frames 192.0.2.5 7 4)"
same "the driver has what the card cannot do" up "$(frames 192.0.2.5 9 3)"
same "and drops by the rules behind it" driver "$(frames 192.0.2.5 9 6)"
list=$(rules -vnxL)
same "the first rule has kept its counters" "7 231" "$(counts 192.0.2.66)"
same "the jump has those of both" "13 429" "$(counts 192.0.2.0/26)"
same "the rule in the chain those of the card" "4 132" "$(counts dpt:7)"
same "the others those of the driver" "3 99 6 198" "$(counts limit) $(grep -A1 limit <<<"$list" | tail -n 1 | awk '{ print $1, $2 }')"

# --- a helper that dies ------------------------------------------------------------------------

helper_kill KILL
expect "without a helper the card has the program" on_card
same "which drops" card "$(frames 192.0.2.66 9 2)"
list=$(rules -vnxL INPUT)
same "a new helper knows what it has counted" "9 297" "$(counts 192.0.2.66)"
expect "and has it on the card" at offload
same "where it drops" card "$(frames 192.0.2.66 9 1)"

# --- what does not fit -------------------------------------------------------------------------

forwards() {
	inside host sysctl -qw net.ipv4.conf.nic0.forwarding="$1"
}

forwards 1
expect "an interface that forwards has its filter in the driver" at xdp
expect "and the status says why" says "nic0 forwards packets"
expect_not "nothing is on the card" on_card
same "the driver drops" driver "$(frames 192.0.2.66 9 1)"
list=$(rules -vnxL INPUT)
same "and counts go on" "11 363" "$(counts 192.0.2.66)"

# refused KNOB TEXT: the card refuses something.
refused() {
	echo N >"$knobs/$1"
	forwards 0
	expect "$1: the status says why" says "$2"
	expect "$1: the filter is in the driver" at xdp
	same "$1: the driver drops" driver "$(frames 192.0.2.66 9 1)"
	echo Y >"$knobs/$1"
	forwards 1
}

refused ports/0/bpf_map_accept "does not take the counters"
refused bpf_bind_verifier_accept "refused the program"
refused ports/0/bpf_xdpoffload_accept "does not run programs"
forwards 0
expect "when nothing is against it, it is on the card" at offload

# --- asked again -------------------------------------------------------------------------------

# not_yet TEXT: it has been refused, for this reason, and is a second later.
not_yet() {
	says "$1" && sleep 1 && says "$1" && at xdp
}

# bytes PACKETS: that number, and theirs.
bytes() {
	echo "$1 $(($1 * 33))"
}

list=$(rules -vnxL INPUT)
read -r packets _ <<<"$(counts 192.0.2.66)"

# back WHY: the filter is on the card again; the driver has dropped a frame meanwhile.
back() {
	expect "$1, and it is on the card" comes_to offload
	expect "as the kernel says" on_card
	same "which drops" card "$(frames 192.0.2.66 9 1)"
	packets=$((packets + 2))
	list=$(rules -vnxL INPUT)
	same "and counts go on" "$(bytes $packets)" "$(counts 192.0.2.66)"
}

# There is some program on it, within two seconds.
taken() {
	local i

	for i in {1..20}; do
		! on_card || return 0
		sleep 0.1
	done
	return 1
}

forwards 1
expect "it is in the driver" at xdp
echo N >$knobs/bpf_bind_verifier_accept
forwards 0
expect "a card that refuses the program" not_yet "refused the program"
same "leaves it to the driver" driver "$(frames 192.0.2.66 9 1)"
echo Y >$knobs/bpf_bind_verifier_accept
back "takes it later, without anything else that happens"

forwards 1
expect "it is in the driver" at xdp
echo N >$knobs/ports/0/bpf_map_accept
forwards 0
expect "a card that takes no counters" not_yet "does not take the counters"
same "leaves it to the driver" driver "$(frames 192.0.2.66 9 1)"
echo Y >$knobs/ports/0/bpf_map_accept
ip -n "$lab-host" link set nic0 txqueuelen 777
back "takes some when the interface has changed"

forwards 1
expect "it is in the driver" at xdp
expect "a card may have another program" inside host "$BUILD/selftests/card" nic0 take
forwards 0
expect "which stays" not_yet "has another program"
expect "as the kernel says, too" on_card
same "with the filter in the driver" driver "$(frames 192.0.2.66 9 1)"
expect "it is taken off" inside host "$BUILD/selftests/card" nic0 give
back "which the kernel tells of"

forwards 1
expect "it is in the driver" at xdp
mkfifo "$T/held"
inside host "$BUILD/selftests/card" nic0 hold <"$T/held" &
exec {held}>"$T/held"
expect "one may be there by a link" taken
forwards 0
expect "which stays" not_yet "has another program"
same "with the filter in the driver" driver "$(frames 192.0.2.66 9 1)"
exec {held}>&-
wait $!
back "when it goes, the kernel tells nobody"

forwards 1
expect "it is in the driver" at xdp
echo N >$knobs/ports/0/bpf_xdpoffload_accept
forwards 0
expect "a card that runs nothing" not_yet "does not run programs"
same "leaves it to the driver" driver "$(frames 192.0.2.66 9 1)"
echo Y >$knobs/ports/0/bpf_xdpoffload_accept
expect "another table" rules -A INPUT -s 192.0.2.79 -j DROP
expect "is put on it" at offload
list=$(rules -vnxL INPUT)
packets=$((packets + 1))
same "with the counters of the one before" "$(bytes $packets)" "$(counts 192.0.2.66)"
expect "it goes" rules -D INPUT -s 192.0.2.79 -j DROP

# --- what the table is in the way of ------------------------------------------------------------

expect "a rule that needs conntrack, in front" rules -I INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
expect "keeps the table in the driver" at xdp
expect "and the status says why" says "a network card cannot tell (ctstate)"
expect "without it" rules -D INPUT 1
expect "it is on the card" at offload

# --- interfaces that change --------------------------------------------------------------------

ip -n "$lab-host" link set nic0 address 02:00:00:00:00:77
sleep 0.5
expect "another address" at offload
same "is the one that counts" card "$(frames 192.0.2.66 9 1)"
ip -n "$lab-host" link add veth0 type veth peer name veth1
expect "an interface without a card has its filter in the driver" at xdp veth0
expect "and the status says why" says "network card of veth0 does not take"

list=$(rules -vnxL INPUT)
before=$(counts 192.0.2.66)
echo 7 >$bus/del_device
expect "a card that goes is not in the status" gone
list=$(rules -vnxL INPUT)
same "and leaves what it has counted" "$(bytes $((packets + 1))) $(bytes $((packets + 1)))" "$before $(counts 192.0.2.66)"
expect "a new card" new_card
expect "gets the program" at offload
same "which drops" card "$(frames 192.0.2.66 9 1)"

expect "xdp is asked for" inside host "$BPFILTER" run --attach=xdp -- iptables-legacy -A INPUT -s 192.0.2.78 -j DROP
expect "and had" at xdp
expect_not "the card has nothing" on_card
expect "offload is asked for" rules -D INPUT -s 192.0.2.78 -j DROP
expect "and had" at offload
expect "the table goes back to ip_tables" inside host "$BPFILTER" detach
expect_not "the card has nothing" on_card
same "ip_tables has the counters" "$(bytes $((packets + 2)))" "$(list=$(plain host iptables-legacy -vnxL INPUT) && counts 192.0.2.66)"

tap_end
