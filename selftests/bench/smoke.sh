#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# smoke.sh - that the benchmark measures what it says: its rule sets, its checks, its packets

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"
# shellcheck source=subject.sh
. "$here/subject.sh"
# shellcheck source=stream.sh
. "$here/stream.sh"

bench=${BUILD:-$(dirname "$BPFILTER")}/selftests/bench
shapes=$("$bench" shapes | awk '{ print $1 }')

# The checksum of a set.
sum() {
	"$bench" rules --shape="$1" --rules="$2" --seed="$3" | cksum
}

deterministic() {
	local s

	for s in $shapes; do
		[ "$(sum "$s" 200 5)" = "$(sum "$s" 200 5)" ] || { echo "$s" && return 1; }
	done
}

# All but those that have nothing random in them.
seeded() {
	local s

	for s in $shapes; do
		case $s in
		grid | stateful) continue ;;
		esac
		[ "$(sum "$s" 200 5)" != "$(sum "$s" 200 6)" ] || { echo "$s" && return 1; }
	done
}

exact_size() {
	local s n

	for s in $shapes; do
		for n in 10 137 2000; do
			[ "$("$bench" rules --shape="$s" --rules="$n" | grep -c '^-A')" = "$n" ] ||
				{ echo "$s, $n rules" && return 1; }
		done
	done
}

# lookup ATTACH RULES: every verdict and counter is compared there; sets that are refused count as failures.
lookup() {
	local list

	list=$(echo "$shapes" | if [ "$1" = link ]; then grep -v '^calico$'; else cat; fi | paste -sd,)
	"$bench" lookup --attach="$1" --shape="$list" --rules="$2" --rounds=1 --ms=1 >"$T/lookup" || {
		cat "$T/lookup"
		return 1
	}
	! grep refused "$T/lookup" && [ "$(awk '$7 > 1000' "$T/lookup" | wc -l)" -gt 10 ]
}

# rate SUBJECT MEMBER: what "bench blast" has said.
rate() {
	sed -n "s/.*\"$1\".*\"$2\": \([0-9]*\).*/\1/p" "$T/rates"
}

# blast VERDICT: packets that a set accepts or drops, through nothing, through it, and through drops at XDP and tc.
blast() {
	"$bench" packets --shape=fw --rules=100 --verdict="$1" >"$T/frames" &&
		"$bench" blast --rounds=1 --ms=50 "$lab" "$T/frames" none rules xdp=drop tc=tc-drop >"$T/rates" && return
	cat "$T/rates"
	return 1
}

# through SUBJECT all|none: of the packets that came in. What a namespace itself sends (IPv6 does when an interface
# is new) is counted at the sink, too.
through() {
	local in out

	in=$(rate "$1" in_pps) out=$(rate "$1" out_pps)
	[ "$in" -gt 1000 ] && case $2 in
	all) [ $((out * 100)) -ge $((in * 98)) ] ;;
	none) [ $((out * 1000)) -le "$in" ] ;;
	esac
}

streams() {
	"$bench" stream --rounds=2 --ms=5 "$lab" "$@" >"$T/streams"
}

[ -x "$bench" ] || skip_all "$bench is not built"
lab_begin
expect "a set is the same for the same seed" deterministic
expect "another seed, another set" seeded
expect "so many rules as were asked for" exact_size
expect "programs for the module's hooks decide and count as the model" lookup module 100
expect "programs at links decide and count as the model" lookup link 100
expect_not "there is no such shape" "$bench" rules --shape=none --rules=10

netns gen sink
subject none
subject rules
subject xdp
subject tc
"$bench" rules --shape=fw --rules=100 >"$T/rules"
expect "the rules can be loaded" plain rules iptables-legacy-restore "$T/rules"
expect "packets that they accept are sent" blast accept
expect "all of those pass what has no rules" through none all
expect "and the rules" through rules all
expect "and none XDP_DROP" through xdp none
expect "and none a drop at tc" through tc none
expect "packets that they drop are sent" blast drop
expect "all of those pass what has no rules" through none all
expect "and none the rules" through rules none

stream_subject a
stream_subject b
expect "TCP gets through" streams a b
expect "so many bytes a second" test "$(sed -n 's/.*"subject": "b".*"bytes": //p' "$T/streams" | tr -d '}')" -gt 1000000
expect "TCP to the namespace itself, and past XDP" streams a=here b=pass
same "a program is at both interfaces" 2 "$(stream_programs b)"
expect "and both" streams b=pass-here
plain b iptables-legacy -A FORWARD -p tcp -j DROP
expect_not "but not through a rule that drops it" streams a b
expect "which does not meet what ends there" streams a b=here
tap_end
