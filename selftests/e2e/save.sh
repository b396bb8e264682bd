#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What iptables-legacy-save says after iptables-legacy-restore is what it says with the kernel.
#
# For each of our rule sets, and of the dumps in $BPFILTER_CORPUS/saves: restored in one namespace
# with the kernel's ip_tables, in another through bpfilter; saved with and without "-t filter",
# compared byte for byte but for comments and counters. A dump that cannot be translated is
# compared too: the kernel has it in both. Which ones those are is told from the text.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

# Targets that need more than there is: the module, netfilter links or the module.
needs='kernel module'
! by_module || needs='no other'
by_module || printf '6.4\n%s\n' "$(uname -r)" | sort -VC || needs+='|`(REJECT|LOG|NFLOG)`'
support=${BUILD:-$(dirname "$BPFILTER")}/selftests/support
lab_begin

# The ipsets and accounting objects that a dump names must exist. Which type of set it was cannot be told
# from it, but for our own (differential/asks.c).
make_objects() {
	local name ns type

	for name in $(words_after '--(match|add|del)-set' "$1"); do
		case $name in
		pair*) type=hash:net,port ;;
		port*) type="bitmap:port range 0-65535" ;;
		*) type=hash:net ;;
		esac
		for ns in kernel bpf; do
			# shellcheck disable=SC2086 # words
			inside $ns ipset create "$name" $type counters
		done
	done
	for name in $(words_after --nfacct-name "$1"); do
		for ns in kernel bpf; do
			inside $ns nfacct add "$name"
		done
	done
}

# words_after OPTION FILE: what follows it, each once.
words_after() {
	grep -oE -- "$1 +[^ ]+" "$2" | awk '{ print $2 }' | sort -u
}

# What the filter table uses that the README does not list, in words.
unsupported() {
	awk -v matches="$("$support" matches | sed -n 's/^| `\([a-z0-9]*\)`.*/ \1 /p' | tr -d '\n')" \
	    -v targets="$("$support" targets | sed -En "/$needs/d; s/^\| \`([A-Z]*)\`.*/ \1 /p" | tr -d '\n')" '
		/^:/ { known["-j", substr($1, 2)] = known["-g", substr($1, 2)] = 1 }
		/^-A/ {
			for (i = 3; i < NF; i++) {
				if ($i == "--comment" && $(i + 1) ~ /^"/) {
					while ($++i !~ /"$/ && i < NF)
						;
				} else if ($i == "-m" && !index(matches, " " $(i + 1) " "))
					print "match " $(i + 1)
				else if (($i == "-j" || $i == "-g") && !(($i, $(i + 1)) in known) &&
					 !index(targets, " " $(i + 1) " ") &&
					 $(i + 1) !~ /^(ACCEPT|DROP|RETURN)$/)
					print "target " $(i + 1)
			}
		}' "$1" | sort -u | paste -sd,
}

# The right one, ip_tables or we?
who_has() {
	local lines=$2 not

	not=$(unsupported "$T/want-filter")
	if in_ebpf bpf; then
		translated=$((translated + 1))
		kernel_is_empty bpf && [ -z "$not" ]
		tap $? "$1: $lines lines of filter, in eBPF"
	else
		# Behind links a packet has 15 marks at most.
		[ -n "$not" ] || [[ $(kernel_why bpf) == *"MARK: a packet may meet more than"* ]]
		tap $? "$1: $lines lines of filter, with the kernel: $(kernel_why bpf)"
	fi
}

compare() {
	local name=$1 dump=$2 err

	make_objects "$dump"
	err=$(plain kernel iptables-legacy-restore <"$dump" 2>&1) || {
		tap_skip "$name" "this kernel does not take it: $(head -n 1 <<<"$err")"
		return
	}
	filtered bpf iptables-legacy-restore <"$dump" >"$T/err" 2>&1 || {
		note "$(cat "$T/err")"
		tap 1 "$name: restored"
		return
	}
	plain kernel iptables-legacy-save | bare >"$T/want"
	filtered bpf iptables-legacy-save | bare >"$T/got"
	plain kernel iptables-legacy-save -t filter | bare >"$T/want-filter"
	filtered bpf iptables-legacy-save -t filter | bare >"$T/got-filter"
	if cmp -s "$T/want" "$T/got" && cmp -s "$T/want-filter" "$T/got-filter"; then
		who_has "$name" "$(wc -l <"$T/got-filter")"
	else
		note "with the kernel (<), through bpfilter (>):"
		diff "$T/want" "$T/got" | head -n 10 | sed 's/^/# /'
		diff "$T/want-filter" "$T/got-filter" | head -n 10 | sed 's/^/# /'
		tap 1 "$name"
	fi
}

translated=0
for dump in "$here"/../rules/* "$here"/../../demo/rules \
	    ${BPFILTER_CORPUS:+"$BPFILTER_CORPUS"/saves/*.save}; do
	[ -f "$dump" ] || continue
	netns kernel bpf
	compare "$(basename "$dump")" "$dump"
	ip netns del "$lab-kernel"
	ip netns del "$lab-bpf"
done
note "$translated translated"
tap $((translated == 0)) "some of them were translated"
tap_end
