#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# REJECT, LOG, NFLOG and nfacct as a user sees them: who is refused is told so, and the log says it; also
# without a helper, and never at the price of a packet that is let through.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

ipt() {
	filtered host iptables-legacy "$@"
}

# tcp_answer FROM ADDRESS PORT: what connect(2) says: Connected, "Connection refused", "No route to host", ...
# or Silence for three seconds. What ICMP says while connect() still holds the socket counts only when TCP has tried
# again, after a second.
tcp_answer() {
	local out

	out=$(inside "$1" timeout 3 bash -c ": </dev/tcp/$2/$3" 2>&1)
	case $? in
	0) echo Connected ;;
	124) echo Silence ;;
	*) sed -n '1s/.*: //p' <<<"$out" ;;
	esac
}

lost() {
	"$BPFILTER" status --json | grep -o '"effects_lost": [0-9]*' | awk '{ n += $2 } END { print n + 0 }'
}

# The lines of the kernel's log with this word since the last logs_begin; of the machine, so that the words
# are of this run alone. What concerns namespaces other than the first one is written only if that is set:
# one test at a time sets it.
logs_begin() {
	exec 9>/run/differential.log.lock
	flock 9
	log_before=$(cat "$log_setting")
	echo 1 >"$log_setting"
}

logs_end() {
	[ -z "$log_before" ] || echo "$log_before" >"$log_setting"
	log_before=
	exec 9>&-
}

logged() {
	dmesg --raw 2>/dev/null | grep -F -- "$1"
}

log_setting=/proc/sys/net/netfilter/nf_log_all_netns
log_before=

lab_begin
lab_client_host_server
serve_tcp host 70
serve_tcp server 71

# --- replies -------------------------------------------------------------------------------

while read -r port with answer; do
	expect "a rule with --reject-with $with is taken" \
		ipt -A INPUT -p tcp --dport "$port" -j REJECT --reject-with "$with"
	same "the client is told: $answer" "$answer" "$(tcp_answer client 192.0.2.1 "$port")"
done <<'END'
10 icmp-net-unreachable Network is unreachable
11 icmp-host-unreachable No route to host
12 icmp-port-unreachable Connection refused
13 icmp-proto-unreachable Protocol not available
14 icmp-net-prohibited Network is unreachable
15 icmp-host-prohibited No route to host
16 icmp-admin-prohibited No route to host
17 tcp-reset Connection refused
END
expect "the table is in eBPF" in_ebpf host
expect "and ip_tables' is empty" kernel_is_empty host
ipt -A FORWARD -p tcp -d 198.51.100.2 --dport 72 -j REJECT --reject-with tcp-reset
same "who is refused by a router is told" "Connection refused" "$(tcp_answer client 198.51.100.2 72)"
same "others get through" Connected "$(tcp_answer client 198.51.100.2 71)"
ipt -A OUTPUT -p tcp --dport 73 -j REJECT
same "so is the host's own process" "Connection refused" "$(tcp_answer host 198.51.100.2 73)"
ipt -A INPUT -p tcp --dport 70 -j REJECT --reject-with tcp-reset
same "what was open can be refused" "Connection refused" "$(tcp_answer client 192.0.2.1 70)"
expect "it was counted" grep -qw 1 <(ipt -L INPUT -v -n -x | awk '/dpt:70/ { print $1 }')
same "no effect was lost" 0 "$(lost)"
expect "a reset without a protocol is refused as the kernel does" \
	cannot ipt -A INPUT -j REJECT --reject-with tcp-reset

# --- the log -------------------------------------------------------------------------------

word=bf$$-$RANDOM
if [ -w "$log_setting" ] && dmesg >/dev/null 2>&1; then
	ipt -I INPUT -p tcp --dport 70 -j LOG --log-prefix "$word " --log-level 6 --log-tcp-sequence
	ipt -A INPUT -p icmp -j LOG --log-prefix "$word-ping "
	ipt -A INPUT -p icmp -j DROP
	logs_begin
	tcp_answer client 192.0.2.1 70 >/dev/null
	expect "a packet that is logged and then dropped is dropped" cannot can_ping client 192.0.2.1
	logs_end
	# shellcheck disable=SC2016
	expect "a line as ip_tables writes it, with its level" grep -qE \
		"^<6>\[[ 0-9.]*\] ?$word IN=to-client OUT= MAC=[0-9a-f:]* SRC=192.0.2.2 DST=192.0.2.1 LEN=60 .*PROTO=TCP SPT=[0-9]* DPT=70 SEQ=[0-9]* ACK=0 WINDOW=[0-9]* RES=0x00 SYN URGP=0" \
		<(logged "$word IN")
	same "and once" 1 "$(logged "$word IN" | wc -l)"
	same "that which was dropped is in the log" 1 "$(logged "$word-ping" | wc -l)"
	tcp_answer client 192.0.2.1 70 >/dev/null
	same "nothing is written of a namespace where the kernel would not" 1 \
		"$(logged "$word IN" | wc -l)"
	ipt -D INPUT -p icmp -j DROP
	ipt -D INPUT -p icmp -j LOG --log-prefix "$word-ping "
	ipt -D INPUT 1
else
	tap_skip "lines in the kernel's log" "that cannot be had here"
fi

# --- before it is loaded -------------------------------------------------------------------

filtered host iptables-legacy-save -t filter >"$T/rules"
expect "translate has the verifier accept it" grep -q 'verifier: accepted' \
	<("$BPFILTER" translate "$T/rules")
expect "and says what a rule notes" grep -q '; effect 0x' <("$BPFILTER" translate "$T/rules")
expect "in form records too" grep -q '[0-9]: effect 0x' \
	<("$BPFILTER" translate --form=records "$T/rules")

# --- accounting ----------------------------------------------------------------------------

# counted OBJECT: its packets.
counted() {
	inside host nfacct get "$1" | sed 's/.*pkts = 0*\([0-9][0-9]*\),.*/\1/'
}

drops_pings() {
	cannot can_ping client 192.0.2.1
}

# objects KIND COMMAND: what iptables and nfacct say as the rules that name two objects come and go.
objects() {
	inside "$1" nfacct add kept
	"$2" "$1" bash -c 'for i in 1 2 3; do
			nfacct add gone
			iptables-legacy -A INPUT -m nfacct --nfacct-name kept
			iptables-legacy -A INPUT -m nfacct --nfacct-name gone
			nfacct del gone && echo removed
			iptables-legacy -D INPUT -m nfacct --nfacct-name gone
			nfacct del gone && echo removed
			iptables-legacy -A INPUT -m nfacct --nfacct-name gone && echo taken
			iptables-legacy -D INPUT -m nfacct --nfacct-name kept
			nfacct del kept && echo removed && nfacct add kept
		done
		iptables-legacy -F
		nfacct del kept && nfacct del gone && echo removed' 2>&1
}

inside host nfacct add pings
inside host nfacct add few packet 3
ipt -A INPUT -p icmp -m conntrack --ctstate INVALID -m nfacct --nfacct-name pings -j DROP
ipt -A INPUT -p icmp -m conntrack --ctstate NEW -m nfacct --nfacct-name pings -m length --length 1 -j ACCEPT
ipt -A INPUT -p icmp -m nfacct --nfacct-name pings -j DROP
expect "rules with nfacct are in eBPF" in_ebpf host
expect "such a rule drops" drops_pings
same "a packet counts in each rule that comes to the match, whatever else the rule says" 2 "$(counted pings)"
expect_not "an object is there for as long as a rule names it" inside host nfacct del pings
helper_kill KILL
drops_pings
same "it counts without a helper" 4 "$(counted pings)"
ipt -A INPUT -m nfacct --nfacct-name few
expect "a quota decides what matches: such a table is left to ip_tables" grep -q "few has a quota" <(kernel_why host)
ipt -D INPUT -m nfacct --nfacct-name few
expect "and comes back without it" in_ebpf host
expect "and the object is free" inside host nfacct del few
ipt -D INPUT -p icmp -m nfacct --nfacct-name pings -j DROP
ipt -D INPUT -p icmp -m conntrack --ctstate NEW -m nfacct --nfacct-name pings -m length --length 1 -j ACCEPT
ipt -D INPUT -p icmp -m conntrack --ctstate INVALID -m nfacct --nfacct-name pings -j DROP
expect "an object is free as soon as no rule names it" inside host nfacct del pings
same "objects that are missing, named, or no longer so: as with ip_tables" "$(objects client plain)" "$(objects server filtered)"
inside server "$BPFILTER" detach >/dev/null

# --- without a helper ----------------------------------------------------------------------

# At its hooks the module runs them itself.
behind_links=1
! at_module_hooks host || behind_links=
helper_kill KILL
same "without a helper it is refused as before" "Connection refused" \
	"$(tcp_answer client 192.0.2.1 17)"
same "and others get through" Connected "$(tcp_answer client 198.51.100.2 71)"
without_nf_tables() {
	inside host nft delete table ip bpfilter-effects
	same "without nf_tables' part nothing gets through either" Silence \
		"$(tcp_answer client 192.0.2.1 70)"
	same "and others still do" Connected "$(tcp_answer client 198.51.100.2 71)"
	ipt -L -n >/dev/null
	same "the next helper puts it back" "Connection refused" "$(tcp_answer client 192.0.2.1 17)"
	expect "and counts what was lost" [ "$(lost)" -gt 0 ]
	inside host nft flush ruleset
	refused_again() {
		[ "$(tcp_answer client 192.0.2.1 17)" = "Connection refused" ]
	}
	expect "and so it is when somebody has emptied nf_tables" within 3 refused_again
}
[ -z "$behind_links" ] || without_nf_tables

# --- under changes -------------------------------------------------------------------------

# Port 70 is refused by every table here; its server must never see anyone.
inside client bash -c 'while :; do (: </dev/tcp/192.0.2.1/70) 2>/dev/null && echo through; done' \
	>"$T/through" 2>/dev/null &
lab_jobs+=($!)
for i in {1..10}; do
	ipt -A INPUT -p udp --dport "$i" -j LOG --log-prefix "x$i"
	ipt -A FORWARD -p udp --dport "$i" -j REJECT
done
for i in {1..10}; do
	ipt -D INPUT -p udp --dport "$i" -j LOG --log-prefix "x$i"
done
kill %% 2>/dev/null
same "30 changes of the effects: nobody gets through" "" "$(cat "$T/through")"
expect "the table is still in eBPF" in_ebpf host

# --- and away ------------------------------------------------------------------------------

ipt -F
expect "without such rules nothing of it is left" cannot inside host nft list table ip bpfilter-effects
ipt -A INPUT -p tcp --dport 17 -j REJECT --reject-with tcp-reset
inside host "$BPFILTER" detach >/dev/null
expect "nor after a detach" cannot inside host nft list table ip bpfilter-effects
same "and ip_tables goes on" "Connection refused" "$(tcp_answer client 192.0.2.1 17)"
expect "no pins are left" [ -z "$(find "$T/bpf" -name 'guard_*' -o -name notes)" ]

tap_end
