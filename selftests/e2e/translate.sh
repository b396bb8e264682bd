#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bpfilter translate: each rule is shown as iptables prints it and beside its own instructions, any user may, nothing
# is changed, and what is wrong with a file is said in one line.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

rules=$here/../rules
demo=$here/../../demo/rules
lab_begin
netns host
chmod 711 "$T"

# Before Linux 6.4 there are no BPF netfilter links.
has_links() {
	[[ ! $(uname -r) =~ ^([45]|6\.[0-3])\. ]]
}

translate() {
	"$BPFILTER" translate "$@"
}

# fails_with STATUS PATTERN TEXT COMMAND...: nothing on stdout, one line on stderr.
fails_with() {
	local status=$1 pattern=$2 text=$3 rc

	shift 3
	"$@" >"$T/out" 2>"$T/err"
	rc=$?
	if [ $rc -eq "$status" ] && [ ! -s "$T/out" ] && [ "$(wc -l <"$T/err")" = 1 ] &&
		grep -qE -- "$pattern" "$T/err"; then
		tap 0 "$text"
	else
		note "status $rc" "$(cat "$T/err")"
		tap 1 "$text"
	fi
}

# --- the rules are those of iptables ---------------------------------------------------------

inside host iptables-legacy-restore <"$demo"
translate "$demo" >"$T/text"
same "every rule is shown as iptables-legacy -S prints it" \
	"$(inside host iptables-legacy -S | grep '^-A' | sort -u)" \
	"$(sed -n 's/^; rule [0-9]* of [^ ]*: \(-A .*\)/\1/p' "$T/text" | sort -u)"
same "and as records too" "$(inside host iptables-legacy -S | grep '^-A' | sort)" \
	"$(translate --form=records "$demo" | sed -n 's/^; rule [0-9]* of [^ ]*: \(-A .*\)/\1/p' | sort)"
same "standard input, by - and by nothing" "$(translate --json - <"$demo" | grep -v _us)" \
	"$(translate --json <"$demo" | grep -v _us)"

# Realistic sets, of which some have no translation; in JSON, where quotes are escaped.
n=0
for save in "$rules"/*.save; do
	n=$((n + 1))
	netns "set$n"
	inside "set$n" iptables-legacy-restore <"$save"
	same "${save##*/}: the rules are those of ip_tables" \
		"$(inside "set$n" iptables-legacy -S | grep '^-A' | sort)" \
		"$(translate --json "$save" | sed -nE 's/", "no_translation.*/"}/; s/.*"text": "(-A .*)"\},?$/\1/p' |
			sed 's/\\"/"/g' | sort)"
done

# What is behind a rule's text tests what the rule says.
behind() {
	awk -v rule="$1" '/^;/ { here = index($0, rule) } here' "$T/text"
}

expect "the instructions of -i lo compare with \"lo\"" grep -q 'w1 != 0x6f6c' <(behind "-i lo -j ACCEPT")
expect "those of -s 192.0.2.66 with that" grep -q 'w1 != 0xc0000242' <(behind "-s 192.0.2.66/32 -j DROP")
expect "the demo's program is accepted by the verifier" grep -q '^#   verifier: accepted' "$T/text"

# --- any user ----------------------------------------------------------------------------------

cp "$BPFILTER" "$T/bpfilter" && chmod 755 "$T/bpfilter"
cp "$demo" "$T/rules" && chmod 644 "$T/rules"
as_nobody() {
	env -u ASAN_OPTIONS -u UBSAN_OPTIONS setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
}
if as_nobody unshare -Ur true 2>/dev/null; then
	same "an ordinary user sees the same, but for the verifier's part" \
		"$(grep -v '^# *verifier\|compiled in' "$T/text" | sed "s,$demo,FILE,")" \
		"$(as_nobody "$T/bpfilter" translate "$T/rules" | grep -v '^# *verifier\|compiled in' |
			sed "s,$T/rules,FILE,")"
else
	tap_skip "an ordinary user sees the same" "user namespaces are for root alone"
fi

# --- nothing is changed ------------------------------------------------------------------------

before=$(inside host iptables-legacy-save)
inside host "$BPFILTER" translate "$rules/router.save" >/dev/null
same "the namespace's own rules are as they were" "$(bare <<<"$before")" \
	"$(inside host iptables-legacy-save | bare)"
netns fresh
inside fresh "$BPFILTER" translate --live >"$T/live" 2>&1
expect "a live table that nobody has touched is three policies" grep -q '^# .* 0 rules in 3 chains' "$T/live"
# The module has its helper running, and asks it what it does not know.
if ! by_module; then
	expect_not "and is not touched by looking" \
		inside fresh grep -qx filter /proc/self/net/ip_tables_names
	expect_not "no helper was started" test -e "$T/run/umh.sock"
fi

# --- a live table, whoever has it ----------------------------------------------------------------

shown() {
	inside host "$BPFILTER" translate --live | sed -n 's/^; rule [0-9]* of [^ ]*: \(-A .*\)/\1/p' | sort -u
}
same "--live: ip_tables' table" "$(inside host iptables-legacy -S | grep '^-A' | sort -u)" "$(shown)"
inside host iptables-legacy -F
inside host iptables-legacy -X
for chain in INPUT FORWARD OUTPUT; do inside host iptables-legacy -P $chain ACCEPT; done
filtered host iptables-legacy-restore <"$demo"
same "--live: a table in eBPF" "$(filtered host iptables-legacy -S | grep '^-A' | sort -u)" "$(shown)"

# --- questions -----------------------------------------------------------------------------------

printf '*filter\n-A INPUT -m string --algo bm --string x -j DROP\nCOMMIT\n' >"$T/string"
expect "a match that the kernel is asked about is shown as such" grep -q '; asks the kernel$' <(translate "$T/string")
expect "and how many there are" grep -q '^#   1 matches that the kernel is asked' <(translate "$T/string")
expect "the verifier accepts it" grep -q 'verifier: accepted' <(translate "$T/string")
expect_not "explain does not guess" "$BPFILTER" explain --rules="$T/string" --length=100
expect "and says why" grep -q 'ask the kernel' <("$BPFILTER" explain --rules="$T/string" --length=100 2>&1)

# --- what has no translation -----------------------------------------------------------------------

printf '*filter\n-A INPUT -p tcp -j ACCEPT\n-A INPUT -j AUDIT --type drop\nCOMMIT\n' >"$T/audit"
translate "$T/audit" >"$T/text"
expect "what falls back is said" grep -q "ip_tables gets all of it" "$T/text"
expect "and because of which rule" grep -q '^#   rule 2 of INPUT: -A INPUT -j AUDIT' "$T/text"
expect_not "not because of others" grep -q '^#   rule 1 of INPUT' "$T/text"
printf '*nat\n-A PREROUTING -p tcp -j REDIRECT\nCOMMIT\n*filter\nCOMMIT\n' >"$T/nat"
expect "other tables are named" grep -q 'table nat is in it' <(translate "$T/nat")
{
	printf '*filter\n'
	printf -- '-A INPUT -p udp -j MARK --set-mark %s\n' {1..16}
	printf 'COMMIT\n'
} >"$T/marks"
translate "$T/marks" >"$T/text"
if has_links; then
	expect "so many marks are not for links" grep -q '^# netfilter link: not translated: .*MARK' "$T/text"
else
	tap_skip "so many marks are not for links" "this kernel has none"
fi
expect "but for the module" grep -q '^# module, straight-line' "$T/text"

# --- other forms of output --------------------------------------------------------------------------

translate --json --attach=both "$demo" >"$T/json"
n=$(grep -c '"instructions": [0-9]' "$T/json")
same "--json: both placements" "$(has_links && echo 2 || echo 1)" "$n"
if command -v python3 >/dev/null; then
	expect "--json is JSON" python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$T/json"
fi
translate -o "$T/raw" "$demo"
same "-o writes all instructions, 8 bytes each" \
	"$(sed -n 's/.*"instructions": \([0-9]*\),$/\1/p' "$T/json" | head -n 1)" \
	$(($(stat -c %s "$T/raw") / 8))
translate --dot "$demo" >"$T/dot"
expect "--dot has the chains" grep -q 'label="to-server' "$T/dot"
expect "and the jumps" grep -qE 'c[0-9]+ -> c[0-9]+ \[label="3"\]' "$T/dot"
{
	echo '*filter'
	for i in {1..200}; do echo "-A FORWARD -s 10.0.$i.0/24 -p tcp --dport $i -j DROP"; done
	echo COMMIT
} >"$T/many"
translate "$T/many" >"$T/text"
expect "large chains: what the classifier made of them" \
	grep -qE '^#   chain FORWARD, 200 rules: 1 tree, [0-9]+ nodes, depth [1-9]' "$T/text"
expect "--dot draws the trees" grep -q 'subgraph cluster_0' <(translate --dot "$T/many")
same "--chain shows that chain alone" "blocked" \
	"$(translate --form=records --chain=blocked "$demo" | sed -n 's/^; rule [0-9]* of \([^:]*\):.*/\1/p' | sort -u)"

# --- what is wrong ------------------------------------------------------------------------------------

echo hello >"$T/bad"
fails_with 2 "bad: line 1: .*not iptables-save" "not a save file" translate "$T/bad"
head -c 4000 /dev/urandom >"$T/bad"
fails_with 2 "bad: " "nothing readable at all" translate "$T/bad"
printf '*filter\n-A INPUT -j ACCEPT\n-A INPUT -m nonsense -j DROP\nCOMMIT\n' >"$T/bad"
fails_with 2 "bad: line 3: .*nonsense" "an unknown extension" translate "$T/bad"
printf '*filter\n-A INPUT -j nowhere\nCOMMIT\n' >"$T/bad"
fails_with 2 "bad: line [23]: .*nowhere" "a jump to no chain" translate "$T/bad"
printf '*filter\n:a - [0:0]\n:b - [0:0]\n-A INPUT -j a\n-A a -j b\n-A b -j a\nCOMMIT\n' >"$T/bad"
fails_with 2 "bad: line 7: .*loop" "a loop" translate "$T/bad"
printf '*filter\n-A INPUT -j ACCEPT\n' >"$T/bad"
fails_with 2 "bad: .*COMMIT" "no COMMIT" translate "$T/bad"
printf '*nat\nCOMMIT\n' >"$T/bad"
fails_with 2 "bad: .*no table filter" "no table filter" translate "$T/bad"
: >"$T/bad"
fails_with 2 "bad: it is empty" "an empty file" translate "$T/bad"
mkdir "$T/empty"
fails_with 2 "empty: it is a directory" "a directory" translate "$T/empty"
fails_with 2 "nosuch: No such file" "no such file" translate "$T/nosuch"
fails_with 2 "no chain nosuch" "no such chain" translate --chain=nosuch "$demo"
fails_with 2 "attach=moon" "an unknown placement" translate --attach=moon "$demo"
# With the module that changes nothing.
by_module || fails_with 119 "below \"bpfilter run\"" "below bpfilter run" \
	inside host "$BPFILTER" run -- "$BPFILTER" translate "$demo"

tap_end
