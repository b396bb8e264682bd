# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # set by bench.sh, which sources this
#
# TCP through namespaces, each of which filters it in another way: those of throughput.sh without the others'. The rules
# are all about something else, so that each packet goes past every one of them, and is accepted by the policy.
#
#	pass		the kernel's ip_tables, without rules, and an XDP program that passes at both interfaces
#	auto		with the rules; the stage that drops early is at both interfaces
#	auto-off	the same as long as nobody names them: a veth is left alone
#	*-in		the connection ends in the namespace, and the rules are in INPUT

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

# The chain that its packets come to.
stream_chain() {
	[[ $1 = *-in ]] && echo INPUT || echo FORWARD
}

# What that chain's policy has accepted there, with the rules.
stream_counted() {
	if [ "$1" = s-kernel ]; then
		plain "$1" iptables-legacy -vnxL FORWARD
	else
		in_placement "$1" iptables-legacy -vnxL "$(stream_chain "$1")"
	fi | sed -n 's/^Chain.*policy ACCEPT \([0-9]*\) packets.*/\1/p'
}

# stream_load NAME: the rules, in both chains for auto, which has nothing to drop early without those of INPUT.
stream_load() {
	case $1 in
	auto*) sed '/^-A FORWARD/{p;s/FORWARD/INPUT/}' "$T/rules" ;;
	*) cat "$T/rules" ;;
	esac | in_placement "s-$1" iptables-legacy-restore
}

# At how many interfaces a program for XDP is.
stream_programs() {
	ip -n "$lab-$1" link show | grep -c 'prog/xdp'
}

# Is the stage where it should be, if it should?
stream_staged() {
	local n

	case $1 in
	s-auto) n=2 ;;
	s-auto-in) n=1 ;;
	s-auto-off) n=0 ;;
	*) return 0 ;;
	esac
	[ "$(stream_programs "$1")" -eq $n ] && return
	say "$1: programs for XDP are at $(stream_programs "$1") interfaces, not $n"
	return 1
}

# How "bench stream" has it.
stream_argument() {
	case $1 in
	pass) echo s-pass=pass ;;
	pass-in) echo s-pass-in=pass-here ;;
	*-in) echo "s-$1=here" ;;
	*) echo "s-$1" ;;
	esac
}

bench_stream() {
	local s turns=$((rounds * 3))
	local -a filtered=("${ours[@]}") base=(empty nf-0) with=(kernel) arguments

	say "stream: namespaces"
	by_module || filtered+=(auto auto-off auto-in) base+=(pass empty-in pass-in)
	for s in kernel "${base[@]}" "${filtered[@]}"; do
		stream_subject "s-$s" || return
	done
	rules acl $STREAM_RULES
	sed -i 's/^:FORWARD DROP/:FORWARD ACCEPT/' "$T/rules"
	for s in empty pass empty-in pass-in; do
		[[ " ${base[*]} " != *" $s "* ]] || plain "s-$s" iptables-legacy -S >/dev/null || return
	done
	plain s-kernel iptables-legacy-restore <"$T/rules" &&
		in_placement s-nf-0 iptables-legacy -P FORWARD ACCEPT || return
	for s in "${filtered[@]}"; do
		stream_load "$s" || return
		is_placed "s-$s" || continue
		stream_staged "s-$s" || return
		with+=("$s")
	done
	say "stream: acl, $STREAM_RULES rules"
	for s in "${base[@]}" "${with[@]}"; do arguments+=("$(stream_argument "$s")"); done
	"$bench" stream --rounds=$turns --ms="$ms" "$lab" "${arguments[@]}" >"$T/streams" || return
	for s in "${with[@]}"; do
		[ "$(stream_counted "s-$s")" -gt 1000 ] && continue
		say "s-$s: the policy has not accepted the packets"
		return 1
	done
	sed -e 's/"s-/"/' -e "s/^{/{\"shape\": \"acl\", \"rules\": $STREAM_RULES, /" "$T/streams" | record stream
}
