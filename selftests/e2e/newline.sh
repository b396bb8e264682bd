#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Comments with newlines, quotes and backslashes, one of them made to look like a rule: every command that shows rules
# shows each with its own text, on one line.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

ipt() {
	filtered host iptables-legacy "$@"
}

look() {
	inside host "$BPFILTER" "$@"
}

lab_begin
netns host
ipt -A INPUT -p icmp -m comment --comment $'x\n-A INPUT -j FAKE' -j ACCEPT
ipt -A INPUT -p udp -m comment --comment $'"\n\\' -j ACCEPT
ipt -A INPUT -p tcp --dport 9 -j DROP
ipt -N 'q"'
ipt -A INPUT -j 'q"'
ipt -A 'q"' -i 'a"b' -m comment --comment $'\n' -j DROP
ipt -A 'q"' -p tcp --dport 10 -j DROP
expect "a table with such comments is in eBPF" in_ebpf host
same "iptables prints the newlines" 9 "$(ipt -S | grep -vc '^-[PN]')"

texts='-A INPUT -p icmp -m comment --comment "x -A INPUT -j FAKE" -j ACCEPT
-A INPUT -p udp -m comment --comment "\" \\" -j ACCEPT
-A INPUT -p tcp -m tcp --dport 9 -j DROP
-A INPUT -j q"
-A q" -i a"b -m comment --comment " " -j DROP
-A q" -p tcp -m tcp --dport 10 -j DROP'
sorted=$(sort <<<"$texts")

same "translate" "$texts" "$(look translate --live --form=records | sed -n 's/^; rule [0-9]* of [^ ]*: \(-A .*\)/\1/p')"
same "explain" "$(sed '/^-A q/d' <<<"$texts")" \
	"$(look explain --live --proto=tcp --dport=10 | sed -n 's/^  INPUT [0-9]*: //p')"

# A TCP segment to port 10, raw IP.
printf '\xd4\xc3\xb2\xa1\2\0\4\0\0\0\0\0\0\0\0\0\xff\xff\0\0\x65\0\0\0' >"$T/cap"
printf '\0\0\0\0\0\0\0\0\x28\0\0\0\x28\0\0\0' >>"$T/cap"
printf '\x45\0\0\x28\0\1\0\0\x40\6\0\0\xc0\0\2\1\xc6\x33\x64\1\x0f\xa0\0\x0a\0\0\0\0\0\0\0\0\x50\2\4\0\0\0\0\0' >>"$T/cap"
same "replay" '-A INPUT -j q"
-A q" -p tcp -m tcp --dport 10 -j DROP' \
	"$(look replay --live --summary "$T/cap" | sed -n 's/^ *1 .*rule [0-9]* of [^ ]*: //p')"

same "status --prometheus" "$sorted" "$(look status --prometheus --rules=9 |
	sed -nE 's/^bpfilter_rule_packets_total\{.*,rule="(-A .*)"\} 0$/\1/p' | sed -E 's/\\(["\\])/\1/g' | sort)"
timeout -s INT 20 "$BPFILTER" status --watch=1 --rules=9 | sed -n '/^$/q; p' >"$T/watch"
same "status --watch" "$sorted" "$(sed -nE 's/^( +[0-9.-]+){3}  (-A .*)/\2/p' "$T/watch" | sort)"

tap_end
