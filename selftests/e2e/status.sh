#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# "bpfilter status" about real tables under traffic: what it counts is what iptables counts, for people, for
# programs, for Prometheus, and as rates.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

ipt() {
	filtered host iptables-legacy "$@"
}

# json EXPRESSION: of the namespace "host" in the JSON, n.
json() {
	"$BPFILTER" status --json | python3 -c "
import json, sys
n = next(n for n in json.load(sys.stdin)['namespaces'] if n['inode'] == $(inode host))
print($1)"
}

# sample FAMILY [LABELS]: the value of the only such series of the namespace "host".
sample() {
	"$BPFILTER" status --prometheus |
		awk -v head="$1{netns=\"$lab-host\",inode=\"$(inode host)\"${2:+,$2}} " \
			'index($0, head) == 1 { print $NF }'
}

# wrong TEXT ARGUMENT...: one line that says so, and status 2.
wrong() {
	local text=$1 rc

	shift
	timeout -s KILL 60 "$BPFILTER" status "$@" >"$T/out" 2>"$T/err" </dev/null
	rc=$?
	[ $rc -eq 2 ] && [ "$(wc -l <"$T/err")" -eq 1 ] && [ ! -s "$T/out" ]
	rc=$?
	[ $rc -eq 0 ] || note "$(cat "$T/err")"
	tap $rc "status 2 and one line: $text"
}

lab_begin
lab_client_host_server
type python3 >/dev/null 2>&1 || skip_all "needs python3"

# --- what is wrong is said -----------------------------------------------------------------

for value in 0 -1 x 1.5 '' 99999999999999999999; do
	wrong "--watch=$value" "--watch=$value"
done
wrong "--watch with --json" --watch --json
wrong "--json with --prometheus" --json --prometheus
wrong "--rules=0" --watch --rules=0
wrong "--rules=1001" --prometheus --rules=1001
wrong "--rules alone" --rules=5
wrong "an argument" 5
wrong "--prometheus=, no name" --prometheus=
wrong "a folder that there is not" --prometheus="$T/nowhere/file"
wrong "a folder" --prometheus="$T"
wrong "a device" --prometheus=/dev/full
expect "which is as it was" test -c /dev/full

# --- counters ------------------------------------------------------------------------------

ipt -P FORWARD DROP
ipt -A INPUT -p icmp -m comment --comment 'a "ping" ä' -j ACCEPT
ipt -N web
ipt -A INPUT -p tcp --dport 9 -j web
ipt -A web -s 192.0.2.2 -j DROP
inside client ping -q -c 20 -i 0.01 192.0.2.1 >/dev/null
inside client ping -q -c 5 -i 0.01 -W 1 198.51.100.2 >/dev/null
cannot can_tcp client 192.0.2.1 9

expect "status counts what passes" grep -qE "counted +[0-9]+ packets" <(status_of host)
expect "and what the policy decides" grep -qx "  *FORWARD DROP: 5 packets, 420 bytes" <(status_of host)
expect "and says when the table was replaced, and how long that took" \
	grep -qE "last replace .*, [0-9]+ (second|minute)s? ago, took [0-9.]+ [mu]?s" <(status_of host)
same "JSON: the policy" "['DROP', 5, 420]" "$(json "[n['counters']['chains'][1][k] for k in \
	('policy', 'policy_packets', 'policy_bytes')]")"
same "JSON: all rules' packets are iptables'" \
	"$(ipt -L -v -n -x | awk '/^ *[0-9]+ +[0-9]+ / { n += $1 } END { print n }')" \
	"$(json "n['counters']['rule_packets']")"
expect "JSON: the age of the last replace" test "$(json "n['last_replace']['age_s'] < 60")" = True
same "Prometheus: the policy's packets" 5 \
	"$(sample bpfilter_policy_packets_total 'chain="FORWARD",policy="DROP"')"
same "Prometheus: its bytes" 420 \
	"$(sample bpfilter_policy_bytes_total 'chain="FORWARD",policy="DROP"')"
same "Prometheus: rules" 3 "$(sample bpfilter_rules)"
same "Prometheus: in eBPF" 1 "$(sample bpfilter_table_in_ebpf)"
same "Prometheus: lost effects" 0 "$(sample bpfilter_effects_lost_total)"

# --- bounds --------------------------------------------------------------------------------

series() {
	"$BPFILTER" status --prometheus "$@" | grep -vc '^#'
}
few=$(series)
{
	echo "*filter"
	for i in {1..300}; do
		echo ":chain$i - [0:0]"
		echo "-A chain$i -s 10.1.$((i / 256)).$((i % 256)) -j DROP"
	done
	echo COMMIT
} >"$T/many"
expect "300 chains more" filtered host iptables-legacy-restore --noflush "$T/many"
same "do not make more series" "$few" "$(series)"
same "two rules make four" $((few + 4)) "$(series --rules=2)"
same "the first of which has the most packets" 20 "$("$BPFILTER" status --prometheus --rules=1 |
	awk '/^bpfilter_rule_packets_total\{/ { print $NF }')"
# shellcheck disable=SC2016
expect "its text is escaped" grep -qF 'number="1",rule="-A INPUT -p icmp -m comment --comment \"a \\\"ping\\\" ä\" -j ACCEPT"}' \
	<("$BPFILTER" status --prometheus --rules=1)
for family in $("$BPFILTER" status --prometheus --rules=1 | awk '/^# TYPE/ { print $3 }'); do
	grep -qF "\`$family\`" "$here/../../docs/prometheus.md" || note "$family"
done >"$T/missing"
same "docs/prometheus.md has every family" "" "$(cat "$T/missing")"

# --- a file --------------------------------------------------------------------------------

mkdir "$T/textfile"
file=$T/textfile/bpfilter.prom
expect "into a file" "$BPFILTER" status --prometheus="$file"
same "which all may read" 644 "$(stat -c %a "$file")"
# It is read again and again while it is replaced: it is there, and whole.
while [ ! -e "$T/enough" ]; do
	tail -n 1 "$file" | grep -q '^bpfilter_namespaces_omitted 0$' && echo whole || echo torn
done >"$T/rounds" 2>&1 &
reader=$!
expect "it is read" within 30 test -s "$T/rounds"
read_before=$(wc -l <"$T/rounds")
failed=0
for i in {1..15}; do
	"$BPFILTER" status --prometheus="$file" || failed=$((failed + 1))
done
touch "$T/enough"
wait $reader
same "and replaced, each time" 0 $failed
expect "a reader has looked meanwhile" test "$(wc -l <"$T/rounds")" -gt "$read_before"
same "and never found half of it" "" "$(grep -vx whole "$T/rounds" | head -n 3)"
same "and nothing else is left in the folder" bpfilter.prom "$(ls -A "$T/textfile")"

mkdir "$T/small"
mount -t tmpfs -o size=4k tmpfs "$T/small" && {
	"$BPFILTER" status --prometheus="$T/small/file" 2>"$T/err"
	same "a full disk: status 125" 125 $?
	same "it says so" "bpfilter: $T/small/file: No space left on device" "$(cat "$T/err")"
	same "and leaves nothing" "" "$(ls -A "$T/small")"
	umount "$T/small"
}
for form in "" --json --prometheus --watch=1; do
	timeout -s KILL 60 "$BPFILTER" status $form >/dev/full 2>"$T/err"
	same "standard output is full: status 125 ($form)" 125 $?
	expect "one line says so" grep -qx "bpfilter: .*standard output: No space left on device" "$T/err"
done

# --- rates ---------------------------------------------------------------------------------

frames() {
	grep -c "every 1 s" "$T/watch"
}

has_frames() {
	[ "$(frames)" -ge "$1" ]
}

in_background nsenter --net="/run/netns/$lab-client" ping -q -i 0.02 192.0.2.1
pings=$!
started=$SECONDS
"$BPFILTER" status --watch=1 --rules=4 >"$T/watch" 2>"$T/err" &
watch=$!
expect "frames are printed" within 60 has_frames 2
ipt -I INPUT -s 10.9.9.9 -j DROP
expect "after a rule has come before the others" within 60 has_frames $(($(frames) + 2))
ipt -A INPUT -s 10.9.9.8 -j DROP
expect "and behind them" within 60 has_frames $(($(frames) + 3))
kill -INT $watch
wait $watch
same "an interrupt ends it well" 0 $?
same "without a word" "" "$(cat "$T/err")"
expect "whole frames were printed" test "$(tail -n 1 "$T/watch")" = ""
# How late they may be depends on the machine, not how early.
expect "one every second, no more: $(frames)" test "$(frames)" -le $((SECONDS - started + 1))
same "each of as many rules as asked for" 4 "$(awk '/every 1 s/ { n = -2 } NF { n++ }
	!NF && n > most { most = n } END { print most }' "$T/watch")"
# Rule by rule: the first of each frame is the one that the pings meet, or OUTPUT's policy, that the answers meet. As
# iptables changes the table, twice, there is a moment without counters.
expect "the busiest is the first" test "$(awk '/every 1 s/ { getline; getline
	if (!/-p icmp/ && !/-P OUTPUT ACCEPT/) n++ } END { print n + 0 }' "$T/watch")" -le 2
note "$(grep -- '-p icmp' "$T/watch")"
# Up to 50 pings a second, of 84 bytes: how many depends on the machine, too. test_meter has exact rates.
read -r packets bytes _ < <(grep -- '-p icmp' "$T/watch" | sort -n |
	awk '{ line[NR] = $0 } END { print line[int((NR + 1) / 2)] }')
expect "with a rate that is right: $packets" awk -v n="$packets" -v b="$bytes" \
	'BEGIN { exit !(n >= 10 && n <= 100 && b >= 84 * (n - 0.1) && b <= 84 * (n + 0.1)) }'

# What is written to a terminal of 8 lines and 50 columns, until two frames have been.
if type script >/dev/null 2>&1; then
	two_frames() {
		[ "$(grep -c $'\x1b\[H' "$T/tty")" -ge 2 ]
	}
	cat >"$T/on_tty" <<-END
		stty rows 8 cols 50
		timeout -s KILL 90 '$BPFILTER' status --watch=1 &
		while [ ! -e '$T/seen' ]; do sleep 0.1; done
		kill \$!
		wait
	END
	TERM=vt100 timeout -s KILL 120 script -qefc "sh '$T/on_tty'" /dev/null </dev/null >"$T/tty" 2>&1 &
	tty=$!
	expect "on a terminal each frame overwrites the one before" within 60 two_frames
	touch "$T/seen"
	wait $tty
	expect "and fits it" test "$(tr -d '\r' <"$T/tty" |
		sed -E 's/\x1b\[K//; s/\x1b\[J//g; s/\x1b\[2J//' | awk '
		/\x1b\[H/ { sub(/\x1b\[H/, ""); lines = 0 }
		{ if (length($0) > 52) bad++ }
		NF && ++lines > 7 { bad++ }
		END { print bad + 0 }')" = 0
	# In the last column the cursor has not gone on yet.
	expect "nothing that has been written is erased" \
		cannot grep -q $'.\x1b\[K' <(sed $'s/^.*\x1b\[H//' "$T/tty")
else
	tap_skip "a terminal" "there is no script(1)"
fi

# --- the kernel's tables -------------------------------------------------------------------

expect "a target that keeps the table out of eBPF" ipt -A FORWARD -p tcp -j CLASSIFY --set-class 1:2
same "JSON: its name" "{'kind': 'target', 'name': 'CLASSIFY'}" "$(json "n['extension']")"
same "Prometheus: its name" 1 \
	"$(sample bpfilter_table_fallback_info 'kind="target",extension="CLASSIFY"')"
same "in the kernel" 0 "$(sample bpfilter_table_in_ebpf)"
# iptables has zeroed the policies' counters, as it does with every change.
inside client ping -q -c 3 -i 0.01 -W 1 198.51.100.2 >/dev/null
same "its counters are seen all the same" 3 \
	"$(sample bpfilter_policy_packets_total 'chain="FORWARD",policy="DROP"')"
timeout -s KILL 90 "$BPFILTER" status --watch=1 >"$T/watch" &
watch=$!
expect "and rates" within 60 grep -qE '^ *[1-9][0-9.]+ .*-p icmp' "$T/watch"
kill $watch $pings
wait $watch 2>/dev/null
ipt -D FORWARD -p tcp -j CLASSIFY --set-class 1:2
same "and without it there is none" None "$(json "n['extension']")"

# --- the end -------------------------------------------------------------------------------

# It has connected when there is a frame; KILL, since the status of timeout(1) would be that of the watch.
timeout -s KILL 90 "$BPFILTER" status --watch=1 >"$T/watch" 2>"$T/err" &
watch=$!
expect "it watches" within 60 test -s "$T/watch"
helper_kill TERM
wait $watch
same "when the helper ends it ends: status 124" 124 $?
same "and says so" "bpfilter: status: the helper has ended" "$(cat "$T/err")"

tap_end
