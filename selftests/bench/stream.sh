# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # set by bench.sh, which sources this
#
# TCP through namespaces, each of which filters it in another way: those of throughput.sh without the others'. The rules
# are all about something else, so that each packet goes past every one of them, and is accepted by the policy.

STREAM_RULES=1000

# stream_subject NAME: a namespace between two others, as "bench stream" has it.
stream_subject() {
	netns "$1" "$1-a" "$1-b"
	link "$1-a" 10.254.0.2/24 "$1" 10.254.0.1/24
	link "$1-b" 10.254.1.2/24 "$1" 10.254.1.1/24
	ip -n "$lab-$1-a" route add default via 10.254.0.1 &&
		ip -n "$lab-$1-b" route add default via 10.254.1.1 &&
		inside "$1" sysctl -qw net.ipv4.ip_forward=1
}

# What FORWARD's policy has accepted there, with the rules.
stream_counted() {
	if [ "$1" = s-kernel ]; then
		plain "$1" iptables-legacy -vnxL FORWARD
	else
		in_placement "$1" iptables-legacy -vnxL FORWARD
	fi | sed -n 's/^Chain.*policy ACCEPT \([0-9]*\) packets.*/\1/p'
}

bench_stream() {
	local s turns=$((rounds * 3))
	local -a with=(s-kernel)

	say "stream: namespaces"
	for s in empty kernel nf-0 "${ours[@]}"; do
		stream_subject "s-$s" || return
	done
	rules acl $STREAM_RULES
	sed -i 's/^:FORWARD DROP/:FORWARD ACCEPT/' "$T/rules"
	plain s-empty iptables-legacy -S >/dev/null && plain s-kernel iptables-legacy-restore <"$T/rules" &&
		in_placement s-nf-0 iptables-legacy -P FORWARD ACCEPT || return
	for s in "${ours[@]}"; do
		in_placement "s-$s" iptables-legacy-restore <"$T/rules" || return
		! is_placed "s-$s" || with+=("s-$s")
	done
	say "stream: acl, $STREAM_RULES rules"
	"$bench" stream --rounds=$turns --ms="$ms" "$lab" s-empty s-nf-0 "${with[@]}" >"$T/streams" || return
	for s in "${with[@]}"; do
		[ "$(stream_counted "$s")" -gt 1000 ] && continue
		say "$s: the policy has not accepted the packets"
		return 1
	done
	sed -e 's/"s-/"/' -e "s/^{/{\"shape\": \"acl\", \"rules\": $STREAM_RULES, /" "$T/streams" | record stream
}
