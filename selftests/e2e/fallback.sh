#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A table that cannot be translated is the kernel's, as a whole and with a reason; it moves to
# eBPF when it can be, and back, and neither a packet nor a count is lost on the way.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

ipt() {
	filtered host iptables-legacy "$@"
}

# The packets that the rule with this comment has counted.
counted() {
	ipt -L -v -n -x | awk -v w="/* $1 */" 'index($0, w) { print $1; exit }'
}

lab_begin
lab_client_host_server

# --- adoption: the namespace has kernel rules before bpfilter meets it ---------------------

plain host iptables-legacy -A INPUT -p icmp -m comment --comment ping -j ACCEPT
plain host iptables-legacy -A INPUT -p tcp --dport 9 -j DROP
inside client ping -q -c 3 -i 0.01 192.0.2.1 >/dev/null
inside host iptables-legacy -t nat -A POSTROUTING -o none -j MASQUERADE
inside host iptables-legacy -t mangle -A PREROUTING -i none -j MARK --set-mark 1
before=$(kernel_rules host)
same "rules that were there before are shown" "$before" "$(ipt -S)"
expect "and are still the kernel's" cannot kernel_is_empty host
expect "the next change is taken" ipt -A INPUT -p tcp --dport 10 -j DROP
expect "and moves the table to eBPF: status" in_ebpf host
expect "and the kernel's is empty" kernel_is_empty host
same "and nothing else has changed" "$before
-A INPUT -p tcp -m tcp --dport 10 -j DROP" "$(ipt -S)"
same "counters went along" 3 "$(counted ping)"
expect "the kernel names its empty table" grep -qx filter <(inside host cat /proc/net/ip_tables_names)
same "nat stays with the kernel" "-A POSTROUTING -o none -j MASQUERADE" \
	"$(inside host iptables-legacy -t nat -S | grep -e ^-A)"
same "nat is the same through bpfilter" "$(inside host iptables-legacy -t nat -S)" "$(ipt -t nat -S)"
same "mangle too" "$(inside host iptables-legacy -t mangle -S)" "$(ipt -t mangle -S)"

# --- there and back ------------------------------------------------------------------------

inside client ping -q -c 4 -i 0.01 192.0.2.1 >/dev/null
expect "a rule that cannot be translated is taken" ipt -A FORWARD -p tcp -j CLASSIFY --set-class 1:2
expect "and moves the table to the kernel" cannot kernel_is_empty host
same "as a whole" "$(kernel_rules host)" "$(ipt -S)"
expect "with the reason in status" grep -q CLASSIFY <(kernel_why host)
same "and its counters" 7 "$(counted ping)"
inside client ping -q -c 5 -i 0.01 192.0.2.1 >/dev/null
same "which count on there" 12 "$(counted ping)"
same "and are the kernel's own" 12 "$(plain host iptables-legacy -L -v -n -x |
	awk '/ping/ { print $1 }')"
expect "a replace by the kernel's rules is refused as the kernel does" \
	cannot ipt -A INPUT -p icmp -j no-such-chain
same "and has changed nothing" "$(kernel_rules host)" "$(ipt -S)"
expect "without that rule" ipt -D FORWARD -p tcp -j CLASSIFY --set-class 1:2
expect "it is in eBPF again" kernel_is_empty host
expect "as status says" in_ebpf host
same "with its counters" 12 "$(counted ping)"
inside client ping -q -c 2 -i 0.01 192.0.2.1 >/dev/null
same "which count on" 14 "$(counted ping)"

# --- under traffic -------------------------------------------------------------------------

# Every echo request is accepted by both tables, everything to port 9 is dropped by both.
ipt -Z
inside host nft -f - <<'END'
table ip probe {
	chain in {
		type filter hook input priority 100
		udp dport 9 counter
	}
}
END
ipt -I INPUT -p udp --dport 9 -j DROP
inside client bash -c 'while :; do for i in {1..20}; do echo x >/dev/udp/192.0.2.1/9; done
	sleep 0.01; done' 2>/dev/null &
lab_jobs+=($!)
inside client ping -n -i 0.002 -w 60 192.0.2.1 >"$T/ping" &
ping=$!
lab_jobs+=("$ping")
# shellcheck disable=SC2034
for i in {1..15}; do
	ipt -A FORWARD -p tcp -j CLASSIFY --set-class 1:2
	ipt -D FORWARD -p tcp -j CLASSIFY --set-class 1:2
done
kill -INT "$(pgrep -P $ping ping || echo $ping)"
wait $ping
read -r sent _ _ received _ < <(grep transmitted "$T/ping")
note "$sent sent, $received received"
# Whoever is interrupted does not wait for the answer to his last one.
same "30 moves: every ping that both tables accept came through" "" "$(awk -v sent="$sent" -F 'icmp_seq=' '
	NF > 1 { seen[$2 + 0] = 1 }
	END { for (i = 1; i < sent; i++) if (!seen[i]) print i }' "$T/ping")"
same "30 moves: and was counted once" "$sent" "$(counted ping)"
same "30 moves: nothing came through that both tables drop" "packets 0" \
	"$(inside host nft list chain ip probe in | grep -o 'packets [0-9]*')"

# --- namespaces are apart ------------------------------------------------------------------

filtered server iptables-legacy -A FORWARD -p tcp -j CLASSIFY --set-class 1:2
expect "another namespace's table is with the kernel" cannot kernel_is_empty server
expect "and this one's is not" kernel_is_empty host
filtered client iptables-legacy -P FORWARD DROP
same "a third one knows nothing of either" "-P INPUT ACCEPT
-P FORWARD DROP
-P OUTPUT ACCEPT" "$(filtered client iptables-legacy -S)"

# --- rules that ip_tables got outside of bpfilter ------------------------------------------

# says TEXT COMMAND...: is it in what the command prints?
says() {
	local text=$1

	shift
	"$@" | grep -qF -- "$text"
}

detach_client() {
	inside client "$BPFILTER" detach 2>&1
}

outside="-A INPUT -p udp -j DROP"
# shellcheck disable=SC2086
plain client iptables-legacy $outside
mine=$(filtered client iptables-legacy -S)
expect "status tells of rules set outside" says 'ip_tables has rules too' "$BPFILTER" status
expect "a table that ip_tables would have to take is refused" \
	cannot filtered client iptables-legacy -A FORWARD -j CLASSIFY --set-class 1:2
expect "so is a detach" cannot inside client "$BPFILTER" detach
expect "with the reason" says 'rules of its own' detach_client
expect "nothing of them is lost" says "$outside" plain client iptables-legacy -S
same "nor of ours" "$mine" "$(filtered client iptables-legacy -S)"
plain client iptables-legacy -F
same "a detach says what it did" "1 table given back to ip_tables" \
	"$(inside client "$BPFILTER" detach)"
same "the rules are with ip_tables then" "$mine" "$(plain client iptables-legacy -S)"
same "a second one has nothing to do" "nothing to give back in this network namespace" \
	"$(inside client "$BPFILTER" detach)"
expect "and status says so" says 'was detached' "$BPFILTER" status

tap_end
