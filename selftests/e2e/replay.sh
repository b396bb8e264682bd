#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bpfilter replay and explain: captures of every kind, what decides and what counts, two rule sets compared, the way of a
# packet in words; and what is wrong with a file in one line. That the counters are those of ip_tables is for
# selftests/unit/test_replay_live.c.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

lab_begin
chmod 711 "$T"

# --- captures, byte by byte ----------------------------------------------------------------------

bytes() {
	# shellcheck disable=SC2059
	printf "$(tr -d ' \n' | sed 's/../\\x&/g')"
}

# le32 NUMBER: as hex, little end first
le32() {
	printf '%02x%02x%02x%02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255))
}

# pcap LINKTYPE HEX...: a file with these packets
pcap() {
	local link=$1 hex

	shift
	{
		echo "d4c3b2a1 02000400 00000000 00000000 ffff0000 $(le32 "$link")"
		for hex in "$@"; do
			hex=${hex// /}
			echo "00000000 00000000 $(le32 $((${#hex} / 2))) $(le32 $((${#hex} / 2))) $hex"
		done
	} | bytes
}

eth="020000000002 020000000001 0800"
syn="45000028 00010000 40060000 c0000201 c6336401 0fa00016 00000000 00000000 50020400 00000000"
answer="45000028 00010000 40060000 c6336401 c0000201 00160fa0 00000000 00000000 50120400 00000000"
udp="4500001c 00010000 40110000 c0000242 c6336401 00010035 00080000"
short="45000018 00010000 40060000 c0000201 c6336401 0fa00016"

cat >"$T/rules" <<'END'
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:web - [0:0]
-A INPUT -j web
-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A INPUT -i eth0 -p tcp --dport 22 -j ACCEPT
-A FORWARD -i eth0 -o eth1 -j ACCEPT
-A web -s 192.0.2.66 -j DROP
-A web -m mark --mark 7
COMMIT
END
pcap 1 "$eth $syn" "$eth $answer" "$eth $udp" "$eth $short" "020000000002 020000000001 86dd 60" >"$T/cap"

replay() {
	"$BPFILTER" replay "$@"
}

# The lines about packets, without the packet.
fates() {
	replay "$@" | sed -n 's/^\([0-9]*\)\t[^\t]*\t/\1 /p'
}

same "verdict, rule and all rules that counted" \
	"1 ACCEPT by rule 3 of INPUT; counted by INPUT 1, web end, INPUT 3
2 ACCEPT by rule 2 of INPUT; counted by INPUT 1, web end, INPUT 2
3 DROP by rule 1 of web; counted by INPUT 1, web 1
4 DROP by no rule: too short for a header that one looks at; counted by INPUT 1, web end" \
	"$(fates --rules="$T/rules" --in=eth0 "$T/cap")"
replay --rules="$T/rules" --in=eth0 --summary "$T/cap" >"$T/text"
expect "each rule's packets and bytes" grep -qE '^ +4 +132  rule 1 of INPUT: -A INPUT -j web$' "$T/text"
expect "what was not run" grep -q '^# 1 packets were not run: not IPv4' "$T/text"
expect_not "--summary has no line for a packet" grep -q '^1	' "$T/text"
same "another hook, another fate" "1 ACCEPT by rule 1 of FORWARD; counted by FORWARD 1" \
	"$(fates --rules="$T/rules" --hook=FORWARD --in=eth0 --out=eth1 "$T/cap" | head -n 1)"
same "the mark" "1 ACCEPT by rule 3 of INPUT; counted by INPUT 1, web 2, web end, INPUT 3" \
	"$(fates --rules="$T/rules" --in=eth0 --mark=7 "$T/cap" | head -n 1)"
same "the state of all connections" "1 ACCEPT by rule 2 of INPUT; counted by INPUT 1, web end, INPUT 2" \
	"$(fates --rules="$T/rules" --ctstate=ESTABLISHED "$T/cap" | head -n 1)"

# --- formats ------------------------------------------------------------------------------------------

wanted=$(fates --rules="$T/rules" --in=eth0 "$T/cap" | head -n 1)
pcap 101 "$syn" >"$T/raw"
same "raw IP" "$wanted" "$(fates --rules="$T/rules" --in=eth0 "$T/raw")"
pcap 113 "0000 0001 0006 020000000001 0000 0800 $syn" >"$T/sll"
same "Linux cooked" "$wanted" "$(fates --rules="$T/rules" --in=eth0 "$T/sll")"
pcap 1 "020000000002 020000000001 8100 0064 0800 $syn" >"$T/vlan"
same "VLAN tags" "$wanted" "$(fates --rules="$T/rules" --in=eth0 "$T/vlan")"
pcap 1 "$eth $syn 0000 0000 0000" >"$T/padded"
same "padding is no part of the packet" "$wanted" "$(fates --rules="$T/rules" --in=eth0 "$T/padded")"
{
	echo "0a0d0d0a 1c000000 4d3c2b1a 01000000 ffffffff ffffffff 1c000000"
	echo "01000000 14000000 65000000 ffff0000 14000000"
	echo "06000000 48000000 00000000 00000000 00000000 28000000 28000000 $syn 48000000"
} | bytes >"$T/ng"
same "pcapng" "$wanted" "$(fates --rules="$T/rules" --in=eth0 "$T/ng")"
same "standard input" "$wanted" "$(fates --rules="$T/rules" --in=eth0 - <"$T/raw")"

# --- two rule sets --------------------------------------------------------------------------------------

sed 's/--dport 22/--dport 23/' "$T/rules" >"$T/rules.new"
replay --rules="$T/rules" --against="$T/rules.new" --in=eth0 "$T/cap" >"$T/text"
same "--against: exit status if fates differ" 1 $?
same "only those packets" \
	"1 ACCEPT by rule 3 of INPUT; against: DROP by the policy of INPUT
2 ACCEPT by rule 2 of INPUT; against: DROP by the policy of INPUT" \
	"$(sed -n 's/^\([0-9]*\)\t[^\t]*\t/\1 /p' "$T/text")"
replay --rules="$T/rules" --against="$T/rules" --in=eth0 "$T/cap" >"$T/text"
same "and if none does" 0 $?
expect "which is said" grep -q '^# 0 of them have another fate' "$T/text"

replay --json --rules="$T/rules" --in=eth0 "$T/cap" >"$T/json"
same "--json: a line for each packet and one more" 5 "$(wc -l <"$T/json")"
expect "with the entries that counted" grep -q '"verdict": "ACCEPT", "decided": 2, "mark": 0, "counted": \[0, ' "$T/json"
if command -v python3 >/dev/null; then
	expect "each is JSON" python3 -c 'import json, sys; [json.loads(line) for line in open(sys.argv[1])]' "$T/json"
fi

# --- speed: a million packets a minute, with 2,000 rules ---------------------------------------------------

{
	echo '*filter'
	for i in {1..2000}; do echo "-A INPUT -s 10.$((i / 250)).$((i % 250)).0/24 -p tcp --dport $i -j DROP"; done
	echo COMMIT
} >"$T/many"
head -c 24 "$T/raw" >"$T/long"
tail -c +25 "$T/raw" >"$T/one"
for i in {1..10}; do cat "$T/one" >>"$T/ten"; done
for i in {1..10}; do cat "$T/ten" >>"$T/hundred"; done
for i in {1..500}; do cat "$T/hundred"; done >>"$T/long"
start=$(date +%s%N)
replay --rules="$T/many" --summary "$T/long" | grep -q '^# 50000 packets'
tap $? "50,000 packets"
ms=$((($(date +%s%N) - start) / 1000000))
note "in $ms ms"
expect "in less than 3 seconds" test $ms -lt 3000

# --- a live table --------------------------------------------------------------------------------------------

netns host
filtered host iptables-legacy-restore <"$T/rules"
inside host "$BPFILTER" replay --live --in=eth0 "$T/cap" >"$T/text"
same "--live: the table in force" "1 ACCEPT by rule 3 of INPUT; counted by INPUT 1, web end, INPUT 3" \
	"$(sed -n 's/^\([0-9]*\)\t[^\t]*\t/\1 /p' "$T/text" | head -n 1)"
expect "whose counters stay what they are" grep -q '^ *0 *0 .*web' \
	<(filtered host iptables-legacy -L INPUT -v -n -x)

# --- explain ---------------------------------------------------------------------------------------------------

explain() {
	"$BPFILTER" explain --rules="$T/rules" "$@"
}

explain --in=eth0 --src=192.0.2.1 --dport=22 >"$T/text"
expect "explain: the verdict" grep -qx 'verdict: ACCEPT' "$T/text"
expect "a rule that does not match, and why" grep -qF "it wants saddr 192.0.2.66, but saddr is 192.0.2.1" "$T/text"
expect "a match that does not, and why" \
	grep -qF "conntrack: it wants ctstate ESTABLISHED, but ctstate is NEW" "$T/text"
expect "where it goes" grep -q "yes: on to chain web" "$T/text"
expect "and comes back to" grep -q "the chain ends here: back to INPUT" "$T/text"
expect_not "--short: only what matches" grep -q "no:" <(explain --short --in=eth0 --dport=22)
explain --in=wlan0 --dport=22 >"$T/text"
expect "an interface's name" grep -qF 'it wants in "eth0", but in is wlan0' "$T/text"
expect "the policy" grep -q 'verdict: DROP' "$T/text"
same "by fields, by bytes and out of a capture" \
	"$(explain --in=eth0 --src=192.0.2.1 --dst=198.51.100.1 --sport=4000 --dport=22)" \
	"$(explain --in=eth0 --hex="$syn")"
same "with the header of Ethernet as well" "$(explain --in=eth0 --hex="$syn")" \
	"$(explain --in=eth0 --hex="${eth// /}${syn// /}")"
same "packet 1 of the capture" "$(explain --in=eth0 --hex="$syn")" \
	"$(explain --in=eth0 --capture="$T/cap" --packet=1)"
expect "a packet that is too short" grep -q "DROP, uncounted: tcp: the match needs l4len >= 20" \
	<(explain --in=eth0 --hex="$short")

# --- explain says of a captured packet what replay does ---------------------------------------------------------

# An exchange; a SYN whose connection is dropped, and what looks like an answer to it; one that nobody has asked for;
# what a limit lets pass once.
ack="45000028 00010000 40060000 c0000201 c6336401 0fa00016 00000000 00000000 50100400 00000000"
evil="45000028 00010000 40060000 c0000242 c6336401 0fa10016 00000000 00000000 50020400 00000000"
to_evil="45000028 00010000 40060000 c6336401 c0000242 00160fa1 00000000 00000000 50120400 00000000"
lost="45000028 00010000 40060000 c0000209 c6336401 0fa20016 00000000 00000000 50040400 00000000"
echo="4500001c 00010000 40010000 c0000201 c6336401 08000000 00010001"
cat >"$T/states" <<'END'
*filter
:INPUT DROP [0:0]
-A INPUT -m conntrack --ctstate INVALID -j DROP
-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A INPUT -s 192.0.2.66 -j REJECT
-A INPUT -p icmp -m limit --limit 1/day --limit-burst 1 -j ACCEPT
-A INPUT -p tcp -m conntrack --ctstate NEW -j ACCEPT
COMMIT
END
pcap 1 "$eth $syn" "$eth $answer" "$eth $ack" "$eth $evil" "$eth $to_evil" "$eth $lost" "$eth $echo" "$eth $echo" \
	"020000000002 020000000001 86dd 60" "$eth $ack" >"$T/flows"

bpfilter=("$BPFILTER")
# explained FILE N OPTION...: what it says of packet N, as replay would: "3 ACCEPT by rule 2 of INPUT"
explained() {
	local file=$1 n=$2

	shift 2
	echo -n "$n "
	"${bpfilter[@]}" explain --rules="$T/states" --capture="$file" --packet="$n" --short "$@" |
		sed -nE 's/^  (INPUT) ([0-9]+): .*/rule \2 of \1/p; s/^  (INPUT): policy .*/the policy of \1/p; s/^verdict: //p' |
		tac | paste -sd' ' | sed 's/ / by /'
}

wanted="1 ACCEPT by rule 5 of INPUT
2 ACCEPT by rule 2 of INPUT
3 ACCEPT by rule 2 of INPUT
4 REJECT by rule 3 of INPUT
5 DROP by rule 1 of INPUT
6 DROP by rule 1 of INPUT
7 ACCEPT by rule 4 of INPUT
8 DROP by the policy of INPUT
10 ACCEPT by rule 2 of INPUT"
same "replay: new, established and invalid" "$wanted" \
	"$(replay --rules="$T/states" "$T/flows" | sed -nE 's/^([0-9]+)\t[^\t]*\t(.*); counted.*/\1 \2/p')"
same "explain says the same of each packet" "$wanted" \
	"$(for i in {1..8} 10; do explained "$T/flows" "$i"; done)"
same "with --ctstate=flows as well" "$wanted" \
	"$(for i in {1..8} 10; do explained "$T/flows" "$i" --ctstate=flows; done)"
same "and of a capture from standard input" "3 ACCEPT by rule 2 of INPUT" "$(explained - 3 <"$T/flows")"
same "a state that is given counts" "3 DROP by rule 1 of INPUT" "$(explained "$T/flows" 3 --ctstate=INVALID)"

printf '*filter\n-A INPUT -m limit --limit 1/day --limit-burst 1 -j DROP\nCOMMIT\n' >"$T/limit"
"$BPFILTER" explain --rules="$T/limit" --dport=1 >"$T/text"
expect "as root, limit itself is asked" grep -q "verdict: DROP" "$T/text"
cp "$BPFILTER" "$T/bpfilter" && chmod 755 "$T/bpfilter" && chmod 644 "$T/limit"
as_nobody() {
	env -u ASAN_OPTIONS -u UBSAN_OPTIONS setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
}
if as_nobody unshare -Ur true 2>/dev/null; then
	as_nobody "$T/bpfilter" explain --rules="$T/limit" --dport=1 >"$T/text"
	expect "as another user, it is taken to hold" grep -q "were taken to hold" "$T/text"
	chmod 644 "$T/states" "$T/flows"
	bpfilter=(as_nobody "$T/bpfilter")
	same "and connections are told from what the rules say" "$(head -n 7 <<<"$wanted")" \
		"$(for i in {1..7}; do explained "$T/flows" "$i"; done)"
	as_nobody "$T/bpfilter" replay --rules="$T/limit" "$T/cap" >/dev/null 2>"$T/err"
	same "replay is for root" 120 $?
else
	tap_skip "as another user, it is taken to hold" "user namespaces are for root alone"
	tap_skip "and connections are told from what the rules say" "user namespaces are for root alone"
fi

# --- what is wrong ------------------------------------------------------------------------------------------------

# fails_with STATUS PATTERN TEXT COMMAND...: one line on stderr.
fails_with() {
	local status=$1 pattern=$2 text=$3 rc

	shift 3
	"$@" >"$T/out" 2>"$T/err"
	rc=$?
	if [ $rc -eq "$status" ] && [ "$(wc -l <"$T/err")" = 1 ] && grep -qE -- "$pattern" "$T/err"; then
		tap 0 "$text"
	else
		note "status $rc" "$(cat "$T/err")"
		tap 1 "$text"
	fi
}

r=--rules=$T/rules
head -c -10 "$T/cap" >"$T/bad"
fails_with 2 "bad: packet 5: truncated" "a truncated capture" replay "$r" "$T/bad"
head -c 30 "$T/cap" >"$T/bad"
fails_with 2 "bad: packet 1: truncated" "which ends within the first packet" replay "$r" "$T/bad"
echo hello >"$T/bad"
fails_with 2 "bad: " "no capture at all" replay "$r" "$T/bad"
pcap 105 00 >"$T/bad"
fails_with 2 "bad: .*link type IEEE802_11" "packets of something else" replay "$r" "$T/bad"
fails_with 2 "no such chain" "no such hook" replay "$r" --hook=nowhere "$T/cap"
fails_with 2 "ctstate=FOO" "no such state" replay "$r" --ctstate=FOO "$T/cap"
fails_with 2 "leaves by no interface" "--out in INPUT" replay "$r" --out=eth0 "$T/cap"
fails_with 2 "which rules" "no rules" replay "$T/cap"
fails_with 2 "which capture" "no capture" replay "$r"
fails_with 2 "nosuch: No such file" "no such file" replay "$r" "$T/nosuch"
printf '*filter\n-A INPUT -m nonsense -j DROP\nCOMMIT\n' >"$T/bad"
fails_with 2 "bad: line 2: .*nonsense" "rules that are wrong" replay --rules="$T/bad" "$T/cap"
printf '*filter\n-A INPUT -m u32 --u32 0=1 -j DROP\nCOMMIT\n' >"$T/bad"
fails_with 2 "bad: its rules ask the kernel" "rules that ask the kernel" replay --rules="$T/bad" "$T/cap"
printf '*filter\n-A INPUT -j AUDIT --type drop\nCOMMIT\n' >"$T/bad"
fails_with 2 "bad: there is no program: target AUDIT" "rules without a translation" replay --rules="$T/bad" "$T/cap"
fails_with 2 "packet 9: there are only 5" "explain: no such packet" explain --capture="$T/cap" --packet=9
fails_with 2 "packet 5: it is not IPv4" "not IPv4" explain --capture="$T/cap" --packet=5
for number in -1 0 1x 99999999999999999999 ''; do
	fails_with 2 "--packet=$number: not a number from 1 on" "\"$number\" is no number of a packet" \
		explain --capture="$T/cap" --packet="$number"
done
fails_with 2 "--packet=3: of which capture" "a number without a capture" explain --packet=3
fails_with 2 "which packet of the capture" "a capture without a number" explain --capture="$T/cap"
fails_with 2 "not two of them" "fields and a capture" explain --src=192.0.2.1 --capture="$T/cap" --packet=1
fails_with 2 "ctstate=flows: .*needs --capture" "flows without a capture" explain --dport=22 --ctstate=flows
fails_with 2 "--dport: .*icmp, which has no ports" "a port of ICMP" explain --proto=icmp --dport=22
pcap 1 "$eth $syn" "$eth 4500" >"$T/cut"
fails_with 2 "cut: packet 2: .*cut off within its headers" "a packet that is cut off" \
	explain --capture="$T/cut" --packet=2
fails_with 2 "--dport=http" "not a port" explain --dport=http
fails_with 2 "which packet" "no packet" explain
fails_with 2 "byte 1 is none" "not hex" explain --hex=45xx
fails_with 2 "cut off" "half a header" explain --hex=4500

tap_end
